use rstest::rstest;
use serde_json::json;
use time::macros::datetime;
use transom_domain::{Body, MediaKind, MediaSource};

use super::*;

const BOT: &str = "U00000000000000000000000000000001";
const AKI: &str = "U0000000000000000000000000000a001";
const RECEIVED: OffsetDateTime = datetime!(2026-01-01 00:00:05 UTC);
const HAPPENED: OffsetDateTime = datetime!(2026-01-01 00:00:00.123 UTC);

fn call(fields: &Value) -> Value {
    let mut event = json!({"type": "message", "mode": "active", "timestamp": 1_767_225_600_123_i64,
        "webhookEventId": "01JGEXAMPLE0000000000000A1", "deliveryContext": {"isRedelivery": false},
        "source": {"type": "user", "userId": AKI}, "replyToken": "a1b2c3d4e5f60718293a4b5c6d7e8f01"});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"destination": BOT, "events": [event]})
}

fn read(call: &Value) -> Vec<Inbound> {
    parse(None, &RawInbound::new(call.to_string(), RECEIVED)).unwrap()
}

fn one(fields: &Value) -> Inbound {
    let [item] = <[Inbound; 1]>::try_from(read(&call(fields))).unwrap();
    item
}

fn openings(item: &Inbound) -> Vec<(&str, Option<&str>)> {
    item.openings.iter().map(|opening| (opening.kind.as_str(), opening.reference.as_deref())).collect()
}

/// The text of line.md 4.3.
#[test]
fn a_text_opens_and_brings_a_token() {
    let message = json!({"type": "text", "id": "500000000000000001", "quoteToken": "qt-in-1", "markAsReadToken": "mrt-1", "text": " Hello "});
    let item = one(&json!({"message": message}));
    assert_eq!(
        (item.account.as_str(), item.event_key.as_str(), item.at),
        (BOT, "01JGEXAMPLE0000000000000A1", HAPPENED)
    );
    assert_eq!(openings(&item), [("message", None), ("reply_token", Some("a1b2c3d4e5f60718293a4b5c6d7e8f01"))]);
    assert_eq!(item.person.unwrap().addresses, [Address::new("user_id", AKI)]);
    let Item::Message(message) = item.item else { panic!() };
    assert_eq!((message.provider_id.as_str(), message.content), ("500000000000000001", Content::text(" Hello ")));
}

#[test]
fn files_are_named_by_their_message_or_by_an_address_elsewhere() {
    let file = |message: &Value| {
        let Item::Message(message) = one(&json!({"message": message})).item else { panic!() };
        let Body::Text { mut attachments, .. } = message.content.body else { panic!() };
        (attachments.remove(0), message.group)
    };
    let (picture, group) =
        file(&json!({"type": "image", "id": "7", "contentProvider": {"type": "line"}, "imageSet": {"id": "s1"}}));
    let at_line = MediaSource::Platform { id: "7".into(), url: None, sha256: None };
    assert_eq!((picture.kind, picture.source, group.as_deref()), (MediaKind::Image, at_line, Some("s1")));
    let provider = json!({"type": "external", "originalContentUrl": "https://cdn.example.com/v.mp4"});
    let (film, _) = file(&json!({"type": "video", "id": "8", "contentProvider": provider}));
    let elsewhere = Some("https://cdn.example.com/v.mp4".to_owned());
    assert_eq!(film.source, MediaSource::Platform { id: "8".into(), url: elsewhere, sha256: None });
    let (paper, _) = file(&json!({"type": "file", "id": "9", "fileName": "inv.pdf", "fileSize": 2138}));
    assert_eq!(
        (paper.kind, paper.file_name.as_deref(), paper.size),
        (MediaKind::Document, Some("inv.pdf"), Some(2_138))
    );
    let (sticker, _) = file(
        &json!({"type": "sticker", "id": "10", "packageId": "446", "stickerId": "1988", "keywords": ["hi", "wave"]}),
    );
    assert_eq!((sticker.kind, sticker.file_name.as_deref()), (MediaKind::Sticker, Some("hi, wave")));
    assert_eq!(sticker.source, MediaSource::Platform { id: "446/1988".into(), url: None, sha256: None });
}

