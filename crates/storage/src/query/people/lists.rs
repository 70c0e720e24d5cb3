//! Lists of conversations: filtered, sorted, page by page, counted by tab.
//!
//! A page goes on behind a row value (sort key, id), so every page costs the same; each sort has an index. Counts stop at
//! [`TabCounts::MANY`].

use sea_orm::FromQueryResult;
use time::OffsetDateTime;
use transom_domain::{AgentId, ChannelAccountId, ContactId, ConversationId, Tab, TeamId};

use super::conversations::{Row, StoredConversation, tab_name};
use super::search;
use super::statement::Sql;
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

    /// Adds ` AND …` for every filter but the tabs.
    fn filter(&self, statement: &mut Sql) {
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
        if !self.tags.is_empty() {
            statement
                .push(" AND c.id IN (SELECT conversation_id FROM conversation_tags WHERE workspace_id = $1 AND tag IN ")
                .list(self.tags.iter().map(String::as_str))
                .push(")");
        }
        if let Some(q) = self.q.as_deref().filter(|q| !q.trim().is_empty()) {
            statement.push(" AND c.contact_id IN (");
            search::found_contacts(statement, "$1", q);
            statement.push(")");
        }
    }

    /// Adds the filters, the place to go on from, order and limit.
    fn page(&self, statement: &mut Sql) {
        self.filter(statement);
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromQueryResult)]
pub struct TabCounts {
    /// Open, and nobody has it.
    pub open: i64,
    /// Open, and somebody has it.
    pub assigned: i64,
    /// Snoozed.
    pub snoozed: i64,
    /// Closed.
    pub closed: i64,
}

impl TabCounts {
    /// Stands for more than 10,000: nothing is counted beyond.
    pub const MANY: i64 = 10_001;
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
        match query.tabs().as_deref() {
            Some([]) => None,
            // Two sorted tabs are merged; one index can't have both in one order.
            Some([one, other]) if matches!(query.sort, Sort::Newest | Sort::Oldest) => {
                Some(self.merged(query, [*one, *other]))
            }
            tabs => {
                let mut statement = self.select_conversations();
                if let Some(tabs) = tabs {
                    statement.push(" AND c.tab IN ").list(tabs.iter().map(|tab| tab_name(*tab)));
                }
                query.page(&mut statement);
                Some(statement)
            }
        }
    }

    fn merged(&self, query: &ConversationQuery, tabs: [Tab; 2]) -> Sql {
        let (column, _, direction) = query.sort.column();
        let mut statement = Sql::new("SELECT ");
        statement.push(&self.conversation_columns()).push(" FROM (");
        for (at, tab) in tabs.into_iter().enumerate() {
            statement.push(if at == 0 { "" } else { " UNION ALL " });
            statement.push(&format!("SELECT * FROM (SELECT c.id, c.{column} FROM conversations c WHERE c.workspace_id = "));
            if at == 0 { statement.bind(self.ws()) } else { statement.push("$1") };
            statement.with(" AND c.tab = ", tab_name(tab));
            query.page(&mut statement);
            statement.push(&format!(") AS tab_{at}"));
        }
        statement
            .push(") AS k JOIN conversations c ON c.workspace_id = $1 AND c.id = k.id")
            .push(&format!(" ORDER BY c.{column} {direction}, c.id {direction} LIMIT "))
            .bind(i64::from(query.limit));
        statement
    }

    /// How many conversations each tab has, with every filter but tab and status; the order is of no account.
    pub async fn tab_counts(&self, query: &ConversationQuery) -> Result<TabCounts, StorageError> {
        let statement = self.counts_of_conversations(query);
        let counts = TabCounts::find_by_statement(statement.on(&self.conn)).one(&self.conn).await?;
        Ok(counts.unwrap_or_default())
    }

    pub(super) fn counts_of_conversations(&self, query: &ConversationQuery) -> Sql {
        let query = ConversationQuery { sort: Sort::Newest, ..query.clone() };
        let mut statement = Sql::new("SELECT ");
        for (at, tab) in [Tab::Open, Tab::Assigned, Tab::Snoozed, Tab::Closed].into_iter().enumerate() {
            statement.push(if at == 0 { "" } else { ", " });
            statement.push("(SELECT count(*) FROM (SELECT 1 FROM conversations c WHERE c.workspace_id = ");
            if at == 0 { statement.bind(self.ws()) } else { statement.push("$1") };
            statement.with(" AND c.tab = ", tab_name(tab));
            query.filter(&mut statement);
            statement.with(" LIMIT ", TabCounts::MANY).push(&format!(") AS counted) AS {}", tab_name(tab)));
        }
        statement
    }
}
