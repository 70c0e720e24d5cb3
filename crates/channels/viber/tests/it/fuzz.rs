//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use time::macros::datetime;
use transom_channel::{Channel, Platform, Ports, RawInbound, SettingValues};
use transom_viber::Viber;

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("auth_token", "fuzz")
        .with("bot_id", "pa:1")
        .with("sender_name", "Shop")
        .with("welcome_text", "Hi");
    Viber.connect(&settings, &Ports::system().unwrap()).unwrap()
});

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        any_type().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_name(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Names that mean something, and some that do not.
fn any_name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "timestamp",
        "message_token",
        "user_id",
        "user",
        "sender",
        "id",
        "name",
        "avatar",
        "language",
        "message",
        "type",
        "text",
        "media",
        "file_name",
        "size",
        "file_size",
        "sticker_id",
        "contact",
        "phone_number",
        "location",
        "lat",
        "lon",
        "desc",
        "context",
        "subscribed",
        "chat_id",
        "silent",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[a-z_]{1,8}"]
}

fn any_type() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["text", "picture", "video", "file", "sticker", "contact", "url", "location"])
}

fn any_event() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "message",
        "subscribed",
        "unsubscribed",
        "conversation_started",
        "delivered",
        "seen",
        "failed",
        "webhook",
        "client_status",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => ".{0,80}"]
}

/// Reads it twice; what can be read has a key and an account, and comes out the same.
fn survives(body: Vec<u8>) -> Result<(), TestCaseError> {
    let raw = RawInbound::new(body, datetime!(2026-11-20 10:00 UTC));
    let read = CHANNEL.parse(&raw);
    prop_assert_eq!(&read, &CHANNEL.parse(&raw));
    for item in read.into_iter().flatten() {
        prop_assert!(!item.event_key.is_empty() && !item.account.is_empty(), "{:?}", item);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(5_098_034_272), ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(body)?;
    }

    #[test]
    fn any_fields(event in any_event(), content in any_json()) {
        let mut body = json!({"timestamp": 1_767_225_600_000_i64, "message_token": 1, "user_id": "u", "user": {"id": "u"}});
        if let (Some(body), Some(content)) = (body.as_object_mut(), content.as_object()) {
            body.extend(content.clone());
            body.insert("event".to_owned(), json!(event));
        }
        survives(body.to_string().into_bytes())?;
    }

    #[test]
    fn any_message(content in any_json(), kind in any_type(), token in any::<u64>(), millis in any::<i64>()) {
        let mut message = json!({});
        if let (Some(message), Some(content)) = (message.as_object_mut(), content.as_object()) {
            message.extend(content.clone());
        }
        message["type"] = json!(kind);
        let body = json!({"event": "message", "timestamp": millis, "message_token": token, "sender": {"id": "u"},
            "message": message});
        survives(body.to_string().into_bytes())?;
    }
}
