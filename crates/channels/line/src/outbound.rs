//! From content to parts, and from a part to the message objects of its request. Pure.

mod objects;

pub(crate) use objects::{messages, needed_files};

use transom_channel::{Capabilities, MediaRule, PlannedPart, TextLimit, Unsendable};
use transom_domain::{Attachment, Body, Choice, Choices, Content, Location, MediaKind, MediaSource};
use url::Url;

use crate::capabilities::{
    ACTION_URI, LABEL, MEDIA_URL, MESSAGES_PER_REQUEST, PLACE_LINE, POSTBACK_DATA, QUICK_REPLIES, TEMPLATE_BUTTONS,
    TEMPLATE_TEXT, TEXT,
};
use crate::config::is_https;

/// Splits content into requests of up to five message objects: the words first, then the files.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if content.reply_to.is_some() {
        return Err(not_supported("quotes of earlier messages"));
    }
    let bodies = match &content.body {
        Body::Text { text, attachments } => split(text, attachments, known)?,
        Body::Choices(choices) => {
            check_choices(choices)?;
            vec![content.body.clone()]
        }
        Body::Location(place) => {
            check_place(place)?;
            vec![content.body.clone()]
        }
        Body::Template(_) => return Err(not_supported("message templates")),
        Body::Contacts { .. } => return Err(not_supported("contact cards")),
        Body::Reaction(_) => return Err(not_supported("reactions")),
        Body::Mail(_) => return Err(not_supported("letters with a subject")),
        Body::Unsupported { .. } => return Err(not_supported("content that could not be read")),
    };
    Ok(bodies.into_iter().map(|body| PlannedPart::one(Content { body, reply_to: None })).collect())
}

fn split(text: &str, files: &[Attachment], known: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    let blank = text.trim().is_empty();
    if blank && files.is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("text", TEXT, text)?;
    files.iter().try_for_each(|file| check_file(file, known))?;
    // Blanks alone are no message that LINE would take.
    let words = if blank { String::new() } else { text.to_owned() };
    let beside = if blank { MESSAGES_PER_REQUEST } else { MESSAGES_PER_REQUEST - 1 };
    let (first, rest) = files.split_at(files.len().min(beside));
    let mut bodies = vec![Body::Text { text: words, attachments: first.to_vec() }];
    let more = rest.chunks(MESSAGES_PER_REQUEST);
    bodies.extend(more.map(|files| Body::Text { text: String::new(), attachments: files.to_vec() }));
    Ok(bodies)
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    if let (MediaKind::Sticker, MediaSource::Platform { id, .. }) = (file.kind, &file.source) {
        return sticker(id)
            .map(drop)
            .ok_or_else(|| malformed("attachment.id", "a sticker is named by its package and its id: `446/1988`"));
    }
    let kind = file.kind.as_str();
    let rule = known.media.iter().find(|rule| rule.kind == file.kind).ok_or_else(|| not_offered(file.kind))?;
    match &file.source {
        MediaSource::Url { url } => check_address("attachment", url)?,
        MediaSource::Stored { .. } => {}
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => {
            return Err(not_supported("files of another message; send them from your own store"));
        }
    }
    // A type that nobody stated is LINE's to judge.
    if let Some(mime) = file.mime.as_ref().filter(|mime| !rule.accepts(mime)) {
        let (mime, accepted) = (mime.chars().take(100).collect(), rule.mimes.clone());
        return Err(Unsendable::MediaType { kind, mime, accepted });
    }
    file.size.map_or(Ok(()), |size| check_size(rule, size))
}

/// Whether a file of this size goes; the plan can't know a size that nobody stated.
pub(crate) fn check_size(rule: &MediaRule, size: u64) -> Result<(), Unsendable> {
    if size <= rule.max_bytes {
        return Ok(());
    }
    Err(Unsendable::MediaSize { kind: rule.kind.as_str(), size, max: rule.max_bytes })
}

