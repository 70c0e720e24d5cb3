//! The frames between a visitor and the service, as JSON (webchat.md 4). No logic.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

/// The sub-protocol of the WebSocket.
pub const SUBPROTOCOL: &str = "chat.v1.json";
/// The version that `hello` names.
pub const VERSION: u8 = 1;
/// The largest frame, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// What a visitor's side says.
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

/// The first frame of a socket, and the body of a new session.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// The protocol's version, 1.
    pub v: u8,
    /// The visitor's token.
    pub token: Option<String>,
    /// Who the visitor is, with the site's proof.
    pub identity: Option<ClaimedIdentity>,
    /// The newest event that is stored on the visitor's side.
    pub last_seq: Option<u64>,
    /// What the visitor says of themselves: believed by nobody.
    pub profile: ClaimedProfile,
    /// The device, in words.
    pub device: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// The page that is open.
    pub page: Option<Page>,
}

/// Who a visitor claims to be.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClaimedIdentity {
    /// A signed statement of the site.
    pub jwt: Option<String>,
    /// The site's own id of the person.
    pub external_id: Option<String>,
    /// The site's HMAC over that id.
    pub user_hash: Option<String>,
}

impl std::fmt::Debug for ClaimedIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimedIdentity").finish_non_exhaustive()
    }
}

/// What a visitor says of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimedProfile {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// BCP 47 language tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// The page that a visitor has open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// Its address.
    pub url: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Where the visitor came from.
    pub referrer: Option<String>,
}

/// A message that a visitor writes.
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

/// How much a visitor is there.
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

/// What the service says.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(seq: &u64) -> bool {
    *seq == 0
}

/// The answer to `hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Who the visitor is here.
    pub visitor_id: String,
    /// A new token to keep; left out where the one that was shown stays good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether the site has proven who the visitor is.
    pub verified: bool,
    /// The service's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub server_time: OffsetDateTime,
    /// Whether the events after `last_seq` follow.
    pub resume: Resume,
    /// The number of the newest event.
    pub last_seq: u64,
    /// The visitor's conversations.
    pub conversations: Vec<ConversationView>,
    /// What the widget goes by.
    pub settings: WelcomeSettings,
}

/// Whether a visitor's side goes on where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// What it missed follows.
    Ok,
    /// Fetch the history, and go on from `last_seq`.
    Reset,
}

/// A conversation as its visitor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationView {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub status: ConversationStatus,
}

/// How a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationStatus {
    /// It waits for somebody.
    Open,
    /// Somebody has it.
    Assigned,
    /// It is over, until somebody writes.
    Closed,
}

/// What the widget goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeSettings {
    /// Nobody answers now.
    pub offline: bool,
    /// For how many days events can be resumed.
    pub retention_days: u32,
    /// The largest upload, in bytes.
    pub max_upload: u64,
    /// How often to send `ping`, in seconds.
    pub heartbeat_s: u32,
}

/// A message as its visitor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The visitor's own key of it, on messages of the visitor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Whose it is.
    pub from: From,
    /// The words: plain text.
    pub text: String,
    /// How the words are to be read: always `plain`.
    pub format: Format,
    /// The files.
    #[serde(default)]
    pub attachments: Vec<File>,
    /// The buttons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Button>,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// It invites a visitor who has not written.
    #[serde(default, skip_serializing_if = "is_false")]
    pub invitation: bool,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

/// How words are to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As they stand: no markup.
    #[default]
    Plain,
}

/// Whose a message is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct From {
    /// What they are.
    pub kind: FromKind,
    /// The name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
}

/// What a writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromKind {
    /// A person of the business.
    Agent,
    /// A program of the business.
    Bot,
    /// The service.
    System,
    /// The visitor.
    Visitor,
}

/// A file of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its id, where it is kept here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it is to the reader: `image`, `video`, `audio`, `voice`, `document`.
    pub kind: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its MIME type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Where it can be read for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A button of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What it says.
    pub label: String,
    /// What it sends back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The address that it opens instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What became of messages of the visitor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// They arrived.
    Delivered,
    /// Somebody saw them.
    Read,
}

/// Something was refused.
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    /// Every row of the sheet's table of client frames, and `ack`.
    #[rstest]
    #[case(json!({"type": "hello", "v": 1, "token": "t", "last_seq": 5, "device": "web", "locale": "de", "page": {"url": "https://a"}}))]
    #[case(json!({"type": "hello", "v": 1, "identity": {"external_id": "cust-42", "user_hash": "ab"}}))]
    #[case(json!({"type": "message", "client_id": "0b6e", "conversation_id": "c_1", "text": "Hi"}))]
    #[case(json!({"type": "message", "client_id": "0b6e", "attachments": ["u_1"], "reply_to": "m_1"}))]
    #[case(json!({"type": "typing", "conversation_id": "c_1", "on": true, "preview": "H"}))]
    #[case(json!({"type": "read", "conversation_id": "c_1", "up_to": "m_10"}))]
    #[case(json!({"type": "presence", "state": "hidden"}))]
    #[case(json!({"type": "button", "message_id": "m_1", "payload": "yes"}))]
    #[case(json!({"type": "end", "conversation_id": "c_1"}))]
    #[case(json!({"type": "fetch", "conversation_id": "c_1", "before": "m_1", "limit": 50}))]
    #[case(json!({"type": "email", "address": "ann@example.test"}))]
    #[case(json!({"type": "ping", "t": 17}))]
    #[case(json!({"type": "ack", "seq": 7}))]
    fn client_frames_are_read(#[case] frame: Value) {
        serde_json::from_value::<ClientFrame>(frame).unwrap();
    }

    /// The sheet's own examples of what the service says.
    #[rstest]
    #[case(json!({"type": "ack", "client_id": "0b6e", "message_id": "m_9", "seq": 118, "created_at": "2025-10-09T08:53:20Z"}))]
    #[case(json!({"type": "message", "seq": 119, "conversation_id": "c_1", "message": {"id": "m_10",
        "from": {"kind": "agent", "name": "Eva"}, "text": "Hello", "format": "plain", "attachments": [],
        "created_at": "2025-10-09T08:53:31Z"}}))]
    fn the_sheets_examples_are_written_as_they_stand(#[case] frame: Value) {
        let read: ServerFrame = serde_json::from_value(frame.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), frame);
    }

    #[test]
    fn a_claimed_identity_does_not_show() {
        let hello: Hello = serde_json::from_value(json!({"v": 1, "identity": {"jwt": "ey.secret"}})).unwrap();
        assert!(!format!("{hello:?}").contains("secret"));
    }
}
