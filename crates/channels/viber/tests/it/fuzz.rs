//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::json;
use transom_channel::conformance::{chance, vectors};
use transom_channel::{Channel, Platform, Ports, SettingValues};
use transom_viber::Viber;

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("auth_token", "fuzz")
        .with("bot_id", "pa:1")
        .with("sender_name", "Shop")
        .with("welcome_text", "Hi");
    Viber.connect(&settings, &Ports::system().unwrap()).unwrap()
});

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "timestamp message_token user_id user sender id name avatar language message type text media file_name size \
    file_size sticker_id contact phone_number location lat lon desc context subscribed chat_id silent picture video file sticker url";
const EVENTS: &str = "message subscribed unsubscribed conversation_started delivered seen failed webhook client_status";
const TYPES: &str = "text picture video file sticker contact url location";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(body in chance::bytes()) {
        chance::read(&**CHANNEL, body)?;
    }

    #[test]
    fn damaged(body in chance::damaged(vectors::bodies(include_str!("../fixtures/parsing.json")))) {
        chance::read(&**CHANNEL, body)?;
    }

    #[test]
    fn any_fields(event in chance::word(EVENTS), content in chance::json(WORDS)) {
        let body = json!({"timestamp": 1_767_225_600_000_i64, "message_token": 1, "user_id": "u", "user": {"id": "u"}});
        let body = chance::with(chance::with(body, &content), &json!({"event": event}));
        chance::read(&**CHANNEL, body.to_string())?;
    }

    #[test]
    fn any_message(content in chance::json(WORDS), kind in chance::word(TYPES), token in any::<u64>(), millis in any::<i64>()) {
        let message = chance::with(chance::with(json!({}), &content), &json!({"type": kind}));
        let body = json!({"event": "message", "timestamp": millis, "message_token": token, "sender": {"id": "u"},
            "message": message});
        chance::read(&**CHANNEL, body.to_string())?;
    }
}
