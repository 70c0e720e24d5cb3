//! Vectors that were made with the best-known client libraries; nothing in them comes from this code.

use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::{
    Inbound, InboundMessage, Item, Platform, Ports, RawInbound, SettingValues, Standing, WebhookCall,
};
use transom_domain::{Attachment, Body, MediaKind, MediaSource};
use transom_line::Line;

const RECEIVED: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

fn vectors(file: &str) -> Vec<Value> {
    let mut set: Value = serde_json::from_str(file).unwrap();
    serde_json::from_value(set["vectors"].take()).unwrap()
}

fn channel(secret: &str) -> std::sync::Arc<dyn transom_channel::Channel> {
    let settings = SettingValues::default().with("channel_access_token", "t").with("channel_secret", secret);
    Line.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/signatures.json"));
    assert_eq!(vectors.len(), 18);
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let mut headers = HeaderMap::new();
        for pair in vector["headers"].as_array().unwrap() {
            let name: HeaderName = pair[0].as_str().unwrap().to_lowercase().parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(pair[1].as_str().unwrap().as_bytes()).unwrap());
        }
        let body = base64::engine::general_purpose::STANDARD.decode(text("body")).unwrap().into();
        let (method, url) = (text("method").parse::<Method>().unwrap(), text("url").parse().unwrap());
        let call = WebhookCall { method: &method, url: &url, headers: &headers, body: &body, received_at: RECEIVED };
        let answer = channel(vector["secrets"]["channel_secret"].as_str().unwrap()).verify(&call);
        assert_eq!(answer.is_ok(), text("expect") == "accept", "{}: {}: {answer:?}", text("id"), text("why"));
    }
}

/// What the vectors call an item.
fn kind(item: &Item) -> &'static str {
    match item {
        Item::Message(InboundMessage { payload: Some(_), .. }) => "postback",
        Item::Message(_) | Item::Edit { .. } => "message",
        Item::Standing(Standing::Unblocked | Standing::Subscribed) => "follow",
        Item::Standing(Standing::Blocked) => "unfollow",
        // What has no content, and may be answered: no library reads it as a message either.
        Item::Unsupported { .. } | Item::Opening { .. } => "unsupported",
        other => panic!("{other:?}"),
    }
}

fn file(attachment: &Attachment) -> (&'static str, &str) {
    let kind = match attachment.kind {
        MediaKind::Image => "image",
        MediaKind::Video | MediaKind::Animation => "video",
        MediaKind::Audio | MediaKind::Voice => "audio",
        MediaKind::Document => "file",
        MediaKind::Sticker => "sticker",
    };
    match &attachment.source {
        // A sticker is named by its package too.
        MediaSource::Platform { id, .. } => (kind, id.rsplit('/').next().unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_are_read_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/parsing.json"));
    assert_eq!(vectors.len(), 21);
    let channel = channel("secret");
    for vector in &vectors {
        let id = vector["id"].as_str().unwrap();
        let raw = RawInbound::new(vector["body"].as_str().unwrap().to_owned(), RECEIVED);
        // A block says twice what it means: blocked, and no longer a friend.
        let second = |item: &Inbound| item.item == Item::Standing(Standing::Unsubscribed);
        let items: Vec<Inbound> = channel.parse(&raw).unwrap().into_iter().filter(|item| !second(item)).collect();
        let expected = vector["expect"].as_array().unwrap();
        assert_eq!(items.len(), expected.len(), "{id}");
        for (item, expected) in items.iter().zip(expected) {
            compare(id, item, expected);
        }
    }
}

fn compare(id: &str, item: &Inbound, expected: &Value) {
    let text = |name: &str| expected[name].as_str();
    let also = |name: &str, value: &Value| expected[name].as_array().is_some_and(|list| list.contains(value));
    let kind = kind(&item.item);
    if let Some(event) = text("event_id") {
        assert_eq!(item.event_key, event, "{id}");
    }
    if text("chat_id").is_some() {
        // Conversations are with one person: a group's message is kept, and is no message here.
        assert_eq!((kind, &item.person), ("unsupported", &None), "{id}");
        return;
    }
    assert!(text("kind") == Some(kind) || also("kind_alt", &kind.into()), "{id}: {kind}");
    if let Some(at) = expected["timestamp_ms"].as_i64() {
        assert_eq!(i64::try_from(item.at.unix_timestamp_nanos() / 1_000_000).unwrap(), at, "{id}");
    }
    if let Some(sender) = text("sender_id").filter(|_| kind != "unsupported") {
        assert_eq!(item.person.as_ref().unwrap().addresses[0].value, sender, "{id}");
    }
    let Item::Message(message) = &item.item else { return };
    assert_eq!(Some(message.provider_id.as_str()), text("platform_message_id"), "{id}");
    assert_eq!(message.content.reply_to.as_deref(), text("reply_to"), "{id}");
    let (words, files) = match &message.content.body {
        Body::Text { text, attachments } => (text.as_str(), attachments.iter().map(file).collect()),
        _ => ("", Vec::new()),
    };
    if expected["text_open"] != true {
        assert_eq!(words, text("text").unwrap_or_default(), "{id}");
    }
    let media = expected["media"].as_array().unwrap();
    let media: Vec<_> = media.iter().map(|one| (one["type"].as_str().unwrap(), one["id"].as_str().unwrap())).collect();
    assert_eq!(files, media, "{id}");
}
