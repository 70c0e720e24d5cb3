//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::json;
use transom_channel::conformance::chance;
use transom_channel::{Channel, Platform, Ports, SettingValues};
use transom_webchat::WebChat;

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("widget_id", "wgt_1")
        .with("event_secret", "an-event-secret-of-the-shop")
        .with("origins", "https://shop.example");
    WebChat.connect(&settings, &Ports::system().unwrap()).unwrap()
});

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "event_id widget visitor_id verified at profile name email message_id text attachments id mime size reply_to \
    of label payload up_to sent_at was conversation_id client_id state on before limit seq t identity token x:cust-42 m_1 \
    2026-11-20T10:00:00Z image/png active";
const KINDS: &str = "message button delivered read visit identify email end hello typing presence fetch ack ping";
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["x:cust-42", "m_1", "2026-11-20T10:00:00Z", "image/png", "active"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 30, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_name(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "event_id",
        "widget",
        "visitor_id",
        "verified",
        "at",
        "profile",
        "name",
        "email",
        "message_id",
        "text",
        "attachments",
        "id",
        "mime",
        "size",
        "reply_to",
        "of",
        "label",
        "payload",
        "up_to",
        "sent_at",
        "was",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[a-z_]{1,8}"]
}

fn any_kind() -> impl Strategy<Value = String> {
    let known =
        prop::sample::select(vec!["message", "button", "delivered", "read", "visit", "identify", "email", "end"]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => ".{0,80}"]
}

/// Reads it twice; what can be read has a key and an account, and comes out the same.
fn survives(body: Vec<u8>) -> Result<(), TestCaseError> {
    let raw = RawInbound::new(body, datetime!(2026-11-20 10:00 UTC));
    let read = CHANNEL.parse(&raw);
    prop_assert_eq!(&read, &CHANNEL.parse(&raw));
    for item in read.into_iter().flatten() {
        prop_assert!(!item.event_key.is_empty(), "{:?}", item);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(body in chance::bytes()) {
        chance::read(&**CHANNEL, body)?;
    }

    #[test]
    fn any_act(kind in chance::word(KINDS), content in chance::json(WORDS), id in ".{0,140}") {
        let body = json!({"visitor_id": "x:cust-42", "widget": "wgt_1", "at": "2026-11-20T10:00:00Z"});
        let body = chance::with(chance::with(body, &content), &json!({"kind": kind, "event_id": id}));
        chance::read(&**CHANNEL, body.to_string())?;
    }

    /// What is a frame is one again when it is written and read.
    #[test]
    fn any_frame(kind in chance::word(KINDS), content in chance::json(WORDS)) {
        let frame = json!({"client_id": "1", "conversation_id": "c_1", "message_id": "m_1", "on": true, "seq": 1});
        let frame = chance::with(chance::with(frame, &content), &json!({"type": kind}));
        let (once, again) = (serde_json::from_value::<ClientFrame>(frame.clone()), serde_json::from_value(frame));
        prop_assert_eq!(once.ok(), again.ok());
    }
}
