//! Lists of conversations: filtered, sorted, page by page.
//!
//! A page goes on behind a row value (sort key, id), so every page costs the same. It is read in one of two ways: where few
//! rows can belong (a rare name, a rare tag), from those; else along an index that has the order of the list, or along a few of
//! them, one for each agent and tab for example, which are merged. [Sets](super::sets) says how the two are told apart.

use sea_orm::{ConnectionTrait, FromQueryResult};
use time::OffsetDateTime;
use transom_domain::{AgentId, ChannelAccountId, ContactId, ConversationId, Tab, TeamId};

use super::branches::branches;
use super::conditions::{ConversationCondition, Filter};
use super::conversations::{Row, StoredConversation};
use super::sets::{Asked, Wish};
use super::statement::{Sql, on_postgres};
use super::wanted::{Wanted, closes};
use crate::query::millis;
use crate::{Reader, StorageError};

/// What is about to close is put in another order if it is fewer than this; of more, an index in that order meets fifty soon.
const CLOSING: i64 = 10_000;

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

impl StatusFilter {
    /// The tabs that show it.
    pub const fn tabs(self) -> &'static [Tab] {
        match self {
            StatusFilter::Open => &[Tab::Open, Tab::Assigned],
            StatusFilter::Snoozed => &[Tab::Snoozed],
            StatusFilter::Closed => &[Tab::Closed],
        }
    }
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
    /// What else must hold, or must not.
    pub filters: Vec<Filter<ConversationCondition>>,
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
            filters: Vec::new(),
            sort: Sort::default(),
            after: None,
            limit: 50,
            now,
        }
    }
}