fn not_offered(kind: MediaKind) -> Unsendable {
    match kind {
        MediaKind::Video | MediaKind::Animation => {
            not_supported("films without a still picture to show first: set `video_preview_url`")
        }
        MediaKind::Sticker => not_supported("stickers of your own; name one of LINE's by package and id"),
        other => not_supported(&format!("a file of kind `{}`; send a link to it", other.as_str())),
    }
}

/// The package and the id of a sticker, from `446/1988`.
pub(crate) fn sticker(id: &str) -> Option<(&str, &str)> {
    let (package, sticker) = id.split_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(package) && is_number(sticker)).then_some((package, sticker))
}

fn check_choices(choices: &Choices) -> Result<(), Unsendable> {
    if choices.list.is_some() {
        return Err(not_supported("lists to choose from; buttons work"));
    }
    let words = words_above(choices);
    if words.trim().is_empty() {
        return Err(Unsendable::Empty);
    }
    let (count, text, max) = match opens_an_address(choices) {
        true => (choices.buttons.len(), TEMPLATE_TEXT, TEMPLATE_BUTTONS),
        false => (choices.buttons.len(), TEXT, QUICK_REPLIES),
    };
    check_length("text", text, &words)?;
    if count > max {
        return Err(Unsendable::TooMany { what: "buttons", count, max });
    }
    if count == 0 {
        return Err(malformed("buttons", "at least one is needed"));
    }
    choices.buttons.iter().try_for_each(check_button)
}

fn check_button(button: &Choice) -> Result<(), Unsendable> {
    if button.title.trim().is_empty() {
        return Err(malformed("button.title", "a button needs a label"));
    }
    check_length("button", LABEL, &button.title)?;
    if button.description.is_some() {
        return Err(malformed("button.description", "a button has no second line here"));
    }
    match &button.url {
        Some(url) => {
            check_length("button address", ACTION_URI, url)?;
            let known = Url::parse(url).is_ok_and(|url| ["https", "http", "tel", "line"].contains(&url.scheme()));
            known.then_some(()).ok_or_else(|| {
                malformed("button.url", "an address that starts with https, http, tel or line is expected")
            })
        }
        None if button.id.is_empty() => Err(malformed("button.id", "a button needs an answer or an address")),
        None => check_length("button id", POSTBACK_DATA, &button.id),
    }
}

/// Quick replies answer; what opens an address is a button template.
pub(crate) fn opens_an_address(choices: &Choices) -> bool {
    choices.buttons.iter().any(|button| button.url.is_some())
}

/// The words above buttons: there is no header and no footer, so they become lines of them.
pub(crate) fn words_above(choices: &Choices) -> String {
    let lines = [choices.header.as_deref(), Some(choices.text.as_str()), choices.footer.as_deref()];
    lines.into_iter().flatten().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn check_place(place: &Location) -> Result<(), Unsendable> {
    if !(-90.0..=90.0).contains(&place.latitude) || !(-180.0..=180.0).contains(&place.longitude) {
        return Err(malformed("location", "latitude goes from -90 to 90, longitude from -180 to 180"));
    }
    let lines = [("location name", &place.name), ("location address", &place.address)];
    lines
        .into_iter()
        .try_for_each(|(name, line)| line.as_ref().map_or(Ok(()), |line| check_length(name, PLACE_LINE, line)))
}

fn check_address(field: &str, address: &str) -> Result<(), Unsendable> {
    check_length("file address", MEDIA_URL, address)?;
    if is_https(address) {
        return Ok(());
    }
    Err(malformed(field, "LINE fetches files from public https addresses only"))
}

fn check_length(place: &'static str, limit: TextLimit, text: &str) -> Result<(), Unsendable> {
    if limit.fits(text) {
        return Ok(());
    }
    Err(Unsendable::TooLong { place, length: limit.length(text), max: limit.max(), unit: limit.unit() })
}

fn not_supported(what: &str) -> Unsendable {
    Unsendable::NotSupported { what: what.to_owned() }
}

fn malformed(field: &str, reason: &str) -> Unsendable {
    Unsendable::Malformed { field: field.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
