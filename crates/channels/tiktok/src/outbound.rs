//! From content to requests (2.2): a text, a picture or a card with buttons.

use serde_json::{Value, json};
use transom_channel::{Capabilities, MediaRule, PlannedPart, TextLimit, Unsendable};
use transom_domain::{Attachment, AttachmentId, Body, Choice, Choices, Content, MediaSource};

/// Splits content into requests: the words first, then each picture.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    let bodies = match &content.body {
        Body::Text { text, attachments } => text_and_pictures(text, attachments, known)?,
        Body::Choices(choices) => {
            check_card(choices, known)?;
            vec![content.body.clone()]
        }
        Body::Location(_) => return Err(not_supported("places")),
        Body::Contacts { .. } => return Err(not_supported("contact cards")),
        Body::Reaction(_) => return Err(not_supported("reactions")),
        Body::Template(_) => return Err(not_supported("message templates")),
        Body::Mail(_) => return Err(not_supported("letters with a subject")),
        Body::Unsupported { .. } => return Err(not_supported("content that could not be read")),
    };
    let begins_with_words = matches!(bodies.first(), Some(Body::Text { attachments, .. }) if attachments.is_empty());
    if content.reply_to.is_some() && !begins_with_words {
        return Err(malformed("reply_to", "only a text can quote: write a text, or leave the quote out"));
    }
    let quote = |n: usize| content.reply_to.clone().filter(|_| n == 0);
    let part = |(n, body)| PlannedPart::one(Content { body, reply_to: quote(n) });
    Ok(bodies.into_iter().enumerate().map(part).collect())
}

/// What a request carries, as far as it is known before an upload.
pub(crate) enum Message<'c> {
    /// The fields of a request that is complete.
    Ready(Value),
    /// A picture to be uploaded first.
    Picture(&'c Attachment, AttachmentId),
}

/// The message of a planned part; `None` for what no plan holds.
pub(crate) fn message(content: &Content) -> Option<Message<'_>> {
    match &content.body {
        Body::Text { text, attachments } => match (text.is_empty(), attachments.as_slice()) {
            (false, []) => Some(Message::Ready(json!({ "message_type": "TEXT", "text": { "body": text } }))),
            (true, [picture]) => match &picture.source {
                MediaSource::Stored { id } => Some(Message::Picture(picture, *id)),
                MediaSource::Url { .. } | MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => None,
            },
            _ => None,
        },
        Body::Choices(choices) => Some(Message::Ready(card(choices))),
        _ => None,
    }
}

/// A picture that was uploaded.
pub(crate) fn picture(media_id: &str) -> Value {
    json!({ "message_type": "IMAGE", "image": { "media_id": media_id } })
}

fn card(choices: &Choices) -> Value {
    let button = |choice: &Choice| json!({ "type": "REPLY", "title": choice.title, "id": choice.id });
    let buttons: Vec<Value> = choices.buttons.iter().map(button).collect();
    json!({
        "message_type": "TEMPLATE",
        "template": { "type": "QA_BUTTON_CARD", "title": choices.text, "buttons": buttons },
    })
}

fn text_and_pictures(text: &str, files: &[Attachment], known: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    let blank = text.trim().is_empty();
    if blank && files.is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("text", known.text, text)?;
    files.iter().try_for_each(|file| check_file(file, known))?;
    let words = (!blank).then(|| Body::Text { text: text.to_owned(), attachments: Vec::new() });
    let pictures = files.iter().map(|file| Body::Text { text: String::new(), attachments: vec![file.clone()] });
    Ok(words.into_iter().chain(pictures).collect())
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    let kind = file.kind.as_str();
    let rule = known.media.iter().find(|rule| rule.kind == file.kind).ok_or_else(|| not_supported(kind))?;
    match &file.source {
        MediaSource::Stored { .. } => {}
        MediaSource::Url { .. } => return Err(not_supported("files by address: upload the file first")),
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => {
            return Err(not_supported("a customer's own file"));
        }
    }
    let MediaRule { mimes, max_bytes, .. } = rule;
    match (&file.mime, file.size) {
        (Some(mime), _) if !rule.accepts(mime) => {
            Err(Unsendable::MediaType { kind, mime: mime.clone(), accepted: mimes.clone() })
        }
        (_, Some(size)) if size > *max_bytes => Err(Unsendable::MediaSize { kind, size, max: *max_bytes }),
        _ => Ok(()),
    }
}

fn check_card(choices: &Choices, known: &Capabilities) -> Result<(), Unsendable> {
    let rule = known.choices.ok_or_else(|| not_supported("buttons"))?;
    if choices.list.is_some() {
        return Err(not_supported("lists to choose from; buttons work"));
    }
    if choices.header.is_some() || choices.footer.is_some() {
        return Err(not_supported("lines above or below a card's title"));
    }
    if choices.text.trim().is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("card title", rule.text, &choices.text)?;
    let (count, max) = (choices.buttons.len(), usize::from(rule.max_buttons));
    if count > max {
        return Err(Unsendable::TooMany { what: "buttons", count, max });
    }
    if count == 0 {
        return Err(malformed("buttons", "at least one is needed"));
    }
    choices.buttons.iter().try_for_each(|button| {
        if button.url.is_some() || button.description.is_some() {
            return Err(not_supported("buttons that are more than an answer"));
        }
        if button.title.trim().is_empty() || button.id.is_empty() {
            return Err(malformed("button", "a button needs a label and an answer"));
        }
        check_length("button", rule.button_title, &button.title)?;
        check_length("button id", rule.button_id, &button.id)
    })
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
mod tests {
    use super::*;
    use crate::capabilities::capabilities;

    fn ready(content: &Content) -> Value {
        let parts = plan(content, &capabilities()).unwrap();
        assert_eq!(parts.len(), 1);
        match message(&parts[0].content) {
            Some(Message::Ready(fields)) => fields,
            _ => panic!("not ready"),
        }
    }

    /// The requests of tiktok.md 2.2.
    #[test]
    fn requests_are_as_the_sheet_shows_them() {
        assert_eq!(ready(&Content::text("Hello")), json!({ "message_type": "TEXT", "text": { "body": "Hello" } }));
        let choice =
            |id: &str, title: &str| Choice { id: id.into(), title: title.into(), description: None, url: None };
        let card = Choices {
            text: "Which topic?".into(),
            header: None,
            footer: None,
            buttons: vec![choice("b1", "Order"), choice("b2", "Return")],
            list: None,
        };
        assert_eq!(
            ready(&Content { body: Body::Choices(card), reply_to: None }),
            json!({"message_type": "TEMPLATE", "template": {"type": "QA_BUTTON_CARD", "title": "Which topic?",
                "buttons": [{"type": "REPLY", "title": "Order", "id": "b1"}, {"type": "REPLY", "title": "Return", "id": "b2"}]}})
        );
        assert_eq!(picture("media-1"), json!({ "message_type": "IMAGE", "image": { "media_id": "media-1" } }));
    }
}
