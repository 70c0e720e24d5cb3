//! Vectors taken from other people's SDKs: signatures and webhook bodies (see tests/fixtures/README.md).

use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::{
    Channel, Inbound, InboundMessage, Item, Platform, Ports, RawInbound, ReceiptFor, ReceiptState, SettingValues,
    WebhookCall,
};
use transom_domain::{Body, MediaKind, MediaSource};
use transom_instagram::Instagram;
use url::Url;

const RECEIVED: OffsetDateTime = datetime!(2026-11-21 10:00 UTC);

fn channel(secrets: &Value) -> Arc<dyn Channel> {
    let settings = SettingValues::default()
        .with("app_secret", secrets["app_secret"].as_str().unwrap())
        .with("verify_token", secrets["verify_token"].as_str().unwrap())
        .with("access_token", "EAAinvented")
        .with("login", "instagram")
        .with("instagram_id", "17840000000000001");
    Instagram.connect(&settings, &Ports::system().unwrap()).unwrap()
}

fn vectors(file: &str) -> Vec<Value> {
    let mut set: Value = serde_json::from_str(file).unwrap();
    let Value::Array(vectors) = set["vectors"].take() else { panic!("no vectors") };
    vectors
}

/// Says which vectors went wrong, and how; all of them at once.
fn judge(count: usize, expected: usize, wrong: &[String]) {
    assert_eq!(count, expected, "vectors");
    assert!(wrong.is_empty(), "{} of {count} vectors:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn signatures() {
    let vectors = vectors(include_str!("../fixtures/signatures.json"));
    let wrong: Vec<_> = vectors.iter().filter_map(|vector| signature(vector).err()).collect();
    judge(vectors.len(), SIGNATURES, &wrong);
}

const SIGNATURES: usize = 37;
const BODIES: usize = 17;

fn signature(vector: &Value) -> Result<(), String> {
    let method: Method = vector["method"].as_str().unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for header in vector["headers"].as_array().unwrap() {
        // Blanks around a value are HTTP's, and gone before anybody reads it (RFC 9110, 5.5).
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap().trim_matches([' ', '\t']));
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    let body = Bytes::from(
        base64::engine::general_purpose::STANDARD.decode(vector["body"].as_str().unwrap_or_default()).unwrap(),
    );
    let url = Url::parse(vector["url"].as_str().unwrap()).unwrap();
    let call = WebhookCall { method: &method, url: &url, headers: &headers, body: &body, received_at: RECEIVED };
    let answered = channel(&vector["secrets"]).verify(&call);

    let (id, why) = (&vector["id"], &vector["why"]);
    match (vector["expect"].as_str(), &answered) {
        (Some("reject"), Err(_)) => Ok(()),
        (Some("accept"), Ok(answer)) if answer.status == 200 => match vector["expect_body"].as_str() {
            Some(challenge) if answer.body == challenge && !answer.journal => Ok(()),
            None if answer.journal => Ok(()),
            _ => Err(format!("{id} ({why}): {answer:?}")),
        },
        (expected, answered) => Err(format!("{id} ({why}): {expected:?} expected, {answered:?}")),
    }
}

#[test]
fn parsing() {
    let channel = channel(&json!({"app_secret": "s", "verify_token": "v"}));
    let vectors = vectors(include_str!("../fixtures/parsing.json"));
    let mut wrong = Vec::new();
    for vector in &vectors {
        let raw = RawInbound::new(vector["body"].as_str().unwrap().to_owned(), RECEIVED);
        let items = channel.parse(&raw).unwrap();
        let expected = vector["expect"].as_array().unwrap();
        // A call without events of its own may be told as one that is unsupported.
        let is_none = expected.is_empty() && items.iter().all(|told| matches!(told.item, Item::Unsupported { .. }));
        if is_none {
            continue;
        }
        if items.len() == expected.len() {
            let differences = items.iter().zip(expected).flat_map(|(item, expected)| differences(item, expected));
            wrong.extend(differences.map(|difference| format!("{}: {difference}", vector["id"])));
        } else {
            wrong.push(format!("{}: {} events expected, {items:?}", vector["id"], expected.len()));
        }
    }
    judge(vectors.len(), BODIES, &wrong);
}

/// An item as the vectors see it.
#[derive(Default)]
struct Seen {
    kind: &'static str,
    message: Option<String>,
    text: String,
    media: Vec<(&'static str, String)>,
    reply_to: Option<String>,
    payload: Option<String>,
}

fn seen(inbound: &Inbound) -> Seen {
    match &inbound.item {
        Item::Message(message) => {
            let is_tap = inbound.openings.iter().any(|opening| opening.kind == "postback");
            Seen { kind: if is_tap { "postback" } else { "message" }, ..of_message(message) }
        }
        Item::Echo { message, .. } => Seen { kind: "echo", ..of_message(message) },
        Item::Reaction { to, emoji } => Seen {
            kind: "reaction",
            text: emoji.clone().unwrap_or_default(),
            reply_to: Some(to.clone()),
            ..Seen::default()
        },
        Item::Receipt { of: ReceiptFor::Through { provider_id }, state: ReceiptState::Read } => {
            Seen { kind: "read", message: Some(provider_id.clone()), ..Seen::default() }
        }
        // A link that was followed, and a message taken back: of these the vectors know only that they are none.
        Item::Opening { .. } | Item::Unsend { .. } | Item::Unsupported { .. } => {
            Seen { kind: "unsupported", ..Seen::default() }
        }
        other => panic!("no vector expects {other:?}"),
    }
}

fn of_message(message: &InboundMessage) -> Seen {
    let (text, media) = match &message.content.body {
        Body::Text { text, attachments } => (text.clone(), attachments.as_slice()),
        _ => (String::new(), &[][..]),
    };
    let media = media.iter().map(|file| {
        let kind = match file.kind {
            MediaKind::Image => "image",
            MediaKind::Video | MediaKind::Animation => "video",
            MediaKind::Audio | MediaKind::Voice => "audio",
            MediaKind::Document => "file",
            MediaKind::Sticker => "sticker",
        };
        let MediaSource::Platform { url: Some(url), .. } = &file.source else { panic!("{file:?}") };
        (kind, url.clone())
    });
    Seen {
        message: Some(message.provider_id.clone()),
        text,
        media: media.collect(),
        reply_to: message.content.reply_to.clone(),
        payload: message.payload.clone(),
        ..Seen::default()
    }
}

fn differences(inbound: &Inbound, expected: &Value) -> Vec<String> {
    let seen = seen(inbound);
    let mut found = Vec::new();
    let mut check = |what: &str, holds: bool| {
        if !holds {
            found.push(format!("{what}: {expected} and {inbound:?}"));
        }
    };
    // What is expected, and what the vectors call just as good.
    let allowed = |name: &str, alternatives: &str| -> Vec<Value> {
        let others = expected[alternatives].as_array().cloned().unwrap_or_default();
        std::iter::once(expected[name].clone()).chain(others).collect()
    };
    check("kind", allowed("kind", "kind_alt").iter().any(|kind| kind == seen.kind));
    if expected["kind"] == "unsupported" {
        return found;
    }
    if let (Some(id), Some(message)) = (expected["platform_message_id"].as_str(), &seen.message) {
        check("id", id == message);
    }
    let person: Vec<&str> =
        inbound.person.iter().flat_map(|person| &person.addresses).map(|address| address.value.as_str()).collect();
    let customers = match expected["kind"].as_str() {
        Some("echo") => vec![expected["recipient_id"].clone()],
        _ => allowed("sender_id", "sender_alt"),
    };
    let told: Vec<&str> = customers.iter().filter_map(Value::as_str).collect();
    check("person", !person.is_empty() && (told.is_empty() || told.iter().any(|id| person.contains(id))));

    if expected["text_open"] != true {
        check("text", expected["text"].as_str().unwrap_or_default() == seen.text);
    }
    if expected["media_open"] != true {
        let media = expected["media"].as_array().cloned().unwrap_or_default();
        check("media", media.len() == seen.media.len());
        for (expected, (kind, url)) in media.iter().zip(&seen.media) {
            check("media", expected["type"] == *kind && expected["url"].as_str() == Some(url));
        }
    }
    if let Some(millis) = expected["timestamp_ms"].as_i64() {
        check("time", inbound.at.unix_timestamp_nanos() == i128::from(millis) * 1_000_000);
    }
    check("reply_to", allowed("reply_to", "reply_alt").iter().any(|id| id.as_str() == seen.reply_to.as_deref()));
    if let Some(payload) = expected["payload"].as_str() {
        check("payload", seen.payload.as_deref() == Some(payload));
    }
    found
}
