//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::json;
use transom_channel::conformance::{chance, vectors};
use transom_channel::{Channel, Platform, Ports, SettingValues};
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes(body in chance::bytes()) {
        chance::read(&**CHANNEL, body)?;
    }

    #[test]
    fn damaged(body in chance::damaged(vectors::bodies(include_str!("../fixtures/parsing.json")))) {
        chance::read(&**CHANNEL, body)?;
    }

    #[test]
    fn any_json(value in chance::json(WORDS)) {
        chance::read(&**CHANNEL, value.to_string())?;
    }

    /// Every event of a call is told at least once, whatever it is.
    #[test]
    fn any_events(events in prop::collection::vec(chance::json(WORDS), 0..5)) {
        let told = chance::read(&**CHANNEL, json!({"destination": "U1", "events": events}).to_string())?;
        prop_assert!(told.is_some_and(|told| told.len() >= events.len()));
    }

    /// Known kinds with any content, of one person; keys stay apart.
    #[test]
    fn any_event_of_a_person(kind in chance::word(WORDS), content in chance::json(WORDS), at in any::<i64>(), again in any::<bool>()) {
        let event = |id: &str| {
            let mut event = json!({"type": kind, "timestamp": at, "source": {"type": "user", "userId": "U2"}, "replyToken": "r",
                "webhookEventId": id, "deliveryContext": {"isRedelivery": again}});
            event[kind.as_str()] = content.clone();
            event
        };
        let body = json!({"destination": "U1", "events": [event("a"), event("b")]}).to_string();
        let items = chance::read(&**CHANNEL, body)?.unwrap();
        let keys: BTreeSet<&str> = items.iter().map(|item| item.event_key.as_str()).collect();
        prop_assert!(keys.len() == items.len() || kind == "webhookEventId", "{:?}", items);
    }
}
