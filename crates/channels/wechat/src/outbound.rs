//! From content to requests (2.2): a text, a file or a menu message.

use transom_channel::{Capabilities, ChoiceRule, PlannedPart, TextLimit, Unsendable};
use transom_domain::{Attachment, AttachmentId, Body, Choices, Content, MediaKind, MediaSource};

use crate::template;
use crate::wire::{Media, Menu, MenuItem, Substance, Text, Video};

/// Splits content into requests: the words first, then each file.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if content.reply_to.is_some() {
        return Err(not_supported("quotes"));
    }
    let bodies = match &content.body {
        Body::Text { text, attachments } => text_and_files(text, attachments, known)?,
        Body::Choices(choices) => {
            check_menu(choices, &known.choices.ok_or_else(|| not_supported("buttons"))?)?;
            vec![content.body.clone()]
        }
        Body::Location(_) => return Err(not_supported("places")),
        Body::Contacts { .. } => return Err(not_supported("contact cards")),
        Body::Reaction(_) => return Err(not_supported("reactions")),
        Body::Template(message) => {
            template::check(message)?;
            vec![content.body.clone()]
        }
        Body::Mail(_) => return Err(not_supported("letters with a subject")),
        Body::Unsupported { .. } => return Err(not_supported("content that could not be read")),
    };
    Ok(bodies.into_iter().map(|body| PlannedPart::one(Content { body, reply_to: None })).collect())
}

/// What a request carries, as far as it is known before an upload.
pub(crate) enum Draft<'c> {
    /// Complete.
    Ready(Substance<'c>),
    /// A file to be uploaded first.
    File(&'c Attachment, AttachmentId),
}

/// The message of a planned part; `None` for what no plan holds.
pub(crate) fn draft(content: &Content) -> Option<Draft<'_>> {
    match &content.body {
        Body::Text { text, attachments } => match (text.is_empty(), attachments.as_slice()) {
            (false, []) => Some(Draft::Ready(Substance::Text { text: Text { content: text } })),
            (true, [file]) => match &file.source {
                MediaSource::Stored { id } => Some(Draft::File(file, *id)),
                MediaSource::Url { .. } | MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => None,
            },
            _ => None,
        },
        Body::Choices(choices) => Some(Draft::Ready(menu(choices))),
        _ => None,
    }
}

/// A file that was uploaded. `thumb`: the still picture before a film.
pub(crate) fn file<'f>(file: &'f Attachment, media_id: &'f str, thumb: Option<&'f str>) -> Option<Substance<'f>> {
    match file.kind {
        MediaKind::Image => Some(Substance::Image { image: Media { media_id } }),
        MediaKind::Voice | MediaKind::Audio => Some(Substance::Voice { voice: Media { media_id } }),
        MediaKind::Video => {
            let video = Video { media_id, thumb_media_id: thumb?, title: file.file_name.as_deref() };
            Some(Substance::Video { video })
        }
        MediaKind::Document | MediaKind::Sticker | MediaKind::Animation => None,
    }
}

/// The type under which a file is uploaded (6).
pub(crate) fn upload_type(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Voice | MediaKind::Audio => "voice",
        MediaKind::Video => "video",
        MediaKind::Image | MediaKind::Document | MediaKind::Sticker | MediaKind::Animation => "image",
    }
}

fn menu(choices: &Choices) -> Substance<'_> {
    let items = choices.buttons.iter().map(|button| MenuItem { id: &button.id, content: &button.title });
    let menu = Menu { head_content: head(choices), list: items.collect(), tail_content: choices.footer.as_deref() };
    Substance::MsgMenu { msgmenu: menu }
}

/// There is no title of its own: it becomes the first line.
fn head(choices: &Choices) -> String {
    match &choices.header {
        Some(header) => format!("{header}\n{}", choices.text),
        None => choices.text.clone(),
    }
}

fn text_and_files(text: &str, files: &[Attachment], known: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    let blank = text.trim().is_empty();
    if blank && files.is_empty() {
        return Err(Unsendable::Empty);
    }
    check_text("text", known.text, text)?;
    files.iter().try_for_each(|file| check_file(file, known))?;
    let words = (!blank).then(|| Body::Text { text: text.to_owned(), attachments: Vec::new() });
    let files = files.iter().map(|file| Body::Text { text: String::new(), attachments: vec![file.clone()] });
    Ok(words.into_iter().chain(files).collect())
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    let kind = file.kind.as_str();
    let rule = known.media.iter().find(|rule| rule.kind == file.kind).ok_or_else(|| not_offered(file.kind))?;
    match &file.source {
        MediaSource::Stored { .. } => {}
        MediaSource::Url { .. } => return Err(not_supported("files by address: upload the file first")),
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => {
            return Err(not_supported("a customer's own file"));
        }
    }
    match (&file.mime, file.size) {
        (Some(mime), _) if !rule.accepts(mime) => {
            Err(Unsendable::MediaType { kind, mime: mime.clone(), accepted: rule.mimes.clone() })
        }
        (_, Some(size)) if size > rule.max_bytes => Err(Unsendable::MediaSize { kind, size, max: rule.max_bytes }),
        _ => Ok(()),
    }
}

fn not_offered(kind: MediaKind) -> Unsendable {
    match kind {
        MediaKind::Video => not_supported("films without a still picture: set `video_thumb_media_id`"),
        // "No generic file type: send a link" (2.2).
        other => not_supported(&format!("a file of kind `{}`: send a link to it", other.as_str())),
    }
}

fn check_menu(choices: &Choices, rule: &ChoiceRule) -> Result<(), Unsendable> {
    if choices.list.is_some() {
        return Err(not_supported("lists to choose from; buttons work"));
    }
    if choices.text.trim().is_empty() {
        return Err(Unsendable::Empty);
    }
    check_text("text", rule.text, &head(choices))?;
    check_text("footer", rule.text, choices.footer.as_deref().unwrap_or_default())?;
    let (count, max) = (choices.buttons.len(), usize::from(rule.max_buttons));
    if count > max {
        return Err(Unsendable::TooMany { what: "buttons", count, max });
    }
    if count == 0 {
        return Err(malformed("buttons", "at least one is needed"));
    }
    choices.buttons.iter().try_for_each(|button| {
        if button.url.is_some() || button.description.is_some() {
            return Err(not_supported("buttons that are more than an answer; a link goes into the text"));
        }
        if button.title.trim().is_empty() || button.id.is_empty() {
            return Err(malformed("button", "a button needs a label and an answer"));
        }
        check_text("button", rule.button_title, &button.title)?;
        check_text("button id", rule.button_id, &button.id)
    })
}

/// JSON can carry control characters as `\u` escapes only, and WeChat takes none of those (2).
fn check_text(place: &'static str, limit: TextLimit, text: &str) -> Result<(), Unsendable> {
    if text.chars().any(|character| character < ' ' && !matches!(character, '\n' | '\r' | '\t')) {
        return Err(malformed(place, "control characters other than line ends and tabs can't be sent"));
    }
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
