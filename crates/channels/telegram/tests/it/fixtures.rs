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
use transom_telegram::Telegram;

const RECEIVED: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

fn vectors(file: &str) -> Vec<Value> {
    let mut set: Value = serde_json::from_str(file).unwrap();
    serde_json::from_value(set["vectors"].take()).unwrap()
}

fn channel(secret: &str) -> std::sync::Arc<dyn transom_channel::Channel> {
    let settings = SettingValues::default()
        .with("bot_token", "5550001:AAF-fixture")
        .with("account_id", "5550001")
        .with("webhook_secret", secret);
    Telegram.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/signatures.json"));
    assert_eq!(vectors.len(), 13);
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
        let answer = channel(vector["secrets"]["secret_token"].as_str().unwrap()).verify(&call);
        assert_eq!(answer.is_ok(), text("expect") == "accept", "{}: {}: {answer:?}", text("id"), text("why"));
    }
}

/// What the vectors call an item.
fn kind(item: &Item) -> &'static str {
    match item {
        Item::Message(InboundMessage { payload: Some(_), .. }) => "postback",
        Item::Message(_) | Item::Edit { .. } => "message",
        Item::Reaction { .. } => "reaction",
        Item::Standing(Standing::Unblocked) => "follow",
        Item::Standing(Standing::Blocked) => "unfollow",
        Item::Unsupported { .. } => "unsupported",
        other => panic!("{other:?}"),
    }
}

/// The number of a message, without its chat.
fn number(id: &str) -> &str {
    id.split_once(':').map_or(id, |(_, number)| number)
}

/// An item as the vectors describe it.
#[derive(Default)]
struct Seen<'i> {
    id: Option<&'i str>,
    text: String,
    quoted: Option<&'i str>,
    files: Vec<(&'static str, &'i str)>,
}

impl<'i> Seen<'i> {
    fn of(item: &'i Item) -> Self {
        let (id, content) = match item {
            Item::Message(message) => (message.provider_id.as_str(), &message.content),
            Item::Edit { of, content } => (of.as_str(), content),
            Item::Reaction { to, emoji } => {
                return Self { text: emoji.clone().unwrap_or_default(), quoted: Some(number(to)), ..Self::default() };
            }
            _ => return Self::default(),
        };
        let seen = Self { id: Some(number(id)), quoted: content.reply_to.as_deref().map(number), ..Self::default() };
        match &content.body {
            Body::Text { text, attachments } => {
                Self { text: text.clone(), files: attachments.iter().map(file).collect(), ..seen }
            }
            _ => seen,
        }
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
        MediaSource::Platform { id, .. } => (kind, id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn updates_are_read_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/parsing.json"));
    assert_eq!(vectors.len(), 19);
    let channel = channel("secret");
    for vector in &vectors {
        let id = vector["id"].as_str().unwrap();
        let raw = RawInbound::new(vector["body"].as_str().unwrap().to_owned(), RECEIVED);
        let items = channel.parse(&raw).unwrap();
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
    assert!(text("kind") == Some(kind) || also("kind_alt", &kind.into()), "{id}: {kind}");
    if kind == "unsupported" {
        return;
    }
    let seen = Seen::of(&item.item);
    if let (Some(expected), Some(seen)) = (text("platform_message_id"), seen.id) {
        assert_eq!(seen, expected, "{id}");
    }
    if let Some(sender) = text("sender_id") {
        assert_eq!(item.person.as_ref().unwrap().addresses[0].value, sender, "{id}");
    }
    if expected["text_open"] != true {
        assert_eq!(seen.text, text("text").unwrap_or_default(), "{id}");
    }
    assert_eq!(seen.quoted, text("reply_to"), "{id}");
    if let Some(at) = expected["timestamp_ms"].as_i64() {
        let seen = i64::try_from(item.at.unix_timestamp_nanos() / 1_000_000).unwrap();
        assert!(seen == at || also("timestamp_alt", &seen.into()), "{id}: {seen}");
    }
    if let (Some(payload), Item::Message(message)) = (text("payload"), &item.item) {
        assert_eq!(message.payload.as_deref(), Some(payload), "{id}");
    }
    let media = expected["media"].as_array().unwrap();
    let media: Vec<_> = media.iter().map(|one| (one["type"].as_str().unwrap(), one["id"].as_str().unwrap())).collect();
    assert_eq!(seen.files, media, "{id}");
}
