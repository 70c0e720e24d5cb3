use rstest::rstest;
use serde_json::json;
use time::macros::datetime;
use transom_domain::{Body, MediaKind};

use super::*;

const BOT: &str = "5550001";
const RECEIVED: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

fn read(update: &Value) -> Inbound {
    let items = parse(BOT, &RawInbound::new(update.to_string(), RECEIVED)).unwrap();
    let [item] = <[Inbound; 1]>::try_from(items).unwrap();
    item
}

fn ann() -> Value {
    json!({"id": 700_100_200, "is_bot": false, "first_name": "Ann", "last_name": "Lee", "username": "ann", "language_code": "en"})
}

fn private() -> Value {
    json!({"id": 700_100_200, "first_name": "Ann", "type": "private"})
}

/// A private message with these fields.
fn message(fields: &Value) -> Value {
    let mut message = json!({"message_id": 41, "from": ann(), "chat": private(), "date": 1_760_000_000});
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    message
}

fn update(kind: &str, content: &Value) -> Value {
    json!({"update_id": 900_001, kind: content})
}

fn openings(item: &Inbound) -> Vec<&str> {
    item.openings.iter().map(|opening| opening.kind.as_str()).collect()
}

fn said(item: &Inbound) -> &InboundMessage {
    match &item.item {
        Item::Message(message) | Item::Echo { message, .. } => message,
        other => panic!("{other:?}"),
    }
}

