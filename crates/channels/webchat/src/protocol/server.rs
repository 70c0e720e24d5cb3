//! What the service says.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::{ConversationStatus, From, Message, Welcome};

/// What the service says (webchat.md 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to `hello`.
    Welcome(Box<Welcome>),
    /// A message of the visitor's is stored.
    Ack {
        /// The visitor's key of it.
        client_id: String,
        /// Its id from now on.
        message_id: String,
        /// Its number among the visitor's events.
        seq: u64,
        /// When it was taken.
        #[serde(with = "time::serde::rfc3339")]
        created_at: OffsetDateTime,
    },
    /// A message, of the business or from another tab of the visitor.
    Message {
        /// Its number among the visitor's events.
        #[serde(default, skip_serializing_if = "is_zero")]
        seq: u64,
        /// The conversation.
        conversation_id: String,
        /// The message.
        message: Message,
    },
    /// A message says something else now.
    MessageUpdated {
        /// Its number among the visitor's events.
        #[serde(default, skip_serializing_if = "is_zero")]
        seq: u64,
        /// The conversation.
        conversation_id: String,
        /// The message.
        message: Message,
    },
    /// A message was taken back.
    MessageDeleted {
        /// Its number among the visitor's events.
        #[serde(default, skip_serializing_if = "is_zero")]
        seq: u64,
        /// The conversation.
        conversation_id: String,
        /// The message.
        message_id: String,
    },
    /// Somebody of the business types. Not stored.
    Typing {
        /// The conversation.
        conversation_id: String,
        /// Who.
        from: From,
        /// Whether they do.
        on: bool,
    },
    /// Messages of the visitor's arrived, or were seen.
    Receipt {
        /// Its number among the visitor's events.
        #[serde(default, skip_serializing_if = "is_zero")]
        seq: u64,
        /// The conversation.
        conversation_id: String,
        /// The newest of them.
        up_to: String,
        /// What became of them.
        state: Seen,
    },
    /// The conversation stands differently.
    Conversation {
        /// Its number among the visitor's events.
        #[serde(default, skip_serializing_if = "is_zero")]
        seq: u64,
        /// The conversation.
        conversation_id: String,
        /// How it stands.
        status: ConversationStatus,
        /// Who has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assignee: Option<From>,
    },
    /// Whether somebody of the business is there.
    Presence {
        /// Whether somebody is.
        online: bool,
        /// When an answer can be expected, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_reply: Option<String>,
    },
    /// The answer to `fetch`.
    History {
        /// The conversation.
        conversation_id: String,
        /// The messages, oldest first.
        messages: Vec<Message>,
        /// From where to go on; left out where there is nothing earlier.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
    /// Something was refused.
    Error(ErrorFrame),
    /// The answer to `ping`.
    Pong {
        /// What `ping` said.
        t: Value,
    },
}

impl ServerFrame {
    /// The same with its number, where it is one of the visitor's events.
    #[must_use]
    pub fn numbered(mut self, number: u64) -> Self {
        match &mut self {
            ServerFrame::Message { seq, .. }
            | ServerFrame::MessageUpdated { seq, .. }
            | ServerFrame::MessageDeleted { seq, .. }
            | ServerFrame::Receipt { seq, .. }
            | ServerFrame::Conversation { seq, .. } => *seq = number,
            ServerFrame::Welcome(_)
            | ServerFrame::Ack { .. }
            | ServerFrame::Typing { .. }
            | ServerFrame::Presence { .. }
            | ServerFrame::History { .. }
            | ServerFrame::Error(_)
            | ServerFrame::Pong { .. } => {}
        }
        self
    }

    /// The word that `type` says.
    pub fn name(&self) -> &'static str {
        match self {
            ServerFrame::Welcome(_) => "welcome",
            ServerFrame::Ack { .. } => "ack",
            ServerFrame::Message { .. } => "message",
            ServerFrame::MessageUpdated { .. } => "message_updated",
            ServerFrame::MessageDeleted { .. } => "message_deleted",
            ServerFrame::Typing { .. } => "typing",
            ServerFrame::Receipt { .. } => "receipt",
            ServerFrame::Conversation { .. } => "conversation",
            ServerFrame::Presence { .. } => "presence",
            ServerFrame::History { .. } => "history",
            ServerFrame::Error(_) => "error",
            ServerFrame::Pong { .. } => "pong",
        }
    }
}

/// What became of messages of the visitor's (webchat.md 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// They arrived.
    Delivered,
    /// Somebody saw them.
    Read,
}

/// Something was refused (webchat.md 4, 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFrame {
    /// Stable, as in the table of errors.
    pub code: String,
    /// What is wrong and what to do, for developers.
    pub message: String,
    /// The visitor's key of the message that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// In how many seconds to come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(seq: &u64) -> bool {
    *seq == 0
}
