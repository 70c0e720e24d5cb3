use rstest::rstest;
use serde_json::json;
use time::macros::datetime;
use transom_channel::{
    AccountEffect, AccountNotice, InboundMessage, OptOutScope, ReceiptFor, ReceiptState, SendError, Standing,
    TemplateNotice,
};
use transom_domain::{Attachment, Body, Content, Location, MediaKind, MediaSource, TemplateStatus};

use super::*;

const WROTE: OffsetDateTime = datetime!(2026-09-21 14:13:20 UTC);
const RECEIVED: OffsetDateTime = datetime!(2026-09-21 14:13:25 UTC);

fn number() -> Number {
    Number { phone_number_id: "700000000000002".into(), waba_id: "700000000000001".into() }
}

fn call(field: &str, value: &Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "700000000000001", "changes": [{"field": field, "value": value}]}]})
}

fn parsed(call: &Value) -> Vec<Inbound> {
    parse(&RawInbound::new(call.to_string(), RECEIVED), Some(&number())).unwrap()
}

fn one(call: &Value) -> Inbound {
    let mut items = parsed(call);
    assert_eq!(items.len(), 1, "{items:#?}");
    items.remove(0)
}

fn value(name: &str, element: &Value) -> Value {
    json!({"messaging_product": "whatsapp", "metadata": {"display_phone_number": "4312345678", "phone_number_id": "700000000000002"},
        "contacts": [{"profile": {"name": "Mara K.", "username": "@mara_k"}, "wa_id": "4915550100001", "user_id": "DE.8800000000000001"}],
        name: [element]})
}

/// A message as the sheet shows it, with these fields.
fn message(fields: &Value) -> Inbound {
    let mut message = json!({"from": "4915550100001", "from_user_id": "DE.8800000000000001", "id": "wamid.IN1", "timestamp": "1790000000"});
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    one(&call("messages", &value("messages", &message)))
}

fn said_in(inbound: &Inbound) -> &InboundMessage {
    match &inbound.item {
        Item::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn opens(inbound: &Inbound) -> Vec<&str> {
    inbound.openings.iter().map(|opening| opening.kind.as_str()).collect()
}

#[test]
fn a_text_is_read_with_its_sender() {
    let inbound = message(&json!({"type": "text", "text": {"body": " Where is A-1001?\n"}}));
    assert_eq!(
        (inbound.account.as_str(), inbound.event_key.as_str(), inbound.at),
        ("700000000000002", "wamid.IN1", WROTE)
    );
    assert_eq!(opens(&inbound), ["message"]);
    let person = inbound.person.as_ref().unwrap();
    assert_eq!(
        person.addresses,
        [Address::new("bsuid", "DE.8800000000000001"), Address::new("phone", "+4915550100001")]
    );
    assert_eq!((person.profile.name.as_deref(), person.profile.username.as_deref()), (Some("Mara K."), Some("mara_k")));
    assert_eq!(person.profile.phone.as_deref(), Some("+4915550100001"));
    let said = said_in(&inbound);
    assert_eq!(said.provider_id, "wamid.IN1");
    assert_eq!(said.content, Content::text(" Where is A-1001?\n"));
}

#[test]
fn a_hidden_number_is_no_obstacle() {
    let hidden = json!({"messaging_product": "whatsapp", "metadata": {"phone_number_id": "700000000000002"},
        "contacts": [{"profile": {"name": "Mara", "username": "mara"}, "user_id": "DE.88"}],
        "messages": [{"from_user_id": "DE.88", "id": "wamid.1", "timestamp": 1_790_000_000, "type": "text", "text": {"body": "hi"}}]});
    let person = one(&call("messages", &hidden)).person.unwrap();
    assert_eq!((person.addresses, person.profile.phone), (vec![Address::new("bsuid", "DE.88")], None));
}

#[test]
fn each_sender_gets_their_own_contact() {
    let two = json!({"metadata": {"phone_number_id": "7"},
        "contacts": [{"profile": {"name": "A"}, "wa_id": "4311111111"}, {"profile": {"name": "B"}, "wa_id": "4322222222", "user_id": "AT.2"}],
        "messages": [{"from": "4322222222", "id": "wamid.1", "timestamp": "1", "type": "text", "text": {"body": "b"}},
                     {"from": "4333333333", "id": "wamid.2", "timestamp": "1", "type": "text", "text": {"body": "c"}}]});
    let people: Vec<_> = parsed(&call("messages", &two)).into_iter().map(|item| item.person.unwrap()).collect();
    assert_eq!(people[0].addresses, [Address::new("bsuid", "AT.2"), Address::new("phone", "+4322222222")]);
    assert_eq!((people[0].profile.name.as_deref(), people[1].profile.name.as_deref()), (Some("B"), None));
}

#[rstest]
#[case(json!({"type": "image", "image": {"caption": "box", "mime_type": "image/jpeg", "sha256": "aGFzaA==", "id": "800000000000001", "url": "https://lookaside.example/1"}}),
    MediaKind::Image, "image/jpeg", None)]
