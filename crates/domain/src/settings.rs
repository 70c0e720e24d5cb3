//! A workspace and its settings, each with a key, a type and a default (docs/settings.md).

use serde::{Deserialize, Serialize};
use time::Time;

use crate::{OnClose, SavedReplyId, WorkspaceId};

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
    /// Whether a customer's message to an agent who is away is given to somebody else.
    pub reassign_when_away: bool,
    /// The country that phone numbers typed without one belong to (ISO 3166-1 alpha-2).
    pub default_country: Option<String>,
    /// Under whose name messages go out, where the channel can show one.
    pub sender_name: SenderName,
    /// The business's name for customers, where `sender_name` is `business`; without it the channel account's own shows.
    pub business_name: Option<String>,
    /// When broadcasts and automation let a customer sleep, by the customer's own clock.
    pub quiet_hours: Option<QuietHours>,
    /// The workspace's time zone, by its IANA name.
    pub time_zone: String,
    /// How many minutes before a window ends the event `window.closing` says so; 0 for never.
    pub window_closing_notice: u16,
    /// Whether a customer who did not answer us is reminded before the window ends.
    pub keep_open_reminder: bool,
    /// How many minutes before the end.
    pub keep_open_minutes: u16,
    /// In which words, if not in those of a saved reply.
    pub keep_open_text: Option<String>,
    /// In the words of which saved reply.
    pub keep_open_saved_reply: Option<SavedReplyId>,
    /// Whether a customer is asked how it was once a person has closed the conversation.
    pub survey_on_close: bool,
    /// The question.
    pub survey_question: Option<String>,
    /// The best score: 5 or 10. The worst is 1.
    pub survey_scale: u8,
    /// For how many days a number that the customer writes is their answer.
    pub survey_answer_days: u16,
}

/// A night: from one time of day to another, across midnight where the second comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// When it begins.
    #[serde(with = "clock_time")]
    pub from: Time,
    /// When it ends.
    #[serde(with = "clock_time")]
    pub to: Time,
}

time::serde::format_description!(clock_time, Time, "[hour]:[minute]");

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
            reassign_when_away: false,
            default_country: None,
            sender_name: SenderName::default(),
            business_name: None,
            quiet_hours: None,
            time_zone: "UTC".to_owned(),
            window_closing_notice: 60,
            keep_open_reminder: false,
            keep_open_minutes: 30,
            keep_open_text: None,
            keep_open_saved_reply: None,
            survey_on_close: false,
            survey_question: None,
            survey_scale: 5,
            survey_answer_days: 3,
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
