//! Whatever comes in: no panic, the same answer twice, and nothing that could not be kept.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;
use transom_channel::{Channel, Platform, Ports, RawInbound, SettingValues};
use transom_telegram::Telegram;

static CHANNEL: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| {
    let settings = SettingValues::default()
        .with("bot_token", "5550001:AAF-fuzz")
        .with("account_id", "5550001")
        .with("webhook_secret", "secret");
    Telegram.connect(&settings, &Ports::system().unwrap()).unwrap()
});

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("private")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_name(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Names that mean something, and some that do not.
fn any_name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "message_id",
        "message",
        "from",
        "chat",
        "id",
        "type",
        "date",
        "edit_date",
        "text",
        "caption",
        "photo",
        "file_id",
        "document",
        "sticker",
        "location",
        "latitude",
        "longitude",
        "venue",
        "contact",
        "phone_number",
        "user_id",
        "data",
        "reply_markup",
        "inline_keyboard",
        "new_reaction",
        "emoji",
        "user",
        "new_chat_member",
        "status",
        "user_chat_id",
        "business_connection_id",
        "message_ids",
        "rights",
        "can_reply",
        "is_enabled",
        "reply_to_message",
        "first_name",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[a-z_]{1,8}"]
}

fn any_kind() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "message",
        "edited_message",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
        "business_connection",
        "callback_query",
        "message_reaction",
        "my_chat_member",
        "chat_join_request",
        "poll",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => ".{0,80}"]
}

/// Reads it twice; what can be read has a key and an account, and comes out the same.
fn survives(body: Vec<u8>) -> Result<(), TestCaseError> {
    let raw = RawInbound::new(body, datetime!(2026-11-20 10:00 UTC));
    let read = CHANNEL.parse(&raw);
    prop_assert_eq!(&read, &CHANNEL.parse(&raw));
    for item in read.into_iter().flatten() {
        prop_assert!(!item.event_key.is_empty() && !item.account.is_empty(), "{:?}", item);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(body)?;
    }

    #[test]
    fn any_update(id in any::<i64>(), kind in any_kind(), content in any_json()) {
        // A second kind in the same update changes nothing about the first.
        survives(json!({"update_id": id, kind: content}).to_string().into_bytes())?;
    }

    #[test]
    fn any_private_message(content in any_json(), number in any::<i64>(), date in any::<i64>(), user in any::<i64>()) {
        let mut message = json!({"message_id": number, "date": date, "chat": {"id": user, "type": "private"},
            "from": {"id": user, "is_bot": false, "first_name": "A"}});
        if let (Some(message), Some(content)) = (message.as_object_mut(), content.as_object()) {
            message.extend(content.clone());
        }
        survives(json!({"update_id": 1, "message": message}).to_string().into_bytes())?;
    }
}
