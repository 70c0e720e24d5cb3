//! Conversations: listed, opened, closed, assigned, and what may be sent in them.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use time::OffsetDateTime;
use transom_desk::status::{self, NewStatus};
use transom_desk::{queries, search, typing, window};
use transom_domain::Assignment;
use transom_storage::{
    ContactCondition, ConversationCondition, ConversationQuery, Filter, Inbox, Sort, StatusFilter, StoredConversation,
    WindowState,
};
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::contract::{As, CategoryWord, SenderWord};
use super::cursor::Place;
use super::version::{IfMatch, Versioned};
use super::views::conversation::{
    ConversationPage, ConversationView, EpisodeView, NewAssigneeBody, NewStatusBody, StatusWord, TabWord,
};
use super::views::window::{TimelineView, WindowViewBody};
use super::{PAGE, Tag, in_q};
use crate::http::problem::{Changing, Making, Problem, Reading, Refused};
use crate::state::State;

pub(crate) struct ConversationsApi(pub(super) Arc<State>);

/// Whose conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Inbox")]
enum InboxWord {
    /// Assigned to me.
    Mine,
    /// Assigned to nobody.
    Unassigned,
    /// Assigned to one of my teams.
    Team,
    /// Everybody's.
    All,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Sort")]
enum SortWord {
    /// The newest message first.
    #[default]
    Newest,
    /// The oldest last message first.
    Oldest,
    /// Only those who wait for a person's answer, the longest first.
    LongestWaiting,
    /// Only those whose window, or free text, still ends, the next one first.
    ClosingSoonest,
}

/// Whether something besides templates may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "WindowFilter")]
enum WindowWord {
    /// Yes.
    Open,
    /// No: it closed, or never was open.
    Closed,
}

/// A conversation's episodes.
#[derive(Debug, Object)]
struct EpisodeList {
    /// The episodes, oldest first.
    items: Vec<EpisodeView>,
}

/// Whether somebody types.
#[derive(Debug, Object)]
#[oai(rename = "Typing", deny_unknown_fields)]
struct TypingBody {
    /// Whether you do.
    on: bool,
}

/// Something that was said to whom it may reach.
#[derive(Debug, ApiResponse)]
enum Said {
    /// Said: whoever looks now sees it.
    #[oai(status = 204)]
    Said,
}

#[OpenApi(tag = "Tag::Conversations")]
impl ConversationsApi {
    /// List conversations
    ///
    /// Filters combine; where one is given several times, any of its values will do. `q` is a search: words find customers as in
    /// `GET /contacts`, and fields narrow the list, as in `status:closed label:vip platform:whatsapp "jane d"` (docs/searching.md
    /// has every field with its way of matching); a `-` before a field excludes. Each hit says its status. `window` is decided for
    /// each row as it is shown.
    #[oai(path = "/conversations", method = "get", operation_id = "listConversations")]
    #[expect(clippy::too_many_arguments, reason = "one argument for each parameter of the document")]
    async fn conversations(
        &self,
        signed: Signed,
        /// Only those of this inbox.
        inbox: Query<Option<InboxWord>>,
        /// Only those in this tab.
        tab: Query<Option<TabWord>>,
        /// Only those of this status.
        status: Query<Option<StatusWord>>,
        /// Only those on these platforms.
        #[oai(validator(max_items = 20))]
        platform: Query<Vec<String>>,
        /// Only those over these channels.
        #[oai(validator(max_items = 20))]
        channel: Query<Vec<Uuid>>,
        /// Only those with this customer.
        contact: Query<Option<Uuid>>,
        /// Only those assigned to these agents.
        #[oai(validator(max_items = 20))]
        assignee: Query<Vec<Uuid>>,
        /// Only those assigned to these teams.
        #[oai(validator(max_items = 20))]
        team: Query<Vec<Uuid>>,
        /// Only those with one of these tags.
        #[oai(validator(max_items = 20))]
        conversation_tag: Query<Vec<String>>,
        /// Only those whose customer last gave one of these scores.
        #[oai(validator(max_items = 10))]
        score: Query<Vec<u8>>,
        /// Only those whose customer has one of these labels.
        #[oai(validator(max_items = 20))]
        label: Query<Vec<String>>,
        /// Only those whose customer wrote, and last wrote before this.
        inbound_before: Query<Option<OffsetDateTime>>,
        /// Only those whose customer wrote after this.
        inbound_after: Query<Option<OffsetDateTime>>,
        /// Only those whose window is open, or closed.
        window: Query<Option<WindowWord>>,
        /// Only those whose window ends within so many seconds from now.
        #[oai(validator(minimum(value = "1")))]
        closing_within: Query<Option<u32>>,
        /// What to look for, and where.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// The order.
        #[oai(default)]
        sort: Query<SortWord>,
        /// Whether to count the tabs as well.
        #[oai(default)]
        counts: Query<bool>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<ConversationPage>, Refused<Reading>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let now = desk.now();
        let filters = (&inbox.0, &tab.0, &status.0, &platform.0, &channel.0, &contact.0, &assignee.0, &team.0);
        let more = (&conversation_tag.0, &window.0, &closing_within.0, &q.0, &sort.0, &caller.agent.id);
        let more = (more, &label.0, &inbound_before.0, &inbound_after.0, &score.0);
        let list = self.0.list(signed.caller(), format!("conversations {filters:?} {more:?}"), limit.0);
        let place = list.after(cursor.0)?;
        let sort = Sort::from(sort.0);
        let mut query =
            search::conversation_query(desk, caller, q.0.as_deref().unwrap_or_default(), now).await.map_err(in_q)?;
        let inbound = [
            inbound_before.0.map(|before| ConversationCondition::InboundBefore(utc(before))),
            inbound_after.0.map(|after| ConversationCondition::InboundAfter(utc(after))),
            (!score.0.is_empty()).then_some(ConversationCondition::Score(score.0)),
            (!label.0.is_empty()).then_some(ConversationCondition::Contact(ContactCondition::Label(label.0))),
        ];
        query.filters.extend(inbound.into_iter().flatten().map(Filter::is));
        let query = ConversationQuery {
            tab: tab.0.and_then(TabWord::one),
            status: status.0.map(Into::into),
            inbox: match inbox.0 {
                None => None,
                Some(InboxWord::Mine) => Some(Inbox::Mine(caller.agent.id)),
                Some(InboxWord::Unassigned) => Some(Inbox::Unassigned),
                Some(InboxWord::Team) => Some(Inbox::Team(queries::own_teams(desk, caller).await?)),
                Some(InboxWord::All) => Some(Inbox::All),
            },
            platforms: platform.0,
            accounts: channel.0.into_iter().map(Into::into).collect(),
            contact: contact.0.map(Into::into),
            assignees: assignee.0.into_iter().map(Into::into).collect(),
            teams: team.0.into_iter().map(Into::into).collect(),
            window: window.0.map(|word| match word {
                WindowWord::Open => WindowState::Open,
                WindowWord::Closed => WindowState::Closed,
            }),
            closing_before: closing_within.0.map(|seconds| now + time::Duration::seconds(seconds.into())),
            tags: conversation_tag.0,
            sort,
            after: place.map(|place| (place.key, place.id.into())),
            limit: list.rows(),
            ..query
        };
        let counts = if counts.0 { Some(queries::tab_counts(desk, caller, &query).await?.into()) } else { None };
        let mut rows = queries::conversations(desk, caller, &query).await?;
        let next_cursor =
            list.cut(&mut rows, |row| Place { key: row.stored.sort_key(sort), id: row.stored.conversation.id.uuid() });
        Ok(Json(ConversationPage { items: rows.iter().map(Into::into).collect(), next_cursor, counts }))
    }

