//! From content to parts: what fits, what is refused, one part for each request.

mod request;
mod vcard;

pub(crate) use request::{Destination, Request, Upload, request};

use transom_channel::{Capabilities, MediaRule, PlannedPart, TextLimit, Unsendable};
use transom_domain::{
    Attachment, Body, Choice, Choices, ContactCard, Content, Location, MediaKind, MediaSource, Reaction,
};
use url::Url;

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
            check_place(place)?;
            vec![content.body.clone()]
        }
        Body::Contacts { contacts } => cards(contacts)?,
        Body::Reaction(reaction) => {
            check_reaction(reaction, content, known)?;
            vec![content.body.clone()]
        }
        Body::Template(_) => return Err(not_supported("message templates")),
        Body::Mail(_) => return Err(not_supported("letters with a subject")),
        Body::Unsupported { .. } => return Err(not_supported("content that could not be read")),
    };
    // The first part quotes what the message quotes.
    let quote = |n: usize| content.reply_to.clone().filter(|_| n == 0);
    let part = |(n, body)| PlannedPart::one(Content { body, reply_to: quote(n) });
    Ok(bodies.into_iter().enumerate().map(part).collect())
}

fn text_and_files(text: &str, files: &[Attachment], known: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    let blank = text.trim().is_empty();
    if blank && files.is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("text", known.text, text)?;
    files.iter().try_for_each(|file| check_file(file, known))?;
    let takes_words = |file: &Attachment| known.media.iter().any(|rule| rule.kind == file.kind && rule.caption);
    let is_caption = known.caption.is_some_and(|limit| limit.fits(text)) && files.first().is_some_and(takes_words);
    let words = |n: usize| if n == 0 && is_caption && !blank { text.to_owned() } else { String::new() };
    let mut bodies: Vec<Body> = files
        .iter()
        .enumerate()
        .map(|(n, file)| Body::Text { text: words(n), attachments: vec![file.clone()] })
        .collect();
    if !blank && !is_caption {
        bodies.push(Body::Text { text: text.to_owned(), attachments: Vec::new() });
    }
    Ok(bodies)
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    let kind = file.kind.as_str();
    let rules: Vec<&MediaRule> = known.media.iter().filter(|rule| rule.kind == file.kind).collect();
    let Some(rule) = rules.first() else { return Err(not_supported(kind)) };
    let accepted = match &file.source {
        // A file that the platform has is of its own kind already, and has no size limit.
        MediaSource::Platform { .. } => return Ok(()),
        MediaSource::Enclosed { .. } => return Err(not_supported("files that are not stored")),
        MediaSource::Url { url } => {
            check_url("attachment", url, &["https", "http"])?;
            if file.kind == MediaKind::Document { DOCUMENTS_BY_URL.to_vec() } else { rule.mimes.clone() }
        }
        MediaSource::Stored { .. } => rule.mimes.clone(),
    };
    // A type that nobody stated is the platform's to judge.
    if let Some(mime) = file.mime.clone()
        && !(MediaRule { mimes: accepted.clone(), ..(*rule).clone() }).accepts(&mime)
    {
        return Err(Unsendable::MediaType { kind, mime, accepted });
    }
    let max = match &file.source {
        MediaSource::Url { .. } => rule.max_bytes_by_url.unwrap_or(rule.max_bytes),
        _ => rule.max_bytes,
    };
    match file.size {
        Some(size) if size > max => Err(Unsendable::MediaSize { kind, size, max }),
        _ => Ok(()),
    }
}

fn check_choices(choices: &Choices, known: &Capabilities) -> Result<(), Unsendable> {
    let rule = known.choices.ok_or_else(|| not_supported("buttons"))?;
    if choices.list.is_some() {
        return Err(not_supported("lists to choose from; buttons work"));
    }
    let words = words_above(choices);
    if words.trim().is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("text", rule.text, &words)?;
    let (count, max) = (choices.buttons.len(), usize::from(rule.max_buttons));
    if count > max {
        return Err(Unsendable::TooMany { what: "buttons", count, max });
    }
    if count == 0 {
        return Err(malformed("buttons", "at least one is needed"));
    }
    choices.buttons.iter().try_for_each(|button| {
        check_length("button", rule.button_title, &button.title)?;
        check_button(button)
    })
}

