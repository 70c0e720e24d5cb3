//! Vectors that were made with the best-known client libraries; nothing in them comes from this code.

use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::{
    Channel, Inbound, Item, Platform, Ports, RawInbound, ReceiptFor, ReceiptState, SettingValues, Standing, WebhookCall,
};
use transom_domain::{Body, MediaKind, MediaSource};
use transom_viber::Viber;

const RECEIVED: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

fn vectors(file: &str) -> Vec<Value> {
    let mut set: Value = serde_json::from_str(file).unwrap();
    serde_json::from_value(set["vectors"].take()).unwrap()
}

fn channel(token: &str) -> std::sync::Arc<dyn Channel> {
    let settings =
        SettingValues::default().with("auth_token", token).with("bot_id", "pa:1").with("sender_name", "Shop");
    Viber.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/signatures.json"));
    assert_eq!(vectors.len(), 15);
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let mut headers = HeaderMap::new();
        for pair in vector["headers"].as_array().unwrap() {
            let name: HeaderName = pair[0].as_str().unwrap().parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(pair[1].as_str().unwrap().as_bytes()).unwrap());
        }
        let body = base64::engine::general_purpose::STANDARD.decode(text("body")).unwrap().into();
        let (method, url) = (text("method").parse::<Method>().unwrap(), text("url").parse().unwrap());
        let call = WebhookCall { method: &method, url: &url, headers: &headers, body: &body, received_at: RECEIVED };
        let answer = channel(vector["secrets"]["auth_token"].as_str().unwrap()).verify(&call);
        assert_eq!(answer.is_ok(), text("expect") == "accept", "{}: {}: {answer:?}", text("id"), text("why"));
    }
}

/// An item as the vectors describe it.
fn seen(item: &Item) -> (&'static str, Option<&str>, &str, Vec<(&'static str, &str)>) {
    match item {
        Item::Message(message) => {
            let (text, files) = match &message.content.body {
                Body::Text { text, attachments } => (text.as_str(), attachments.as_slice()),
                _ => ("", [].as_slice()),
            };
            let file = |file: &transom_domain::Attachment| -> (&'static str, String) {
                let kind = match file.kind {
                    MediaKind::Image => "image",
                    MediaKind::Video => "video",
                    MediaKind::Document => "file",
                    MediaKind::Sticker => "sticker",
                    other => panic!("{other:?}"),
                };
                let MediaSource::Platform { url, .. } = &file.source else { panic!("{file:?}") };
                (kind, url.clone().unwrap_or_default())
            };
            let files = files.iter().map(|one| {
                let (kind, url) = file(one);
                (kind, &*Box::leak(url.into_boxed_str()))
            });
            ("message", Some(&message.provider_id), text, files.collect())
        }
        Item::Standing(Standing::Subscribed) => ("follow", None, "", Vec::new()),
        Item::Standing(Standing::Unsubscribed) => ("unfollow", None, "", Vec::new()),
        Item::Receipt { of: ReceiptFor::Message { provider_id, .. }, state } => {
            let kind = match state {
                ReceiptState::Delivered => "delivered",
                ReceiptState::Read => "read",
                other => panic!("{other:?}"),
            };
            (kind, Some(provider_id), "", Vec::new())
        }
        Item::Unsupported { .. } => ("unsupported", None, "", Vec::new()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_are_read_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/parsing.json"));
    assert_eq!(vectors.len(), 15);
    let channel = channel("secret");
    for vector in &vectors {
        let id = vector["id"].as_str().unwrap();
        let raw = RawInbound::new(vector["body"].as_str().unwrap().to_owned(), RECEIVED);
        let mut items = channel.parse(&raw).unwrap();
        // `seen` stands for all earlier messages too, which the libraries leave to their users.
        items.retain(|item| !matches!(item.item, Item::Receipt { of: ReceiptFor::UpTo(_), .. }));
        let expected = vector["expect"].as_array().unwrap();
        assert_eq!(items.len(), expected.len(), "{id}");
        for (item, expected) in items.iter().zip(expected) {
            compare(id, item, expected);
        }
    }
}

fn compare(id: &str, item: &Inbound, expected: &Value) {
    let text = |name: &str| expected[name].as_str();
    let (kind, message, words, files) = seen(&item.item);
    assert_eq!(text("kind"), Some(kind), "{id}");
    if let Some(at) = expected["timestamp_ms"].as_i64() {
        assert_eq!(item.at.unix_timestamp_nanos(), i128::from(at) * 1_000_000, "{id}");
    }
    if let Some(sender) = text("sender_id") {
        assert_eq!(item.person.as_ref().unwrap().addresses[0].value, sender, "{id}");
    }
    if kind == "unsupported" {
        return;
    }
    if let Some(expected) = text("platform_message_id") {
        assert_eq!(message, Some(expected), "{id}");
    }
    if expected["text_open"] != true {
        assert_eq!(words, text("text").unwrap_or_default(), "{id}");
    }
    let media = expected["media"].as_array().unwrap();
    let media: Vec<_> = media.iter().map(|one| (one["type"].as_str().unwrap(), one["url"].as_str().unwrap())).collect();
    assert_eq!(files, media, "{id}");
}
