//! Vectors: webhook calls with what other people's libraries make of them, kept in a channel's `tests/fixtures/`.
//!
//! A set is one JSON document: `{"vectors": [{"id": …, "why": …, …}]}`. A vector of `signatures.json` is a whole call
//! (`method`, `url`, `headers`, `body` in Base64), the `secrets` it is checked with, and `expect`: `accept` or `reject`. A vector
//! of `parsing.json` is a `body`, and in `expect` the events in it, of the fields that [`Told`] has. Where libraries disagree,
//! a field `…_alt` lists what is just as good, and `text_open` or `media_open` says that nothing is expected.
//!
//! What is wrong is told of all vectors at once.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a set that cannot be read fails its test"
)]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use time::OffsetDateTime;
use transom_domain::{Attachment, Body, Content, MediaKind, MediaSource};

use super::SignedCall;
use crate::{Channel, Inbound, InboundMessage, Item, RawInbound, ReceiptFor, ReceiptState, Standing};

/// The vectors of a set.
///
/// # Panics
/// If it is none, or empty.
pub fn of(set: &str) -> Vec<Value> {
    let mut set: Value = serde_json::from_str(set).unwrap();
    let vectors: Vec<Value> = serde_json::from_value(set["vectors"].take()).unwrap();
    assert!(!vectors.is_empty(), "a set without vectors");
    vectors
}

/// The bodies of a set of `parsing.json`, to be [damaged](super::chance::damaged).
///
/// # Panics
/// As [`of`].
pub fn bodies(set: &str) -> Vec<Vec<u8>> {
    of(set).iter().map(|vector| text(vector, "body").as_bytes().to_vec()).collect()
}

/// A text of a vector.
///
/// # Panics
/// If it has none of that name.
pub fn text<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name].as_str().unwrap_or_else(|| panic!("{}: no `{name}`", vector["id"]))
}

/// Whether a vector has a tag.
pub fn is_tagged(vector: &Value, tag: &str) -> bool {
    vector["tags"].as_array().is_some_and(|tags| tags.iter().any(|known| known == tag))
}

