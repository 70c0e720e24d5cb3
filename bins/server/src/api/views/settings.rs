//! The settings of a workspace; docs/settings.md explains each.

use poem_openapi::{Enum, Object};
use transom_domain::{InboundOnClosed, NewConversationStatus, OnClose, SenderName, Settings};

/// What closing does to the assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "OnClose")]
enum OnCloseWord {
    /// Takes it from the agent; the team is kept.
    Unassign,
    /// Leaves it as it was.
    Keep,
}

/// The status of a conversation that a customer starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "NewConversationStatus")]
enum NewConversationWord {
    /// Closed where a bot serves the channel, else open.
    Auto,
    /// Always closed.
    Closed,
    /// Always open.
    Open,
}

/// What a customer's message does to a closed conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "InboundOnClosed")]
enum InboundOnClosedWord {
    /// As if the conversation were new.
    AsNew,
    /// Opens it.
    Open,
}

/// Under whose name messages go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "SenderName")]
enum SenderNameWord {
    /// The author's own.
    Agent,
    /// The author's alias; who has none goes by the name.
    Alias,
    /// The business's.
    Business,
}

macro_rules! words {
    ($word:ident = $noun:ident: $($name:ident)*) => {
        impl From<$word> for $noun {
            fn from(word: $word) -> Self {
                match word { $($word::$name => $noun::$name,)* }
            }
        }

        impl From<$noun> for $word {
            fn from(noun: $noun) -> Self {
                match noun { $($noun::$name => $word::$name,)* }
            }
        }
    };
}

words!(OnCloseWord = OnClose: Unassign Keep);
words!(NewConversationWord = NewConversationStatus: Auto Closed Open);
words!(InboundOnClosedWord = InboundOnClosed: AsNew Open);
words!(SenderNameWord = SenderName: Agent Alias Business);

/// How the workspace works.
#[derive(Debug, Object)]
#[oai(rename = "Settings", skip_serializing_if_is_none)]
pub(crate) struct SettingsView {
    /// What closing does to the assignment.
    on_close: OnCloseWord,
    /// Whether closing needs a category and a note.
    close_note_required: bool,
    /// The status of a conversation that a customer starts.
    new_conversation_status: NewConversationWord,
    /// What a customer's message does to a closed conversation.
    inbound_on_closed: InboundOnClosedWord,
    /// For how many days an answer to a person's message opens whatever the settings above say.
    answer_opens_days: u16,
    /// Whether a contact may have only one open or snoozed conversation.
    one_active_conversation_per_contact: bool,
    /// Whether a message that opens a thread needs a tag.
    tags_required: bool,
    /// The country that phone numbers typed without one belong to (ISO 3166-1 alpha-2).
    default_country: Option<String>,
    /// Under whose name messages go out, where the channel can show one.
    sender_name: SenderNameWord,
    /// The business's name for customers, where `sender_name` is `business`; without it the channel's own name shows.
    business_name: Option<String>,
}

impl From<&Settings> for SettingsView {
    fn from(settings: &Settings) -> Self {
        Self {
            on_close: settings.on_close.into(),
            close_note_required: settings.close_note_required,
            new_conversation_status: settings.new_conversation_status.into(),
            inbound_on_closed: settings.inbound_on_closed.into(),
            answer_opens_days: settings.answer_opens_days,
            one_active_conversation_per_contact: settings.one_active_conversation_per_contact,
            tags_required: settings.tags_required,
            default_country: settings.default_country.clone(),
            sender_name: settings.sender_name.into(),
            business_name: settings.business_name.clone(),
        }
    }
}

/// What may change about the settings; what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "SettingsPatch", deny_unknown_fields)]
pub(crate) struct SettingsPatch {
    /// What closing does to the assignment.
    on_close: Option<OnCloseWord>,
    /// Whether closing needs a category and a note.
    close_note_required: Option<bool>,
    /// The status of a conversation that a customer starts.
    new_conversation_status: Option<NewConversationWord>,
    /// What a customer's message does to a closed conversation.
    inbound_on_closed: Option<InboundOnClosedWord>,
    /// For how many days an answer to a person's message opens whatever the settings above say.
    #[oai(validator(maximum(value = "365")))]
    answer_opens_days: Option<u16>,
    /// Whether a contact may have only one open or snoozed conversation.
    one_active_conversation_per_contact: Option<bool>,
    /// Whether a message that opens a thread needs a tag.
    tags_required: Option<bool>,
    /// The country that phone numbers typed without one belong to (ISO 3166-1 alpha-2); an empty text clears it.
    #[oai(validator(pattern = "^([A-Z]{2})?$"))]
    default_country: Option<String>,
    /// Under whose name messages go out, where the channel can show one.
    sender_name: Option<SenderNameWord>,
    /// The business's name for customers, where `sender_name` is `business`; an empty text clears it.
    #[oai(validator(max_length = 200))]
    business_name: Option<String>,
}

impl SettingsPatch {
    /// The settings with what is given here.
    pub(crate) fn over(&self, settings: Settings) -> Settings {
        Settings {
            on_close: self.on_close.map_or(settings.on_close, Into::into),
            close_note_required: self.close_note_required.unwrap_or(settings.close_note_required),
            new_conversation_status: self.new_conversation_status.map_or(settings.new_conversation_status, Into::into),
            inbound_on_closed: self.inbound_on_closed.map_or(settings.inbound_on_closed, Into::into),
            answer_opens_days: self.answer_opens_days.unwrap_or(settings.answer_opens_days),
            one_active_conversation_per_contact: self
                .one_active_conversation_per_contact
                .unwrap_or(settings.one_active_conversation_per_contact),
            tags_required: self.tags_required.unwrap_or(settings.tags_required),
            default_country: cleared_if_empty(self.default_country.as_deref(), settings.default_country),
            sender_name: self.sender_name.map_or(settings.sender_name, Into::into),
            business_name: cleared_if_empty(self.business_name.as_deref(), settings.business_name),
        }
    }
}

/// What is given, if anything is: an empty text takes away what was there.
fn cleared_if_empty(given: Option<&str>, was: Option<String>) -> Option<String> {
    match given.map(str::trim) {
        None => was,
        Some(given) => Some(given.to_owned()).filter(|given| !given.is_empty()),
    }
}