fn check_button(button: &Choice) -> Result<(), Unsendable> {
    if button.title.trim().is_empty() {
        return Err(malformed("button.title", "a button needs a label"));
    }
    if button.description.is_some() {
        return Err(malformed("button.description", "a button has no second line here"));
    }
    match &button.url {
        Some(url) => check_url("button.url", url, &["https", "http", "tg"]),
        None if button.id.is_empty() => Err(malformed("button.id", "a button needs an answer or an address")),
        None => check_length("button id", CALLBACK_DATA, &button.id),
    }
}

/// The words of a message with buttons: there is no header and no footer, so they become lines of it.
fn words_above(choices: &Choices) -> String {
    let lines = [choices.header.as_deref(), Some(choices.text.as_str()), choices.footer.as_deref()];
    lines.into_iter().flatten().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn check_place(place: &Location) -> Result<(), Unsendable> {
    let inside = (-90.0..=90.0).contains(&place.latitude) && (-180.0..=180.0).contains(&place.longitude);
    if inside { Ok(()) } else { Err(malformed("location", "latitude goes from -90 to 90, longitude from -180 to 180")) }
}

/// Each card is a message of its own.
fn cards(contacts: &[ContactCard]) -> Result<Vec<Body>, Unsendable> {
    if contacts.is_empty() {
        return Err(Unsendable::Empty);
    }
    let card = |card: &ContactCard| {
        if card.name.trim().is_empty() || card.phones.first().is_none_or(|phone| phone.trim().is_empty()) {
            return Err(malformed("contacts", "each card needs a name and a phone number"));
        }
        check_length("contact card", VCARD, &vcard::of(card).unwrap_or_default())?;
        Ok(Body::Contacts { contacts: vec![card.clone()] })
    };
    contacts.iter().map(card).collect()
}

fn check_reaction(reaction: &Reaction, content: &Content, known: &Capabilities) -> Result<(), Unsendable> {
    if !known.reactions {
        return Err(not_supported("reactions"));
    }
    if content.reply_to.is_some() {
        return Err(malformed("reply_to", "a reaction quotes nothing"));
    }
    if reaction.emoji.as_ref().is_some_and(|emoji| emoji.trim().is_empty()) {
        return Err(malformed("reaction.emoji", "give an emoji, or none to take it back"));
    }
    message_id(&reaction.to).map(drop).ok_or_else(|| not_a_message("reaction.to", &reaction.to))
}

/// The chat and the number in it of a message id as this crate writes them, `<chat_id>:<message_id>`.
pub(crate) fn message_id(id: &str) -> Option<(i64, i64)> {
    let (chat, number) = id.split_once(':')?;
    Some((chat.parse().ok()?, number.parse().ok()?))
}

fn check_length(place: &'static str, limit: TextLimit, text: &str) -> Result<(), Unsendable> {
    if limit.fits(text) {
        return Ok(());
    }
    Err(Unsendable::TooLong { place, length: limit.length(text), max: limit.max(), unit: limit.unit() })
}

fn check_url(field: &str, url: &str, schemes: &[&str]) -> Result<(), Unsendable> {
    match Url::parse(url) {
        Ok(parsed) if schemes.contains(&parsed.scheme()) => Ok(()),
        _ => Err(malformed(field, &format!("`{url}` is no address that starts with {}", schemes.join(" or ")))),
    }
}

fn not_supported(what: &str) -> Unsendable {
    Unsendable::NotSupported { what: what.to_owned() }
}

fn malformed(field: &str, reason: &str) -> Unsendable {
    Unsendable::Malformed { field: field.to_owned(), reason: reason.to_owned() }
}

fn not_a_message(field: &str, id: &str) -> Unsendable {
    malformed(field, &format!("`{id}` is no message that can be referred to: `<chat id>:<message id>` is expected"))
}

#[cfg(test)]
mod tests;
