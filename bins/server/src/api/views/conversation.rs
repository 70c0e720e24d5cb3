//! Conversations.

use poem_openapi::{Enum, Object};
use time::OffsetDateTime;
use transom_desk::Way;
use transom_desk::queries::ConversationRow;
use transom_domain::{Status, Tab};
use transom_storage::{Episode, StoredConversation, StoredSurvey, SurveyState, TabCounts};
use uuid::Uuid;

use super::people::{ActorView, AssigneeView};
use crate::api::contract::{As, WayBody, WindowBody};

/// The stored status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Status")]
pub(crate) enum StatusWord {
    /// Being worked on, by somebody or by nobody yet.
    Open,
    /// Out of sight until an instant or until the customer writes.
    Snoozed,
    /// Done.
    Closed,
}

impl From<Status> for StatusWord {
    fn from(status: Status) -> Self {
        match status {
            Status::Open => StatusWord::Open,
            Status::Snoozed { .. } => StatusWord::Snoozed,
            Status::Closed => StatusWord::Closed,
        }
    }
}

/// The tabs of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Tab")]
pub(crate) enum TabWord {
    /// Open, and nobody has it.
    Open,
    /// Open, and somebody has it.
    Assigned,
    /// Snoozed.
    Snoozed,
    /// Closed.
    Closed,
    /// All of them.
    All,
}

impl TabWord {
    /// The one tab; `None` for all.
    pub(crate) fn one(self) -> Option<Tab> {
        match self {
            TabWord::Open => Some(Tab::Open),
            TabWord::Assigned => Some(Tab::Assigned),
            TabWord::Snoozed => Some(Tab::Snoozed),
            TabWord::Closed => Some(Tab::Closed),
            TabWord::All => None,
        }
    }
}

impl From<Tab> for TabWord {
    fn from(tab: Tab) -> Self {
        match tab {
            Tab::Open => TabWord::Open,
            Tab::Assigned => TabWord::Assigned,
            Tab::Snoozed => TabWord::Snoozed,
            Tab::Closed => TabWord::Closed,
        }
    }
}

/// A thread with one person on one channel.
#[derive(Debug, Object)]
#[oai(rename = "Conversation", skip_serializing_if_is_none)]
pub(crate) struct ConversationView {
    /// Its id.
    id: Uuid,
    /// The customer.
    contact: Uuid,
    /// The customer's name.
    contact_name: Option<String>,
    /// The channel.
    channel: Uuid,
    /// The channel's platform.
    platform: Option<String>,
    /// Who the customer is on the channel.
    identity: Uuid,
    /// The platform's thread within the identity, where it has threads.
    thread: Option<String>,
    /// Where it stands.
    status: StatusWord,
    /// When a snoozed one wakes.
    snoozed_until: Option<OffsetDateTime>,
    /// Since when it has that status.
    status_since: OffsetDateTime,
    /// The tab that shows it.
    tab: TabWord,
    /// Who has it.
    assignee: AssigneeView,
    /// Its tags.
    tags: Vec<String>,
    /// The present or last episode.
    episode: Uuid,
    /// How many episodes there have been.
    episodes: u32,
    /// What may be sent now: how long there is left for an answer.
    window: Option<WindowsView>,
    /// When its newest message was written.
    last_message_at: Option<OffsetDateTime>,
    /// When the customer last wrote.
    last_inbound_at: Option<OffsetDateTime>,
    /// When somebody last wrote to the customer.
    last_outbound_at: Option<OffsetDateTime>,
    /// Since when the customer waits for a person's answer.
    waiting_since: Option<OffsetDateTime>,
    /// The first line of the newest message.
    preview: Option<String>,
    /// The last score that the customer gave.
    survey_score: Option<u8>,
    /// The last survey; lists leave it out.
    survey: Option<SurveyView>,
    /// For `If-Match`: the same as in the `ETag`.
    version: u64,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it last changed.
    updated_at: OffsetDateTime,
}

/// How long there is left for an answer, decided for this answer of the API.
#[derive(Debug, Object)]
#[oai(rename = "Windows", skip_serializing_if_is_none)]
struct WindowsView {
    /// For a person.
    human: As<WindowBody>,
    /// For automation.
    automation: As<WindowBody>,
    /// Until when a person may send free text.
    free_form_until: Option<OffsetDateTime>,
    /// What may still be sent once the window has run out.
    afterwards: AfterwardsView,
    /// When the answer for a person changes by itself.
    next_change: Option<OffsetDateTime>,
    /// The policy that decided, with its version.
    policy: String,
}

