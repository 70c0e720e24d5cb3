use rstest::rstest;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;

fn read(body: &Value) -> Vec<Inbound> {
    let raw = RawInbound::new(body.to_string(), datetime!(2026-11-21 10:00 UTC));
    parse(&raw, "300").unwrap()
}

fn event(fields: &Value) -> Inbound {
    let mut event = json!({"sender": {"id": "600"}, "recipient": {"id": "300"}, "timestamp": 1_790_000_000_100_u64});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut read =
        read(&json!({"object": "page", "entry": [{"id": "300", "time": 1_790_000_000_123_u64, "messaging": [event]}]}));
    assert_eq!(read.len(), 1, "{read:?}");
    read.remove(0)
}

/// The table of messenger.md 1.1: what opens, and as what.
#[rstest]
#[case::message(json!({"message": {"mid": "m", "text": "hi"}}), Some("message"))]
#[case::media(json!({"message": {"mid": "m", "attachments": [{"type": "image", "payload": {"url": "https://a.example"}}]}}), Some("message"))]
#[case::of_tomorrow(json!({"message": {"mid": "m", "attachments": [{"type": "hologram"}]}}), Some("message"))]
#[case::quick_reply(json!({"message": {"mid": "m", "text": "Late", "quick_reply": {"payload": "LATE"}}}), Some("message"))]
#[case::by_an_ad(json!({"message": {"mid": "m", "text": "Hi", "referral": {"source": "ADS"}}}), Some("message"))]
#[case::postback(json!({"postback": {"mid": "m", "title": "Get started", "payload": "GO"}}), Some("postback"))]
#[case::plugin(json!({"optin": {"ref": "cart9"}}), Some("optin"))]
#[case::link(json!({"referral": {"ref": "qr7", "source": "SHORTLINK"}}), Some("referral"))]
#[case::reaction(json!({"reaction": {"mid": "m", "action": "react", "emoji": "❤"}}), Some("reaction"))]
#[case::link_without_ref(json!({"referral": {"source": "SHORTLINK"}}), None)]
#[case::ad_click(json!({"referral": {"ref": "spring", "source": "ADS"}}), None)]
#[case::taken_back(json!({"reaction": {"mid": "m", "action": "unreact"}}), None)]
#[case::edit(json!({"message_edit": {"mid": "m", "text": "hi", "num_edit": 1}}), None)]
#[case::read(json!({"read": {"watermark": 1_790_000_000_000_u64}}), None)]
#[case::delivery(json!({"delivery": {"watermark": 1_790_000_000_000_u64}}), None)]
#[case::marketing(json!({"optin": {"type": "notification_messages"}}), None)]
#[case::one_time(json!({"optin": {"type": "one_time_notif_req"}}), None)]
#[case::handover(json!({"pass_thread_control": {}}), None)]
#[case::account_linking(json!({"account_linking": {"status": "linked"}}), None)]
fn what_opens(#[case] fields: Value, #[case] kind: Option<&str>) {
    let told = event(&fields);
    assert_eq!(told.openings.first().map(|opening| opening.kind.as_str()), kind, "{told:?}");
    assert!(told.openings.len() <= 1);
}

/// What the platform says anew around an event makes no other of it (messenger.md 4.5).
#[rstest]
#[case(json!({"postback": {"title": "Get started", "payload": "GO"}}))]
#[case(json!({"reaction": {"mid": "m", "action": "react", "emoji": "❤"}}))]
fn an_event_that_comes_again_in_another_call_has_the_same_key(#[case] fields: Value) {
    let key = |entry: u64, at: u64, more: Value| {
        let mut event = json!({"sender": {"id": "600"}, "recipient": {"id": "300"}, "timestamp": at});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(&json!({"object": "page", "entry": [{"id": "300", "time": entry, "messaging": [event]}]}))[0]
            .event_key
            .clone()
    };
    let first = key(1_790_000_000_123, 1_790_000_000_100, json!({}));
    assert_eq!(key(1_790_000_009_999, 1_790_000_000_100, json!({"is_redelivery": true})), first);
    assert_ne!(key(1_790_000_000_123, 1_790_000_000_101, json!({})), first);
}

#[test]
fn the_times_are_milliseconds() {
    assert_eq!(event(&json!({"message": {"mid": "m", "text": "hi"}})).at, datetime!(2026-09-21 14:13:20.1 UTC));
    // A delivery may have no time of its own (4.5).
    let delivery =
        json!({"sender": {"id": "600"}, "recipient": {"id": "300"}, "delivery": {"watermark": 1_790_000_006_000_u64}});
    let told = read(&json!({"object": "page", "entry": [{"id": "300", "messaging": [delivery]}]}));
    assert_eq!(told[0].at, datetime!(2026-09-21 14:13:26 UTC));
}

#[test]
fn the_page_is_stopped_and_restored() {
    for (action, expected) in [("block", AccountEffect::Suspended), ("unblock", AccountEffect::Restored)] {
        let told = event(&json!({"policy_enforcement": {"action": action, "reason": "spam"}}));
        let Item::AccountNotice(notice) = told.item else { panic!("{told:?}") };
        assert_eq!((notice.effect, notice.text.as_str()), (Some(expected), "spam"));
    }
}

#[test]
fn our_reference_is_told_from_anybody_elses() {
    let echo = |metadata: &str| {
        let message = json!({"mid": "m", "is_echo": true, "text": "hi", "metadata": metadata});
        match event(&json!({"message": message})).item {
            Item::Echo { correlation, .. } => correlation,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(echo("transom:0190").as_deref(), Some("0190"));
    assert_eq!((echo("msg-42"), echo("transom:")), (None, None));
}

/// One event that can't be read takes no neighbour with it.
#[test]
fn neighbours_are_read_all_the_same() {
    let good = json!({"sender": {"id": "600"}, "message": {"mid": "m", "text": "hi"}});
    let told = read(
        &json!({"object": "page", "entry": [{"id": "300", "messaging": [1, good, {"message": 7}], "changes": ["?"]}]}),
    );
    assert_eq!(told.len(), 4);
    assert!(matches!(told[1].item, Item::Message(_)));
    let others = [0, 2, 3].map(|n: usize| &told[n].item);
    assert!(others.iter().all(|item| matches!(item, Item::Unsupported { .. })), "{others:?}");
}