    /// Read a conversation
    #[oai(path = "/conversations/:id", method = "get", operation_id = "getConversation")]
    async fn conversation(
        &self,
        signed: Signed,
        id: Path<Uuid>,
    ) -> Result<Versioned<ConversationView>, Refused<Reading>> {
        let row = queries::conversation(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Versioned::new((&row).into(), row.stored.version))
    }

    /// What may be sent now?
    ///
    /// For a person and for automation: every grant that holds, and why the others do not.
    #[oai(path = "/conversations/:id/window", method = "get", operation_id = "getWindow")]
    async fn window(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<As<WindowViewBody>>, Refused<Reading>> {
        let view = window::window(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(As::of(&view)))
    }

    /// What may be sent from now on?
    ///
    /// Interval by interval, if the customer stays silent.
    #[oai(path = "/conversations/:id/timeline", method = "get", operation_id = "getTimeline")]
    async fn timeline(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        /// Who would send; a person unless said.
        sender: Query<Option<SenderWord>>,
        /// For templates: what they are about.
        category: Query<Option<CategoryWord>>,
    ) -> Result<Json<TimelineView>, Refused<Reading>> {
        let sender = sender.0.unwrap_or(SenderWord::Human).into();
        let category = category.0.map(Into::into);
        let intervals = window::timeline(&self.0.desk, signed.caller(), id.0.into(), sender, category).await?;
        Ok(Json(TimelineView { intervals: intervals.iter().map(As::of).collect() }))
    }

    /// List a conversation's episodes
    #[oai(path = "/conversations/:id/episodes", method = "get", operation_id = "listEpisodes")]
    async fn episodes(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<EpisodeList>, Refused<Reading>> {
        let episodes = queries::episodes(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(EpisodeList { items: episodes.iter().map(Into::into).collect() }))
    }

    /// Open, snooze or close
    ///
    /// By a status, which leaves the assignee alone but for what closing does, or by a tab of the inbox.
    #[oai(
        path = "/conversations/:id/status",
        method = "post",
        operation_id = "setStatus",
        request_header(name = "If-Match", ty = "Option<String>", description = "The `ETag` of the last answer.")
    )]
    async fn set_status(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        seen: IfMatch,
        body: Body<NewStatusBody>,
    ) -> Result<Versioned<ConversationView>, Refused<Changing>> {
        let status = new_status(body.0)?;
        let stored = status::set_status(&self.0.desk, signed.caller(), id.0.into(), status, seen.0).await?;
        self.shown(&signed, stored).await
    }

