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
    of label payload up_to sent_at was x:cust-42 m_1 2026-11-20T10:00:00Z image/png";
const KINDS: &str = "message button delivered read visit identify email end";

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
}
