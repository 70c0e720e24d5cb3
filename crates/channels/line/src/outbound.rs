//! From content to parts, and from a part to the message objects of its request. Pure.

mod objects;

pub(crate) use objects::{messages, needed_files};

use transom_channel::{Capabilities, PlannedPart, Unsendable, checks};
use transom_domain::{Attachment, Body, Choices, Content, Location, MediaKind, MediaSource};

use crate::capabilities::{
    ACTION_URI, LABEL, MEDIA_URL, MESSAGES_PER_REQUEST, PLACE_LINE, POSTBACK_DATA, QUICK_REPLIES, TEMPLATE_BUTTONS,
    TEMPLATE_TEXT, TEXT,
};
use crate::config::is_https;

/// Splits content into requests of up to five message objects: the words first, then the files.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if content.reply_to.is_some() {
        return Err(checks::not_supported("quotes of earlier messages"));
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
        other => return Err(checks::not_carried(other)),
    };
    Ok(checks::parts(bodies, None))
}

fn split(text: &str, files: &[Attachment], known: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    let blank = text.trim().is_empty();
    checks::words(text, files, known)?;
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
        return sticker(id).map(drop).ok_or_else(|| {
            checks::malformed("attachment.id", "a sticker is named by its package and its id: `446/1988`")
        });
    }
    let rule = known.media.iter().find(|rule| rule.kind == file.kind).ok_or_else(|| not_offered(file.kind))?;
    match &file.source {
        MediaSource::Url { url } => check_address("attachment", url)?,
        MediaSource::Stored { .. } => {}
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => {
            return Err(checks::not_supported("files of another message; send them from your own store"));
        }
    }
    checks::stated(rule, file)
}

fn not_offered(kind: MediaKind) -> Unsendable {
    match kind {
        MediaKind::Video | MediaKind::Animation => {
            checks::not_supported("films without a still picture to show first: set `video_preview_url`")
        }
        MediaKind::Sticker => checks::not_supported("stickers of your own; name one of LINE's by package and id"),
        other => checks::not_supported(format!("a file of kind `{}`; send a link to it", other.as_str())),
    }
}

/// The package and the id of a sticker, from `446/1988`.
pub(crate) fn sticker(id: &str) -> Option<(&str, &str)> {
    let (package, sticker) = id.split_once('/')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(package) && is_number(sticker)).then_some((package, sticker))
}

fn check_choices(choices: &Choices) -> Result<(), Unsendable> {
    let (text, max) = if opens_an_address(choices) { (TEMPLATE_TEXT, TEMPLATE_BUTTONS) } else { (TEXT, QUICK_REPLIES) };
    checks::buttons_below(&checks::words_above(choices), text, choices, max)?;
    choices.buttons.iter().try_for_each(|button| {
        checks::label(button, LABEL)?;
        if button.description.is_some() {
            return Err(checks::malformed("button.description", "a button has no second line here"));
        }
        match &button.url {
            Some(url) => {
                checks::length("button address", ACTION_URI, url)?;
                checks::address("button.url", url, &["https", "http", "tel", "line"])
            }
            None => checks::answer(button, POSTBACK_DATA),
        }
    })
}

/// Quick replies answer; what opens an address is a button template.
pub(crate) fn opens_an_address(choices: &Choices) -> bool {
    choices.buttons.iter().any(|button| button.url.is_some())
}

fn check_place(place: &Location) -> Result<(), Unsendable> {
    checks::place(place)?;
    let lines = [("location name", &place.name), ("location address", &place.address)];
    lines
        .into_iter()
        .try_for_each(|(name, line)| line.as_ref().map_or(Ok(()), |line| checks::length(name, PLACE_LINE, line)))
}

fn check_address(field: &str, address: &str) -> Result<(), Unsendable> {
    checks::length("file address", MEDIA_URL, address)?;
    if is_https(address) {
        return Ok(());
    }
    Err(checks::malformed(field, "LINE fetches files from public https addresses only"))
}

#[cfg(test)]
mod tests;