    /// Assign
    ///
    /// To an agent, a team, both, or nobody.
    #[oai(
        path = "/conversations/:id/assignee",
        method = "post",
        operation_id = "assign",
        request_header(name = "If-Match", ty = "Option<String>", description = "The `ETag` of the last answer.")
    )]
    async fn assign(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        seen: IfMatch,
        body: Body<NewAssigneeBody>,
    ) -> Result<Versioned<ConversationView>, Refused<Changing>> {
        let NewAssigneeBody { agent, team } = body.0;
        let to = Assignment { agent: agent.map(Into::into), team: team.map(Into::into) };
        let stored = status::assign(&self.0.desk, signed.caller(), id.0.into(), to, seen.0).await?;
        self.shown(&signed, stored).await
    }

    /// Say that you type
    ///
    /// Whom it concerns and looks now sees it: the customer, where the channel can show it, and colleagues by `conversation.typing` on
    /// their streams. It is over by itself after six seconds, so say it again every three to five; sooner is not passed on. Nothing
    /// of it is stored.
    #[oai(path = "/conversations/:id/typing", method = "post", operation_id = "setTyping")]
    async fn set_typing(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<TypingBody>,
    ) -> Result<Said, Refused<Making>> {
        typing::show(&self.0.desk, signed.caller(), id.0.into(), body.0.on).await?;
        Ok(Said::Said)
    }
}

