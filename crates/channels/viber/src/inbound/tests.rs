use super::*;
use rstest::rstest;
use serde_json::json;
use time::macros::datetime;
use transom_channel::SettingValues;

const RECEIVED: OffsetDateTime = datetime!(2026-01-01 00:05 UTC);
const ANN: &str = "uQ7vYdExample0001aA==";

fn config(welcome: &str) -> Config {
    let settings = SettingValues::default()
        .with("auth_token", "token")
        .with("bot_id", "pa:1")
        .with("sender_name", "Acme")
        .with("welcome_text", welcome);
    Config::read(&settings).unwrap()
}

fn read(body: &str) -> Vec<Inbound> {
    parse(&config(""), &RawInbound::new(body.to_owned(), RECEIVED)).unwrap()
}

fn one(body: &str) -> Inbound {
    let mut items = read(body);
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}

fn message(content: &Value) -> String {
    json!({"event": "message", "timestamp": 1_767_225_600_123_i64, "message_token": 5_098_034_272_017_990_001_u64,
        "sender": {"id": ANN, "name": "Mara", "avatar": "", "language": "en", "country": "DE"}, "message": content})
    .to_string()
}

/// As recorded in the fact sheet (4.3).
#[test]
fn a_text_opens_and_keeps_every_digit_of_its_token() {
    let item = one(
        r#"{"event":"message","timestamp":1767225600123,"chat_hostname":"SN-CHAT-07_","message_token":5098034272017990001,
        "sender":{"id":"uQ7vYdExample0001aA==","name":"Mara","avatar":"https://media.example/u1.jpg","language":"en","country":"DE","api_version":10},
        "message":{"type":"text","text":"Hello","tracking_data":"conv-42"},"silent":false}"#,
    );
    assert_eq!(item.account, "pa:1");
    assert_eq!(item.event_key, format!("message:5098034272017990001:{ANN}"));
    assert_eq!(item.at, datetime!(2026-01-01 00:00:00.123 UTC));
    assert_eq!(item.openings, [Opening::of("message")]);
    let person = item.person.unwrap();
    assert_eq!(person.addresses, [Address::new("user_id", ANN)]);
    assert_eq!((person.profile.name.as_deref(), person.profile.language.as_deref()), (Some("Mara"), Some("en")));
    let Item::Message(message) = item.item else { panic!("{:?}", item.item) };
    assert_eq!((message.provider_id.as_str(), message.content), ("5098034272017990001", Content::text("Hello")));
}

#[rstest]
#[case(json!(9_007_199_254_740_993_u64), "9007199254740993")]
#[case(json!(18_446_744_073_709_551_615_u64), "18446744073709551615")]
#[case(json!("5098034272017990001"), "5098034272017990001")]
#[case(json!(-5), "-5")]
fn tokens_come_as_numbers_and_as_texts(#[case] token: Value, #[case] expected: &str) {
    let body = json!({"event": "delivered", "timestamp": 1, "message_token": token, "user_id": ANN}).to_string();
    let Item::Receipt { of: ReceiptFor::Message { provider_id, .. }, .. } = one(&body).item else { panic!() };
    assert_eq!(provider_id, expected);
}

#[rstest]
#[case(json!(5.098e18))]
#[case(json!("five"))]
#[case(json!(""))]
#[case(json!([1]))]
fn what_is_no_token_is_no_event(#[case] token: Value) {
    let body = json!({"event": "delivered", "timestamp": 1, "message_token": token, "user_id": ANN}).to_string();
    assert!(parse(&config(""), &RawInbound::new(body, RECEIVED)).is_err());
}

