//! What a visitor's side says.

use serde::Deserialize;
use serde_json::Value;

use super::Hello;

/// What a visitor's side says (webchat.md 4).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame, within ten seconds.
    Hello(Box<Hello>),
    /// A message.
    Message(NewMessage),
    /// The visitor types, or stopped. Not stored.
    Typing {
        /// In which conversation.
        conversation_id: String,
        /// Whether they do.
        on: bool,
        /// What stands there so far.
        #[serde(default)]
        preview: Option<String>,
    },
    /// The visitor saw all messages up to one.
    Read {
        /// In which conversation.
        conversation_id: String,
        /// The newest message that was seen.
        up_to: String,
    },
    /// Whether somebody looks at the page.
    Presence {
        /// How much.
        state: PresenceState,
    },
    /// A button under a message was pressed.
    Button {
        /// The message.
        message_id: String,
        /// What the button carries.
        payload: String,
        /// The key of this press; without it, one press of a button counts.
        #[serde(default)]
        client_id: Option<String>,
    },
    /// The visitor ends the conversation and wants no invitations.
    End {
        /// Which conversation.
        conversation_id: String,
    },
    /// Earlier messages are wanted.
    Fetch {
        /// Of which conversation.
        conversation_id: String,
        /// From before this place, as `history` named it.
        #[serde(default)]
        before: Option<String>,
        /// How many, at most 50.
        #[serde(default)]
        limit: Option<u16>,
    },
    /// Where answers may go while the visitor is away. Not verified.
    Email {
        /// The address.
        address: String,
    },
    /// Every event up to a number is stored on the visitor's side.
    Ack {
        /// The number.
        seq: u64,
    },
    /// A sign of life, every 25 to 30 seconds.
    Ping {
        /// Comes back in `pong`.
        #[serde(default)]
        t: Value,
    },
}

/// A message that a visitor writes (webchat.md 4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct NewMessage {
    /// A UUID of the visitor's side: the same id is the same message.
    pub client_id: String,
    /// In which conversation; left out: the visitor's own.
    #[serde(default)]
    pub conversation_id: Option<String>,
    /// The words.
    #[serde(default)]
    pub text: Option<String>,
    /// Files that were uploaded before.
    #[serde(default)]
    pub attachments: Vec<String>,
    /// The message that it answers.
    #[serde(default)]
    pub reply_to: Option<String>,
}

/// How much a visitor is there (webchat.md 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceState {
    /// They do something.
    Active,
    /// They do nothing.
    Idle,
    /// They look at something else.
    Hidden,
}
