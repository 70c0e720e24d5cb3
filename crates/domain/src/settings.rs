//! A workspace and its settings, each with a key, a type and a default (docs/settings.md).

use serde::{Deserialize, Serialize};

use crate::{OnClose, WorkspaceId};

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// How it works.
    pub settings: Settings,
}

/// How a workspace works. Missing keys take their defaults, unknown ones are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What closing does to the assignment.
    pub on_close: OnClose,
    /// Closing needs a category and a note.
    pub close_note_required: bool,
    /// The status of a conversation that a customer starts.
    pub new_conversation_status: NewConversationStatus,
    /// What a customer's message does to a closed conversation.
    pub inbound_on_closed: InboundOnClosed,
    /// For how many days an answer to a person's message opens whatever the settings above say.
    pub answer_opens_days: u16,
    /// Whether a contact may have only one open or snoozed conversation.
    pub one_active_conversation_per_contact: bool,
    /// Whether a message that opens a thread needs a tag.
    pub tags_required: bool,
    /// The country that phone numbers typed without one belong to (ISO 3166-1 alpha-2).
    pub default_country: Option<String>,
    /// Under whose name messages go out, where the channel can show one.
    pub sender_name: SenderName,
    /// The business's name for customers, where `sender_name` is `business`; without it the channel account's own shows.
    pub business_name: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            on_close: OnClose::default(),
            close_note_required: false,
            new_conversation_status: NewConversationStatus::default(),
            inbound_on_closed: InboundOnClosed::default(),
            answer_opens_days: 7,
            one_active_conversation_per_contact: false,
            tags_required: false,
            default_country: None,
            sender_name: SenderName::default(),
            business_name: None,
        }
    }
}

/// The status of a conversation that a customer starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewConversationStatus {
    /// Closed where a bot serves the account, else open.
    #[default]
    Auto,
    /// Always closed.
    Closed,
    /// Always open.
    Open,
}

impl NewConversationStatus {
    /// Whether a new conversation starts open.
    pub const fn starts_open(self, bot_serves: bool) -> bool {
        match self {
            NewConversationStatus::Auto => !bot_serves,
            NewConversationStatus::Closed => false,
            NewConversationStatus::Open => true,
        }
    }
}

/// What a customer's message does to a closed conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboundOnClosed {
    /// As if the conversation were new.
    #[default]
    AsNew,
    /// Opens it.
    Open,
}

/// Under whose name messages go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderName {
    /// The author's own.
    #[default]
    Agent,
    /// The author's alias; who has none goes by the name.
    Alias,
    /// The business's.
    Business,
}
