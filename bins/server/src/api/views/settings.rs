//! The settings of a workspace; docs/settings.md explains each.

use poem_openapi::{Enum, Object};
use time::Time;
use time::macros::format_description;
use transom_domain::{InboundOnClosed, NewConversationStatus, OnClose, QuietHours, SenderName, Settings};
use uuid::Uuid;

use crate::http::problem::Problem;

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

words!(OnCloseWord = OnClose: Unassign Keep);
words!(NewConversationWord = NewConversationStatus: Auto Closed Open);
words!(InboundOnClosedWord = InboundOnClosed: AsNew Open);
words!(SenderNameWord = SenderName: Agent Alias Business);

/// When customers are let sleep, by their own clocks; across midnight where `to` is the earlier one.
#[derive(Debug, Object)]
#[oai(rename = "QuietHours", deny_unknown_fields)]
struct QuietHoursBody {
    /// When it begins, such as `21:00`.
    #[oai(validator(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    from: String,
    /// When it ends, such as `08:00`.
    #[oai(validator(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    to: String,
}

impl TryFrom<&QuietHoursBody> for QuietHours {
    type Error = Problem;

    fn try_from(body: &QuietHoursBody) -> Result<Self, Problem> {
        let read = |text: &str| Time::parse(text, format_description!("[hour]:[minute]"));
        match (read(&body.from), read(&body.to)) {
            (Ok(from), Ok(to)) if from != to => Ok(Self { from, to }),
            _ => {
                let detail = "quiet hours have two different times of day, such as 21:00 and 08:00";
                Err(Problem::with_status(422, "invalid_value", detail).at("quiet_hours"))
            }
        }
    }
}

impl From<QuietHours> for QuietHoursBody {
    fn from(hours: QuietHours) -> Self {
        let text = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        Self { from: text(hours.from), to: text(hours.to) }
    }
}

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
    /// Whether a customer's message to an agent who is away is given to somebody else.
    reassign_when_away: bool,
    /// The country that phone numbers typed without one belong to (ISO 3166-1 alpha-2).
    default_country: Option<String>,
    /// Under whose name messages go out, where the channel can show one.
    sender_name: SenderNameWord,
    /// The business's name for customers, where `sender_name` is `business`; without it the channel's own name shows.
    business_name: Option<String>,
    /// When broadcasts and automation let customers sleep, by their own clocks; left out: never.
    quiet_hours: Option<QuietHoursBody>,
    /// The workspace's time zone, by its IANA name.
    time_zone: String,
    /// How many minutes before a window ends the event `window.closing` says so; 0 for never.
    window_closing_notice: u16,
    /// Whether a customer who did not answer us is reminded before the window ends.
    keep_open_reminder: bool,
    /// How many minutes before the end.
    keep_open_minutes: u16,
    /// The words of the reminder.
    keep_open_text: Option<String>,
    /// The saved reply whose words the reminder has instead.
    keep_open_saved_reply: Option<Uuid>,
    /// Whether a customer is asked how it was once a person has closed the conversation.
    survey_on_close: bool,
    /// The question of the survey.
    survey_question: Option<String>,
    /// The best score, 5 or 10; the worst is 1.
    survey_scale: u8,
    /// For how many days a number that the customer writes is their answer.
    survey_answer_days: u16,
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
            reassign_when_away: settings.reassign_when_away,
            default_country: settings.default_country.clone(),
            sender_name: settings.sender_name.into(),
            business_name: settings.business_name.clone(),
            quiet_hours: settings.quiet_hours.map(Into::into),
            time_zone: settings.time_zone.clone(),
            window_closing_notice: settings.window_closing_notice,
            keep_open_reminder: settings.keep_open_reminder,
            keep_open_minutes: settings.keep_open_minutes,
            keep_open_text: settings.keep_open_text.clone(),
            keep_open_saved_reply: settings.keep_open_saved_reply.map(Into::into),
            survey_on_close: settings.survey_on_close,
            survey_question: settings.survey_question.clone(),
            survey_scale: settings.survey_scale,
            survey_answer_days: settings.survey_answer_days,
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
    /// Whether a customer's message to an agent who is away is given to somebody else.
    reassign_when_away: Option<bool>,
    /// The country that phone numbers typed without one belong to (ISO 3166-1 alpha-2); an empty text clears it.
    #[oai(validator(pattern = "^([A-Z]{2})?$"))]
    default_country: Option<String>,
    /// Under whose name messages go out, where the channel can show one.
    sender_name: Option<SenderNameWord>,
    /// The business's name for customers, where `sender_name` is `business`; an empty text clears it.
    #[oai(validator(max_length = 200))]
    business_name: Option<String>,
    /// When broadcasts and automation let customers sleep, by their own clocks.
    quiet_hours: Option<QuietHoursBody>,
    /// Whether broadcasts and automation may come at any hour: `true` takes `quiet_hours` away.
    quiet_hours_off: Option<bool>,
    /// The workspace's time zone, by its IANA name.
    #[oai(validator(max_length = 64))]
    time_zone: Option<String>,
    /// How many minutes before a window ends the event `window.closing` says so; 0 for never.
    #[oai(validator(maximum(value = "10080")))]
    window_closing_notice: Option<u16>,
    /// Whether a customer who did not answer us is reminded before the window ends. It needs words.
    keep_open_reminder: Option<bool>,
    /// How many minutes before the end.
    #[oai(validator(minimum(value = "1"), maximum(value = "1440")))]
    keep_open_minutes: Option<u16>,
    /// The words of the reminder, in the place of a saved reply; an empty text clears them.
    #[oai(validator(max_length = 1000))]
    keep_open_text: Option<String>,
    /// The saved reply whose words the reminder has, in the place of a text.
    keep_open_saved_reply: Option<Uuid>,
    /// Whether a customer is asked how it was once a person has closed the conversation. It needs a question.
    survey_on_close: Option<bool>,
    /// The question of the survey: say in it which numbers count. An empty text clears it.
    #[oai(validator(max_length = 1000))]
    survey_question: Option<String>,
    /// The best score, 5 or 10; the worst is 1.
    #[oai(validator(minimum(value = "5"), maximum(value = "10"), multiple_of = 5.0))]
    survey_scale: Option<u8>,
    /// For how many days a number that the customer writes is their answer.
    #[oai(validator(minimum(value = "1"), maximum(value = "30")))]
    survey_answer_days: Option<u16>,
}

