//! Vectors taken from other people's SDKs: signatures, webhook bodies, template texts (see tests/fixtures/README.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use transom_channel::conformance::chance::RECEIVED;
use transom_channel::conformance::vectors::{self, Told};
use transom_channel::{Channel, Inbound, Item, Platform, Ports, ReceiptState, SettingValues};
use transom_domain::placeholder::Placeholders;
use transom_domain::template::TextParameters;
use transom_whatsapp::WhatsApp;

fn channel(secrets: &Value) -> Arc<dyn Channel> {
    let settings = SettingValues::default()
        .with("app_secret", vectors::text(secrets, "app_secret"))
        .with("verify_token", vectors::text(secrets, "verify_token"))
        .with("access_token", "EAAinvented")
        .with("phone_number_id", "106540352242922")
        .with("waba_id", "102290129340398");
    WhatsApp.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures() {
    let set = include_str!("fixtures/signatures.json");
    vectors::signatures(set, 37, RECEIVED, |vector| channel(&vector["secrets"]));
}

#[test]
fn parsing() {
    let channel = channel(&json!({"app_secret": "s", "verify_token": "v"}));
    vectors::parsing(include_str!("fixtures/parsing.json"), 24, RECEIVED, &*channel, |vector, items| {
        let told: Vec<Told> = items.into_iter().map(tell).collect();
        for (told, expected) in told.iter().zip(vector["expect"].as_array().unwrap()) {
            more_is_as_expected(&told.inbound, expected);
        }
        told
    });
}

/// Where an advertisement brought the customer is kept in the payload, and nobody tapped a button for it.
fn tell(inbound: Inbound) -> Told {
    let told = Told::from(inbound);
    match &told.payload {
        Some(payload) if payload.starts_with(r#"{"referral":"#) => Told { kind: "message", payload: None, ..told },
        _ => told,
    }
}

/// What these vectors alone tell: keys, and what became of a message.
fn more_is_as_expected(inbound: &Inbound, expected: &Value) {
    if let Some(id) = expected["platform_message_id"].as_str().filter(|_| expected["kind"] != "unsupported") {
        assert!(inbound.event_key.starts_with(id), "{expected}");
    }
    let Item::Receipt { state, .. } = &inbound.item else { return };
    let (status, error) = match state {
        ReceiptState::Sent => ("sent", None),
        ReceiptState::Delivered => ("delivered", None),
        ReceiptState::Read => ("read", None),
        ReceiptState::Failed(error) => ("failed", error.report().and_then(|report| report.code.clone())),
    };
    if let Some(expected) = expected["status"].as_str() {
        // A voice note that was played counts as read.
        assert!(expected == status || (expected, status) == ("played", "read"), "{inbound:?}");
    }
    if let Some(code) = expected["error_code"].as_i64() {
        assert_eq!(error, Some(code.to_string()));
    }
}

/// An unproved vector (the SDKs disagree), decided otherwise here: `{{}}` is refused as malformed, because a template with it
/// can't have been approved.
const DECIDED_OTHERWISE: &[&str] = &["tmpl-empty-braces"];

#[test]
fn templates() {
    vectors::judge(include_str!("fixtures/templates.json"), 23, |vector| {
        let (id, expected) = (vectors::text(vector, "id"), &vector["expect"]);
        let values = parameters(&vector["params"]);
        let rendered = Placeholders::parse(vectors::text(vector, "text")).and_then(|holes| holes.fill(&values));
        let agrees = match (expected["ok"].as_bool(), &rendered) {
            (Some(true), Ok(rendered)) => expected["rendered"] == rendered.as_str(),
            (Some(false), Err(_)) => true,
            _ => false,
        };
        // An exception that is none any more is wrong too: the list only gets shorter.
        let is_exception = DECIDED_OTHERWISE.contains(&id);
        if agrees == is_exception { vec![format!("{rendered:?}")] } else { Vec::new() }
    });
}

fn parameters(given: &Value) -> TextParameters {
    let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match given {
        Value::Null => TextParameters::default(),
        Value::Array(list) => TextParameters::Positional(list.iter().map(words).collect()),
        Value::Object(map) => TextParameters::Named(
            map.iter().map(|(name, value)| (name.clone(), words(value))).collect::<BTreeMap<_, _>>(),
        ),
        other => panic!("{other}"),
    }
}