/// What may still be sent once a window has run out, if the customer stays silent: when it closes, or now where it is closed or never
/// was open. By the rules of the platform; empty where nothing may.
#[derive(Debug, Object)]
#[oai(rename = "Afterwards", skip_serializing_if_is_none)]
struct AfterwardsView {
    /// By a person; left out where no time ends their window.
    human: Option<Vec<As<WayBody>>>,
    /// By automation; left out where no time ends its window.
    automation: Option<Vec<As<WayBody>>>,
}

impl From<&ConversationRow> for ConversationView {
    fn from(row: &ConversationRow) -> Self {
        let ways = |ways: Option<&Vec<Way>>| ways.map(|ways| ways.iter().map(As::of).collect());
        let windows = WindowsView {
            human: As::of(row.human.window()),
            automation: As::of(row.automation.window()),
            free_form_until: row.free_form_until(),
            afterwards: AfterwardsView {
                human: ways(row.human_afterwards.as_ref()),
                automation: ways(row.automation_afterwards.as_ref()),
            },
            next_change: row.human.next_change(),
            policy: format!("{}@{}", row.human.policy().name(), row.human.policy().version()),
        };
        Self {
            contact_name: row.contact_name.clone(),
            platform: Some(row.platform.clone()),
            window: Some(windows),
            survey: row.survey.as_ref().map(Into::into),
            ..Self::from(&row.stored)
        }
    }
}

