//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;
use transom_channel::{Channel, Platform, Ports, RawInbound, SettingValues};
use transom_line::Line;

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default().with("channel_secret", "s").with("channel_access_token", "t");
    Line.connect(&settings, &Ports::system().unwrap()).unwrap()
});

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "type mode active standby timestamp source user group room userId groupId webhookEventId deliveryContext \
    isRedelivery replyToken message text image video audio file location sticker id quoteToken quotedMessageId contentProvider \
    external originalContentUrl imageSet fileName fileSize title address latitude longitude packageId stickerId keywords unsend \
    messageId follow isUnblocked unfollow postback data params accountLink beacon membership botSuspended messageEdited";

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
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..8).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Reads it twice; what can be read has a key and an account, and comes out the same.
fn survives(body: Vec<u8>) -> Result<Option<usize>, TestCaseError> {
    let raw = RawInbound::new(body, datetime!(2026-11-20 10:00 UTC));
    let read = CHANNEL.parse(&raw);
    prop_assert_eq!(&read, &CHANNEL.parse(&raw));
    let count = read.as_ref().ok().map(Vec::len);
    for item in read.into_iter().flatten() {
        prop_assert!(!item.event_key.is_empty() && !item.account.is_empty(), "{:?}", item);
    }
    Ok(count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(body)?;
    }

    #[test]
    fn any_json(value in anything()) {
        survives(value.to_string().into_bytes())?;
    }

    /// Every event of a call is told at least once, whatever it is.
    #[test]
    fn any_events(events in prop::collection::vec(anything(), 0..5)) {
        let told = survives(json!({"destination": "U1", "events": events}).to_string().into_bytes())?;
        prop_assert!(told.is_some_and(|told| told >= events.len()));
    }

    /// Known kinds with any content, of one person; keys stay apart.
    #[test]
    fn any_event_of_a_person(kind in word(), content in anything(), at in any::<i64>(), again in any::<bool>()) {
        let event = |id: &str| {
            let mut event = json!({"type": kind, "timestamp": at, "source": {"type": "user", "userId": "U2"}, "replyToken": "r",
                "webhookEventId": id, "deliveryContext": {"isRedelivery": again}});
            event[kind.as_str()] = content.clone();
            event
        };
        let body = json!({"destination": "U1", "events": [event("a"), event("b")]}).to_string();
        survives(body.clone().into_bytes())?;
        let items = CHANNEL.parse(&RawInbound::new(body, datetime!(2026-11-20 10:00 UTC))).unwrap();
        let keys: BTreeSet<&str> = items.iter().map(|item| item.event_key.as_str()).collect();
        prop_assert!(keys.len() == items.len() || kind == "webhookEventId", "{:?}", items);
    }
}
