//! Vectors that were made with the best-known client libraries; nothing in them comes from this code.

use base64::Engine as _;
use http::{HeaderMap, Method};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::{
    Channel, Inbound, InboundMessage, Item, Platform, Ports, RawInbound, ReceiptState, SettingValues, Standing,
    WebhookCall,
};
use transom_domain::{Attachment, Body, MediaKind, MediaSource};
use transom_wechat::WeChat;

/// After all of them.
const RECEIVED: OffsetDateTime = datetime!(2027-01-01 00:00 UTC);

fn vectors(file: &str) -> Vec<Value> {
    let mut set: Value = serde_json::from_str(file).unwrap();
    serde_json::from_value(set["vectors"].take()).unwrap()
}

fn channel(secrets: &Value, mode: &str) -> std::sync::Arc<dyn Channel> {
    let text = |name: &str| secrets[name].as_str().unwrap().to_owned();
    let settings = SettingValues::default()
        .with("app_id", text("app_id"))
        .with("app_secret", "s")
        .with("token", text("token"))
        .with("encoding_aes_key", text("encoding_aes_key"))
        .with("mode", mode)
        .with("original_id", "gh_1");
    WeChat.connect(&settings, &Ports::system().unwrap()).unwrap()
}

/// The time that a call says, which is when it is taken to have come.
fn signed_at(url: &url::Url) -> Option<OffsetDateTime> {
    let (_, at) = url.query_pairs().find(|(name, _)| name == "timestamp")?;
    OffsetDateTime::from_unix_timestamp(at.parse().ok()?).ok()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/signatures.json"));
    assert_eq!(vectors.len(), 39);
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let tagged = |tag: &str| vector["tags"].as_array().is_some_and(|tags| tags.contains(&tag.into()));
        let body = base64::engine::general_purpose::STANDARD.decode(text("body")).unwrap().into();
        let (method, url): (Method, url::Url) = (text("method").parse().unwrap(), text("url").parse().unwrap());
        let received_at = match signed_at(&url) {
            Some(at) if !tagged("freshness") => at,
            _ => RECEIVED,
        };
        let headers = HeaderMap::new();
        let call = WebhookCall { method: &method, url: &url, headers: &headers, body: &body, received_at };
        // The libraries take plain calls beside encrypted ones.
        let answer = channel(&vector["secrets"], "compatible").verify(&call);
        let expected = text("expect") == "accept" && !tagged("freshness");
        assert_eq!(answer.is_ok(), expected, "{}: {}: {answer:?}", text("id"), text("why"));
        if let (Ok(answer), Some(body)) = (&answer, vector["expect_body"].as_str()) {
            assert_eq!((answer.body.as_str(), answer.journal), (body, false), "{}", text("id"));
        }
        // The secure mode takes nothing of what is only signed.
        let secure = channel(&vector["secrets"], "secure").verify(&call);
        let encrypted = method == Method::GET || tagged("aes");
        assert_eq!(secure.is_ok(), expected && encrypted, "{}: {secure:?}", text("id"));
        if secure.is_ok() && method == Method::POST {
            each_changed_byte_is_noticed(&call, &*channel(&vector["secrets"], "secure"));
        }
    }
}

/// What is encrypted is covered by the proof, byte for byte.
fn each_changed_byte_is_noticed(call: &WebhookCall<'_>, channel: &dyn Channel) {
    let text = String::from_utf8(call.body.to_vec()).unwrap();
    let begin = text.find("<Encrypt>").unwrap() + "<Encrypt><![CDATA[".len();
    let end = text.find("]]></Encrypt>").unwrap();
    for at in (begin..end).step_by(7) {
        let mut body = call.body.to_vec();
        body[at] = if body[at] == b'A' { b'B' } else { b'A' };
        let body = body.into();
        let changed = WebhookCall { body: &body, ..*call };
        assert!(channel.verify(&changed).is_err(), "byte {at}");
    }
}

/// What the vectors call an item.
fn kind(item: &Item) -> &'static str {
    match item {
        Item::Message(InboundMessage { payload: Some(_), .. }) => "postback",
        Item::Message(_) => "message",
        Item::Standing(Standing::Subscribed) => "follow",
        Item::Standing(Standing::Unsubscribed) => "unfollow",
        Item::Receipt { state: ReceiptState::Delivered, .. } => "delivered",
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
        MediaSource::Platform { id, .. } => (kind, id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_are_read_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/parsing.json"));
    assert_eq!(vectors.len(), 17);
    let settings = SettingValues::default()
        .with("app_id", "wx1")
        .with("app_secret", "s")
        .with("token", "abc")
        .with("original_id", "gh_1");
    let channel = WeChat.connect(&settings, &Ports::system().unwrap()).unwrap();
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
    if expected["text_open"] != true && !also("text_alt", &words.into()) {
        assert_eq!(words, text("text").unwrap_or_default(), "{id}");
    }
    let media = expected["media"].as_array().unwrap();
    let media: Vec<_> = media.iter().map(|one| (one["type"].as_str().unwrap(), one["id"].as_str().unwrap())).collect();
    assert_eq!(files, media, "{id}");
}