/// Judges every vector of a set, of which there are so many, and tells all that is wrong.
///
/// # Panics
/// If anything is.
pub fn judge(set: &str, count: usize, differences: impl Fn(&Value) -> Vec<String>) {
    let vectors = of(set);
    assert_eq!(vectors.len(), count, "vectors");
    let wrong: Vec<String> = vectors
        .iter()
        .flat_map(|vector| {
            let say = |difference| format!("{} ({}): {difference}", vector["id"], vector["why"]);
            differences(vector).into_iter().map(say).collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The call of a vector. Blanks around a header's value are HTTP's, and gone before anybody reads it (RFC 9110, 5.5).
///
/// # Panics
/// If it holds what is no HTTP.
pub fn call(vector: &Value) -> SignedCall {
    let header = |pair: &Value| {
        let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap().trim_matches([' ', '\t']));
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in vector["headers"].as_array().into_iter().flatten().map(header) {
        headers.append(name, value);
    }
    SignedCall {
        method: text(vector, "method").parse().unwrap(),
        url: text(vector, "url").parse().unwrap(),
        headers,
        body: STANDARD.decode(vector["body"].as_str().unwrap_or_default()).unwrap().into(),
    }
}

/// Whether the channel lets in what the vector's library lets in, and answers as it does.
pub fn is_judged_alike(vector: &Value, channel: &dyn Channel, received_at: OffsetDateTime) -> Vec<String> {
    let call = call(vector);
    let answered = channel.verify(&call.received_at(received_at));
    let alike = match (vector["expect"].as_str(), &answered) {
        (Some("reject"), Err(_)) => true,
        (Some("accept"), Ok(answer)) if answer.status == 200 => match vector["expect_body"].as_str() {
            Some(challenge) => answer.body == challenge && !answer.journal,
            None => answer.journal,
        },
        _ => false,
    };
    if alike { Vec::new() } else { vec![format!("{} expected, and it is {answered:?}", vector["expect"])] }
}

/// Judges a set of `signatures.json`: each vector with the channel that has its secrets.
///
/// # Panics
/// If one is judged otherwise than by its library.
pub fn signatures(set: &str, count: usize, received_at: OffsetDateTime, channel: impl Fn(&Value) -> Arc<dyn Channel>) {
    judge(set, count, |vector| is_judged_alike(vector, &*channel(vector), received_at));
}

/// Judges a set of `parsing.json`: `tell` says what is read in the vectors' words, event for event. It may change what its copy
/// of the vector expects, where this is decided otherwise here.
///
/// # Panics
/// If one is read otherwise than by its library.
pub fn parsing(
    set: &str,
    count: usize,
    received_at: OffsetDateTime,
    channel: &dyn Channel,
    tell: impl Fn(&mut Value, Vec<Inbound>) -> Vec<Told>,
) {
    judge(set, count, |vector| {
        let raw = RawInbound::new(text(vector, "body").to_owned(), received_at);
        match channel.parse(&raw) {
            Ok(items) => {
                let mut vector = vector.clone();
                differences(&tell(&mut vector, items), &vector["expect"])
            }
            Err(error) => vec![error.to_string()],
        }
    });
}

/// An item in the vectors' words.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What sort of event: see [`kind_of`].
    pub kind: &'static str,
    /// The platform's id of the message that it is, or that it is about.
    pub id: Option<String>,
    /// The words, or the emoji of a reaction.
    pub text: String,
    /// The files.
    pub files: Vec<File>,
    /// The message that it quotes or reacts to.
    pub reply_to: Option<String>,
    /// What the button says that was tapped.
    pub payload: Option<String>,
    /// As it was read.
    pub inbound: Inbound,
}

/// A file in the vectors' words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// `image`, `video`, `audio`, `file` or `sticker`.
    pub kind: &'static str,
    /// The platform's id of it.
    pub id: Option<String>,
    /// Where it can be fetched.
    pub url: Option<String>,
    /// Its MIME type, where one was told.
    pub mime: Option<String>,
}

impl From<Inbound> for Told {
    fn from(inbound: Inbound) -> Self {
        let kind = kind_of(&inbound.item);
        let told = Self {
            kind,
            id: None,
            text: String::new(),
            files: Vec::new(),
            reply_to: None,
            payload: None,
            inbound: inbound.clone(),
        };
        match inbound.item {
            Item::Message(message) | Item::Echo { message, .. } => {
                Self { id: Some(message.provider_id), payload: message.payload, ..told.saying(message.content) }
            }
            Item::Edit { of, content } => Self { id: Some(of), ..told.saying(content) },
            Item::Reaction { to, emoji } => Self { text: emoji.unwrap_or_default(), reply_to: Some(to), ..told },
            Item::Unsend { of } => Self { reply_to: Some(of), ..told },
            Item::Receipt {
                of: ReceiptFor::Message { provider_id, .. } | ReceiptFor::Through { provider_id }, ..
            } => Self { id: Some(provider_id), ..told },
            _ => told,
        }
    }
}

impl Told {
    fn saying(self, content: Content) -> Self {
        let told = Self { reply_to: content.reply_to, ..self };
        match content.body {
            Body::Text { text, attachments } => {
                Self { text, files: attachments.iter().map(File::from).collect(), ..told }
            }
            _ => told,
        }
    }
}

impl From<&Attachment> for File {
    fn from(file: &Attachment) -> Self {
        let kind = match file.kind {
            MediaKind::Image => "image",
            MediaKind::Video | MediaKind::Animation => "video",
            MediaKind::Audio | MediaKind::Voice => "audio",
            MediaKind::Document => "file",
            MediaKind::Sticker => "sticker",
        };
        let MediaSource::Platform { id, url, .. } = &file.source else { panic!("a file of another place: {file:?}") };
        Self { kind, id: Some(id.clone()), url: url.clone(), mime: file.mime.clone() }
    }
}

/// What the vectors call an item. What opens a window and has no content is no message to any library either.
///
/// # Panics
/// At what no library tells of.
pub fn kind_of(item: &Item) -> &'static str {
    match item {
        Item::Message(InboundMessage { payload: Some(_), .. }) => "postback",
        Item::Message(_) | Item::Edit { .. } => "message",
        Item::Echo { .. } => "echo",
        Item::Reaction { .. } => "reaction",
        Item::Standing(Standing::Unblocked | Standing::Subscribed) => "follow",
        Item::Standing(Standing::Blocked | Standing::Unsubscribed) => "unfollow",
        Item::Receipt { state: ReceiptState::Delivered, .. } => "delivered",
        Item::Receipt { state: ReceiptState::Read, .. } => "read",
        Item::Receipt { .. } => "status",
        Item::Unsend { .. } | Item::Opening { .. } | Item::Unsupported { .. } => "unsupported",
        other => panic!("no vector expects {other:?}"),
    }
}

