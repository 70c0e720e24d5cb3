//! Vectors that were made with the best-known client libraries; nothing in them comes from this code.

use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::{
    Channel, Inbound, Item, OptOutScope, Platform, Ports, RawInbound, ReceiptFor, ReceiptState, SettingValues,
    Standing, WebhookCall,
};
use transom_domain::{Body, MediaKind, MediaSource};
use transom_sms::{Encoding, Segments, Sms, phone};

const RECEIVED: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

fn vectors(file: &str) -> Vec<Value> {
    let mut set: Value = serde_json::from_str(file).unwrap();
    serde_json::from_value(set["vectors"].take()).unwrap()
}

fn channel(settings: &[(&str, &str)]) -> std::sync::Arc<dyn Channel> {
    let base = SettingValues::default()
        .with("account_sid", "AC00000000000000000000000000000001")
        .with("auth_token", "t")
        .with("sender", "+12025550199");
    let settings = settings.iter().fold(base, |all, (name, value)| all.with(*name, *value));
    Sms.connect(&settings, &Ports::system().unwrap()).unwrap()
}

#[test]
fn signatures_are_judged_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/signatures.json"));
    assert_eq!(vectors.len(), 45);
    for vector in &vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let secret = |name: &str| vector["secrets"][name].as_str().unwrap();
        let mut headers = HeaderMap::new();
        for pair in vector["headers"].as_array().unwrap() {
            let name: HeaderName = pair[0].as_str().unwrap().to_lowercase().parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(pair[1].as_str().unwrap().as_bytes()).unwrap());
        }
        let body = base64::engine::general_purpose::STANDARD.decode(text("body")).unwrap().into();
        let (method, url) = (text("method").parse::<Method>().unwrap(), text("url").parse().unwrap());
        let call = WebhookCall { method: &method, url: &url, headers: &headers, body: &body, received_at: RECEIVED };
        let settings = [
            ("auth_token", secret("auth_token")),
            ("signing_key_id", secret("shared_key_id")),
            ("signing_key_secret", secret("shared_key_secret")),
            // Twilio signs the address letter by letter as it was entered; our own host is always in lower case.
            ("webhook_url", if text("case").contains("host-upper") { text("url") } else { "" }),
        ];
        let answer = channel(&settings).verify(&call);
        assert_eq!(answer.is_ok(), text("expect") == "accept", "{}: {}: {answer:?}", text("id"), text("why"));
    }
}

/// What the vectors call an item.
fn kind(item: &Item) -> &'static str {
    match item {
        Item::Message(_) => "message",
        Item::Receipt { state: ReceiptState::Delivered, .. } => "delivered",
        Item::Receipt { state: ReceiptState::Read, .. } => "read",
        Item::Receipt { .. } => "status",
        other => panic!("{other:?}"),
    }
}

#[test]
fn calls_are_read_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/parsing.json"));
    assert_eq!(vectors.len(), 16);
    let channel = channel(&[]);
    for vector in &vectors {
        let id = vector["id"].as_str().unwrap();
        let raw = RawInbound::new(vector["body"].as_str().unwrap().to_owned(), RECEIVED);
        let (standings, items): (Vec<Inbound>, Vec<Inbound>) =
            channel.parse(&raw).unwrap().into_iter().partition(|item| matches!(item.item, Item::Standing(_)));
        let expected = vector["expect"].as_array().unwrap();
        assert_eq!(items.len(), expected.len(), "{id}");
        let tags = vector["tags"].as_array();
        if tags.is_some_and(|tags| tags.contains(&"channel-prefix".into())) {
            // Another channel over the same interface: kept, and not read as a text message (sms.md 5).
            assert!(matches!(items[0].item, Item::Unsupported { .. }), "{id}");
            continue;
        }
        compare(id, &items[0], &expected[0]);
        let standing = match expected[0]["opt_out"].as_str() {
            Some("STOP") => vec![Item::Standing(Standing::OptedOut(OptOutScope::All))],
            Some("START") => vec![Item::Standing(Standing::OptedIn(OptOutScope::All))],
            _ => Vec::new(),
        };
        assert_eq!(standings.into_iter().map(|item| item.item).collect::<Vec<_>>(), standing, "{id}");
    }
}

fn compare(id: &str, item: &Inbound, expected: &Value) {
    let text = |name: &str| expected[name].as_str();
    let kind = kind(&item.item);
    assert_eq!(Some(kind), text("kind"), "{id}");
    assert_eq!(item.person.as_ref().unwrap().addresses[0].value, text("sender_id").unwrap(), "{id}");
    match &item.item {
        Item::Receipt { of: ReceiptFor::Message { provider_id, .. }, .. } => {
            assert_eq!(Some(provider_id.as_str()), text("platform_message_id"), "{id}");
        }
        Item::Message(message) => {
            assert_eq!(Some(message.provider_id.as_str()), text("platform_message_id"), "{id}");
            let Body::Text { text: words, attachments } = &message.content.body else { panic!("{id}") };
            assert_eq!(words, text("text").unwrap_or_default(), "{id}");
            let files: Vec<_> = attachments
                .iter()
                .map(|file| {
                    let kind = match file.kind {
                        MediaKind::Image => "image",
                        MediaKind::Video => "video",
                        MediaKind::Audio => "audio",
                        _ => "file",
                    };
                    let MediaSource::Platform { url, .. } = &file.source else { panic!("{id}") };
                    (Some(kind), url.as_deref(), file.mime.as_deref())
                })
                .collect();
            let media = expected["media"].as_array().unwrap();
            let media: Vec<_> =
                media.iter().map(|one| (one["type"].as_str(), one["url"].as_str(), one["mime"].as_str())).collect();
            assert_eq!(files, media, "{id}");
        }
        other => panic!("{id}: {other:?}"),
    }
}

#[test]
fn segments_are_counted_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/sms_segments.json"));
    assert_eq!(vectors.len(), 39);
    for vector in &vectors {
        let expect = &vector["expect"];
        let encoding = if expect["encoding"] == "GSM-7" { Encoding::Gsm7 } else { Encoding::Ucs2 };
        let number = |name: &str| u32::try_from(expect[name].as_u64().unwrap()).unwrap();
        let expected = Segments { encoding, units: number("units"), count: number("segments") };
        assert_eq!(Segments::of(vector["text"].as_str().unwrap()), expected, "{}", vector["id"]);
    }
}

#[test]
fn numbers_are_read_as_the_libraries_do() {
    let vectors = vectors(include_str!("../fixtures/phone_numbers.json"));
    assert_eq!(vectors.len(), 45);
    for vector in &vectors {
        let id = vector["id"].as_str().unwrap();
        let read = phone::to_e164(vector["input"].as_str().unwrap(), vector["default_region"].as_str());
        // The libraries take the channel away from the front; here it is another channel.
        let expected = vector["expect"]["e164"].as_str().filter(|_| id != "phone-whatsapp-prefix");
        assert_eq!(read.as_deref(), expected, "{id}");
        assert!(read.is_none_or(|number| phone::is_e164(&number)), "{id}");
    }
}