#[rstest]
#[case(json!({"type": "picture", "media": "https://m.example/a.jpg", "text": "box"}), MediaKind::Image, "box", None, None)]
#[case(json!({"type": "video", "media": "https://m.example/a.mp4", "size": 700, "duration": 3}), MediaKind::Video, "", Some(700), None)]
#[case(json!({"type": "file", "media": "https://m.example/a", "file_name": "i.pdf", "file_size": 45}), MediaKind::Document, "", Some(45), Some("i.pdf"))]
fn files_keep_their_short_lived_address(
    #[case] content: Value,
    #[case] kind: MediaKind,
    #[case] words: &str,
    #[case] size: Option<u64>,
    #[case] name: Option<&str>,
) {
    let Item::Message(sent) = one(&message(&content)).item else { panic!() };
    let Body::Text { text, attachments } = sent.content.body else { panic!() };
    assert_eq!((text.as_str(), attachments.len()), (words, 1));
    let file = &attachments[0];
    assert_eq!((file.kind, file.size, file.file_name.as_deref()), (kind, size, name));
    let url = content["media"].as_str().map(str::to_owned);
    assert_eq!(file.source, MediaSource::Platform { id: "5098034272017990001".into(), url, sha256: None });
}

#[test]
fn a_sticker_has_its_number_however_it_is_written() {
    for id in [json!(46_105), json!("46105")] {
        let Item::Message(sent) = one(&message(&json!({"type": "sticker", "sticker_id": id}))).item else { panic!() };
        let Body::Text { attachments, .. } = sent.content.body else { panic!() };
        let source = MediaSource::Platform { id: "sticker:46105".into(), url: None, sha256: None };
        assert_eq!((attachments[0].kind, &attachments[0].source), (MediaKind::Sticker, &source));
    }
}

#[test]
fn cards_links_and_places_are_read() {
    let said = |content: Value| match one(&message(&content)).item {
        Item::Message(message) => message.content.body,
        other => panic!("{other:?}"),
    };
    let card = ContactCard { name: "Depot".into(), phones: vec!["+4930000000".into()], emails: Vec::new() };
    let contact = json!({"type": "contact", "contact": {"name": "Depot", "phone_number": "+4930000000"}});
    assert_eq!(said(contact), Body::Contacts { contacts: vec![card] });
    let link = json!({"type": "url", "media": "https://shop.example/7"});
    assert_eq!(said(link), Body::Text { text: "https://shop.example/7".into(), attachments: Vec::new() });
    let place = Location { latitude: 52.52, longitude: 13.4, name: None, address: None };
    assert_eq!(said(json!({"type": "location", "location": {"lat": 52.52, "lon": 13.4}})), Body::Location(place));
}

#[rstest]
#[case(json!({"type": "hologram"}), "message: hologram")]
#[case(json!({"type": "picture"}), "message: picture")]
#[case(json!({"type": "file", "media": "https://m.example/a", "file_size": "many"}), "message: file")]
#[case(json!({}), "message: no type")]
#[case(json!(7), "message: no type")]
fn what_is_not_known_still_opens(#[case] content: Value, #[case] expected: &str) {
    let item = one(&message(&content));
    assert_eq!(item.openings, [Opening::of("message")]);
    assert_eq!(item.item, Item::Unsupported { what: expected.into(), from_customer: true });
    assert_eq!(item.person.unwrap().addresses[0].value, ANN);
}

#[test]
fn a_message_of_another_chat_opens_nothing() {
    let mut body: Value = serde_json::from_str(&message(&json!({"type": "text", "text": "hi"}))).unwrap();
    body["chat_id"] = json!("VWY0DcdAqpwA");
    let item = one(&body.to_string());
    assert!(matches!(item.item, Item::Message(_)) && item.openings.is_empty(), "{item:?}");
}

#[test]
fn people_come_and_go() {
    let came = one(r#"{"event":"subscribed","timestamp":1767225500000,"message_token":5098034272017970001,
        "user":{"id":"uQ7vYdExample0001aA==","name":"Mara","avatar":"","country":"DE","language":"en","api_version":10}}"#);
    assert_eq!((came.item, came.openings), (Item::Standing(Standing::Subscribed), vec![Opening::of("follow")]));
    assert_eq!(came.person.unwrap().profile.picture_url, None, "an empty address is none");
    let left = one(
        r#"{"event":"unsubscribed","timestamp":1767229200000,"user_id":"uQ7vYdExample0001aA==","message_token":5098034272017999001}"#,
    );
    assert_eq!((left.item, left.openings), (Item::Standing(Standing::Unsubscribed), Vec::new()));
}

