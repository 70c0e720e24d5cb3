//! What a customer's message says (line.md 4.3).

use transom_domain::{Attachment, Body, Location, MediaKind, MediaSource};

use crate::wire::InMessage;

/// The substance of a message; `None` for a type that is not known yet, or of another shape than known.
pub(super) fn read_body(message: &InMessage) -> Option<Body> {
    let kind = match message.kind.as_str() {
        "text" => return Some(text(message.text.clone()?)),
        "location" => return place(message).map(Body::Location),
        "sticker" => return sticker(message),
        "image" => MediaKind::Image,
        "video" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        "file" => MediaKind::Document,
        _ => return None,
    };
    Some(Body::Text { text: String::new(), attachments: vec![file(message, kind)] })
}

fn text(text: String) -> Body {
    Body::Text { text, attachments: Vec::new() }
}

/// The bytes are at LINE, under the message's id; or at an address elsewhere, which is the call's word only (6).
fn file(message: &InMessage, kind: MediaKind) -> Attachment {
    let elsewhere = message.content_provider.as_ref().filter(|provider| provider.kind == "external");
    let url = elsewhere.and_then(|provider| provider.original_content_url.clone());
    let source = MediaSource::Platform { id: message.id.clone(), url, sha256: None };
    Attachment { kind, source, mime: None, file_name: message.file_name.clone(), size: message.file_size }
}

/// A sticker with the words written on it; what it stands for goes as its name, for lists and searches.
fn sticker(message: &InMessage) -> Option<Body> {
    let id = format!("{}/{}", message.package_id.as_ref()?, message.sticker_id.as_ref()?);
    let meaning = message.keywords.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    let attachment = Attachment {
        kind: MediaKind::Sticker,
        source: MediaSource::Platform { id, url: None, sha256: None },
        mime: None,
        file_name: (!meaning.is_empty()).then_some(meaning),
        size: None,
    };
    Some(Body::Text { text: message.text.clone().unwrap_or_default(), attachments: vec![attachment] })
}

fn place(message: &InMessage) -> Option<Location> {
    Some(Location {
        latitude: message.latitude?,
        longitude: message.longitude?,
        name: message.title.clone(),
        address: message.address.clone(),
    })
}
