//! Lists of conversations: filtered, sorted, page by page, counted by tab.
//!
//! A page goes on behind a row value (sort key, id), so every page costs the same; each sort has an index. Counts stop at
//! [`TabCounts::MANY`].

use sea_orm::{ConnectionTrait, FromQueryResult};
use time::OffsetDateTime;
use transom_domain::{AgentId, ChannelAccountId, ContactId, ConversationId, Tab, TeamId};

use super::conversations::{Row, StoredConversation, tab_name};
use super::search;
use super::statement::{Sql, is_one_of};
use crate::query::millis;
use crate::{Reader, StorageError};

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
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

impl Sort {
    /// Column and direction.
    const fn column(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Sort::Newest => ("active_at", "<", "DESC"),
            Sort::Oldest => ("active_at", ">", "ASC"),
            Sort::LongestWaiting => ("waiting_since", ">", "ASC"),
            Sort::ClosingSoonest => ("closing_at", ">", "ASC"),
        }
    }
}

/// The stored status, without regard to the assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusFilter {
    /// Open, assigned or not.
    Open,
    /// Snoozed.
    Snoozed,
    /// Closed.
    Closed,
}

/// Whose conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbox {
    /// Assigned to this agent.
    Mine(AgentId),
    /// Assigned to nobody.
    Unassigned,
    /// Assigned to one of these teams.
    Team(Vec<TeamId>),
    /// Everybody's.
    All,
}

/// Whether something besides templates may be sent now, by the stored columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowState {
    /// Yes.
    Open,
    /// No: it closed, or never was open.
    Closed,
}

/// Which conversations to list. Filters combine; where one takes several values, any of them will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationQuery {
    /// Only those in this tab.
    pub tab: Option<Tab>,
    /// Only those of this status.
    pub status: Option<StatusFilter>,
    /// Only those of this inbox.
    pub inbox: Option<Inbox>,
    /// Only those on these platforms.
    pub platforms: Vec<String>,
    /// Only those over these accounts.
    pub accounts: Vec<ChannelAccountId>,
    /// Only those with this customer.
    pub contact: Option<ContactId>,
    /// Only those assigned to these agents.
    pub assignees: Vec<AgentId>,
    /// Only those assigned to these teams.
    pub teams: Vec<TeamId>,
    /// Only those whose window is so at `now`.
    pub window: Option<WindowState>,
    /// Only those whose window, or free text, ends after `now` and before this.
    pub closing_before: Option<OffsetDateTime>,
    /// Only those with one of these tags.
    pub tags: Vec<String>,
    /// Only those with a customer found so: as in [`ContactQuery::q`](crate::ContactQuery::q).
    pub q: Option<String>,
    /// The order.
    pub sort: Sort,
    /// Goes on behind this one: its [`sort_key`](StoredConversation::sort_key) and id.
    pub after: Option<(i64, ConversationId)>,
    /// How many at most.
    pub limit: u32,
    /// What counts as the present.
    pub now: OffsetDateTime,
}

impl ConversationQuery {
    /// Every conversation, the newest first, 50 a page.
    pub fn new(now: OffsetDateTime) -> Self {
        Self {
            tab: None,
            status: None,
            inbox: None,
            platforms: Vec::new(),
            accounts: Vec::new(),
            contact: None,
            assignees: Vec::new(),
            teams: Vec::new(),
            window: None,
            closing_before: None,
            tags: Vec::new(),
            q: None,
            sort: Sort::default(),
            after: None,
            limit: 50,
            now,
        }
    }

    /// The tabs that tab and status leave; `None` for all.
    fn tabs(&self) -> Option<Vec<Tab>> {
        let of_status = self.status.map(|status| match status {
            StatusFilter::Open => vec![Tab::Open, Tab::Assigned],
            StatusFilter::Snoozed => vec![Tab::Snoozed],
            StatusFilter::Closed => vec![Tab::Closed],
        });
        match (self.tab, of_status) {
            (None, of_status) => of_status,
            (Some(tab), None) => Some(vec![tab]),
            (Some(tab), Some(of_status)) => Some(of_status.into_iter().filter(|of_status| *of_status == tab).collect()),
        }
    }

