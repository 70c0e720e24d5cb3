//! Vectors that were made with the best-known client libraries; nothing in them comes from this code.

use std::sync::Arc;

use transom_channel::conformance::chance::RECEIVED;
use transom_channel::conformance::vectors::{self, Told};
use transom_channel::{Channel, Item, Platform, Ports, ReceiptFor, SettingValues};
use transom_viber::Viber;

fn channel(token: &str) -> Arc<dyn Channel> {
    let settings =
        SettingValues::default().with("auth_token", token).with("bot_id", "pa:1").with("sender_name", "Shop");
    Viber.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    vectors::signatures(include_str!("../fixtures/signatures.json"), 15, RECEIVED, |vector| {
        channel(vectors::text(&vector["secrets"], "auth_token"))
    });
}

#[test]
fn events_are_read_as_the_libraries_do() {
    vectors::parsing(include_str!("../fixtures/parsing.json"), 15, RECEIVED, &*channel("secret"), |_, mut items| {
        // `seen` stands for all earlier messages too, which the libraries leave to their users.
        items.retain(|item| !matches!(item.item, Item::Receipt { of: ReceiptFor::UpTo(_), .. }));
        items.into_iter().map(Told::from).collect()
    });
}