fn unsupported(item: &Inbound) -> (&str, bool) {
    match &item.item {
        Item::Unsupported { what, from_customer } => (what, *from_customer),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_opens_the_chat() {
    let item = read(&update("message", &message(&json!({"text": " Where is my order? "}))));
    assert_eq!((item.account.as_str(), item.at), (BOT, datetime!(2025-10-09 08:53:20 UTC)));
    assert_eq!(item.event_key, "message:700100200:41");
    assert_eq!(openings(&item), ["message"]);
    assert_eq!(
        (said(&item).provider_id.as_str(), &said(&item).content),
        ("700100200:41", &Content::text(" Where is my order? "))
    );
    let person = item.person.unwrap();
    assert_eq!(person.addresses, [Address::new("user_id", "700100200")]);
    assert_eq!(person.profile.name.as_deref(), Some("Ann Lee"));
    assert_eq!((person.profile.username.as_deref(), person.profile.language.as_deref()), (Some("ann"), Some("en")));
}

#[rstest]
#[case("/start k3Jf_9a", Some("k3Jf_9a"))]
#[case("/start", None)]
#[case("/start two words", None)]
#[case("please /start k3Jf_9a", None)]
fn a_deep_link_carries_a_payload(#[case] text: &str, #[case] payload: Option<&str>) {
    let update = update("message", &message(&json!({"text": text})));
    let item = parse(BOT, &RawInbound::new(update.to_string(), RECEIVED)).unwrap().remove(0);
    assert_eq!(said(&item).payload.as_deref(), payload);
    assert_eq!(said(&item).content, Content::text(text));
}

#[rstest]
#[case(json!({"photo": [{"file_id": "s", "width": 90, "height": 67}, {"file_id": "x", "width": 1280, "height": 960, "file_size": 9}]}), MediaKind::Image, "x", Some("image/jpeg"))]
#[case(json!({"document": {"file_id": "d", "file_name": "inv.pdf", "mime_type": "application/pdf"}}), MediaKind::Document, "d", Some("application/pdf"))]
#[case(json!({"animation": {"file_id": "a", "mime_type": "video/mp4"}, "document": {"file_id": "a2"}}), MediaKind::Animation, "a", Some("video/mp4"))]
#[case(json!({"video": {"file_id": "v", "mime_type": "video/mp4"}}), MediaKind::Video, "v", Some("video/mp4"))]
#[case(json!({"video_note": {"file_id": "n"}}), MediaKind::Video, "n", None)]
#[case(json!({"audio": {"file_id": "m", "mime_type": "audio/mpeg"}}), MediaKind::Audio, "m", Some("audio/mpeg"))]
#[case(json!({"voice": {"file_id": "o", "mime_type": "audio/ogg; codecs=opus"}}), MediaKind::Voice, "o", Some("audio/ogg"))]
#[case(json!({"sticker": {"file_id": "t", "emoji": "👍"}}), MediaKind::Sticker, "t", Some("image/webp"))]
#[case(json!({"sticker": {"file_id": "t", "is_animated": true}}), MediaKind::Sticker, "t", Some("application/x-tgsticker"))]
#[case(json!({"sticker": {"file_id": "t", "is_video": true}}), MediaKind::Sticker, "t", Some("video/webm"))]
fn files_are_known_by_their_kind(
    #[case] mut fields: Value,
    #[case] kind: MediaKind,
    #[case] id: &str,
    #[case] mime: Option<&str>,
) {
    fields["caption"] = json!("box is broken");
    fields["media_group_id"] = json!("album-1");
    let item = read(&update("message", &message(&fields)));
    let Body::Text { text, attachments } = &said(&item).content.body else { panic!("{item:?}") };
    assert_eq!((text.as_str(), said(&item).group.as_deref()), ("box is broken", Some("album-1")));
    let source = transom_domain::MediaSource::Platform { id: id.into(), url: None, sha256: None };
    assert_eq!((attachments[0].kind, &attachments[0].source, attachments[0].mime.as_deref()), (kind, &source, mime));
}

#[test]
fn places_keep_their_names() {
    let venue = json!({"venue": {"location": {"latitude": 48.5, "longitude": 2.5}, "title": "T", "address": "A"},
        "location": {"latitude": 48.5, "longitude": 2.5}});
    let item = read(&update("message", &message(&venue)));
    let Body::Location(place) = &said(&item).content.body else { panic!("{item:?}") };
    assert_eq!((place.latitude, place.name.as_deref(), place.address.as_deref()), (48.5, Some("T"), Some("A")));
    let item = read(&update("message", &message(&json!({"location": {"latitude": -1, "longitude": 2.5}}))));
    let Body::Location(place) = &said(&item).content.body else { panic!("{item:?}") };
    assert_eq!((place.latitude, place.name.as_deref()), (-1.0, None));
}

#[rstest]
#[case(json!(700_100_200), Some("+15005550006"))]
#[case(json!(700_100_201), None)]
#[case(json!(null), None)]
fn a_phone_number_is_the_customers_only_if_the_card_is(#[case] owner: Value, #[case] phone: Option<&str>) {
    let contact = json!({"contact": {"phone_number": "15005550006", "first_name": "Ann", "user_id": owner}});
    let item = read(&update("message", &message(&contact)));
    assert_eq!(item.person.as_ref().unwrap().profile.phone.as_deref(), phone);
    let Body::Contacts { contacts } = &said(&item).content.body else { panic!("{item:?}") };
    assert_eq!(contacts[0].phones, ["+15005550006"]);
}

#[test]
fn a_quote_stays_in_its_chat() {
    let quoting =
        |chat: Value| message(&json!({"text": "yes", "reply_to_message": {"message_id": 40, "date": 1, "chat": chat}}));
    let item = read(&update("message", &quoting(private())));
    assert_eq!(said(&item).content.reply_to.as_deref(), Some("700100200:40"));
    let item = read(&update("message", &quoting(json!({"id": -100, "type": "channel"}))));
    assert_eq!(said(&item).content.reply_to, None);
}

#[rstest]
#[case("supergroup")]
#[case("group")]
#[case("channel")]
fn what_is_said_in_groups_is_kept_and_opens_nothing(#[case] kind: &str) {
    let in_group = message(&json!({"text": "hi all", "chat": {"id": -100_123, "type": kind, "title": "Team"}}));
    for update_kind in ["message", "edited_message"] {
        let item = read(&update(update_kind, &in_group));
        assert_eq!(unsupported(&item), (format!("{update_kind} in a {kind}").as_str(), false));
        assert!(item.openings.is_empty() && item.person.is_none());
    }
}

#[rstest]
#[case(json!({"dogodebo_card": {"id": "1"}, "entities": []}), "dogodebo_card", true, &["message"])]
#[case(json!({"dice": {"emoji": "🎲", "value": 4}, "has_protected_content": true}), "dice", true, &["message"])]
#[case(json!({"pinned_message": {"message_id": 1}}), "pinned_message", false, &[])]
#[case(json!({}), "a message without content", true, &["message"])]
fn content_of_unknown_kinds_is_kept(
    #[case] fields: Value,
    #[case] what: &str,
    #[case] from_customer: bool,
    #[case] opens: &[&str],
) {
    let item = read(&update("message", &message(&fields)));
    assert_eq!((unsupported(&item), openings(&item)), ((what, from_customer), opens.to_vec()));
    assert!(item.person.is_some());
}

#[test]
fn write_access_opens() {
    let item = read(&update("message", &message(&json!({"write_access_allowed": {"from_request": true}}))));
    assert!(matches!(item.item, Item::Opening { .. }), "{item:?}");
    assert_eq!(openings(&item), ["write_access"]);
}

#[test]
fn an_edit_changes_and_opens_nothing() {
    let edited = message(&json!({"text": "now this", "edit_date": 1_760_000_060}));
    let item = read(&update("edited_message", &edited));
    assert_eq!(item.item, Item::Edit { of: "700100200:41".into(), content: Content::text("now this") });
    assert_eq!((item.at, item.openings.len()), (datetime!(2025-10-09 08:54:20 UTC), 0));
    assert_eq!(item.event_key, "edited_message:900001");
}

#[test]
fn a_tap_is_a_message_with_a_payload() {
    let keyboard = json!({"inline_keyboard": [[{"text": "Bad", "callback_data": "csat:1"}, {"text": "Good", "callback_data": "csat:5"}]]});
    let query = json!({"id": "771", "from": ann(), "chat_instance": "-3", "data": "csat:5",
        "message": {"message_id": 42, "date": 1_760_000_000, "chat": private(), "reply_markup": keyboard}});
    let item = read(&update("callback_query", &query));
    let tap = said(&item);
    assert_eq!((tap.provider_id.as_str(), tap.payload.as_deref()), ("771", Some("csat:5")));
    assert_eq!(tap.content, Content { reply_to: Some("700100200:42".into()), ..Content::text("Good") });
    // The query has no time, and the message's is when we sent it.
    assert_eq!((item.at, item.event_key.as_str(), openings(&item)), (RECEIVED, "callback_query:771", vec!["callback"]));
}

#[test]
fn a_tap_below_an_inline_message_opens_nothing() {
    let query = json!({"id": "772", "from": ann(), "inline_message_id": "AgA", "chat_instance": "-3", "data": "x"});
    let item = read(&update("callback_query", &query));
    assert_eq!((said(&item).content.clone(), openings(&item).len()), (Content::text("x"), 0));
}

#[rstest]
#[case(json!([{"type": "emoji", "emoji": "👍"}]), Some("👍"))]
#[case(json!([{"type": "custom_emoji", "custom_emoji_id": "5"}, {"type": "emoji", "emoji": "🔥"}]), Some("🔥"))]
#[case(json!([]), None)]
fn reactions_come_and_go(#[case] new: Value, #[case] emoji: Option<&str>) {
    let reaction = json!({"chat": private(), "message_id": 42, "user": ann(), "date": 1_760_000_000, "old_reaction": [], "new_reaction": new});
    let item = read(&update("message_reaction", &reaction));
    assert_eq!(item.item, Item::Reaction { to: "700100200:42".into(), emoji: emoji.map(str::to_owned) });
    assert!(item.openings.is_empty());
}

#[test]
fn a_reaction_that_is_no_emoji_is_not_one_taken_back() {
    let reaction =
        json!({"chat": private(), "message_id": 42, "user": ann(), "date": 1, "new_reaction": [{"type": "paid"}]});
    assert!(unsupported(&read(&update("message_reaction", &reaction))).1);
}

#[rstest]
#[case("kicked", Some(Standing::Blocked), &[])]
#[case("member", Some(Standing::Unblocked), &["follow"])]
#[case("restricted", None, &[])]
fn blocks_come_and_go(#[case] status: &str, #[case] standing: Option<Standing>, #[case] opens: &[&str]) {
    let member = json!({"chat": private(), "from": ann(), "date": 1_760_000_100,
        "old_chat_member": {"status": "member"}, "new_chat_member": {"status": status, "until_date": 0}});
    let item = read(&update("my_chat_member", &member));
    match standing {
        Some(standing) => assert_eq!(item.item, Item::Standing(standing)),
        None => assert!(!unsupported(&item).1),
    }
    assert_eq!((item.at, openings(&item)), (datetime!(2025-10-09 08:55 UTC), opens.to_vec()));
}

#[test]
fn a_join_request_names_the_chat_to_answer_in() {
    let asked = json!({"chat": {"id": -100_123, "type": "supergroup"}, "from": ann(), "user_chat_id": 700_100_200, "date": 1_760_000_000});
    let item = read(&update("chat_join_request", &asked));
    assert_eq!(item.openings, [Opening { kind: "join_request".into(), reference: Some("700100200".into()) }]);
}

/// A message in a business connection's chat.
fn business(fields: &Value) -> Value {
    let mut message = message(fields);
    message["business_connection_id"] = json!("bc-77");
    message
}

#[test]
fn a_customer_of_an_owner_opens_on_the_connections_account() {
    let item = read(&update("business_message", &business(&json!({"text": "hello"}))));
    assert_eq!((item.account.as_str(), openings(&item)), ("bc-77", vec!["message"]));
    assert_eq!(item.event_key, "business_message:bc-77:700100200:41");
    assert_eq!(said(&item).content, Content::text("hello"));
}

#[rstest]
#[case(json!({"text": "I will look", "from": {"id": 800_300, "is_bot": false, "first_name": "Owner"}}))]
#[case(json!({"text": "sent by the bot", "from": {"id": 800_300, "is_bot": false, "first_name": "Owner"}, "sender_business_bot": {"id": 5_550_001, "is_bot": true, "first_name": "Shop"}}))]
fn what_the_owner_says_is_an_echo_about_the_customer(#[case] fields: Value) {
    let item = read(&update("business_message", &business(&fields)));
    assert!(matches!(item.item, Item::Echo { .. }), "{item:?}");
    assert!(item.openings.is_empty(), "the trap of business mode");
    assert_eq!(item.person.as_ref().unwrap().addresses, [Address::new("user_id", "700100200")]);
    assert_eq!(said(&item).provider_id, "700100200:41");
}

#[test]
fn edits_and_deletions_of_owners_chats_are_told() {
    let item =
        read(&update("edited_business_message", &business(&json!({"text": "now this", "edit_date": 1_760_000_060}))));
    assert_eq!(item.item, Item::Edit { of: "700100200:41".into(), content: Content::text("now this") });
    let owner = json!({"text": "oops", "from": {"id": 800_300, "is_bot": false, "first_name": "Owner"}});
    assert!(!unsupported(&read(&update("edited_business_message", &business(&owner)))).1);

    let deleted = json!({"business_connection_id": "bc-77", "chat": private(), "message_ids": [12, 13]});
    let raw = RawInbound::new(update("deleted_business_messages", &deleted).to_string(), RECEIVED);
    let items = parse(BOT, &raw).unwrap();
    let of: Vec<&Item> = items.iter().map(|item| &item.item).collect();
    assert_eq!(of, [&Item::Unsend { of: "700100200:12".into() }, &Item::Unsend { of: "700100200:13".into() }]);
    assert_ne!(items[0].event_key, items[1].event_key);
}

#[rstest]
#[case(json!({"rights": {"can_reply": true}, "is_enabled": true}), false)]
#[case(json!({"rights": {"can_reply": false}, "is_enabled": true}), true)]
#[case(json!({"rights": {"can_read_messages": true}, "is_enabled": true}), true)]
#[case(json!({"rights": {"can_reply": true}, "is_enabled": false}), true)]
#[case(json!({"is_enabled": true}), true)]
// Before Bot API 9.0.
#[case(json!({"can_reply": true, "is_enabled": true}), false)]
#[case(json!({"can_reply": false, "is_enabled": true}), true)]
fn an_owner_gives_and_takes_the_right_to_reply(#[case] mut connection: Value, #[case] revoked: bool) {
    connection["id"] = json!("bc-77");
    connection["user"] = json!({"id": 800_300, "is_bot": false, "first_name": "Owner"});
    connection["user_chat_id"] = json!(800_300);
    connection["date"] = json!(1_760_000_200);
    let item = read(&update("business_connection", &connection));
    assert_eq!((item.account.as_str(), item.person.is_none(), item.at), ("bc-77", true, RECEIVED));
    let Item::AccountNotice(notice) = &item.item else { panic!("{item:?}") };
    assert_eq!(notice.effect, Some(AccountEffect::Feature { name: "revoked".into(), granted: revoked }));
}

#[test]
fn a_tap_in_an_owners_chat_belongs_to_the_connection() {
    let message = json!({"message_id": 42, "date": 0, "chat": private(), "business_connection_id": "bc-77"});
    let item = read(&update("callback_query", &json!({"id": "773", "from": ann(), "message": message, "data": "x"})));
    assert_eq!((item.account.as_str(), openings(&item).len()), ("bc-77", 0));
}

#[rstest]
#[case("channel_post")]
#[case("edited_channel_post")]
#[case("message_reaction_count")]
#[case("inline_query")]
#[case("chosen_inline_result")]
#[case("shipping_query")]
#[case("pre_checkout_query")]
#[case("purchased_paid_media")]
#[case("poll")]
#[case("poll_answer")]
#[case("chat_member")]
#[case("chat_boost")]
#[case("removed_chat_boost")]
#[case("guest_message")]
#[case("a_kind_of_the_year_2030")]
fn updates_that_concern_no_conversation_are_kept(#[case] kind: &str) {
    let item = read(&update(kind, &json!({"id": "1", "from": ann()})));
    assert_eq!((unsupported(&item), item.account.as_str()), ((kind, false), BOT));
    assert_eq!(item.event_key, format!("{kind}:900001"));
}

#[rstest]
#[case("message", json!({"message_id": "forty-one"}))]
#[case("message", json!([]))]
#[case("business_message", json!({"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "business_connection_id": ""}))]
#[case("callback_query", json!({"id": 7}))]
#[case("deleted_business_messages", json!({"business_connection_id": "bc-77", "chat": {"id": 1, "type": "private"}, "message_ids": []}))]
fn a_known_kind_of_an_unknown_shape_is_kept(#[case] kind: &str, #[case] content: Value) {
    assert_eq!(unsupported(&read(&update(kind, &content))).0, kind);
}

#[rstest]
#[case("null")]
#[case("[]")]
#[case("{}")]
#[case(r#"{"update_id": "1", "message": {}}"#)]
#[case(r#"{"update_id": 1.5}"#)]
fn what_is_no_update_is_an_error(#[case] body: &'static str) {
    assert!(parse(BOT, &RawInbound::new(body, RECEIVED)).is_err());
}

#[test]
fn a_torn_emoji_does_not_lose_the_message() {
    let body = update("message", &message(&json!({"text": "TEXT"}))).to_string().replace("TEXT", "smile \\ud83d");
    let items = parse(BOT, &RawInbound::new(body, RECEIVED)).unwrap();
    assert_eq!(said(&items[0]).content, Content::text("smile \u{fffd}"));
}

#[rstest]
#[case("/stop", Some(Standing::OptedOut(OptOutScope::All)))]
#[case(" /STOP@shop_bot ", Some(Standing::OptedOut(OptOutScope::All)))]
#[case("/start", Some(Standing::OptedIn(OptOutScope::All)))]
#[case("/start k3Jf_9a", None)]
#[case("stop", None)]
#[case("/stop it, please", None)]
#[case("/stopped", None)]
fn who_writes_stop_to_the_bot_wants_no_more(#[case] text: &str, #[case] standing: Option<Standing>) {
    let told = |update: Value| -> Vec<(String, Item)> {
        let items = parse(BOT, &RawInbound::new(update.to_string(), RECEIVED)).unwrap();
        items.into_iter().skip(1).map(|item| (item.event_key, item.item)).collect()
    };
    let expected = standing.map(|standing| ("message:700100200:41:standing".to_owned(), Item::Standing(standing)));
    assert_eq!(told(update("message", &message(&json!({"text": text})))), Vec::from_iter(expected));
    assert!(told(update("business_message", &business(&json!({"text": text})))).is_empty(), "an owner is no bot");
}

#[rstest]
#[case(json!({"update_id": 1, "callback_query": {"id": "4382", "from": ann(), "data": "yes"}}), Some("4382"))]
#[case(json!({"update_id": 1, "callback_query": {"id": "", "from": ann()}}), None)]
#[case(json!({"update_id": 1, "message": {"text": "callback_query"}}), None)]
#[case(json!([]), None)]
fn a_tap_is_known_by_its_id(#[case] update: Value, #[case] id: Option<&str>) {
    assert_eq!(tap(update.to_string().as_bytes()).as_deref(), id);
}
