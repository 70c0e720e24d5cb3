//! Vectors taken from other people's SDKs: signatures and webhook bodies (see tests/fixtures/README.md).

use std::sync::Arc;

use serde_json::{Value, json};
use transom_channel::conformance::chance::RECEIVED;
use transom_channel::conformance::vectors::{self, Told};
use transom_channel::{Channel, Inbound, Item, Platform, Ports, SettingValues};
use transom_instagram::Instagram;

fn channel(secrets: &Value) -> Arc<dyn Channel> {
    let settings = SettingValues::default()
        .with("app_secret", vectors::text(secrets, "app_secret"))
        .with("verify_token", vectors::text(secrets, "verify_token"))
        .with("access_token", "EAAinvented")
        .with("login", "instagram")
        .with("instagram_id", "17840000000000001");
    Instagram.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures() {
    let set = include_str!("../fixtures/signatures.json");
    vectors::signatures(set, 37, RECEIVED, |vector| channel(&vector["secrets"]));
}

#[test]
fn parsing() {
    let channel = channel(&json!({"app_secret": "s", "verify_token": "v"}));
    vectors::parsing(include_str!("../fixtures/parsing.json"), 17, RECEIVED, &*channel, |vector, items| {
        // A call without events of its own may be told as one that is unsupported.
        let is_none = vector["expect"].as_array().unwrap().is_empty()
            && items.iter().all(|item| matches!(item.item, Item::Unsupported { .. }));
        if is_none { Vec::new() } else { items.into_iter().map(tell).collect() }
    });
}

/// A message may carry a payload that nobody tapped for.
fn tell(inbound: Inbound) -> Told {
    let is_tap = inbound.openings.iter().any(|opening| opening.kind == "postback");
    let told = Told::from(inbound);
    if told.kind == "postback" && !is_tap { Told { kind: "message", ..told } } else { told }
}