const STARTED: &str = r#"{"event":"conversation_started","timestamp":1767225400000,"message_token":5098034272017960001,"type":"open","context":"promo-7",
    "user":{"id":"uQ7vYdExample0001aA==","name":"Mara","country":"DE","language":"en","api_version":10},"subscribed":false}"#;

#[test]
fn an_opened_chat_is_a_right_of_its_own() {
    let item = one(STARTED);
    let right = Opening { kind: "conversation_started".into(), reference: Some("5098034272017960001".into()) };
    assert_eq!(item.openings, [right]);
    assert_eq!(item.item, Item::Opening { what: "conversation_started: promo-7".into() });
}

#[test]
fn the_welcome_stands_in_the_conversation_and_opens_nothing() {
    let items = parse(&config("Welcome!"), &RawInbound::new(STARTED, RECEIVED)).unwrap();
    let [_, welcome] = items.as_slice() else { panic!("{items:?}") };
    let Item::Echo { message, .. } = &welcome.item else { panic!("{welcome:?}") };
    assert_eq!(message.content, Content::text("Welcome!"));
    assert!(welcome.openings.is_empty() && welcome.event_key != items[0].event_key);
}

#[test]
fn seen_stands_for_all_before() {
    let items = read(
        r#"{"event":"seen","timestamp":1767225660000,"message_token":5098034272017990002,"user_id":"uQ7vYdExample0001aA=="}"#,
    );
    let at = datetime!(2026-01-01 00:01 UTC);
    let states: Vec<_> = items.iter().map(|item| &item.item).collect();
    let this = ReceiptFor::Message { provider_id: "5098034272017990002".into(), correlation: None };
    assert_eq!(
        states,
        [
            &Item::Receipt { of: this, state: ReceiptState::Read },
            &Item::Receipt { of: ReceiptFor::UpTo(at), state: ReceiptState::Read }
        ]
    );
    assert_ne!(items[0].event_key, items[1].event_key);
}

#[test]
fn a_failure_after_all_is_final() {
    let item = one(
        r#"{"event":"failed","timestamp":1767225611000,"message_token":5098034272017990002,"user_id":"uQ7vYdExample0001aA==","desc":"message validation failed"}"#,
    );
    let Item::Receipt { state: ReceiptState::Failed(error), .. } = item.item else { panic!("{item:?}") };
    assert_eq!((error.code(), error.next_step()), ("content_refused", transom_channel::NextStep::GiveUp));
    assert!(error.to_string().contains("message validation failed"), "{error}");
}

#[test]
fn without_a_time_it_happened_when_it_came() {
    let item = one(r#"{"event":"unsubscribed","user_id":"u","message_token":1}"#);
    assert_eq!(item.at, RECEIVED);
    let item = one(&format!(r#"{{"event":"unsubscribed","timestamp":{},"user_id":"u"}}"#, i64::MAX));
    assert_eq!((item.at, item.event_key.as_str()), (RECEIVED, "unsubscribed:at9223372036854775807:u"));
}

#[test]
fn the_registration_is_for_the_account() {
    let item = one(
        r#"{"event":"webhook","timestamp":1767225600000,"chat_hostname":"SN-CHAT-07_","message_token":5098034272017980000}"#,
    );
    assert!(matches!(&item.item, Item::AccountNotice(notice) if notice.effect.is_none()) && item.person.is_none());
}

#[test]
fn half_a_surrogate_pair_does_not_lose_a_message() {
    let body = message(&json!({"type": "text", "text": "HERE"})).replace("HERE", "half \\ud83d");
    let Item::Message(sent) = one(&body).item else { panic!() };
    assert_eq!(sent.content, Content::text("half \u{fffd}"));
}
