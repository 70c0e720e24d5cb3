//! The parser against anything: no panic, the same answer twice, and every event told as something.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use time::macros::datetime;
use transom_channel::{Channel, Inbound, Platform, Ports, RawInbound, SettingValues};
use transom_instagram::Instagram;

const ACCOUNT: &str = "17840000000000001";

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("app_secret", "s")
        .with("verify_token", "v")
        .with("access_token", "t")
        .with("login", "instagram")
        .with("instagram_id", ACCOUNT);
    Instagram.connect(&settings, &Ports::system().unwrap()).unwrap()
});

fn parsed(body: impl Into<Vec<u8>>) -> Option<Vec<Inbound>> {
    let raw = RawInbound::new(body.into(), datetime!(2026-11-21 10:00 UTC));
    let items = CHANNEL.parse(&raw).ok();
    assert_eq!(items, CHANNEL.parse(&raw).ok());
    items
}

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "sender recipient id timestamp message mid text attachments type image video audio file sticker \
    fallback template location payload url title coordinates lat long sticker_id quick_reply reply_to story \
    is_echo is_deleted is_self is_unsupported app_id metadata postback referral ref source ADS SHORTLINK reaction \
    action react unreact emoji message_edit num_edit delivery mids watermark read optin user_ref \
    field comments live_comments mentions messages value comment_id from username self_ig_scoped_id story_mention";

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
        Just(json!("1790000000000")),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..8).prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

fn list() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["messaging", "standby", "changes"])
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

    /// Every event is told as something, under a key, on the account; events that differ never share one.
    #[test]
    fn any_events(list in list(), events in prop::collection::vec(anything(), 1..5), time in any::<i64>()) {
        let body = json!({"object": "instagram", "entry": [{"id": ACCOUNT, "time": time, list: events}]});
        let items = parsed(body.to_string()).expect("the envelope is right");
        prop_assert!(items.len() >= events.len());
        prop_assert!(items.iter().all(|item| item.account == ACCOUNT && !item.event_key.is_empty()));
        if list == "changes" {
            let different: BTreeSet<String> = events.iter().map(Value::to_string).collect();
            let keys: BTreeSet<&str> = items.iter().map(|item| item.event_key.as_str()).collect();
            prop_assert!(keys.len() <= different.len());
        }
    }

    /// An event in its frame, with anything as its content.
    #[test]
    fn any_content(name in word(), content in anything()) {
        let event = json!({"sender": {"id": "6"}, "recipient": {"id": ACCOUNT}, "timestamp": 1_790_000_000_100_u64, name: content});
        let body = json!({"object": "instagram", "entry": [{"id": ACCOUNT, "messaging": [event]}]});
        prop_assert!(!parsed(body.to_string()).expect("the envelope is right").is_empty());
    }

    /// A good call cut off or with a byte changed.
    #[test]
    fn damaged(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let vectors: Value = serde_json::from_str(include_str!("../fixtures/parsing.json")).unwrap();
        let bodies = vectors["vectors"].as_array().unwrap();
        let mut body = bodies[at.index(bodies.len())]["body"].as_str().unwrap().as_bytes().to_vec();
        let place = at.index(body.len());
        if cut { body.truncate(place) } else { body[place] = byte }
        parsed(body);
    }
}
