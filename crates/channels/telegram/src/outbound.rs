//! From content to parts: what fits, what is refused, one part for each request.

mod photo;
mod request;
mod vcard;

pub(crate) use photo::as_document;
pub(crate) use request::{Destination, Request, Upload, request};

use transom_channel::{Capabilities, MediaRule, PlannedPart, Unsendable, checks};
use transom_domain::{Attachment, Body, Choices, ContactCard, Content, MediaKind, MediaSource, Reaction};

use crate::capabilities::{CALLBACK_DATA, DOCUMENTS_BY_URL, VCARD};

/// Splits content into requests. Files go one by one, the words with the first of them where they fit, else behind.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if let Some(quoted) = &content.reply_to {
        message_id(quoted).ok_or_else(|| not_a_message("reply_to", quoted))?;
    }
    let bodies = match &content.body {
        Body::Text { text, attachments } => text_and_files(text, attachments, known)?,
        Body::Choices(choices) => {
            check_choices(choices, known)?;
            vec![content.body.clone()]
        }
        Body::Location(place) => {
            checks::place(place)?;
            vec![content.body.clone()]
        }
        Body::Contacts { contacts } => cards(contacts)?,
        Body::Reaction(reaction) => {
            check_reaction(reaction, content, known)?;
            vec![content.body.clone()]
        }
        Body::Template(_) | Body::Mail(_) | Body::Unsupported { .. } => return Err(checks::not_carried(&content.body)),
    };
    Ok(checks::parts(bodies, content.reply_to.as_ref()))
}

fn text_and_files(text: &str, files: &[Attachment], known: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    checks::words(text, files, known)?;
    files.iter().try_for_each(|file| check_file(file, known))?;
    let mut bodies = checks::one_by_one(text, files, known);
    // Words that go with no file go behind them all.
    if matches!(bodies.first(), Some(Body::Text { attachments, .. }) if attachments.is_empty()) {
        bodies.rotate_left(1);
    }
    Ok(bodies)
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    let rule = checks::rule(known, file.kind)?;
    match &file.source {
        // A file that the platform has is of its own kind already, and has no size limit.
        MediaSource::Platform { .. } => Ok(()),
        MediaSource::Enclosed { .. } => Err(checks::not_supported("files that are not stored")),
        MediaSource::Url { url } => {
            checks::address("attachment", url, &["https", "http"])?;
            let by_url = MediaRule { mimes: DOCUMENTS_BY_URL.to_vec(), ..rule.clone() };
            checks::stated(if file.kind == MediaKind::Document { &by_url } else { rule }, file)
        }
        MediaSource::Stored { .. } => checks::stated(rule, file),
    }
}

fn check_choices(choices: &Choices, known: &Capabilities) -> Result<(), Unsendable> {
    let rule = known.choices.ok_or_else(|| checks::not_supported("buttons"))?;
    checks::buttons_below(&checks::words_above(choices), rule.text, choices, rule.max_buttons)?;
    choices.buttons.iter().try_for_each(|button| {
        checks::label(button, rule.button_title)?;
        if button.description.is_some() {
            return Err(checks::malformed("button.description", "a button has no second line here"));
        }
        match &button.url {
            Some(url) => checks::address("button.url", url, &["https", "http", "tg"]),
            None => checks::answer(button, CALLBACK_DATA),
        }
    })
}

/// Each card is a message of its own.
fn cards(contacts: &[ContactCard]) -> Result<Vec<Body>, Unsendable> {
    if contacts.is_empty() {
        return Err(Unsendable::Empty);
    }
    let card = |card: &ContactCard| {
        if card.name.trim().is_empty() || card.phones.first().is_none_or(|phone| phone.trim().is_empty()) {
            return Err(checks::malformed("contacts", "each card needs a name and a phone number"));
        }
        checks::length("contact card", VCARD, &vcard::of(card).unwrap_or_default())?;
        Ok(Body::Contacts { contacts: vec![card.clone()] })
    };
    contacts.iter().map(card).collect()
}

fn check_reaction(reaction: &Reaction, content: &Content, known: &Capabilities) -> Result<(), Unsendable> {
    if !known.reactions {
        return Err(checks::not_supported("reactions"));
    }
    if content.reply_to.is_some() {
        return Err(checks::malformed("reply_to", "a reaction quotes nothing"));
    }
    if reaction.emoji.as_ref().is_some_and(|emoji| emoji.trim().is_empty()) {
        return Err(checks::malformed("reaction.emoji", "give an emoji, or none to take it back"));
    }
    message_id(&reaction.to).map(drop).ok_or_else(|| not_a_message("reaction.to", &reaction.to))
}

/// The chat and the number in it of a message id as this crate writes them, `<chat_id>:<message_id>`.
pub(crate) fn message_id(id: &str) -> Option<(i64, i64)> {
    let (chat, number) = id.split_once(':')?;
    Some((chat.parse().ok()?, number.parse().ok()?))
}

fn not_a_message(field: &str, id: &str) -> Unsendable {
    checks::malformed(
        field,
        format_args!("`{id}` is no message that can be referred to: `<chat id>:<message id>` is expected"),
    )
}

#[cfg(test)]
mod tests;
