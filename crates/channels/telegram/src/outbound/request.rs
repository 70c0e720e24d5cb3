//! From a planned part to the method and the fields of its request.

use serde_json::{Map, Value, json};
use transom_channel::checks;
use transom_domain::{Attachment, AttachmentId, Body, Choice, ContactCard, Content, Location, MediaKind, MediaSource};

use super::{message_id, vcard};

/// To whom, and in whose name (telegram.md 1, 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) chat_id: i64,
    pub(crate) business_connection: Option<String>,
}

/// One call of the Bot API (telegram.md 2).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) fields: Map<String, Value>,
    pub(crate) upload: Option<Upload>,
}

/// A stored file that goes along (telegram.md 2, 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    /// The field that it is the value of.
    pub(crate) field: &'static str,
    pub(crate) kind: MediaKind,
    pub(crate) id: AttachmentId,
    pub(crate) mime: Option<String>,
    pub(crate) file_name: Option<String>,
}

/// The request for a part (telegram.md 2); `None` for content that is no part of a plan.
pub(crate) fn request(to: &Destination, content: &Content) -> Option<Request> {
    let (method, content_fields, upload) = match &content.body {
        Body::Text { text, attachments } => match attachments.as_slice() {
            [] => ("sendMessage", json!({"text": text}), None),
            [file] => file_request(file, text),
            _ => return None,
        },
        Body::Choices(choices) => {
            let keyboard: Vec<[Value; 1]> = choices.buttons.iter().map(|choice| [button(choice)]).collect();
            let fields = json!({"text": checks::words_above(choices), "reply_markup": {"inline_keyboard": keyboard}});
            ("sendMessage", fields, None)
        }
        Body::Location(place) => place_request(place),
        Body::Contacts { contacts } => match contacts.as_slice() {
            [card] => ("sendContact", card_fields(card), None),
            _ => return None,
        },
        Body::Reaction(reaction) => {
            let (_, message) = message_id(&reaction.to)?;
            let emoji = reaction.emoji.iter().map(|emoji| json!({"type": "emoji", "emoji": emoji}));
            let fields = json!({"message_id": message, "reaction": emoji.collect::<Vec<_>>()});
            ("setMessageReaction", fields, None)
        }
        Body::Template(_) | Body::Mail(_) | Body::Unsupported { .. } => return None,
    };
    let mut fields = Map::from_iter([("chat_id".to_owned(), json!(to.chat_id))]);
    if let Some(connection) = &to.business_connection {
        fields.insert("business_connection_id".to_owned(), json!(connection));
    }
    if let Some(quoted) = &content.reply_to {
        fields.insert("reply_parameters".to_owned(), quote(to, message_id(quoted)?));
    }
    if let Value::Object(content_fields) = content_fields {
        fields.extend(content_fields);
    }
    Some(Request { method, fields, upload })
}

/// A target that is gone must not stop the message (telegram.md 2, `reply_parameters`).
fn quote(to: &Destination, (chat, message): (i64, i64)) -> Value {
    let mut quote = json!({"message_id": message, "allow_sending_without_reply": true});
    // Another chat can be quoted from, but not in an owner's name.
    if let (Value::Object(quote), true) = (&mut quote, chat != to.chat_id && to.business_connection.is_none()) {
        quote.insert("chat_id".to_owned(), json!(chat));
    }
    quote
}

fn button(choice: &Choice) -> Value {
    match &choice.url {
        Some(url) => json!({"text": choice.title, "url": url}),
        None => json!({"text": choice.title, "callback_data": choice.id}),
    }
}

fn file_request(file: &Attachment, caption: &str) -> (&'static str, Value, Option<Upload>) {
    let (method, field) = match file.kind {
        MediaKind::Image => ("sendPhoto", "photo"),
        MediaKind::Video => ("sendVideo", "video"),
        MediaKind::Animation => ("sendAnimation", "animation"),
        MediaKind::Audio => ("sendAudio", "audio"),
        MediaKind::Voice => ("sendVoice", "voice"),
        MediaKind::Document => ("sendDocument", "document"),
        MediaKind::Sticker => ("sendSticker", "sticker"),
    };
    let mut fields = Map::new();
    if !caption.is_empty() {
        fields.insert("caption".to_owned(), json!(caption));
    }
    let upload = match &file.source {
        MediaSource::Url { url } => {
            fields.insert(field.to_owned(), json!(url));
            None
        }
        MediaSource::Platform { id, .. } => {
            fields.insert(field.to_owned(), json!(id));
            None
        }
        // Refused by the plan.
        MediaSource::Enclosed { .. } => None,
        MediaSource::Stored { id } => {
            let (mime, file_name) = (file.mime.clone(), file.file_name.clone());
            Some(Upload { field, kind: file.kind, id: *id, mime, file_name })
        }
    };
    (method, Value::Object(fields), upload)
}

/// A place with a name or an address is a venue, which needs both: the one that is missing repeats the other.
fn place_request(place: &Location) -> (&'static str, Value, Option<Upload>) {
    let (latitude, longitude) = (place.latitude, place.longitude);
    let titled = place.name.as_ref().or(place.address.as_ref());
    let addressed = place.address.as_ref().or(place.name.as_ref());
    match (titled, addressed) {
        (Some(title), Some(address)) => {
            let fields = json!({"latitude": latitude, "longitude": longitude, "title": title, "address": address});
            ("sendVenue", fields, None)
        }
        _ => ("sendLocation", json!({"latitude": latitude, "longitude": longitude}), None),
    }
}

fn card_fields(card: &ContactCard) -> Value {
    let mut fields = json!({"phone_number": card.phones.first(), "first_name": card.name});
    if let (Value::Object(fields), Some(vcard)) = (&mut fields, vcard::of(card)) {
        fields.insert("vcard".to_owned(), json!(vcard));
    }
    fields
}