    /// Adds ` AND …` for every filter but the tabs and the tags.
    fn filter(&self, reader: &Reader, statement: &mut Sql) {
        match &self.inbox {
            Some(Inbox::Mine(agent)) => statement.with(" AND c.agent_id = ", agent.uuid()),
            Some(Inbox::Unassigned) => statement.push(" AND c.agent_id IS NULL AND c.team_id IS NULL"),
            Some(Inbox::Team(teams)) => statement.push(" AND c.team_id IN ").list(teams.iter().map(|id| id.uuid())),
            Some(Inbox::All) | None => &mut *statement,
        };
        if !self.platforms.is_empty() {
            statement
                .push(" AND c.account_id IN (SELECT id FROM channel_accounts WHERE workspace_id = $1 AND platform IN ")
                .list(self.platforms.iter().map(String::as_str))
                .push(")");
        }
        if !self.accounts.is_empty() {
            statement.push(" AND c.account_id IN ").list(self.accounts.iter().map(|id| id.uuid()));
        }
        if let Some(contact) = self.contact {
            statement.with(" AND c.contact_id = ", contact.uuid());
        }
        if !self.assignees.is_empty() {
            statement.push(" AND c.agent_id IN ").list(self.assignees.iter().map(|id| id.uuid()));
        }
        if !self.teams.is_empty() {
            statement.push(" AND c.team_id IN ").list(self.teams.iter().map(|id| id.uuid()));
        }
        match self.window {
            Some(WindowState::Open) => statement
                .with(" AND (c.window_closes_at > ", millis(self.now))
                .with(" OR c.free_form_until > ", millis(self.now))
                .push(")"),
            Some(WindowState::Closed) => statement
                .with(" AND coalesce(c.window_closes_at, 0) <= ", millis(self.now))
                .with(" AND coalesce(c.free_form_until, 0) <= ", millis(self.now)),
            None => &mut *statement,
        };
        if let Some(before) = self.closing_before {
            statement.with(" AND c.closing_at < ", millis(before));
        }
        if self.closing_before.is_some() || self.sort == Sort::ClosingSoonest {
            statement.with(" AND c.closing_at > ", millis(self.now));
        }
        if search::asked(self.q.as_deref()).is_some() {
            statement.push(" AND ").push(&is_one_of(reader, "c.contact_id", "SELECT contact_id FROM found"));
        }
    }

    /// Adds every filter but the tabs.
    fn filter_with_tags(&self, reader: &Reader, statement: &mut Sql) {
        self.filter(reader, statement);
        if !self.tags.is_empty() {
            statement
                .push(" AND c.id IN (SELECT conversation_id FROM conversation_tags WHERE workspace_id = $1 AND tag IN ")
                .list(self.tags.iter().map(String::as_str))
                .push(")");
        }
    }

    /// Adds the filters, the place to go on from, order and limit.
    fn page(&self, reader: &Reader, statement: &mut Sql) {
        self.filter_with_tags(reader, statement);
        let (column, beyond, direction) = self.sort.column();
        if self.sort == Sort::LongestWaiting {
            statement.push(" AND c.waiting_since IS NOT NULL");
        }
        if let Some((key, id)) = self.after {
            statement.with(&format!(" AND (c.{column}, c.id) {beyond} ("), key).with(", ", id.uuid()).push(")");
        }
        statement
            .push(&format!(" ORDER BY c.{column} {direction}, c.id {direction} LIMIT "))
            .bind(i64::from(self.limit));
    }
}

/// How many conversations each tab has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TabCounts {
    /// Open, and nobody has it.
    pub open: u32,
    /// Open, and somebody has it.
    pub assigned: u32,
    /// Snoozed.
    pub snoozed: u32,
    /// Closed.
    pub closed: u32,
}

impl TabCounts {
    /// Stands for more than 10,000: nothing is counted beyond.
    pub const MANY: u32 = 10_001;
}

