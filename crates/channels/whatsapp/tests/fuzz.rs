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
use serde_json::{Value, json};
use transom_channel::conformance::{chance, vectors};
use transom_channel::{Channel, Inbound, Platform, Ports, RawInbound, SettingValues};
use transom_whatsapp::{FIELDS, WhatsApp, charges};

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("app_secret", "s")
        .with("verify_token", "v")
        .with("access_token", "t")
        .with("phone_number_id", "700000000000002")
        .with("waba_id", "700000000000001");
    WhatsApp.connect(&settings, &Ports::system().unwrap()).unwrap()
});

fn read(body: impl Into<Vec<u8>>) -> Result<Option<Vec<Inbound>>, TestCaseError> {
    let raw = RawInbound::new(body.into(), chance::RECEIVED);
    let _ = charges(&raw);
    chance::read_raw(&**CHANNEL, &raw)
}

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "from from_user_id id timestamp type text body context image audio voice document sticker location \
    latitude longitude contacts name phones order product_items interactive button_reply list_reply \
    nfm_reply button payload reaction message_id emoji system user_changed_number wa_id user_id \
    unsupported errors code title edit revoke original_message_id message referral request_welcome \
    group_id status sent delivered read failed played recipient_id pricing category statuses messages \
    metadata phone_number_id profile username event connect direction value";

fn list_of(field: &str) -> &str {
    match field {
        "smb_message_echoes" => "message_echoes",
        other => other,
    }
}

proptest! {
    #[test]
    fn any_bytes(body in chance::bytes()) {
        read(body)?;
    }

    /// A good message cut off or with a byte changed.
    #[test]
    fn damaged(body in chance::damaged(vectors::bodies(include_str!("fixtures/parsing.json")))) {
        read(body)?;
    }

    #[test]
    fn any_json(value in chance::json(WORDS)) {
        read(value.to_string())?;
    }

    /// Every change is told as something.
    #[test]
    fn any_change(field in chance::word(&FIELDS.join(" ")), value in chance::json(WORDS), time in any::<i64>()) {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "700000000000001", "time": time, "changes": [{"field": field, "value": value}]}]});
        prop_assert!(!read(body.to_string())?.expect("the envelope is right").is_empty());
    }

    /// Every element of a known list is told once, whatever it is, and different elements never share a key.
    #[test]
    fn any_element(field in chance::word(&FIELDS.join(" ")), elements in prop::collection::vec(chance::json(WORDS), 1..5)) {
        let value = json!({"metadata": {"phone_number_id": "700000000000002"}, list_of(&field): elements});
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": field, "value": value}]}]});
        let items = read(body.to_string())?.expect("the envelope is right");
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
}