#[case(json!({"type": "audio", "audio": {"mime_type": "audio/ogg; codecs=opus", "id": 800_000_000_000_001_i64, "voice": true, "caption": "box", "sha256": "aGFzaA==", "url": "https://lookaside.example/1"}}),
    MediaKind::Voice, "audio/ogg", None)]
#[case(json!({"type": "document", "document": {"mime_type": "application/pdf", "id": "800000000000001", "filename": "a.pdf", "caption": "box", "sha256": "aGFzaA==", "url": "https://lookaside.example/1"}}),
    MediaKind::Document, "application/pdf", Some("a.pdf"))]
fn files_are_read(#[case] fields: Value, #[case] kind: MediaKind, #[case] mime: &str, #[case] file_name: Option<&str>) {
    let inbound = message(&fields);
    let source = MediaSource::Platform {
        id: "800000000000001".into(),
        url: Some("https://lookaside.example/1".into()),
        sha256: Some("aGFzaA==".into()),
    };
    let file =
        Attachment { kind, source, mime: Some(mime.into()), file_name: file_name.map(str::to_owned), size: None };
    assert_eq!(said_in(&inbound).content.body, Body::Text { text: "box".into(), attachments: vec![file] });
    assert_eq!(opens(&inbound), ["message"]);
}

#[rstest]
#[case(json!({"type": "audio", "audio": {"id": "1"}}), MediaKind::Audio)]
#[case(json!({"type": "video", "video": {"id": "1"}}), MediaKind::Video)]
#[case(json!({"type": "sticker", "sticker": {"id": "1", "animated": true}}), MediaKind::Sticker)]
fn other_files_keep_their_kind(#[case] fields: Value, #[case] kind: MediaKind) {
    let Body::Text { attachments, .. } = said_in(&message(&fields)).content.body.clone() else { panic!() };
    assert_eq!(attachments[0].kind, kind);
}

#[test]
fn places_cards_and_orders_are_read() {
    let place =
        message(&json!({"type": "location", "location": {"latitude": "47.07", "longitude": 15.43, "name": "Shop"}}));
    let expected = Location { latitude: 47.07, longitude: 15.43, name: Some("Shop".into()), address: None };
    assert_eq!(said_in(&place).content.body, Body::Location(expected));

    let cards = message(&json!({"type": "contacts", "contacts": [
        {"name": {"formatted_name": "Mara K."}, "phones": [{"phone": "+49 155"}, {"wa_id": "49155"}], "emails": [{"email": "m@example.com"}]},
        {"name": {"first_name": "Mara", "last_name": "K."}}, {}]}));
    let Body::Contacts { contacts } = &said_in(&cards).content.body else { panic!() };
    assert_eq!((contacts[0].name.as_str(), contacts[0].phones.len(), contacts[0].emails.len()), ("Mara K.", 2, 1));
    assert_eq!((contacts[1].name.as_str(), contacts[2].name.as_str()), ("Mara K.", ""));

    let order = message(&json!({"type": "order", "order": {"catalog_id": "1", "text": "soon please",
        "product_items": [{"product_retailer_id": "sku1", "quantity": 2, "item_price": 12.5, "currency": "EUR"}]}}));
    assert_eq!(said_in(&order).content, Content::text("soon please\n2 × sku1 (12.5 EUR)"));
    assert!([place, cards, order].iter().all(|inbound| opens(inbound) == ["message"]));
}