impl Reader {
    /// A page of conversations.
    pub async fn conversations(&self, query: &ConversationQuery) -> Result<Vec<StoredConversation>, StorageError> {
        let Some(mut wanted) = self.wanted(query).await? else { return Ok(Vec::new()) };
        let bound = self.driven(&wanted.wishes).await?;
        let driver = self.smallest(&mut wanted.wishes, bound).await?;
        wanted.is_closing = driver.is_none() && self.few_are_closing(query, &wanted).await?;
        let statement = self.page_of_conversations(query, &wanted, driver);
        let rows = Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Whether so few close in time that they are sorted, rather than looked for along an index of another order.
    async fn few_are_closing(&self, query: &ConversationQuery, wanted: &Wanted) -> Result<bool, StorageError> {
        // The newest are among those that close: their order meets them at once.
        let is_far = matches!(query.sort, Sort::Oldest | Sort::LongestWaiting);
        let Some(before) = wanted.closing_before.filter(|_| is_far) else { return Ok(false) };
        // The next page asks for the same span, some seconds later.
        let asked = ("closing", (before - query.now).whole_seconds());
        if let Some(count) = self.shared.remembered.count(self.workspace, &asked, CLOSING) {
            return Ok(count < CLOSING);
        }
        let mut statement = Sql::of(self);
        statement
            .push("SELECT count(*) FROM (SELECT 1 FROM conversations c")
            .push(&self.along("lists_by_closing"))
            .push(" WHERE c.workspace_id = $1");
        closes(&mut statement, query.now, before);
        statement.with(" LIMIT ", CLOSING).push(") AS counted");
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
        let count = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
        self.shared.remembered.learn(self.workspace, &asked, count, CLOSING);
        Ok(count < CLOSING)
    }

    /// The page, read from the members of the wish `driver`, or along indexes.
    pub(super) fn page_of_conversations(
        &self,
        query: &ConversationQuery,
        wanted: &Wanted,
        driver: Option<usize>,
    ) -> Sql {
        let (column, _, direction) = query.sort.column();
        // Written out: PostgreSQL, which plans for any value once it has planned for a few, must see how few rows are wanted, or it would
        // plan anew each time.
        let limit = format!("LIMIT {}", query.limit);
        let mut statement = Sql::of(self);
        statement.push(&format!("SELECT {} FROM (SELECT id, place FROM (", self.conversation_columns()));
        match driver.and_then(|driver| Some((wanted.wishes.get(driver)?, driver))) {
            Some((wish, driver)) => {
                self.rows_of(&mut statement, wish, &format!("c.id, c.{column} AS place"), |statement| {
                    query.narrow(wanted, Some(driver), &[], statement);
                    query.go_on(statement);
                });
            }
            None if wanted.is_closing => {
                // Behind `OFFSET 0` PostgreSQL does not see the order, and has no reason to walk along it.
                let fence = if on_postgres(self) { " OFFSET 0" } else { "" };
                statement
                    .push(&format!("SELECT * FROM (SELECT c.id, c.{column} AS place FROM conversations c"))
                    .push(&self.along("lists_by_closing"))
                    .push(" WHERE c.workspace_id = $1");
                query.narrow(wanted, None, &[], &mut statement);
                query.go_on(&mut statement);
                statement.push(fence).push(") AS closing");
            }
            None => {
                for (at, branch) in branches(wanted, query.sort).into_iter().enumerate() {
                    statement
                        .push(if at == 0 { "" } else { " UNION ALL " })
                        .push(&format!("SELECT * FROM (SELECT c.id, c.{column} AS place FROM conversations c"))
                        .push(&self.along(branch.index))
                        .push(" WHERE c.workspace_id = $1");
                    statement.push(branch.all);
                    if let Some((compared, instant)) = branch.bound {
                        statement.with(compared, millis(instant));
                    }
                    let given: Vec<&str> = branch.given.iter().map(|(column, _)| *column).collect();
                    for (column, value) in branch.given {
                        statement.with(&format!(" AND c.{column} = "), value);
                    }
                    query.narrow(wanted, None, &given, &mut statement);
                    query.go_on(&mut statement);
                    statement
                        .push(&format!(" ORDER BY c.{column} {direction}, c.id {direction} {limit}) AS branch_{at}"));
                }
            }
        }
        statement
            .push(&format!(") AS merged ORDER BY place {direction}, id {direction} {limit}"))
            .push(") AS k CROSS JOIN conversations c WHERE c.workspace_id = $1 AND c.id = k.id ")
            .push(&format!("ORDER BY k.place {direction}, c.id {direction}"));
        statement
    }

    /// `SELECT columns` of the conversations that belong to a wish's members, each looked up by its key.
    pub(super) fn rows_of(&self, statement: &mut Sql, wish: &Wish, columns: &str, narrow: impl FnOnce(&mut Sql)) {
        let is_own = wish.set.is_of_conversations();
        let column = if is_own { "id" } else { "contact_id" };
        let look_up = format!("SELECT {columns} FROM conversations c");
        statement.push(if on_postgres(self) { "SELECT c.* FROM (" } else { "SELECT * FROM (" });
        if on_postgres(self) {
            wish.set.members(statement, true);
            // `OFFSET 0` keeps each look-up what it is, whatever the planner believes of the number of members.
            statement.push(") AS d CROSS JOIN LATERAL (").push(&look_up);
            statement.push(&format!(" WHERE c.workspace_id = $1 AND c.{column} = d.member"));
            narrow(statement);
            statement.push(" OFFSET 0) AS c");
        } else {
            let index = if is_own { " INDEXED BY lists_by_id" } else { " INDEXED BY lists_by_contact" };
            statement.push(&format!("SELECT {columns} FROM ("));
            wish.set.members(statement, true);
            // SQLite takes the tables of a CROSS JOIN in their order.
            statement.push(&format!(
                ") AS d CROSS JOIN conversations c{index} WHERE c.workspace_id = $1 AND c.{column} = d.member"
            ));
            narrow(statement);
            statement.push(") AS c");
        }
    }

    /// SQLite is told which index has the order; PostgreSQL sees it.
    pub(super) fn along(&self, index: &str) -> String {
        if on_postgres(self) { String::new() } else { format!(" INDEXED BY {index}") }
    }
}

impl ConversationQuery {
    /// Adds ` AND …` for all that is wanted, but for the wish that the rows are made from, and for columns of one given value.
    pub(super) fn narrow(&self, wanted: &Wanted, driver: Option<usize>, given: &[&str], statement: &mut Sql) {
        wanted.narrow(statement, given, self.now);
        for (at, wish) in wanted.wishes.iter().enumerate() {
            if driver != Some(at) {
                wish.ask(statement, Asked::CONVERSATION);
            }
        }
        match self.sort {
            // Any instant. Not `IS NOT NULL`, for which PostgreSQL would not look into an index by id.
            Sort::LongestWaiting => statement.push(" AND c.waiting_since > -9000000000000000000"),
            Sort::ClosingSoonest => statement.with(" AND c.closing_at > ", millis(self.now)),
            Sort::Newest | Sort::Oldest => match wanted.inbound_after {
                // The newest message is no older than the customer's last one: this bounds how far an index is walked.
                Some(after) => statement.with(" AND c.active_at > ", millis(after)),
                None => statement,
            },
        };
    }

    /// Adds the place to go on from.
    fn go_on(&self, statement: &mut Sql) {
        let (column, beyond, _) = self.sort.column();
        if let Some((key, id)) = self.after {
            statement.with(&format!(" AND (c.{column}, c.id) {beyond} ("), key).with(", ", id.uuid()).push(")");
        }
    }
}
