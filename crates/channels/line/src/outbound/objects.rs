//! The message objects of a part (line.md 2.1).

use std::collections::BTreeMap;

use transom_channel::checks;
use transom_domain::{Attachment, AttachmentId, Body, Choice, Choices, Content, Location, MediaKind, MediaSource};

use super::{opens_an_address, sticker};
use crate::capabilities::{ALT_TEXT, SENDER_NAME};
use crate::wire::{Action, Buttons, Message, Object, QuickReply, QuickReplyItem, Sender};

/// LINE wants the length of a sound and shows it in the player. Nobody states it: a minute is shown.
const SOUND_LENGTH_MS: u32 = 60_000;

/// The stored files of a part, which LINE must be given an address of.
pub(crate) fn needed_files(content: &Content) -> Vec<(MediaKind, AttachmentId)> {
    let Body::Text { attachments, .. } = &content.body else { return Vec::new() };
    let stored = |file: &Attachment| match &file.source {
        MediaSource::Stored { id } => Some((file.kind, *id)),
        MediaSource::Url { .. } | MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => None,
    };
    attachments.iter().filter_map(stored).collect()
}

/// The message objects of a part; `None` for content that is no part of a plan, or when the address of a file is missing.
pub(crate) fn messages(
    content: &Content,
    addresses: &BTreeMap<AttachmentId, String>,
    film_preview: Option<&str>,
    sender_name: Option<&str>,
) -> Option<Vec<Message>> {
    let mut quick_reply = None;
    let objects = match &content.body {
        Body::Text { text, attachments } => {
            let words = (!text.is_empty()).then(|| Some(Object::Text { text: text.clone() }));
            let files = attachments.iter().map(|file| file_object(file, addresses, film_preview));
            words.into_iter().chain(files).collect::<Option<Vec<_>>>()?
        }
        Body::Choices(choices) if opens_an_address(choices) => vec![template(choices)],
        Body::Choices(choices) => {
            let items = choices.buttons.iter().map(|button| QuickReplyItem { action: action(button) }).collect();
            quick_reply = Some(QuickReply { items });
            vec![Object::Text { text: checks::words_above(choices) }]
        }
        Body::Location(place) => vec![location(place)],
        Body::Template(_) | Body::Contacts { .. } | Body::Reaction(_) | Body::Mail(_) | Body::Unsupported { .. } => {
            return None;
        }
    };
    let sender = sender_name.map(|name| Sender { name: name.chars().take(SENDER_NAME).collect() });
    let mut messages: Vec<Message> =
        objects.into_iter().map(|object| Message { object, quick_reply: None, sender: sender.clone() }).collect();
    messages.last_mut()?.quick_reply = quick_reply;
    Some(messages)
}

fn file_object(
    file: &Attachment,
    addresses: &BTreeMap<AttachmentId, String>,
    film_preview: Option<&str>,
) -> Option<Object> {
    let address = match &file.source {
        MediaSource::Url { url } => url.clone(),
        MediaSource::Stored { id } => addresses.get(id)?.clone(),
        MediaSource::Platform { id, .. } => {
            let (package, id) = sticker(id)?;
            return Some(Object::Sticker { package_id: package.to_owned(), sticker_id: id.to_owned() });
        }
        MediaSource::Enclosed { .. } => return None,
    };
    match file.kind {
        MediaKind::Image => Some(Object::Image { preview_image_url: address.clone(), original_content_url: address }),
        MediaKind::Video | MediaKind::Animation => {
            Some(Object::Video { original_content_url: address, preview_image_url: film_preview?.to_owned() })
        }
        MediaKind::Audio | MediaKind::Voice => {
            Some(Object::Audio { original_content_url: address, duration: SOUND_LENGTH_MS })
        }
        MediaKind::Document | MediaKind::Sticker => None,
    }
}

fn template(choices: &Choices) -> Object {
    let text = checks::words_above(choices);
    let alt_text = text.chars().take(ALT_TEXT).collect();
    Object::Template { alt_text, template: Buttons { text, actions: choices.buttons.iter().map(action).collect() } }
}

fn action(button: &Choice) -> Action {
    let label = button.title.clone();
    match &button.url {
        Some(uri) => Action::Uri { label, uri: uri.clone() },
        // The label stands in the chat as what the customer said.
        None => Action::Postback { display_text: label.clone(), data: button.id.clone(), label },
    }
}

/// A place needs both a title and an address: the one that is missing repeats the other, or says where it is.
fn location(place: &Location) -> Object {
    let (latitude, longitude) = (place.latitude, place.longitude);
    let bare = || format!("{latitude:.5}, {longitude:.5}");
    let named = |first: &Option<String>, second: &Option<String>| {
        let given = [first, second].into_iter().flatten().find(|line| !line.trim().is_empty());
        given.cloned().unwrap_or_else(bare)
    };
    Object::Location {
        title: named(&place.name, &place.address),
        address: named(&place.address, &place.name),
        latitude,
        longitude,
    }
}
