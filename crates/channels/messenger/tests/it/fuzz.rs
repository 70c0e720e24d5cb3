//! The parser against anything: no panic, the same answer twice, and every event told as something.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};
use transom_channel::conformance::{chance, vectors};
use transom_channel::{Channel, Platform, Ports, SettingValues};
use transom_messenger::Messenger;

const ACCOUNT: &str = "300000000000001";

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("app_secret", "s")
        .with("verify_token", "v")
        .with("access_token", "t")
        .with("page_id", ACCOUNT);
    Messenger.connect(&settings, &Ports::system().unwrap()).unwrap()
});

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "sender recipient id timestamp message mid text attachments type image video audio file sticker \
    fallback template location payload url title coordinates lat long sticker_id quick_reply reply_to story \
    is_echo is_deleted is_self is_unsupported app_id metadata postback referral ref source ADS SHORTLINK reaction \
    action react unreact emoji message_edit num_edit delivery mids watermark read optin user_ref \
    policy_enforcement block unblock reason field value feed item comment verb add comment_id post_id from name \
    created_time message_template_status_update event message_template_name message_template_language";
const LISTS: &[&str] = &["messaging", "standby", "changes"];

proptest! {
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

    /// Every event is told as something, on the account; events that differ never share a key.
    #[test]
    fn any_events(list in prop::sample::select(LISTS), events in prop::collection::vec(chance::json(WORDS), 1..5), time in any::<i64>()) {
        let body = json!({"object": "page", "entry": [{"id": ACCOUNT, "time": time, list: events}]});
        let items = chance::read(&**CHANNEL, body.to_string())?.expect("the envelope is right");
        prop_assert!(items.len() >= events.len() && items.iter().all(|item| item.account == ACCOUNT));
        if list == "changes" {
            let different: BTreeSet<String> = events.iter().map(Value::to_string).collect();
            let keys: BTreeSet<&str> = items.iter().map(|item| item.event_key.as_str()).collect();
            prop_assert!(keys.len() <= different.len());
        }
    }

    /// An event in its frame, with anything as its content.
    #[test]
    fn any_content(name in chance::word(WORDS), content in chance::json(WORDS)) {
        let event = json!({"sender": {"id": "6"}, "recipient": {"id": ACCOUNT}, "timestamp": 1_790_000_000_100_u64, name: content});
        let body = json!({"object": "page", "entry": [{"id": ACCOUNT, "messaging": [event]}]});
        prop_assert!(!chance::read(&**CHANNEL, body.to_string())?.expect("the envelope is right").is_empty());
    }
}
