//! From content to parts: what fits, what is refused, one part for each request.

use transom_channel::{Capabilities, MediaRule, PlannedPart, TextLimit, Unsendable};
use transom_domain::{Attachment, Body, Choice, Choices, ContactCard, Content, Location, MediaSource, Reaction};
use url::Url;

use crate::capabilities::{BUTTON_ID, BUTTON_TITLE, MAX_BUTTONS, MAX_ROWS};

/// Splits content into requests. Files go one by one, the words with the first of them if it takes any, else before.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if content.reply_to.as_deref().is_some_and(|id| id.trim().is_empty()) {
        return Err(malformed("reply_to", "the id of a message is needed"));
    }
    let bodies = match &content.body {
        Body::Text { text, attachments } => text_and_files(text, attachments, known)?,
        Body::Template(template) => {
            if template.name.trim().is_empty() || template.language.trim().is_empty() {
                return Err(malformed("template", "a name and a language are needed"));
            }
            vec![content.body.clone()]
        }
        Body::Choices(choices) => checked(content, check_choices(choices, known))?,
        Body::Location(place) => checked(content, check_place(place))?,
        Body::Contacts { contacts } => checked(content, check_cards(contacts))?,
        Body::Reaction(reaction) => checked(content, check_reaction(reaction, content))?,
        Body::Mail(_) => return Err(not_supported("letters with a subject")),
        Body::Unsupported { .. } => return Err(not_supported("content that could not be read")),
    };
    // The first part quotes what the message quotes.
    let quote = |n: usize| content.reply_to.clone().filter(|_| n == 0);
    let part = |(n, body)| PlannedPart::one(Content { body, reply_to: quote(n) });
    Ok(bodies.into_iter().enumerate().map(part).collect())
}

fn checked(content: &Content, check: Result<(), Unsendable>) -> Result<Vec<Body>, Unsendable> {
    check.map(|()| vec![content.body.clone()])
}

fn text_and_files(text: &str, files: &[Attachment], known: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    let blank = text.trim().is_empty();
    if blank && files.is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("text", known.text, text)?;
    files.iter().try_for_each(|file| check_file(file, known))?;
    let takes_words = |file: &Attachment| known.media.iter().any(|rule| rule.kind == file.kind && rule.caption);
    let is_caption = files.first().is_some_and(takes_words);
    let mut bodies = Vec::new();
    if !blank && !is_caption {
        bodies.push(Body::Text { text: text.to_owned(), attachments: Vec::new() });
    }
    let words = |n: usize| if n == 0 && is_caption && !blank { text.to_owned() } else { String::new() };
    bodies.extend(
        files.iter().enumerate().map(|(n, file)| Body::Text { text: words(n), attachments: vec![file.clone()] }),
    );
    Ok(bodies)
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    let kind = file.kind.as_str();
    let rule: &MediaRule = known.media.iter().find(|rule| rule.kind == file.kind).ok_or_else(|| not_supported(kind))?;
    if let Some(mime) = file.mime.clone().filter(|mime| !rule.accepts(mime)) {
        return Err(Unsendable::MediaType { kind, mime, accepted: rule.mimes.clone() });
    }
    if let Some(size) = file.size.filter(|size| *size > rule.max_bytes) {
        return Err(Unsendable::MediaSize { kind, size, max: rule.max_bytes });
    }
    match &file.source {
        MediaSource::Url { url } => check_url("attachment", url),
        MediaSource::Stored { .. } => Ok(()),
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => {
            Err(not_supported("files that came in on a platform; send the stored copy"))
        }
    }
}

fn check_choices(choices: &Choices, known: &Capabilities) -> Result<(), Unsendable> {
    if choices.text.trim().is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("text", known.text, &choices.text)?;
    let rows = || choices.list.iter().flat_map(|list| &list.sections).flat_map(|section| &section.rows);
    let (buttons, listed) = (choices.buttons.len(), rows().count());
    match (buttons, &choices.list) {
        (0, None) => return Err(malformed("buttons", "at least one is needed")),
        (0, Some(_)) if listed == 0 => return Err(malformed("list", "at least one row is needed")),
        (1.., Some(_)) => return Err(malformed("list", "buttons or a list, not both")),
        _ => {}
    }
    for (what, count, max) in [("buttons", buttons, MAX_BUTTONS), ("rows", listed, MAX_ROWS)] {
        if count > usize::from(max) {
            return Err(Unsendable::TooMany { what, count, max: usize::from(max) });
        }
    }
    choices.buttons.iter().chain(rows()).try_for_each(check_choice)
}

fn check_choice(choice: &Choice) -> Result<(), Unsendable> {
    if choice.title.trim().is_empty() {
        return Err(malformed("button.title", "a label is needed"));
    }
    check_length("button", BUTTON_TITLE, &choice.title)?;
    match &choice.url {
        Some(url) => check_url("button.url", url),
        None if choice.id.is_empty() => Err(malformed("button.id", "an answer or an address is needed")),
        None => check_length("button id", BUTTON_ID, &choice.id),
    }
}

fn check_place(place: &Location) -> Result<(), Unsendable> {
    let inside = (-90.0..=90.0).contains(&place.latitude) && (-180.0..=180.0).contains(&place.longitude);
    if inside { Ok(()) } else { Err(malformed("location", "latitude goes from -90 to 90, longitude from -180 to 180")) }
}

fn check_cards(contacts: &[ContactCard]) -> Result<(), Unsendable> {
    if contacts.is_empty() {
        return Err(Unsendable::Empty);
    }
    match contacts.iter().any(|card| card.name.trim().is_empty()) {
        true => Err(malformed("contacts", "each card needs a name")),
        false => Ok(()),
    }
}

fn check_reaction(reaction: &Reaction, content: &Content) -> Result<(), Unsendable> {
    if reaction.to.trim().is_empty() {
        return Err(malformed("reaction.to", "the id of a message is needed"));
    }
    if content.reply_to.is_some() {
        return Err(malformed("reply_to", "a reaction quotes nothing"));
    }
    match reaction.emoji.as_deref().map(str::trim) {
        Some("") => Err(malformed("reaction.emoji", "give an emoji, or none to take it back")),
        _ => Ok(()),
    }
}

fn check_length(place: &'static str, limit: TextLimit, text: &str) -> Result<(), Unsendable> {
    if limit.fits(text) {
        return Ok(());
    }
    Err(Unsendable::TooLong { place, length: limit.length(text), max: limit.max(), unit: limit.unit() })
}

fn check_url(field: &str, url: &str) -> Result<(), Unsendable> {
    match Url::parse(url) {
        Ok(parsed) if parsed.scheme() == "https" => Ok(()),
        _ => Err(malformed(field, "an address that starts with https is needed")),
    }
}

fn not_supported(what: &str) -> Unsendable {
    Unsendable::NotSupported { what: what.to_owned() }
}

fn malformed(field: &str, reason: &str) -> Unsendable {
    Unsendable::Malformed { field: field.to_owned(), reason: reason.to_owned() }
}
