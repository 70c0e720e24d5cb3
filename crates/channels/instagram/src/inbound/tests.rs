use rstest::rstest;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;

const ACCOUNT: &str = "17840000000000001";

fn read(body: &Value) -> Vec<Inbound> {
    let raw = RawInbound::new(body.to_string(), datetime!(2026-11-21 10:00 UTC));
    parse(&raw, ACCOUNT).unwrap()
}

fn one(entry: &Value) -> Inbound {
    let mut told = read(&json!({"object": "instagram", "entry": [entry]}));
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

fn framed(fields: &Value) -> Value {
    let mut event = json!({"sender": {"id": "17000000000000001"}, "recipient": {"id": ACCOUNT}, "timestamp": 1_790_000_000_100_u64});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

fn event(fields: &Value) -> Inbound {
    one(&json!({"id": ACCOUNT, "time": 1_790_000_000_123_u64, "messaging": [framed(fields)]}))
}

/// The table of instagram.md 1.1: what opens, and as what. What a reaction does the policy says.
#[rstest]
#[case::message(json!({"message": {"mid": "m", "text": "hi"}}), Some("message"))]
#[case::not_passed_on(json!({"message": {"mid": "m", "is_unsupported": true}}), Some("message"))]
#[case::story_reply(json!({"message": {"mid": "m", "text": "nice!", "reply_to": {"story": {"id": "18"}}}}), Some("message"))]
#[case::story_mention(json!({"message": {"mid": "m", "attachments": [{"type": "story_mention", "payload": {"url": "https://a.example"}}]}}), Some("story_mention"))]
#[case::mention_alone(json!({"message": {"mid": "m", "attachments": {"type": "story_mention", "payload": {"url": "https://a.example"}}}}), Some("story_mention"))]
#[case::quick_reply(json!({"message": {"mid": "m", "text": "Late", "quick_reply": {"payload": "LATE"}}}), Some("message"))]
#[case::by_an_ad(json!({"message": {"mid": "m", "text": "Hi", "referral": {"source": "ADS"}}}), Some("message"))]
#[case::postback(json!({"postback": {"mid": "m", "title": "Agent", "payload": "AGENT"}}), Some("postback"))]
#[case::link(json!({"referral": {"ref": "qr7", "source": "https://ig.me/m/shop"}}), Some("referral"))]
#[case::reaction(json!({"reaction": {"mid": "m", "action": "react", "emoji": "❤️"}}), Some("reaction"))]
#[case::taken_back(json!({"reaction": {"mid": "m", "action": "unreact"}}), None)]
#[case::edit(json!({"message_edit": {"mid": "m", "text": "hi", "num_edit": "1"}}), None)]
#[case::unsent(json!({"message": {"mid": "m", "is_deleted": true}}), None)]
#[case::seen(json!({"read": {"mid": "m"}}), None)]
#[case::self_test(json!({"message": {"mid": "m", "text": "test", "is_echo": true, "is_self": true}}), None)]
#[case::opt_in(json!({"optin": {"type": "notification_messages"}}), None)]
fn what_opens(#[case] fields: Value, #[case] kind: Option<&str>) {
    let told = event(&fields);
    assert_eq!(told.openings.first().map(|opening| opening.kind.as_str()), kind, "{told:?}");
}

/// Both set-ups' comments (4.5), and the account's own.
#[test]
fn comments_come_in_two_shapes() {
    let from = json!({"id": "17000000000000001", "username": "mara_k"});
    let flat = one(&json!({"id": ACCOUNT, "time": 1_790_000_007, "field": "comments",
        "value": {"id": "17900000000000001", "from": from, "text": "price?"}}));
    let listed = one(&json!({"id": ACCOUNT, "time": 1_790_000_007, "changes": [{"field": "comments",
        "value": {"comment_id": "17900000000000001", "from": from, "text": "price?"}}]}));
    for told in [flat, listed] {
        assert_eq!(told.openings, [Opening { kind: "comment".into(), reference: Some("17900000000000001".into()) }]);
        assert_eq!(
            (told.event_key.as_str(), told.at),
            ("comment:17900000000000001", datetime!(2026-09-21 14:13:27 UTC))
        );
        assert_eq!(told.person.unwrap().profile.username.as_deref(), Some("mara_k"));
        let Item::Message(said) = told.item else { panic!("{:?}", told.item) };
        assert_eq!(
            (said.provider_id.as_str(), said.content.preview().as_str()),
            ("comment:17900000000000001", "comment: price?")
        );
    }
    let own = one(
        &json!({"id": ACCOUNT, "field": "comments", "value": {"id": "1", "from": {"id": "1", "self_ig_scoped_id": "2"}}}),
    );
    assert!(own.openings.is_empty() && matches!(own.item, Item::Unsupported { from_customer: false, .. }));
}

/// A live comment gives no right that could be used by mistake.
#[test]
fn live_comments_have_no_reference() {
    let told = one(
        &json!({"id": ACCOUNT, "field": "live_comments", "value": {"id": "1", "from": {"id": "17"}, "text": "hi"}}),
    );
    assert_eq!(told.openings, [Opening::of("live_comment")]);
}

/// The dashboard's test button, and a call in a list of one (4.3).
#[test]
fn test_calls_are_read() {
    let change = json!({"field": "messages", "value": framed(&json!({"message": {"mid": "m", "text": "hi"}}))});
    let told = one(&json!({"id": ACCOUNT, "changes": [change]}));
    assert!(matches!(told.item, Item::Message(_)), "{told:?}");
    let wrapped = json!([{"object": "instagram", "entry": [{"id": ACCOUNT, "messaging": [framed(&json!({"read": {"mid": "m"}}))]}]}]);
    assert!(matches!(read(&wrapped)[0].item, Item::Receipt { .. }));
}

#[test]
fn unsending_names_the_message() {
    let told = event(&json!({"message": {"mid": "aWdfin01", "is_deleted": true}}));
    assert_eq!((told.item, told.event_key.as_str()), (Item::Unsend { of: "aWdfin01".into() }, "aWdfin01:deleted"));
}