#[rstest]
#[case(json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "yes_77", "title": "Yes"}}}), "Yes", "yes_77")]
#[case(json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "t1", "title": "Late parcel", "description": "old"}}}), "Late parcel", "t1")]
#[case(json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"a\":1}"}}}), "Sent", "{\"a\":1}")]
#[case(json!({"type": "button", "button": {"payload": "HELP_A1001", "text": "Help"}}), "Help", "HELP_A1001")]
#[case(json!({"type": "button", "button": {"text": "Help"}}), "Help", "Help")]
fn taps_carry_their_payload(#[case] mut fields: Value, #[case] words: &str, #[case] payload: &str) {
    fields["context"] = json!({"from": "4312345678", "id": "wamid.OUT1"});
    let inbound = message(&fields);
    let said = said_in(&inbound);
    assert_eq!((said.content.preview().as_str(), said.payload.as_deref()), (words, Some(payload)));
    assert_eq!((said.content.reply_to.as_deref(), opens(&inbound)), (Some("wamid.OUT1"), vec!["message"]));
}

#[test]
fn a_forward_quotes_nothing_and_an_advertisement_is_told() {
    let forwarded = message(&json!({"type": "text", "text": {"body": "x"}, "context": {"forwarded": true}}));
    assert_eq!(said_in(&forwarded).content.reply_to, None);
    let ad = message(
        &json!({"type": "text", "text": {"body": "Hi"}, "referral": {"source_type": "ad", "ctwa_clid": "Ainvented"}}),
    );
    let payload: Value = serde_json::from_str(said_in(&ad).payload.as_deref().unwrap()).unwrap();
    assert_eq!((payload["referral"]["ctwa_clid"].as_str(), opens(&ad)), (Some("Ainvented"), vec!["message"]));
}

/// The table of whatsapp.md 1.1: what opens nothing.
#[rstest]
#[case(json!({"type": "reaction", "reaction": {"message_id": "wamid.OUT2", "emoji": "👍"}}), Item::Reaction { to: "wamid.OUT2".into(), emoji: Some("👍".into()) })]
#[case(json!({"type": "reaction", "reaction": {"message_id": "wamid.OUT2", "emoji": ""}}), Item::Reaction { to: "wamid.OUT2".into(), emoji: None })]
#[case(json!({"type": "reaction", "reaction": {"message_id": "wamid.OUT2"}}), Item::Reaction { to: "wamid.OUT2".into(), emoji: None })]
#[case(json!({"type": "edit", "edit": {"original_message_id": "wamid.IN0", "message": {"type": "text", "text": {"body": "Where is A-1002?"}, "context": {"id": "M0"}}}}),
    Item::Edit { of: "wamid.IN0".into(), content: Content::text("Where is A-1002?") })]
#[case(json!({"type": "revoke", "revoke": {"original_message_id": "wamid.IN0"}}), Item::Unsend { of: "wamid.IN0".into() })]
#[case(json!({"type": "revoke"}), Item::Unsupported { what: "revoke".into(), from_customer: true })]
#[case(json!({"type": "system", "system": {"body": "User … changed …", "wa_id": "4915550100099", "user_id": "DE.8800000000000099", "type": "user_changed_number"}}),
    Item::IdentityChange { new: vec![Address::new("bsuid", "DE.8800000000000099"), Address::new("phone", "+4915550100099")] })]
#[case(json!({"type": "system", "system": {"user_id": "DE.99", "type": "user_changed_user_id"}}), Item::IdentityChange { new: vec![Address::new("bsuid", "DE.99")] })]
#[case(json!({"type": "system", "system": {"type": "customer_identity_changed"}}), Item::Unsupported { what: "system: customer_identity_changed".into(), from_customer: false })]
#[case(json!({"type": "request_welcome"}), Item::Unsupported { what: "request_welcome".into(), from_customer: false })]
#[case(json!({"type": "hologram", "hologram": {"body": "hi"}}), Item::Unsupported { what: "hologram".into(), from_customer: true })]
fn what_opens_nothing(#[case] fields: Value, #[case] expected: Item) {
    let inbound = message(&fields);
    assert_eq!((inbound.item, inbound.openings, inbound.at), (expected, Vec::new(), WROTE));
    assert_eq!(inbound.event_key, "wamid.IN1");
}