impl From<&StoredConversation> for ConversationView {
    fn from(stored: &StoredConversation) -> Self {
        let conversation = &stored.conversation;
        Self {
            id: conversation.id.uuid(),
            contact: stored.contact.uuid(),
            contact_name: None,
            channel: stored.account.uuid(),
            platform: None,
            identity: conversation.identity.uuid(),
            thread: Some(conversation.thread.clone()).filter(|thread| !thread.is_empty()),
            status: conversation.status.into(),
            snoozed_until: conversation.status.snoozed_until(),
            status_since: conversation.status_since,
            tab: conversation.tab().into(),
            assignee: conversation.assignment.into(),
            tags: stored.tags.clone(),
            episode: conversation.episode.uuid(),
            episodes: conversation.episodes,
            window: None,
            last_message_at: stored.last_message_at,
            last_inbound_at: stored.last_inbound_at,
            last_outbound_at: stored.last_outbound_at,
            waiting_since: stored.waiting_since,
            preview: stored.preview.clone(),
            survey_score: stored.survey_score,
            survey: None,
            version: stored.version,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// How far a survey has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "SurveyState")]
enum SurveyStateWord {
    /// It is to be asked.
    Waiting,
    /// It was asked.
    Asked,
    /// It was asked, and the question did not get to the customer.
    NotSent,
    /// It was not asked.
    Skipped,
    /// It was answered.
    Answered,
}

impl From<SurveyState> for SurveyStateWord {
    fn from(state: SurveyState) -> Self {
        match state {
            SurveyState::Waiting => SurveyStateWord::Waiting,
            SurveyState::Asked => SurveyStateWord::Asked,
            SurveyState::NotSent => SurveyStateWord::NotSent,
            SurveyState::Skipped => SurveyStateWord::Skipped,
            SurveyState::Answered => SurveyStateWord::Answered,
        }
    }
}

/// How the customer was asked how it was, after a person closed the conversation.
#[derive(Debug, Object)]
#[oai(rename = "Survey", skip_serializing_if_is_none)]
struct SurveyView {
    /// How far it has come.
    state: SurveyStateWord,
    /// The episode that was closed.
    episode: Uuid,
    /// Why it was not asked, or did not get to the customer.
    reason: Option<serde_json::Value>,
    /// What was asked.
    question: Option<String>,
    /// The message that asked it.
    message: Option<Uuid>,
    /// The best score; the worst is 1.
    scale: Option<u8>,
    /// When it was asked.
    asked_at: Option<OffsetDateTime>,
    /// Until when a number that the customer writes is their answer.
    answers_until: Option<OffsetDateTime>,
    /// The score.
    score: Option<u8>,
    /// When it was given.
    answered_at: Option<OffsetDateTime>,
}

impl From<&StoredSurvey> for SurveyView {
    fn from(survey: &StoredSurvey) -> Self {
        let question = survey.question.as_ref();
        Self {
            state: survey.state.into(),
            episode: survey.episode.uuid(),
            reason: survey.reason.clone(),
            question: question.map(|asked| asked.question.clone()),
            message: question.map(|asked| asked.message.uuid()),
            scale: question.map(|asked| asked.scale),
            asked_at: question.map(|asked| asked.asked_at),
            answers_until: question.map(|asked| asked.until),
            score: survey.answer.map(|(score, _)| score),
            answered_at: survey.answer.map(|(_, at)| at),
        }
    }
}

/// A page of conversations.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct ConversationPage {
    /// The conversations, in the order asked for.
    pub(crate) items: Vec<ConversationView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
    /// How many there are in each tab, by the same filters but those by tab and status; only with `counts=true`.
    pub(crate) counts: Option<TabCountsView>,
}

/// How many conversations each tab has, exact to 10,000; 10,001 stands for more than that.
#[derive(Debug, Object)]
#[oai(rename = "TabCounts")]
pub(crate) struct TabCountsView {
    open: u32,
    assigned: u32,
    snoozed: u32,
    closed: u32,
    /// All of them together.
    all: u32,
}

impl From<TabCounts> for TabCountsView {
    fn from(counts: TabCounts) -> Self {
        let TabCounts { open, assigned, snoozed, closed } = counts;
        // A sum with a tab in it that was not counted to its end is above 10,000 as well.
        let all = [open, assigned, snoozed, closed].into_iter().fold(0, u32::saturating_add).min(TabCounts::MANY);
        Self { open, assigned, snoozed, closed, all }
    }
}

/// One stretch of a conversation, from its opening to its close.
#[derive(Debug, Object)]
#[oai(rename = "Episode", skip_serializing_if_is_none)]
pub(crate) struct EpisodeView {
    /// Its id.
    id: Uuid,
    /// Its number, from 1.
    number: u32,
    /// When it was opened.
    opened_at: OffsetDateTime,
    /// By whom.
    opened_by: ActorView,
    /// Why: `inbound`, `outbound`, `answer`, `agent` or `wake`.
    cause: String,
    /// The message that opened it, or ours that the customer answered.
    cause_message: Option<Uuid>,
    /// When it was closed.
    closed_at: Option<OffsetDateTime>,
    /// By whom.
    closed_by: Option<ActorView>,
    /// Who had it when it was closed.
    assignee: AssigneeView,
    /// What it was about.
    category: Option<String>,
    /// What was done.
    note: Option<String>,
}

impl From<&Episode> for EpisodeView {
    fn from(episode: &Episode) -> Self {
        Self {
            id: episode.id.uuid(),
            number: episode.number,
            opened_at: episode.opened_at,
            opened_by: (&episode.opened_by).into(),
            cause: episode.cause.clone(),
            cause_message: episode.cause_message.map(Into::into),
            closed_at: episode.closed_at,
            closed_by: episode.closed_by.as_ref().map(Into::into),
            assignee: episode.assignment.into(),
            category: episode.category.clone(),
            note: episode.note.clone(),
        }
    }
}

/// The status to give a conversation, or the tab to put it into. Give one of `status` and `tab`.
#[derive(Debug, Object)]
#[oai(rename = "NewStatus", deny_unknown_fields)]
pub(crate) struct NewStatusBody {
    /// The status. `open` leaves it to whoever has it.
    pub(crate) status: Option<StatusWord>,
    /// The tab. `open` takes it from whoever has it, `assigned` gives it to `assignee`; both open it. The others are as `status`.
    pub(crate) tab: Option<TabWord>,
    /// For the tab `assigned`: who shall have it.
    pub(crate) assignee: Option<NewAssigneeBody>,
    /// For `snoozed`: when it wakes.
    pub(crate) until: Option<OffsetDateTime>,
    /// For `closed`: what it was about.
    #[oai(validator(max_length = 200))]
    pub(crate) category: Option<String>,
    /// For `closed`: what was done.
    #[oai(validator(max_length = 20_000))]
    pub(crate) note: Option<String>,
}

/// Who shall have a conversation; nobody if both are left out.
#[derive(Debug, Object)]
#[oai(rename = "NewAssignee", deny_unknown_fields)]
pub(crate) struct NewAssigneeBody {
    /// The agent.
    pub(crate) agent: Option<Uuid>,
    /// The team.
    pub(crate) team: Option<Uuid>,
}