impl ConversationsApi {
    async fn shown(
        &self,
        signed: &Signed,
        stored: StoredConversation,
    ) -> Result<Versioned<ConversationView>, Refused<Changing>> {
        let row = queries::shown(&self.0.desk, signed.caller(), stored).await?;
        Ok(Versioned::new((&row).into(), row.stored.version))
    }
}

/// A status or a tab with what belongs to it, and nothing else.
pub(super) fn new_status(body: NewStatusBody) -> Result<NewStatus, Problem> {
    let NewStatusBody { status, tab, assignee, until, category, note } = body;
    let wrong = |detail: &str, field: &str| Problem::with_status(422, "invalid_value", detail).at(field);
    let (status, to) = match (status, tab) {
        (Some(status), None) => (status, None),
        (None, Some(TabWord::Open)) => (StatusWord::Open, Some(Assignment::NONE)),
        (None, Some(TabWord::Assigned)) => (StatusWord::Open, Some(given_to(assignee.as_ref())?)),
        (None, Some(TabWord::Snoozed)) => (StatusWord::Snoozed, None),
        (None, Some(TabWord::Closed)) => (StatusWord::Closed, None),
        (None, Some(TabWord::All)) => return Err(wrong("`all` is no tab to put a conversation into", "tab")),
        (None, None) | (Some(_), Some(_)) => return Err(wrong("give one of `status` and `tab`", "status")),
    };
    if assignee.is_some() && tab != Some(TabWord::Assigned) {
        return Err(wrong("an assignee is for the tab `assigned`", "assignee"));
    }
    match (status, until) {
        (StatusWord::Snoozed, None) => Err(Problem::new("until_missing", "a snooze needs an end").at("until")),
        (StatusWord::Open | StatusWord::Closed, Some(_)) => Err(wrong("only a snooze has an end", "until")),
        (StatusWord::Open | StatusWord::Snoozed, _) if category.is_some() || note.is_some() => {
            let field = if category.is_some() { "category" } else { "note" };
            Err(wrong("category and note are for closing", field))
        }
        (StatusWord::Open, None) => Ok(NewStatus::Open { to }),
        (StatusWord::Snoozed, Some(until)) => Ok(NewStatus::Snoozed { until: utc(until) }),
        (StatusWord::Closed, None) => Ok(NewStatus::Closed { category, note }),
    }
}

/// Who has what goes into the tab of what is assigned: somebody.
fn given_to(assignee: Option<&NewAssigneeBody>) -> Result<Assignment, Problem> {
    let to = assignee
        .map_or(Assignment::NONE, |to| Assignment { agent: to.agent.map(Into::into), team: to.team.map(Into::into) });
    if to.is_some() {
        return Ok(to);
    }
    let detail = "the tab `assigned` needs an `assignee`: an agent, a team or both";
    Err(Problem::new("assignee_missing", detail).at("assignee"))
}

/// An instant from outside, as everything inside has it: in UTC and whole milliseconds.
pub(super) fn utc(at: OffsetDateTime) -> OffsetDateTime {
    transom_domain::truncate_to_millis(at.checked_to_offset(time::UtcOffset::UTC).unwrap_or(at))
}

fn page() -> u32 {
    PAGE
}

impl From<StatusWord> for StatusFilter {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Open => StatusFilter::Open,
            StatusWord::Snoozed => StatusFilter::Snoozed,
            StatusWord::Closed => StatusFilter::Closed,
        }
    }
}

impl From<SortWord> for Sort {
    fn from(word: SortWord) -> Self {
        match word {
            SortWord::Newest => Sort::Newest,
            SortWord::Oldest => Sort::Oldest,
            SortWord::LongestWaiting => Sort::LongestWaiting,
            SortWord::ClosingSoonest => Sort::ClosingSoonest,
        }
    }
}