impl Reader {
    /// A page of conversations.
    pub async fn conversations(&self, query: &ConversationQuery) -> Result<Vec<StoredConversation>, StorageError> {
        let Some(statement) = self.page_of_conversations(query) else { return Ok(Vec::new()) };
        let rows = Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// `None` if tab and status exclude each other.
    pub(super) fn page_of_conversations(&self, query: &ConversationQuery) -> Option<Sql> {
        let mut statement = Sql::of(self);
        search::with_found(&mut statement, query.q.as_deref());
        statement.push(&format!("SELECT {} FROM ", self.conversation_columns()));
        match query.tabs().as_deref() {
            Some([]) => return None,
            // Two sorted tabs are merged; one index can't have both in one order.
            Some([one, other]) if matches!(query.sort, Sort::Newest | Sort::Oldest) => {
                self.merged(&mut statement, query, [*one, *other]);
            }
            tabs => {
                statement.push("conversations c WHERE c.workspace_id = $1");
                if let Some(tabs) = tabs {
                    statement.push(" AND c.tab IN ").list(tabs.iter().map(|tab| tab_name(*tab)));
                }
                query.page(self, &mut statement);
            }
        }
        Some(statement)
    }

    /// Up to `limit` ids behind `after`, by id: whatever happens to a conversation meanwhile, a walk through all that are found
    /// meets each once. Order and page of the query are of no account.
    pub async fn conversation_ids(
        &self,
        query: &ConversationQuery,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<ConversationId>, StorageError> {
        let query = ConversationQuery { sort: Sort::Newest, ..query.clone() };
        let mut statement = Sql::of(self);
        search::with_found(&mut statement, query.q.as_deref());
        statement.push("SELECT c.id FROM conversations c WHERE c.workspace_id = $1");
        if let Some(tabs) = query.tabs() {
            statement.push(" AND c.tab IN ").list(tabs.iter().map(|tab| tab_name(*tab)));
        }
        query.filter_with_tags(self, &mut statement);
        if let Some(after) = after {
            statement.with(" AND c.id > ", after.uuid());
        }
        statement.with(" ORDER BY c.id LIMIT ", i64::from(limit));
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<uuid::Uuid>(0)?.into())).collect()
    }

    /// Those of these conversations that there are, by id. Ids that were joined to others are not looked up.
    pub async fn conversations_of(&self, ids: &[ConversationId]) -> Result<Vec<StoredConversation>, StorageError> {
        let mut statement = self.select_conversations();
        statement.push(" AND c.id IN ").list(ids.iter().map(|id| id.uuid())).push(" ORDER BY c.id");
        let rows = Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    fn merged(&self, statement: &mut Sql, query: &ConversationQuery, tabs: [Tab; 2]) {
        let (column, _, direction) = query.sort.column();
        statement.push("(");
        for (at, tab) in tabs.into_iter().enumerate() {
            statement
                .push(if at == 0 { "" } else { " UNION ALL " })
                .push(&format!("SELECT * FROM (SELECT c.id, c.{column} FROM conversations c WHERE c.workspace_id = $1"))
                .with(" AND c.tab = ", tab_name(tab));
            query.page(self, statement);
            statement.push(&format!(") AS tab_{at}"));
        }
        statement
            .push(") AS k JOIN conversations c ON c.workspace_id = $1 AND c.id = k.id")
            .push(&format!(" ORDER BY c.{column} {direction}, c.id {direction} LIMIT "))
            .bind(i64::from(query.limit));
    }

    /// How many conversations each tab has, with every filter but tab and status; the order is of no account.
    pub async fn tab_counts(&self, query: &ConversationQuery) -> Result<TabCounts, StorageError> {
        let statement = self.counts_of_conversations(query);
        let Some(row) = self.conn.query_one_raw(statement.on(&self.conn)).await? else {
            return Ok(TabCounts::default());
        };
        let count = |tab| row.try_get::<i64>("", tab_name(tab)).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Ok(TabCounts {
            open: count(Tab::Open)?,
            assigned: count(Tab::Assigned)?,
            snoozed: count(Tab::Snoozed)?,
            closed: count(Tab::Closed)?,
        })
    }

    pub(super) fn counts_of_conversations(&self, query: &ConversationQuery) -> Sql {
        let query = ConversationQuery { sort: Sort::Newest, ..query.clone() };
        let mut statement = Sql::of(self);
        search::with_found(&mut statement, query.q.as_deref());
        for (at, tab) in [Tab::Open, Tab::Assigned, Tab::Snoozed, Tab::Closed].into_iter().enumerate() {
            statement
                .push(if at == 0 { "SELECT " } else { ", " })
                .push("(SELECT count(*) FROM (SELECT 1 FROM conversations c WHERE c.workspace_id = $1")
                .with(" AND c.tab = ", tab_name(tab));
            query.filter(self, &mut statement);
            for (place, tag) in query.tags.iter().enumerate() {
                statement.push(if place == 0 { " AND (" } else { " OR " });
                statement
                    .push("EXISTS (SELECT 1 FROM conversation_tags t WHERE t.workspace_id = $1 AND t.conversation_id = c.id")
                    .with(" AND t.tag = ", tag.as_str())
                    .push(")");
            }
            // In the order of an index, by a limit that the planner can't guess: it walks that index as far as it must, and
            // never sorts or reads all of the table.
            statement
                .push(if query.tags.is_empty() { "" } else { ")" })
                .with(" ORDER BY c.active_at DESC LIMIT (SELECT ", i64::from(TabCounts::MANY))
                .push(&format!(")) AS counted) AS {}", tab_name(tab)));
        }
        statement
    }
}