#[rstest]
#[case(json!({"type": "follow", "follow": {"isUnblocked": false}}), Standing::Subscribed)]
#[case(json!({"type": "follow", "follow": {"isUnblocked": true}}), Standing::Unblocked)]
#[case(json!({"type": "follow"}), Standing::Subscribed)]
fn friends_come(#[case] fields: Value, #[case] standing: Standing) {
    let item = one(&fields);
    assert_eq!(item.item, Item::Standing(standing));
    assert_eq!(openings(&item)[0], ("follow", None));
}

#[test]
fn who_leaves_is_blocked_and_no_friend() {
    let items = read(&call(&json!({"type": "unfollow", "replyToken": null})));
    let seen: Vec<_> = items.iter().map(|item| (&item.item, item.event_key.as_str(), item.openings.len())).collect();
    assert_eq!(
        seen,
        [
            (&Item::Standing(Standing::Blocked), "01JGEXAMPLE0000000000000A1", 0),
            (&Item::Standing(Standing::Unsubscribed), "01JGEXAMPLE0000000000000A1:unsubscribed", 0),
        ]
    );
}

#[rstest]
#[case(json!({"data": "s=1"}), "s=1")]
#[case(json!({"data": "pick", "params": {"date": "2026-01-02"}}), "2026-01-02")]
fn a_tap_carries_its_answer(#[case] postback: Value, #[case] words: &str) {
    let payload = postback["data"].as_str().unwrap().to_owned();
    let item = one(&json!({"type": "postback", "postback": postback}));
    assert_eq!(openings(&item)[0], ("postback", None));
    let Item::Message(tap) = item.item else { panic!() };
    assert_eq!((tap.payload, tap.content), (Some(payload), Content::text(words)));
    assert_eq!(tap.provider_id, "01JGEXAMPLE0000000000000A1");
}

#[test]
fn a_chat_that_another_module_has_gives_no_right() {
    let item = one(&json!({"mode": "standby", "message": {"type": "text", "id": "1", "text": "hi"}}));
    assert!(matches!(item.item, Item::Message(_)) && item.openings.is_empty());
}

/// 1.1: usable for a minute again, unless 20 minutes have passed since the event.
#[rstest]
#[case(Duration::minutes(19), 2)]
#[case(Duration::minutes(21), 1)]
fn a_redelivered_token_counts_anew(#[case] later: Duration, #[case] count: usize) {
    let message = json!({"type": "text", "id": "1", "text": "hi"});
    let body = call(&json!({"deliveryContext": {"isRedelivery": true}, "message": message})).to_string();
    let items = parse(None, &RawInbound::new(body, HAPPENED + later)).unwrap();
    assert_eq!((items.len(), items[0].at), (count, HAPPENED));
    let right = items.last().unwrap();
    assert_eq!(openings(right).last().unwrap().0, "reply_token");
    assert_eq!(right.at, if count == 2 { HAPPENED + later } else { HAPPENED });
}

#[rstest]
#[case("beacon")]
#[case("videoPlayComplete")]
#[case("accountLink")]
#[case("membership")]
fn what_says_nothing_may_still_be_answered(#[case] kind: &str) {
    let item = one(&json!({"type": kind}));
    assert_eq!((openings(&item).len(), openings(&item)[0].0), (1, "reply_token"));
    assert!(matches!(item.item, Item::Opening { .. }));
}

#[test]
fn an_empty_call_says_nothing() {
    assert_eq!(read(&json!({"destination": BOT, "events": []})), []);
}

#[rstest]
#[case(json!([]), "object")]
#[case(json!({"events": []}), "destination")]
#[case(json!({"destination": BOT}), "events")]
fn what_is_no_call_is_an_error(#[case] body: Value, #[case] about: &str) {
    let error = parse(None, &RawInbound::new(body.to_string(), RECEIVED)).unwrap_err();
    assert!(error.to_string().contains(about), "{error}");
}

#[test]
fn the_setting_names_the_account_where_the_call_does_not() {
    let items =
        parse(Some(BOT), &RawInbound::new(json!({"events": [{"type": "join"}]}).to_string(), RECEIVED)).unwrap();
    assert_eq!((items[0].account.as_str(), items[0].at), (BOT, RECEIVED));
}
