//! From content to parts, and from a part to the event in the visitor's mailbox. Pure.

use time::OffsetDateTime;
use transom_channel::{Capabilities, OutboundPart, PlannedPart, Typist, Unsendable};
use transom_domain::{Attachment, Body, Choice, Choices, Content, MediaSource, PartId};
use transom_windows::Sender;
use url::Url;

use crate::capabilities::{BUTTONS, FILES, LABEL, PAYLOAD, TEXT};
use crate::protocol::{Button, File, Format, From, FromKind, Message, ServerFrame};
use crate::visitor::Visitor;

/// The tag of permits for messages to visitors who have not written (policy `webchat`).
const INVITATION: &str = "invitation";
/// The longest id of a message that is quoted, in bytes.
const LONGEST_REFERENCE: usize = 200;

/// Splits content into messages: the words with the first files, then the others.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if content.reply_to.as_ref().is_some_and(|id| id.trim().is_empty() || id.len() > LONGEST_REFERENCE) {
        return Err(malformed("reply_to", "the id of a message is needed"));
    }
    let bodies = match &content.body {
        Body::Text { text, attachments } => split(text, attachments, known)?,
        Body::Choices(choices) => {
            check_choices(choices)?;
            vec![content.body.clone()]
        }
        Body::Template(_) => return Err(not_supported("message templates")),
        Body::Location(_) => return Err(not_supported("places; send a link to a map")),
        Body::Contacts { .. } => return Err(not_supported("contact cards")),
        Body::Reaction(_) => return Err(not_supported("reactions")),
        Body::Mail(_) => return Err(not_supported("letters with a subject")),
        Body::Unsupported { .. } => return Err(not_supported("content that could not be read")),
    };
    let first = content.reply_to.clone();
    let quotes = std::iter::once(first).chain(std::iter::repeat(None));
    Ok(bodies.into_iter().zip(quotes).map(|(body, reply_to)| PlannedPart::one(Content { body, reply_to })).collect())
}

fn split(text: &str, files: &[Attachment], known: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    let blank = text.trim().is_empty();
    if blank && files.is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("text", TEXT, text)?;
    files.iter().try_for_each(|file| check_file(file, known))?;
    let words = if blank { String::new() } else { text.to_owned() };
    let (first, rest) = files.split_at(files.len().min(usize::from(FILES)));
    let mut bodies = vec![Body::Text { text: words, attachments: first.to_vec() }];
    let more = rest.chunks(usize::from(FILES));
    bodies.extend(more.map(|files| Body::Text { text: String::new(), attachments: files.to_vec() }));
    Ok(bodies)
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    let kind = file.kind.as_str();
    let rule = known.media.iter().find(|rule| rule.kind == file.kind).ok_or_else(|| not_supported(kind))?;
    if let Some(mime) = file.mime.clone().filter(|mime| !rule.accepts(mime)) {
        return Err(Unsendable::MediaType { kind, mime, accepted: rule.mimes.clone() });
    }
    if let Some(size) = file.size.filter(|size| *size > rule.max_bytes) {
        return Err(Unsendable::MediaSize { kind, size, max: rule.max_bytes });
    }
    match &file.source {
        MediaSource::Stored { .. } => Ok(()),
        MediaSource::Url { url } => check_url("attachment", url),
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => {
            Err(not_supported("files of another message; send them from your own store"))
        }
    }
}

fn check_choices(choices: &Choices) -> Result<(), Unsendable> {
    if choices.list.is_some() {
        return Err(not_supported("lists to choose from; buttons work"));
    }
    let words = words_of(choices);
    if words.trim().is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("text", TEXT, &words)?;
    let (count, max) = (choices.buttons.len(), usize::from(BUTTONS));
    match count {
        0 => Err(malformed("buttons", "at least one is needed")),
        _ if count > max => Err(Unsendable::TooMany { what: "buttons", count, max }),
        _ => choices.buttons.iter().try_for_each(check_button),
    }
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
        Some(url) => check_url("button.url", url),
        None if button.id.is_empty() => Err(malformed("button.id", "a button needs an answer or an address")),
        None => check_length("button id", PAYLOAD, &button.id),
    }
}

/// Header, words and footer, a line each.
fn words_of(choices: &Choices) -> String {
    let lines = [choices.header.as_deref(), Some(choices.text.as_str()), choices.footer.as_deref()];
    lines.into_iter().flatten().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n")
}

/// The event that a part becomes; `None` for one that no plan makes.
pub(crate) fn event(part: &OutboundPart, visitor: &Visitor, at: OffsetDateTime) -> Option<ServerFrame> {
    let kind = match part.permit().sender() {
        Sender::Human | Sender::Broadcast => FromKind::Agent,
        Sender::Bot | Sender::Automation => FromKind::Bot,
    };
    let from = From { kind, name: part.sender_name().map(str::to_owned), avatar: None };
    let (text, attachments, buttons) = shown(part.content())?;
    let message = Message {
        id: message_id(part.id()),
        client_id: None,
        from,
        text,
        format: Format::Plain,
        attachments,
        buttons,
        reply_to: part.content().reply_to.clone(),
        invitation: part.permit().basis().tag() == Some(INVITATION),
        created_at: at,
    };
    Some(ServerFrame::Message { seq: 0, conversation_id: visitor.conversation(), message })
}

/// What a visitor sees of somebody who types.
pub(crate) fn typing(visitor: &Visitor, typist: &Typist<'_>) -> ServerFrame {
    let kind = if typist.is_person { FromKind::Agent } else { FromKind::Bot };
    let from = From { kind, name: typist.name.map(str::to_owned), avatar: None };
    ServerFrame::Typing { conversation_id: visitor.conversation(), from, on: typist.on }
}

/// What a visitor sees of content: the words, the files, the buttons.
pub(crate) fn shown(content: &Content) -> Option<(String, Vec<File>, Vec<Button>)> {
    match &content.body {
        Body::Text { text, attachments } => Some((text.clone(), attachments.iter().map(file).collect(), Vec::new())),
        Body::Choices(choices) => Some((words_of(choices), Vec::new(), choices.buttons.iter().map(button).collect())),
        _ => None,
    }
}

fn file(file: &Attachment) -> File {
    let (id, url) = match &file.source {
        MediaSource::Stored { id } => (Some(id.to_string()), None),
        MediaSource::Url { url } => (None, Some(url.clone())),
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => (None, None),
    };
    File {
        id,
        kind: file.kind.as_str().to_owned(),
        name: file.file_name.clone(),
        mime: file.mime.clone(),
        size: file.size,
        url,
    }
}

fn button(choice: &Choice) -> Button {
    let payload = choice.url.is_none().then(|| choice.id.clone());
    Button { label: choice.title.clone(), payload, url: choice.url.clone() }
}

/// How a visitor knows a part.
pub(crate) fn message_id(part: PartId) -> String {
    format!("m_{}", part.uuid().simple())
}

/// The part that a visitor knows by this id, if it is one of ours.
pub(crate) fn part_of(message_id: &str) -> Option<PartId> {
    message_id.strip_prefix("m_").filter(|id| id.len() == 32)?.parse().ok()
}

fn check_length(place: &'static str, limit: transom_channel::TextLimit, text: &str) -> Result<(), Unsendable> {
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