#[rstest]
#[case(json!({"type": "unsupported", "unsupported": {"type": "poll"}, "errors": [{"code": 131_051, "title": "Message type unknown"}]}), "unsupported: poll: 131051 Message type unknown")]
#[case(json!({"type": "image", "errors": [{"code": 131_052, "title": "Media download error"}]}), "image: 131052 Media download error")]
#[case(json!({"type": "image", "image": {"id": null}}), "image")]
#[case(json!({"type": "text", "text": 7}), "text")]
#[case(json!({"type": "interactive", "interactive": {"type": "novelty", "novelty": {}}}), "interactive: novelty")]
fn what_can_not_be_shown_still_opens(#[case] fields: Value, #[case] what: &str) {
    let inbound = message(&fields);
    assert_eq!(inbound.item, Item::Unsupported { what: what.into(), from_customer: true });
    assert_eq!(opens(&inbound), ["message"]);
}

#[test]
fn a_group_is_nobodys_conversation() {
    let inbound = message(&json!({"type": "text", "text": {"body": "hi all"}, "group_id": "g1"}));
    assert_eq!(inbound.item, Item::Unsupported { what: "a group's message".into(), from_customer: false });
    assert_eq!((inbound.person, inbound.openings), (None, Vec::new()));
}

#[rstest]
#[case(json!({"type": "text", "text": {"body": "x"}, "timestamp": "1790000000", "id": "wamid.1"}), "text without a sender")]
#[case(json!({"type": "text", "text": {"body": "x"}}), "a message without an id or a type")]
#[case(json!("words"), "a message without an id or a type")]
fn a_message_of_nobody_is_kept_aside(#[case] element: Value, #[case] what: &str) {
    let value = json!({"metadata": {"phone_number_id": "7"}, "messages": [element, {"from": "4312345", "id": "wamid.2", "type": "text", "text": {"body": "y"}}]});
    let items = parsed(&call("messages", &value));
    assert_eq!(items[0].item, Item::Unsupported { what: what.into(), from_customer: true });
    // Its neighbour is read all the same, and without a time of its own it happened when it came.
    assert_eq!((said_in(&items[1]).content.preview().as_str(), items[1].at), ("y", RECEIVED));
}

fn status(fields: &Value) -> Inbound {
    let mut status = json!({"id": "wamid.OUT0009", "timestamp": "1790000000", "recipient_id": "4915550100001",
        "recipient_user_id": "DE.8800000000000001", "biz_opaque_callback_data": "msg-42"});
    status.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    one(&call("messages", &value("statuses", &status)))
}

#[rstest]
#[case("sent", ReceiptState::Sent)]
#[case("delivered", ReceiptState::Delivered)]
#[case("read", ReceiptState::Read)]
#[case("played", ReceiptState::Read)]
fn receipts_are_read(#[case] word: &str, #[case] state: ReceiptState) {
    let inbound = status(&json!({"status": word}));
    let of = ReceiptFor::Message { provider_id: "wamid.OUT0009".into(), correlation: Some("msg-42".into()) };
    assert_eq!(inbound.item, Item::Receipt { of, state });
    assert_eq!((inbound.event_key, inbound.at, inbound.openings), (format!("wamid.OUT0009:{word}"), WROTE, Vec::new()));
    assert_eq!(inbound.person.unwrap().addresses[1], Address::new("phone", "+4915550100001"));
}

#[test]
fn failures_say_why() {
    let failed = |errors: Value| match status(&json!({"status": "failed", "errors": errors})).item {
        Item::Receipt { state: ReceiptState::Failed(error), .. } => error,
        other => panic!("{other:?}"),
    };
    let closed = failed(
        json!([{"code": 131_047, "title": "Re-engagement message", "error_data": {"details": "more than 24 hours"}}]),
    );
    assert!(matches!(closed, SendError::WindowClosed { report } if report.code.as_deref() == Some("131047")));
    assert_eq!(failed(json!([])).code(), "content_refused");
    assert_eq!(failed(json!(null)).code(), "content_refused");
}

#[test]
fn a_status_of_a_new_kind_is_kept() {
    let inbound = status(&json!({"status": "teleported"}));
    assert_eq!(inbound.item, Item::Unsupported { what: "status teleported".into(), from_customer: false });
    let group = status(&json!({"status": "read", "recipient_type": "group"}));
    assert_eq!(group.item, Item::Unsupported { what: "a group's status read".into(), from_customer: false });
}