impl SettingsPatch {
    /// The settings with what is given here.
    pub(crate) fn over(&self, settings: Settings) -> Result<Settings, Problem> {
        let keep_open_text = cleared_if_empty(self.keep_open_text.as_deref(), settings.keep_open_text);
        let keep_open_saved_reply = self.keep_open_saved_reply.map(Into::into).or(settings.keep_open_saved_reply);
        // Of text and saved reply the one that was given last counts.
        let (keep_open_text, keep_open_saved_reply) = match (&self.keep_open_text, self.keep_open_saved_reply) {
            (None, Some(_)) => (None, keep_open_saved_reply),
            (Some(text), None) if !text.trim().is_empty() => (keep_open_text, None),
            _ => (keep_open_text, keep_open_saved_reply),
        };
        let quiet_hours: Option<QuietHours> = match &self.quiet_hours {
            Some(hours) => Some(hours.try_into()?),
            None => settings.quiet_hours.filter(|_| self.quiet_hours_off != Some(true)),
        };
        Ok(Settings {
            on_close: self.on_close.map_or(settings.on_close, Into::into),
            close_note_required: self.close_note_required.unwrap_or(settings.close_note_required),
            new_conversation_status: self.new_conversation_status.map_or(settings.new_conversation_status, Into::into),
            inbound_on_closed: self.inbound_on_closed.map_or(settings.inbound_on_closed, Into::into),
            answer_opens_days: self.answer_opens_days.unwrap_or(settings.answer_opens_days),
            one_active_conversation_per_contact: self
                .one_active_conversation_per_contact
                .unwrap_or(settings.one_active_conversation_per_contact),
            tags_required: self.tags_required.unwrap_or(settings.tags_required),
            reassign_when_away: self.reassign_when_away.unwrap_or(settings.reassign_when_away),
            default_country: cleared_if_empty(self.default_country.as_deref(), settings.default_country),
            sender_name: self.sender_name.map_or(settings.sender_name, Into::into),
            business_name: cleared_if_empty(self.business_name.as_deref(), settings.business_name),
            quiet_hours,
            time_zone: self.time_zone.clone().unwrap_or(settings.time_zone),
            window_closing_notice: self.window_closing_notice.unwrap_or(settings.window_closing_notice),
            keep_open_reminder: self.keep_open_reminder.unwrap_or(settings.keep_open_reminder),
            keep_open_minutes: self.keep_open_minutes.unwrap_or(settings.keep_open_minutes),
            keep_open_text,
            keep_open_saved_reply,
            survey_on_close: self.survey_on_close.unwrap_or(settings.survey_on_close),
            survey_question: cleared_if_empty(self.survey_question.as_deref(), settings.survey_question),
            survey_scale: self.survey_scale.unwrap_or(settings.survey_scale),
            survey_answer_days: self.survey_answer_days.unwrap_or(settings.survey_answer_days),
        })
    }
}

/// What is given, if anything is: an empty text takes away what was there.
fn cleared_if_empty(given: Option<&str>, was: Option<String>) -> Option<String> {
    match given.map(str::trim) {
        None => was,
        Some(given) => Some(given.to_owned()).filter(|given| !given.is_empty()),
    }
}
