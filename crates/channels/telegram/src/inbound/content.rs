//! What a message says.

use transom_domain::{Attachment, Body, ContactCard, Location, MediaKind, MediaSource};

use super::provider_id;
use crate::wire::{File, Message};

/// What a message carries, if it is of a kind that can be shown.
pub(super) fn read_body(message: &Message) -> Option<Body> {
    if let Some(text) = &message.text {
        return Some(Body::Text { text: text.clone(), attachments: Vec::new() });
    }
    if let Some(file) = file(message) {
        let text = message.caption.clone().unwrap_or_default();
        return Some(Body::Text { text, attachments: vec![file] });
    }
    // A venue comes with its location as well.
    if let Some(venue) = &message.venue {
        return Some(Body::Location(Location {
            latitude: venue.location.latitude,
            longitude: venue.location.longitude,
            name: Some(venue.title.clone()),
            address: Some(venue.address.clone()),
        }));
    }
    if let Some(place) = &message.location {
        let (latitude, longitude) = (place.latitude, place.longitude);
        return Some(Body::Location(Location { latitude, longitude, name: None, address: None }));
    }
    let contact = message.contact.as_ref()?;
    let last_name = contact.last_name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let name = format!("{}{last_name}", contact.first_name);
    let phones = vec![international(&contact.phone_number)];
    Some(Body::Contacts { contacts: vec![ContactCard { name, phones, emails: Vec::new() }] })
}

/// The file, by what the message says it is: an animation comes with a copy of itself as a document.
fn file(message: &Message) -> Option<Attachment> {
    if let Some(sizes) = &message.photo {
        let largest = sizes.iter().max_by_key(|size| (size.width.saturating_mul(size.height), size.file_size))?;
        return Some(attachment(MediaKind::Image, &largest.file_id, Some("image/jpeg"), None, largest.file_size));
    }
    if let Some(sticker) = &message.sticker {
        let mime = match (sticker.is_animated, sticker.is_video) {
            (true, _) => "application/x-tgsticker",
            (_, true) => "video/webm",
            _ => "image/webp",
        };
        return Some(attachment(MediaKind::Sticker, &sticker.file_id, Some(mime), None, sticker.file_size));
    }
    let known: [(MediaKind, &Option<File>); 6] = [
        (MediaKind::Animation, &message.animation),
        (MediaKind::Video, &message.video),
        (MediaKind::Video, &message.video_note),
        (MediaKind::Audio, &message.audio),
        (MediaKind::Voice, &message.voice),
        (MediaKind::Document, &message.document),
    ];
    let (kind, file) = known.into_iter().find_map(|(kind, file)| Some((kind, file.as_ref()?)))?;
    let mime = file.mime_type.as_deref().map(|mime| mime.split(';').next().unwrap_or_default().trim());
    Some(attachment(kind, &file.file_id, mime, file.file_name.as_deref(), file.file_size))
}

fn attachment(kind: MediaKind, id: &str, mime: Option<&str>, name: Option<&str>, size: Option<u64>) -> Attachment {
    Attachment {
        kind,
        source: MediaSource::Platform { id: id.to_owned(), url: None, sha256: None },
        mime: mime.filter(|mime| !mime.is_empty()).map(str::to_owned),
        file_name: name.map(str::to_owned),
        size,
    }
}

/// The message that this one quotes, if it stands in the same chat.
pub(super) fn quoted(message: &Message) -> Option<String> {
    let quoted = message.reply_to_message.as_ref()?;
    let same_chat = quoted.chat.as_ref().is_none_or(|chat| chat.id == message.chat.id);
    same_chat.then(|| provider_id(message.chat.id, quoted.message_id))
}

/// What a link `t.me/bot?start=…` carried; it arrives as `/start …` (1).
pub(super) fn start_payload(message: &Message) -> Option<String> {
    let payload = message.text.as_deref()?.strip_prefix("/start ")?;
    let well_formed = (1..=64).contains(&payload.len())
        && payload.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    well_formed.then(|| payload.to_owned())
}

/// What a customer tells the bot by a command: Telegram itself knows blocks only (1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// No more of anything.
    Stop,
    /// Again.
    Start,
}

/// The command that a text is, perhaps with the bot's name. What a start link carries is no wish for more.
pub(crate) fn command(message: &Message) -> Option<Command> {
    let text = message.text.as_deref()?.trim();
    match text.split_once('@').map_or(text, |(command, _)| command).to_ascii_lowercase().as_str() {
        "/stop" => Some(Command::Stop),
        "/start" => Some(Command::Start),
        _ => None,
    }
}

/// The sender's own number: any card can be sent, and only one's own names oneself (5).
pub(super) fn own_phone(message: &Message) -> Option<String> {
    let (contact, from) = (message.contact.as_ref()?, message.from.as_ref()?);
    let own = contact.user_id == Some(from.id) && from.id == message.chat.id;
    own.then(|| international(&contact.phone_number))
}

/// Telegram writes international numbers, with or without the plus sign.
fn international(phone: &str) -> String {
    let digits = !phone.is_empty() && phone.bytes().all(|byte| byte.is_ascii_digit());
    if digits { format!("+{phone}") } else { phone.to_owned() }
}

/// A message without content that we can show.
pub(super) enum Service {
    /// The user allowed the bot to write.
    WriteAccess,
    /// Something happened in the chat; nobody said anything.
    Notice(String),
    /// The customer sent something of a kind that we don't know.
    Content(String),
}

/// Fields that say that something happened. (Bot API reference, Message: "Service message")
const NOTICES: &[&str] = &[
    "boost_added",
    "chat_background_set",
    "chat_shared",
    "connected_website",
    "delete_chat_photo",
    "group_chat_created",
    "left_chat_member",
    "message_auto_delete_timer_changed",
    "migrate_from_chat_id",
    "migrate_to_chat_id",
    "new_chat_members",
    "new_chat_photo",
    "new_chat_title",
    "pinned_message",
    "proximity_alert_triggered",
    "refunded_payment",
    "video_chat_ended",
    "video_chat_participants_invited",
    "video_chat_scheduled",
    "video_chat_started",
];

/// Fields that come with content of every kind and say nothing about which.
const COMPANIONS: &[&str] = &[
    "author_signature",
    "caption_entities",
    "effect_id",
    "entities",
    "external_reply",
    "forward_date",
    "forward_from",
    "forward_from_chat",
    "forward_from_message_id",
    "forward_origin",
    "forward_sender_name",
    "forward_signature",
    "has_media_spoiler",
    "has_protected_content",
    "is_automatic_forward",
    "is_from_offline",
    "is_topic_message",
    "link_preview_options",
    "message_thread_id",
    "paid_star_count",
    "quote",
    "reply_markup",
    "reply_to_story",
    "sender_boost_count",
    "sender_business_bot",
    "sender_chat",
    "show_caption_above_media",
    "via_bot",
];

/// What a message is that has no content known to us.
pub(super) fn service(message: &Message) -> Service {
    let fields = || message.rest.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str());
    if fields().any(|name| name == "write_access_allowed") {
        return Service::WriteAccess;
    }
    if let Some(notice) = fields().find(|name| NOTICES.contains(name)) {
        return Service::Notice(notice.to_owned());
    }
    let what = fields().find(|name| !COMPANIONS.contains(name));
    Service::Content(what.unwrap_or("a message without content").to_owned())
}
