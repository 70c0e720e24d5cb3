//! From content to requests (2.2): a text, a picture or a card with buttons.

use serde_json::{Value, json};
use transom_channel::{Capabilities, PlannedPart, Unsendable, checks};
use transom_domain::{Attachment, AttachmentId, Body, Choice, Choices, Content, MediaSource};

/// Splits content into requests: the words first, then each picture.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    let bodies = match &content.body {
        Body::Text { text, attachments } => {
            checks::words(text, attachments, known)?;
            attachments.iter().try_for_each(|file| check_file(file, known))?;
            checks::one_by_one(text, attachments, known)
        }
        Body::Choices(choices) => {
            check_card(choices, known)?;
            vec![content.body.clone()]
        }
        other => return Err(checks::not_carried(other)),
    };
    let begins_with_words = matches!(bodies.first(), Some(Body::Text { attachments, .. }) if attachments.is_empty());
    if content.reply_to.is_some() && !begins_with_words {
        return Err(checks::malformed("reply_to", "only a text can quote: write a text, or leave the quote out"));
    }
    Ok(checks::parts(bodies, content.reply_to.as_ref()))
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

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    let rule = checks::rule(known, file.kind)?;
    match &file.source {
        MediaSource::Stored { .. } => checks::stated(rule, file),
        MediaSource::Url { .. } => Err(checks::not_supported("files by address: upload the file first")),
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => {
            Err(checks::not_supported("a customer's own file"))
        }
    }
}

fn check_card(choices: &Choices, known: &Capabilities) -> Result<(), Unsendable> {
    let rule = known.choices.ok_or_else(|| checks::not_supported("buttons"))?;
    if choices.header.is_some() || choices.footer.is_some() {
        return Err(checks::not_supported("lines above or below a card's title"));
    }
    checks::buttons_below(&choices.text, rule.text, choices, rule.max_buttons)?;
    choices.buttons.iter().try_for_each(|button| {
        if button.url.is_some() || button.description.is_some() {
            return Err(checks::not_supported("buttons that are more than an answer"));
        }
        checks::label(button, rule.button_title)?;
        checks::answer(button, rule.button_id)
    })
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
