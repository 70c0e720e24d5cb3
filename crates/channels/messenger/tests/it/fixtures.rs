//! Vectors taken from other people's SDKs: signatures and webhook bodies (see tests/fixtures/README.md).

use std::sync::Arc;

use serde_json::{Value, json};
use transom_channel::conformance::chance::RECEIVED;
use transom_channel::conformance::vectors::{self, Told};
use transom_channel::{Channel, Inbound, Item, Platform, Ports, ReceiptFor, ReceiptState, SettingValues};
use transom_messenger::Messenger;

fn channel(secrets: &Value) -> Arc<dyn Channel> {
    let settings = SettingValues::default()
        .with("app_secret", vectors::text(secrets, "app_secret"))
        .with("verify_token", vectors::text(secrets, "verify_token"))
        .with("access_token", "EAAinvented")
        .with("page_id", "300000000000001");
    Messenger.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures() {
    let set = include_str!("../fixtures/signatures.json");
    vectors::signatures(set, 36, RECEIVED, |vector| channel(&vector["secrets"]));
}

#[test]
fn parsing() {
    let channel = channel(&json!({"app_secret": "s", "verify_token": "v"}));
    vectors::parsing(include_str!("../fixtures/parsing.json"), 21, RECEIVED, &*channel, |vector, items| {
        let told = one_a_delivery(items);
        for ((named, inbound), expected) in told.iter().zip(vector["expect"].as_array().unwrap()) {
            receipts_are_as_expected(named, inbound, expected);
        }
        told.into_iter().map(|(_, inbound)| tell(inbound)).collect()
    });
}

/// A message may carry a payload that nobody tapped for.
fn tell(inbound: Inbound) -> Told {
    let is_tap = inbound.openings.iter().any(|opening| opening.kind == "postback");
    let told = Told::from(inbound);
    if told.kind == "postback" && !is_tap { Told { kind: "message", ..told } } else { told }
}

/// A delivery is one event to the vectors: what is told for each message goes with what is told up to the watermark.
fn one_a_delivery(items: Vec<Inbound>) -> Vec<(Vec<String>, Inbound)> {
    let (mut told, mut named) = (Vec::new(), Vec::new());
    for item in items {
        match &item.item {
            Item::Receipt { of: ReceiptFor::Message { provider_id, .. }, state: ReceiptState::Delivered } => {
                named.push(provider_id.clone());
            }
            _ => told.push((std::mem::take(&mut named), item)),
        }
    }
    told
}

/// Which messages a receipt names, and up to when it tells.
fn receipts_are_as_expected(named: &[String], inbound: &Inbound, expected: &Value) {
    let ids: Vec<&str> = expected["message_ids"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(ids, named, "{expected}");
    let watermark = match inbound.item {
        Item::Receipt { of: ReceiptFor::UpTo(at), .. } => Some(at.unix_timestamp_nanos() / 1_000_000),
        _ => None,
    };
    assert_eq!(expected["watermark_ms"].as_i64().map(i128::from), watermark, "{expected}");
}
