//! The parser against anything: no panic, the same answer twice, and nothing of the body in an error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use time::macros::datetime;
use transom_channel::{Channel, Inbound, Platform, Ports, RawInbound, SettingValues};
use transom_whatsapp::{WhatsApp, charges};

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("app_secret", "s")
        .with("verify_token", "v")
        .with("access_token", "t")
        .with("phone_number_id", "700000000000002")
        .with("waba_id", "700000000000001");
    WhatsApp.connect(&settings, &Ports::system().unwrap()).unwrap()
});

fn parsed(body: impl Into<Vec<u8>>) -> Option<Vec<Inbound>> {
    let raw = RawInbound::new(body.into(), datetime!(2026-11-21 10:00 UTC));
    let _ = charges(&raw);
    let items = CHANNEL.parse(&raw).ok();
    assert_eq!(items, CHANNEL.parse(&raw).ok());
    items
}

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "from from_user_id id timestamp type text body context image audio voice document sticker location \
    latitude longitude contacts name phones order product_items interactive button_reply list_reply \
    nfm_reply button payload reaction message_id emoji system user_changed_number wa_id user_id \
    unsupported errors code title edit revoke original_message_id message referral request_welcome \
    group_id status sent delivered read failed played recipient_id pricing category statuses messages \
    metadata phone_number_id profile username event connect direction value";

fn word() -> impl Strategy<Value = String> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    prop_oneof![8 => prop::sample::select(words).prop_map(str::to_owned), 1 => any::<String>()]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!("1790000000")),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..8).prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    let fields = transom_whatsapp::FIELDS.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>();
    prop_oneof![9 => prop::sample::select(fields), 1 => any::<String>()]
}

fn list_of(field: &str) -> &str {
    match field {
        "smb_message_echoes" => "message_echoes",
        other => other,
    }
}

proptest! {
    #[test]
    fn bytes(body in prop::collection::vec(any::<u8>(), 0..400)) {
        parsed(body);
    }

    #[test]
    fn any_json(value in anything()) {
        parsed(value.to_string());
    }

    /// Every change is told as something, on some account, under a key.
    #[test]
    fn any_change(field in field(), value in anything(), time in any::<i64>()) {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "700000000000001", "time": time, "changes": [{"field": field, "value": value}]}]});
        let items = parsed(body.to_string()).expect("the envelope is right");
        prop_assert!(!items.is_empty());
        prop_assert!(items.iter().all(|item| !item.event_key.is_empty()));
    }

    /// Every element of a known list is told once, whatever it is, and different elements never share a key.
    #[test]
    fn any_element(field in field(), elements in prop::collection::vec(anything(), 1..5)) {
        let value = json!({"metadata": {"phone_number_id": "700000000000002"}, list_of(&field): elements});
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": field, "value": value}]}]});
        let items = parsed(body.to_string()).expect("the envelope is right");
        if ["messages", "smb_message_echoes", "calls", "user_preferences"].contains(&field.as_str()) {
            prop_assert_eq!(items.len(), elements.len());
            let different: BTreeSet<String> = elements.iter().filter(|element| element.get("id").is_none()).map(Value::to_string).collect();
            let keys: BTreeSet<&str> = items.iter().zip(&elements).filter(|(_, element)| element.get("id").is_none()).map(|(item, _)| item.event_key.as_str()).collect();
            prop_assert_eq!(keys.len(), different.len());
        }
        // What is told of the whole business account names that.
        let known = |account: &str| account == "700000000000002" || account == "1";
        prop_assert!(items.iter().all(|item| known(&item.account)));
    }

    /// A good message cut off or with a byte changed.
    #[test]
    fn damaged(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut body = include_str!("fixtures/parsing.json").as_bytes().to_vec();
        let vectors: Value = serde_json::from_slice(&body).unwrap();
        let bodies = vectors["vectors"].as_array().unwrap();
        body = bodies[at.index(bodies.len())]["body"].as_str().unwrap().as_bytes().to_vec();
        let place = at.index(body.len());
        if cut { body.truncate(place) } else { body[place] = byte }
        parsed(body);
    }
}