/// What a vector's field says, and what the vectors call just as good.
pub fn allowed<'e>(expected: &'e Value, name: &str, alternatives: &str) -> Vec<&'e Value> {
    let others = expected[alternatives].as_array().into_iter().flatten();
    std::iter::once(&expected[name]).chain(others).collect()
}

/// Where what is told differs from what is expected.
pub fn differences(told: &[Told], expected: &Value) -> Vec<String> {
    let expected = expected.as_array().map_or(&[][..], Vec::as_slice);
    if told.len() != expected.len() {
        return vec![format!("{} events expected, and they are {told:?}", expected.len())];
    }
    told.iter().zip(expected).flat_map(|(told, expected)| differences_of(told, expected)).collect()
}

fn differences_of(told: &Told, expected: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |what: &str, holds: bool| {
        if !holds {
            found.push(format!("{what}: {expected} expected, and it is {told:?}"));
        }
    };
    check("kind", allowed(expected, "kind", "kind_alt").into_iter().any(|kind| kind == told.kind));
    if expected["kind"] == "unsupported" || told.kind == "unsupported" {
        return found;
    }
    if let (Some(expected), Some(id)) = (expected["platform_message_id"].as_str(), &told.id) {
        check("id", expected == id);
    }
    let customers = match told.kind {
        "echo" => vec![&expected["recipient_id"]],
        _ => allowed(expected, "sender_id", "sender_alt"),
    };
    let plain = |address: &str| address.trim_start_matches('+').to_owned();
    let customers: Vec<String> = customers.into_iter().filter_map(Value::as_str).map(plain).collect();
    let mut addresses = told.inbound.person.iter().flat_map(|person| &person.addresses);
    check("person", customers.is_empty() || addresses.any(|address| customers.contains(&plain(&address.value))));
    if expected["text_open"] != true {
        let texts = allowed(expected, "text", "text_alt");
        check("text", texts.into_iter().any(|text| text.as_str().unwrap_or_default() == told.text));
    }
    if expected["media_open"] != true {
        let files = expected["media"].as_array().map_or(&[][..], Vec::as_slice);
        let alike = files.len() == told.files.len() && files.iter().zip(&told.files).all(|(one, file)| file.is(one));
        check("media", alike);
    }
    if expected["timestamp_ms"].is_i64() {
        let at = i64::try_from(told.inbound.at.unix_timestamp_nanos() / 1_000_000).unwrap();
        check("time", allowed(expected, "timestamp_ms", "timestamp_alt").into_iter().any(|time| *time == at));
    }
    let quoted = allowed(expected, "reply_to", "reply_alt");
    check("reply_to", quoted.into_iter().any(|id| id.as_str() == told.reply_to.as_deref()));
    if let (Some(payload), Item::Message(_)) = (expected["payload"].as_str(), &told.inbound.item) {
        check("payload", told.payload.as_deref() == Some(payload));
    }
    found
}

impl File {
    /// Whether it is the expected one: of what it says, all is as expected.
    fn is(&self, expected: &Value) -> bool {
        let alike =
            |name: &str, told: &Option<String>| expected[name].is_null() || expected[name].as_str() == told.as_deref();
        expected["type"] == self.kind
            && alike("id", &self.id)
            && alike("url", &self.url)
            && (self.mime.is_none() || alike("mime", &self.mime))
    }
}
