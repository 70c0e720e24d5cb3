//! One part as one request, and what the platform answers.

use transom_channel::{OutboundPart, Receipt, SendError, Unsendable};
use transom_domain::{Address, Attachment, Body, Choice, Choices, MediaKind};

use super::plan::stay;
use super::wire::{Attached, Button, Payload, Pictures, QuickReply, Quoted, Reacted};
use super::{FileRef, Message, Request, Right, Sent, metadata};
use crate::envelope;

/// Where the two platforms write the same thing differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Pictures go under `attachments`, one as an object and several as a list (instagram.md 2).
    pub pictures_together: bool,
    /// Our reference goes along as `metadata` and comes back in the echo (messenger.md 2.4).
    pub metadata: bool,
}

/// The request for a part that plan made. `files` is where the platform finds its files, in their order.
///
/// # Errors
/// [`Unsendable`] for a part that no plan made, and for quotes and reactions outside the standard window: both need a
/// message of the last 24 hours (messenger.md 2.1).
pub fn request<'m>(
    part: &'m OutboundPart,
    right: Right<'m>,
    files: Vec<FileRef>,
    style: Style,
) -> Result<Request<'m>, Unsendable> {
    let content = part.content();
    let needs_window = content.reply_to.is_some() || matches!(content.body, Body::Reaction(_));
    if needs_window && !right.is_standard() {
        return Err(Unsendable::Malformed {
            field: "reply_to".to_owned(),
            reason: "quotes and reactions go only within 24 hours of the customer's last message".to_owned(),
        });
    }
    let reply_to = content.reply_to.as_deref().map(|mid| Quoted { mid });
    let request = Request { reply_to, ..Request::by(right) };
    let message = match &content.body {
        Body::Reaction(reaction) => {
            let action = if reaction.emoji.is_some() { "react" } else { "unreact" };
            let payload = Reacted { message_id: &reaction.to, reaction: reaction.emoji.as_deref() };
            // An action is no message and says nothing of its right (messenger.md 2.3).
            return Ok(Request {
                messaging_type: None,
                sender_action: Some(action),
                payload: Some(payload),
                ..request
            });
        }
        Body::Text { text, attachments } if attachments.is_empty() => {
            Message { text: Some(text), ..Message::default() }
        }
        Body::Text { attachments, .. } => with_files(attachments, files, style)?,
        Body::Choices(choices) => with_buttons(choices),
        _ => return Err(Unsendable::NotSupported { what: "this content".to_owned() }),
    };
    let metadata = style.metadata.then(|| metadata(&part.correlation()));
    Ok(Request { message: Some(Message { metadata, ..message }), ..request })
}

fn with_files<'m>(attachments: &[Attachment], files: Vec<FileRef>, style: Style) -> Result<Message<'m>, Unsendable> {
    if attachments.len() != files.len() {
        return Err(Unsendable::TooMany { what: "files without a place", count: attachments.len(), max: files.len() });
    }
    let are_pictures = attachments.iter().all(|file| file.kind == MediaKind::Image);
    let mut attached: Vec<Attached<'m>> = attachments
        .iter()
        .zip(files)
        .map(|(file, source)| Attached { kind: type_of(file.kind), payload: Payload::File(source) })
        .collect();
    let count = attached.len();
    match (attached.pop(), style.pictures_together && are_pictures) {
        (Some(one), false) if count == 1 => Ok(Message { attachment: Some(one), ..Message::default() }),
        (Some(one), true) if count == 1 => Ok(Message { attachments: Some(Pictures::One(one)), ..Message::default() }),
        (Some(last), true) => {
            attached.push(last);
            Ok(Message { attachments: Some(Pictures::Several(attached)), ..Message::default() })
        }
        _ => Err(Unsendable::TooMany { what: "files in one request", count, max: 1 }),
    }
}

/// The platform's word for a sort of file (messenger.md 2.2).
pub(super) fn type_of(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image | MediaKind::Sticker => "image",
        MediaKind::Video | MediaKind::Animation => "video",
        MediaKind::Audio | MediaKind::Voice => "audio",
        MediaKind::Document => "file",
    }
}

fn with_buttons(choices: &Choices) -> Message<'_> {
    if stay(choices) {
        let buttons = choices.buttons.iter().map(button).collect();
        let payload = Payload::Buttons { template_type: "button", text: &choices.text, buttons };
        return Message { attachment: Some(Attached { kind: "template", payload }), ..Message::default() };
    }
    Message {
        text: Some(&choices.text),
        quick_replies: choices.buttons.iter().map(quick_reply).collect(),
        ..Message::default()
    }
}

fn button(choice: &Choice) -> Button<'_> {
    match choice.url.as_deref() {
        Some(url) => Button::WebUrl { title: &choice.title, url },
        None => Button::Postback { title: &choice.title, payload: &choice.id },
    }
}

fn quick_reply(choice: &Choice) -> QuickReply<'_> {
    QuickReply { content_type: "text", title: &choice.title, payload: &choice.id }
}

/// What the platform answered when it accepted. A message without an id is one of which nothing is known; an action has none.
///
/// # Errors
/// [`SendError::OutcomeUnknown`].
pub fn receipt(sent: Sent, is_action: bool, address: &'static str) -> Result<Receipt, SendError> {
    let id = sent.message_id.filter(|id| !id.is_empty());
    if id.is_none() && !is_action {
        return Err(SendError::OutcomeUnknown { detail: "an answer without a message id".to_owned() });
    }
    let recipient = sent.recipient_id.as_ref().and_then(envelope::text).filter(|id| !id.is_empty());
    let learned = recipient.map(|id| Address::new(address, id)).into_iter().collect();
    Ok(Receipt { provider_id: id, learned, ..Receipt::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn read(answer: Value, is_action: bool) -> Result<Receipt, SendError> {
        receipt(serde_json::from_value(answer).unwrap(), is_action, "psid")
    }

    #[test]
    fn the_answer_names_message_and_person() {
        let receipt = read(json!({"recipient_id": "6000000000000001", "message_id": "m_1"}), false).unwrap();
        assert_eq!(receipt.provider_id.as_deref(), Some("m_1"));
        assert_eq!(receipt.learned, [Address::new("psid", "6000000000000001")]);
    }

    #[rstest]
    #[case(json!({}))]
    #[case(json!({"recipient_id": "1", "message_id": ""}))]
    fn a_message_without_an_id_is_of_unknown_outcome(#[case] answer: Value) {
        assert!(matches!(read(answer.clone(), false), Err(SendError::OutcomeUnknown { .. })));
        assert_eq!(read(answer, true).unwrap().provider_id, None);
    }
}
