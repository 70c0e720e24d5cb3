//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::json;
use transom_channel::conformance::chance;
use transom_channel::{Channel, Platform, Ports, SettingValues};
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

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "id account timestamp person user_id phone email name language opening kind reference message content type \
    text url caption reply_to payload correlation status error code standing scope reason state quota limit emoji latitude \
    longitude contacts phones buttons title media choices location reaction template image sent failed blocked opted_out \
    suspended 2026-11-20T10:00:00Z";
const EVENTS: &str = "message.received message.echoed message.edited message.deleted message.reaction message.status \
    person.opening person.standing account.notice template.updated";
const CONTENTS: &str = "text media choices location contacts reaction template";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(body in chance::bytes()) {
        chance::read(&**CHANNEL, body)?;
    }

    #[test]
    fn any_fields(event in chance::word(EVENTS), content in chance::json(WORDS), id in ".{0,140}") {
        let body = json!({"person": {"phone": "+1"}, "timestamp": "2026-11-20T10:00:00Z"});
        let body = chance::with(chance::with(body, &content), &json!({"type": event, "id": id}));
        chance::read(&**CHANNEL, body.to_string())?;
    }

    #[test]
    fn any_message(content in chance::json(WORDS), kind in chance::word(CONTENTS)) {
        let content = chance::with(chance::with(json!({}), &content), &json!({"type": kind}));
        let body = json!({"type": "message.received", "id": "e", "person": {"phone": "+1"},
            "message": {"id": "m", "content": content}});
        chance::read(&**CHANNEL, body.to_string())?;
    }
}