#[test]
fn charges_are_not_lost() {
    let status = json!({"id": "wamid.OUT0009", "status": "sent", "timestamp": "1790000000", "biz_opaque_callback_data": "msg-42",
        "conversation": {"id": "c0ffee", "expiration_timestamp": "1790259320", "origin": {"type": "referral_conversion"}},
        "pricing": {"billable": false, "pricing_model": "PMP", "type": "free_entry_point", "category": "referral_conversion"}});
    let raw = RawInbound::new(call("messages", &value("statuses", &status)).to_string(), RECEIVED);
    let [charge] = charges(&raw).unwrap().try_into().unwrap();
    assert_eq!((charge.correlation.as_deref(), charge.billable, charge.at), (Some("msg-42"), Some(false), Some(WROTE)));
    assert_eq!(charge.free_until, Some(datetime!(2026-09-24 14:15:20 UTC)));
}

#[test]
fn several_of_everything_in_one_call() {
    let text = |id: &str| json!({"from": "4915550100001", "id": id, "timestamp": "1790000000", "type": "text", "text": {"body": id}});
    let change = |phone: &str, value: Value| {
        let mut value = value;
        value["metadata"] = json!({"phone_number_id": phone});
        json!({"field": "messages", "value": value})
    };
    let call = json!({"object": "whatsapp_business_account", "entry": [
        {"id": "1", "changes": [change("7", json!({"messages": [text("wamid.1"), text("wamid.2")], "statuses": [{"id": "wamid.O", "status": "read"}]})), change("8", json!({"messages": [text("wamid.3")]}))]},
        {"id": "2", "changes": [change("9", json!({"errors": [{"code": 130_429, "title": "Rate limit hit"}]}))]}]});
    let items = parsed(&call);
    let seen: Vec<_> = items.iter().map(|item| (item.account.as_str(), item.event_key.as_str())).collect();
    assert_eq!(seen[..4], [("7", "wamid.1"), ("7", "wamid.2"), ("7", "wamid.O:read"), ("8", "wamid.3")]);
    assert!(seen.len() == 5 && seen[4].0 == "9" && seen[4].1.starts_with("error:"), "{seen:?}");
}

#[rstest]
#[case("stop", Standing::OptedOut(OptOutScope::Marketing))]
#[case("resume", Standing::OptedIn(OptOutScope::Marketing))]
fn preferences_are_about_marketing(#[case] word: &str, #[case] standing: Standing) {
    let preference = json!({"wa_id": "4915550100001", "category": "marketing_messages", "value": word, "detail": "…", "timestamp": 1_790_000_000});
    let inbound = one(&call("user_preferences", &value("user_preferences", &preference)));
    assert_eq!((inbound.item, inbound.at), (Item::Standing(standing), WROTE));
    assert!(inbound.person.is_some() && inbound.openings.is_empty());
}

#[test]
fn only_the_customers_call_opens() {
    let of = |fields: Value| {
        let mut call_of =
            json!({"id": "wacid.1", "from": "4915550100001", "to": "4312345678", "timestamp": "1790000000"});
        call_of.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        one(&call("calls", &value("calls", &call_of)))
    };
    let theirs = of(json!({"event": "connect", "direction": "USER_INITIATED"}));
    assert_eq!((theirs.item.clone(), opens(&theirs)), (Item::Opening { what: "call".into() }, vec!["call"]));
    assert_eq!((theirs.event_key.as_str(), theirs.at), ("wacid.1:connect", WROTE));
    for other in [
        json!({"event": "terminate", "direction": "USER_INITIATED"}),
        json!({"event": "connect", "direction": "BUSINESS_INITIATED"}),
    ] {
        let inbound = of(other);
        assert!(matches!(inbound.item, Item::Unsupported { from_customer: false, .. }) && inbound.openings.is_empty());
    }
}

