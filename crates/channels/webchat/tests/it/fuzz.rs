//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use time::macros::datetime;
use transom_channel::{Channel, Platform, Ports, RawInbound, SettingValues};
use transom_webchat::WebChat;

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("widget_id", "wgt_1")
        .with("event_secret", "an-event-secret-of-the-shop")
        .with("origins", "https://shop.example");
    WebChat.connect(&settings, &Ports::system().unwrap()).unwrap()
});

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
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(20_261_121), ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(body)?;
    }

    #[test]
    fn any_act(kind in any_kind(), content in any_json(), id in ".{0,140}") {
        let mut body = json!({"visitor_id": "x:cust-42", "widget": "wgt_1", "at": "2026-11-20T10:00:00Z"});
        if let (Some(body), Some(content)) = (body.as_object_mut(), content.as_object()) {
            body.extend(content.clone());
        }
        body["kind"] = json!(kind);
        body["event_id"] = json!(id);
        survives(body.to_string().into_bytes())?;
    }
}
