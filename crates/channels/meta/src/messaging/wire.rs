//! The JSON of the Send API, without logic: what we post, and what comes back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Right;

/// `POST /{page or account}/messages`. Whom to and by what right stand in it as a [`Right`] says, and nothing else can.
#[derive(Debug, Serialize)]
pub struct Request<'m> {
    /// Whom to.
    pub(super) recipient: Recipient<'m>,
    /// By what right; sender actions have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) messaging_type: Option<&'static str>,
    /// The message tag, with `MESSAGE_TAG`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<&'m str>,
    /// What is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Message<'m>>,
    /// What is quoted: beside the message, not in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reply_to: Option<Quoted<'m>>,
    /// `react` or `unreact`, in the place of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sender_action: Option<&'static str>,
    /// What a sender action is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload: Option<Reacted<'m>>,
}

impl<'m> Request<'m> {
    /// A message that leaves by that right.
    pub fn saying(right: Right<'m>, message: Message<'m>) -> Self {
        Self { message: Some(message), ..Self::by(right) }
    }

    /// Whether it is a sender action: it makes no message.
    pub fn is_action(&self) -> bool {
        self.sender_action.is_some()
    }

    /// What says nothing yet.
    pub(super) fn by(right: Right<'m>) -> Self {
        Self {
            recipient: right.recipient(),
            messaging_type: Some(right.messaging_type()),
            tag: right.tag(),
            message: None,
            reply_to: None,
            sender_action: None,
            payload: None,
        }
    }
}

/// Whom to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient<'m> {
    /// Somebody known: a page-scoped or Instagram-scoped id.
    Id(&'m str),
    /// Whoever wrote a comment.
    CommentId(&'m str),
    /// Whoever published a post on the Page.
    PostId(&'m str),
}

/// The message that is quoted.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Quoted<'m> {
    /// Its id.
    pub(super) mid: &'m str,
}

/// What a reaction is to.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Reacted<'m> {
    /// The message.
    pub(super) message_id: &'m str,
    /// The emoji; none takes it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reaction: Option<&'m str>,
}

/// What is said: words, a file, several pictures, buttons or a template.
#[derive(Debug, Default, Serialize)]
pub struct Message<'m> {
    /// Words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'m str>,
    /// One file, or buttons under words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attached<'m>>,
    /// Pictures, as Instagram wants them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Pictures<'m>>,
    /// Answers to tap, which go away with the tap.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quick_replies: Vec<QuickReply<'m>>,
    /// An approved template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Value>,
    /// Comes back in the echo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
}

/// One picture or several.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Pictures<'m> {
    /// One.
    One(Attached<'m>),
    /// Several, in order.
    Several(Vec<Attached<'m>>),
}

/// Something attached, by its type.
#[derive(Debug, Serialize)]
pub struct Attached<'m> {
    /// `image`, `video`, `audio`, `file` or `template`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it is.
    pub payload: Payload<'m>,
}

/// What is attached.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Payload<'m> {
    /// A file.
    File(FileRef),
    /// Words with one to three buttons.
    Buttons {
        /// Always `button`.
        template_type: &'static str,
        /// The words.
        text: &'m str,
        /// The buttons.
        buttons: Vec<Button<'m>>,
    },
}

/// Where the platform finds a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FileRef {
    /// A public address, https.
    Link {
        /// The address.
        url: String,
    },
    /// Uploaded before.
    Uploaded {
        /// Its id, private to the app and the Page.
        attachment_id: String,
    },
}

/// A button under words.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Button<'m> {
    /// Answers with its payload.
    Postback {
        /// What it says.
        title: &'m str,
        /// What comes back.
        payload: &'m str,
    },
    /// Opens an address.
    WebUrl {
        /// What it says.
        title: &'m str,
        /// The address.
        url: &'m str,
    },
}

/// An answer to tap.
#[derive(Debug, Serialize)]
pub struct QuickReply<'m> {
    /// Always `text`.
    pub content_type: &'static str,
    /// What it says.
    pub title: &'m str,
    /// What comes back.
    pub payload: &'m str,
}

/// The answer to a send.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Sent {
    /// Who got it; missing when the address was not an id.
    pub recipient_id: Option<Value>,
    /// The message; missing after a sender action.
    pub message_id: Option<String>,
}