#[test]
fn what_an_employee_wrote_elsewhere_is_an_echo() {
    let echo = json!({"from": "4312345678", "to": "4915550100001", "to_user_id": "DE.8800000000000001", "id": "wamid.E1", "timestamp": "1790000000",
        "type": "text", "text": {"body": "On its way"}});
    let inbound = one(&call("smb_message_echoes", &value("message_echoes", &echo)));
    let Item::Echo { message, correlation: None } = &inbound.item else { panic!("{inbound:?}") };
    assert_eq!((message.provider_id.as_str(), message.content.preview().as_str()), ("wamid.E1", "On its way"));
    assert!(inbound.openings.is_empty());
    assert_eq!(inbound.person.unwrap().addresses[0], Address::new("bsuid", "DE.8800000000000001"));

    let poll = json!({"to": "4915550100001", "id": "wamid.E2", "type": "poll", "timestamp": "1790000000"});
    let inbound = one(&call("smb_message_echoes", &value("message_echoes", &poll)));
    assert!(
        matches!(inbound.item, Item::Echo { message, .. } if message.content.body == Body::Unsupported { what: "poll".into() })
    );
}

fn notice(field: &str, value: &Value) -> Inbound {
    let inbound = one(&call(field, value));
    assert_eq!(inbound.account, "700000000000001", "all numbers of the business account are meant");
    assert!(inbound.person.is_none() && inbound.openings.is_empty());
    inbound
}

#[rstest]
#[case("PAUSED", "FIRST_PAUSE", Some(TemplateStatus::Paused), Some("FIRST_PAUSE"))]
#[case("PAUSED", "UNPAUSE", Some(TemplateStatus::Approved), Some("UNPAUSE"))]
#[case("PAUSED", "DISABLED", Some(TemplateStatus::Disabled), Some("DISABLED"))]
#[case("APPROVED", "", Some(TemplateStatus::Approved), None)]
#[case("LOCKED", "", None, None)]
fn template_statuses_are_told(
    #[case] event: &str,
    #[case] title: &str,
    #[case] status: Option<TemplateStatus>,
    #[case] reason: Option<&str>,
) {
    let told = json!({"event": event, "message_template_id": 1, "message_template_name": "order_shipped", "message_template_language": "en_US",
        "reason": "NONE", "message_template_category": "UTILITY", "other_info": {"title": title, "description": "…"}});
    let expected = TemplateNotice {
        provider_id: Some("1".into()),
        name: "order_shipped".into(),
        language: "en_US".into(),
        status,
        provider_status: event.into(),
        category: None,
        reason: reason.map(str::to_owned),
    };
    assert_eq!(notice("message_template_status_update", &told).item, Item::TemplateNotice(expected));
}

#[test]
fn quality_and_category_of_templates_are_told() {
    let with = |fields: Value| {
        let mut told = json!({"message_template_id": "1", "message_template_name": "order_shipped", "message_template_language": "en_US"});
        told.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        told
    };
    let told = |field: &str, fields: Value| match notice(field, &with(fields)).item {
        Item::TemplateNotice(notice) => (notice.status, notice.provider_status, notice.category, notice.reason),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        told(
            "message_template_quality_update",
            json!({"previous_quality_score": "GREEN", "new_quality_score": "YELLOW"})
        ),
        (None, "quality YELLOW".into(), None, None)
    );
    assert_eq!(
        told("template_category_update", json!({"previous_category": "UTILITY", "new_category": "MARKETING"})),
        (None, "category marketing".into(), Some("marketing".into()), None)
    );
    assert_eq!(
        told("template_category_update", json!({"correct_category": "MARKETING"})),
        (None, "category announced".into(), None, Some("to become marketing".into()))
    );
}

fn limit(limit: Option<u32>) -> AccountEffect {
    AccountEffect::Limit { quota: "messaging_limit".into(), limit }
}

