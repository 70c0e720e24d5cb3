//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use time::macros::datetime;
use transom_channel::{Channel, Platform, Ports, RawInbound, SettingValues};
use transom_http::Http;

use crate::world::{HEARING, SIGNING};

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("endpoint", "https://gateway.example/")
        .with("signing_secret", SIGNING)
        .with("webhook_secret", HEARING)
        .with("account", "main");
    Http.connect(&settings, &Ports::system().unwrap()).unwrap()
});

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        any_word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_name(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "id",
        "account",
        "timestamp",
        "person",
        "user_id",
        "phone",
        "email",
        "name",
        "language",
        "opening",
        "kind",
        "reference",
        "message",
        "content",
        "type",
        "text",
        "url",
        "caption",
        "reply_to",
        "payload",
        "correlation",
        "status",
        "error",
        "code",
        "standing",
        "scope",
        "reason",
        "state",
        "quota",
        "limit",
        "emoji",
        "latitude",
        "longitude",
        "contacts",
        "phones",
        "buttons",
        "title",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[a-z_]{1,8}"]
}

fn any_word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "text",
        "media",
        "choices",
        "location",
        "contacts",
        "reaction",
        "template",
        "image",
        "sent",
        "failed",
        "blocked",
        "opted_out",
        "suspended",
        "2026-11-20T10:00:00Z",
    ])
}

fn any_event() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "message.received",
        "message.echoed",
        "message.edited",
        "message.deleted",
        "message.reaction",
        "message.status",
        "person.opening",
        "person.standing",
        "account.notice",
        "template.updated",
    ]);
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
    fn any_fields(event in any_event(), content in any_json(), id in ".{0,140}") {
        let mut body = json!({"person": {"phone": "+1"}, "timestamp": "2026-11-20T10:00:00Z"});
        if let (Some(body), Some(content)) = (body.as_object_mut(), content.as_object()) {
            body.extend(content.clone());
        }
        body["type"] = json!(event);
        body["id"] = json!(id);
        survives(body.to_string().into_bytes())?;
    }

    #[test]
    fn any_message(content in any_json(), kind in any_word()) {
        let mut inner = json!({});
        if let (Some(inner), Some(content)) = (inner.as_object_mut(), content.as_object()) {
            inner.extend(content.clone());
        }
        inner["type"] = json!(kind);
        let body = json!({"type": "message.received", "id": "e", "person": {"phone": "+1"},
            "message": {"id": "m", "content": inner}});
        survives(body.to_string().into_bytes())?;
    }
}
