//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::json;
use transom_channel::conformance::{chance, vectors};
use transom_channel::{Channel, Platform, Ports, SettingValues};
use transom_telegram::Telegram;

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("bot_token", "5550001:AAF-fuzz")
        .with("account_id", "5550001")
        .with("webhook_secret", "secret");
    Telegram.connect(&settings, &Ports::system().unwrap()).unwrap()
});

/// Words that the parser looks for, so that chance finds its corners.
const WORDS: &str = "message_id message from chat id type private date edit_date text caption photo file_id document sticker \
    location latitude longitude venue contact phone_number user_id data reply_markup inline_keyboard new_reaction emoji user \
    new_chat_member status user_chat_id business_connection_id message_ids rights can_reply is_enabled reply_to_message first_name";
const KINDS: &str = "message edited_message business_message edited_business_message deleted_business_messages \
    business_connection callback_query message_reaction my_chat_member chat_join_request poll";

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
    fn any_update(id in any::<i64>(), kind in chance::word(KINDS), content in chance::json(WORDS)) {
        // A second kind in the same update changes nothing about the first.
        chance::read(&**CHANNEL, json!({"update_id": id, kind: content}).to_string())?;
    }

    #[test]
    fn any_private_message(content in chance::json(WORDS), number in any::<i64>(), date in any::<i64>(), user in any::<i64>()) {
        let message = json!({"message_id": number, "date": date, "chat": {"id": user, "type": "private"},
            "from": {"id": user, "is_bot": false, "first_name": "A"}});
        chance::read(&**CHANNEL, json!({"update_id": 1, "message": chance::with(message, &content)}).to_string())?;
    }
}
