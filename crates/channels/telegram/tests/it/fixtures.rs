//! Vectors that were made with the best-known client libraries; nothing in them comes from this code.

use std::sync::Arc;

use transom_channel::conformance::chance::RECEIVED;
use transom_channel::conformance::vectors::{self, Told};
use transom_channel::{Channel, Platform, Ports, SettingValues};
use transom_telegram::Telegram;

fn channel(secret: &str) -> Arc<dyn Channel> {
    let settings = SettingValues::default()
        .with("bot_token", "5550001:AAF-fixture")
        .with("account_id", "5550001")
        .with("webhook_secret", secret);
    Telegram.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    vectors::signatures(include_str!("../fixtures/signatures.json"), 13, RECEIVED, |vector| {
        channel(vectors::text(&vector["secrets"], "secret_token"))
    });
}

#[test]
fn updates_are_read_as_the_libraries_do() {
    vectors::parsing(include_str!("../fixtures/parsing.json"), 19, RECEIVED, &*channel("secret"), |_, items| {
        items.into_iter().map(Told::from).map(without_chat).collect()
    });
}

/// Messages are numbered within a chat: the libraries leave the chat out.
fn without_chat(told: Told) -> Told {
    let number = |id: String| id.split_once(':').map_or(id.clone(), |(_, number)| number.to_owned());
    Told { id: told.id.map(number), reply_to: told.reply_to.map(number), ..told }
}