#[rstest]
#[case("phone_number_quality_update", json!({"display_phone_number": "4312345678", "event": "UPGRADE", "current_limit": "TIER_10K"}), Some(limit(Some(10_000))))]
#[case("phone_number_quality_update", json!({"display_phone_number": "4312345678", "event": "THROUGHPUT_UPGRADE"}), None)]
#[case("business_capability_update", json!({"max_daily_conversation_per_phone": -1, "max_phone_numbers_per_business": 2}), Some(limit(None)))]
#[case("business_capability_update", json!({"max_daily_conversations_per_business": "TIER_2K", "max_daily_conversation_per_phone": 250}), Some(limit(Some(2_000))))]
#[case("account_update", json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": ["DISABLE"], "waba_ban_date": "2026-09-21"}}), Some(AccountEffect::Suspended))]
#[case("account_update", json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}), Some(AccountEffect::Suspended))]
#[case("account_update", json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE"}}), Some(AccountEffect::Restored))]
#[case("account_update", json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "SCHEDULE_FOR_DISABLE"}}), None)]
#[case("account_update", json!({"event": "ACCOUNT_DELETED"}), Some(AccountEffect::Suspended))]
#[case("account_update", json!({"event": "VERIFIED_ACCOUNT", "phone_number": "4312345678"}), None)]
#[case("account_alerts", json!({"entity_type": "WABA", "alert_info": {"alert_severity": "WARNING", "alert_type": "OBA_REJECTED", "alert_description": "Sorry"}}), None)]
#[case("account_review_update", json!({"decision": "APPROVED"}), None)]
fn the_account_is_told_about(#[case] field: &str, #[case] told: Value, #[case] expected: Option<AccountEffect>) {
    let Item::AccountNotice(AccountNotice { what, text, effect }) = notice(field, &told).item else { panic!() };
    assert!(what.starts_with(field) && !text.is_empty(), "{what}: {text}");
    assert_eq!(effect, expected);
}

#[rstest]
#[case(130_429, None)]
#[case(131_042, None)]
#[case(131_031, Some(AccountEffect::Suspended))]
#[case(368, Some(AccountEffect::Suspended))]
#[case(131_063, Some(AccountEffect::Feature { name: "marketing_disabled".into(), granted: true }))]
fn errors_of_the_number_are_told(#[case] code: i64, #[case] expected: Option<AccountEffect>) {
    let error = json!({"code": code, "title": "Words", "message": "Words", "error_data": {"details": "more words"}});
    let inbound = one(&call("messages", &value("errors", &error)));
    assert_eq!(inbound.account, "700000000000002", "the number that the call names is meant");
    let Item::AccountNotice(told) = inbound.item else { panic!() };
    assert_eq!((told.what, told.text.as_str(), told.effect), (format!("error {code}"), "Words: more words", expected));
}

#[rstest]
#[case(json!({"field": "flows", "value": {"event": "FLOW_STATUS_CHANGE"}}), "flows")]
#[case(json!({"field": "messages", "value": {"metadata": {"phone_number_id": "700000000000002"}, "novelties": [1]}}), "messages")]
#[case(json!({"field": "messages", "value": {"metadata": {"phone_number_id": "700000000000002"}, "messages": []}}), "messages")]
#[case(json!({"field": "messages"}), "messages")]
#[case(json!({"field": "message_template_status_update", "value": {"event": "PAUSED"}}), "message_template_status_update")]
#[case(json!({"field": "account_update", "value": "words"}), "account_update")]
#[case(json!({"value": {}}), "a change without a field")]
#[case(json!(null), "a change without a field")]
fn what_is_not_known_is_kept(#[case] change: Value, #[case] what: &str) {
    let call = json!({"object": "whatsapp_business_account", "entry": [{"id": "700000000000001", "time": 1_790_000_000, "changes": [change]}]});
    let inbound = one(&call);
    assert_eq!(inbound.item, Item::Unsupported { what: what.into(), from_customer: false });
    assert_eq!((inbound.account.as_str(), inbound.at), ("700000000000002", WROTE));
}

#[test]
fn another_accounts_notice_does_not_reach_our_number() {
    let call = json!({"object": "whatsapp_business_account", "entry": [{"id": "999", "changes": [{"field": "account_update", "value": {"event": "ACCOUNT_DELETED"}}]}]});
    assert_eq!(one(&call).account, "999");
    assert_eq!(parse(&RawInbound::new(call.to_string(), RECEIVED), None).unwrap()[0].account, "999");
}

#[rstest]
#[case("")]
#[case("[]")]
#[case("{\"object\":\"page\",\"entry\":[]}")]
#[case("{\"object\":\"whatsapp_business_account\",\"entry\":[1]}")]
fn what_is_no_call_of_this_platform_is_refused(#[case] body: &str) {
    assert!(parse(&RawInbound::new(body.to_owned(), RECEIVED), Some(&number())).is_err());
}
