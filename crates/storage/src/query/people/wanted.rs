//! What a list of conversations wants, drawn together from all of its filters.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Value};
use time::OffsetDateTime;
use transom_domain::Tab;
use uuid::Uuid;

use super::conditions::{ContactCondition, ConversationCondition, Filter};
use super::conversations::tab_name;
use super::facts::WindowColumns;
use super::lists::{ConversationQuery, Inbox, WindowState};
use super::sets::{Set, Wish};
use super::statement::Sql;
use crate::query::millis;
use crate::{Reader, StorageError};

/// Which values columns may have, which they may not, and what is asked of other tables. `None`: whatever it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) tabs: Option<BTreeSet<Tab>>,
    pub(super) contacts: Option<BTreeSet<Uuid>>,
    pub(super) agents: Option<BTreeSet<Uuid>>,
    pub(super) teams: Option<BTreeSet<Uuid>>,
    pub(super) accounts: Option<BTreeSet<Uuid>>,
    pub(super) wishes: Vec<Wish>,
    not: Vec<(&'static str, BTreeSet<Uuid>)>,
    assigned: Option<bool>,
    window: Vec<WindowState>,
    pub(super) closing_before: Option<OffsetDateTime>,
    pub(super) inbound_before: Option<OffsetDateTime>,
    pub(super) inbound_after: Option<OffsetDateTime>,
    /// Whether those that close in time are few, and so are sorted.
    pub(super) is_closing: bool,
}

/// Which of an account's are meant by the names of platforms.
struct Platforms(Vec<(String, Uuid)>);

impl Platforms {
    fn accounts(&self, platforms: &[String]) -> Vec<Uuid> {
        self.0.iter().filter(|(platform, _)| platforms.contains(platform)).map(|(_, account)| *account).collect()
    }
}

fn both<T: Ord + Clone>(known: &mut Option<BTreeSet<T>>, values: impl IntoIterator<Item = T>) {
    let values: BTreeSet<T> = values.into_iter().collect();
    *known = Some(match known.take() {
        Some(known) => known.intersection(&values).cloned().collect(),
        None => values,
    });
}

impl Wanted {
    fn add(&mut self, filter: &Filter<ConversationCondition>, platforms: &Platforms) {
        use ConversationCondition as C;
        let Filter { holds, condition } = filter;
        match condition {
            C::Tab(tabs) => both(&mut self.tabs, Tab::ALL.into_iter().filter(|tab| tabs.contains(tab) == *holds)),
            C::Agent(agents) => self.among("agent_id", *holds, agents.iter().map(|id| id.uuid())),
            C::Team(teams) => self.among("team_id", *holds, teams.iter().map(|id| id.uuid())),
            C::Account(accounts) => self.among("account_id", *holds, accounts.iter().map(|id| id.uuid())),
            C::Platform(names) => self.among("account_id", *holds, platforms.accounts(names)),
            C::Contact(ContactCondition::Id(contacts)) => {
                self.among("contact_id", *holds, contacts.iter().map(|id| id.uuid()));
            }
            C::Contact(condition) => {
                self.wishes.extend(Wish::of(*holds, condition, |names| platforms.accounts(names)));
            }
            C::Tag(tags) => self.wishes.push(Wish::new(*holds, Set::Tagged(tags.clone()))),
            C::Score(scores) => self.wishes.push(Wish::new(*holds, Set::Scored(scores.clone()))),
            // Two that exclude each other leave nothing.
            C::Unassigned => match self.assigned {
                Some(assigned) if assigned == *holds => both(&mut self.tabs, []),
                _ => self.assigned = Some(!holds),
            },
            C::Window(state) => self.window.push(match (state, holds) {
                (WindowState::Open, true) | (WindowState::Closed, false) => WindowState::Open,
                (WindowState::Closed, true) | (WindowState::Open, false) => WindowState::Closed,
            }),
            C::ClosingBefore(before) => self.closing_before = Some(earlier(self.closing_before, *before)),
            C::InboundBefore(before) => self.inbound_before = Some(earlier(self.inbound_before, *before)),
            C::InboundAfter(after) => {
                self.inbound_after = Some(self.inbound_after.map_or(*after, |known| known.max(*after)));
            }
        }
    }

    fn among(&mut self, column: &'static str, holds: bool, values: impl IntoIterator<Item = Uuid>) {
        let known = match column {
            "agent_id" => &mut self.agents,
            "team_id" => &mut self.teams,
            "account_id" => &mut self.accounts,
            _ => &mut self.contacts,
        };
        if holds {
            both(known, values);
        } else {
            self.not.push((column, values.into_iter().collect()));
        }
    }

    /// The tabs that are wanted: all of them, if none is named.
    pub(super) fn tabs(&self) -> BTreeSet<Tab> {
        self.tabs.clone().unwrap_or_else(|| Tab::ALL.into_iter().collect())
    }

    /// Whether only open windows are wanted.
    pub(super) fn wants_open(&self) -> bool {
        self.window.contains(&WindowState::Open)
    }

    /// Whether a tab is asked for, and nothing else.
    pub(super) fn wants_tabs_alone(&self) -> bool {
        let columns = [&self.contacts, &self.agents, &self.teams, &self.accounts];
        let times = [self.closing_before, self.inbound_before, self.inbound_after];
        self.tabs.is_some()
            && columns.iter().all(|column| column.is_none())
            && times.iter().all(Option::is_none)
            && self.wishes.is_empty()
            && self.not.is_empty()
            && self.assigned.is_none()
            && self.window.is_empty()
    }

    /// Whether filters exclude each other.
    fn is_impossible(&self) -> bool {
        let columns = [&self.contacts, &self.agents, &self.teams, &self.accounts];
        self.tabs.as_ref().is_some_and(BTreeSet::is_empty) || columns.into_iter().flatten().any(BTreeSet::is_empty)
    }

    /// Adds ` AND …` for every column of `conversations c`, but for those of one `given` value: PostgreSQL, asked for one of several tabs
    /// as well, would take the rows for fewer than they are, and sort them all.
    pub(super) fn narrow(&self, statement: &mut Sql, given: &[&str], now: OffsetDateTime) {
        if let Some(tabs) = self.tabs.as_ref().filter(|_| !given.contains(&"tab")) {
            statement.push(" AND c.tab IN ").list(tabs.iter().map(|tab| tab_name(*tab)));
        }
        let columns = [
            ("contact_id", &self.contacts),
            ("agent_id", &self.agents),
            ("team_id", &self.teams),
            ("account_id", &self.accounts),
        ];
        for (column, values) in columns {
            if let Some(values) = values.as_ref().filter(|_| !given.contains(&column)) {
                statement.push(&format!(" AND c.{column} IN ")).list(values.iter().copied());
            }
        }
        for (column, values) in &self.not {
            for value in values {
                statement.with(&format!(" AND (c.{column} IS NULL OR c.{column} <> "), *value).push(")");
            }
        }
        match self.assigned {
            Some(false) => statement.push(" AND c.agent_id IS NULL AND c.team_id IS NULL"),
            Some(true) => statement.push(" AND (c.agent_id IS NOT NULL OR c.team_id IS NOT NULL)"),
            None => &mut *statement,
        };
        for window in &self.window {
            match window {
                WindowState::Open => statement
                    .with(" AND (c.window_closes_at > ", millis(now))
                    .with(" OR c.free_form_until > ", millis(now))
                    .push(")"),
                WindowState::Closed => statement
                    .with(" AND coalesce(c.window_closes_at, 0) <= ", millis(now))
                    .with(" AND coalesce(c.free_form_until, 0) <= ", millis(now)),
            };
        }
        if let Some(before) = self.closing_before {
            closes(statement, now, before);
        }
        if let Some(before) = self.inbound_before {
            statement.with(" AND c.last_inbound_at < ", millis(before));
        }
        if let Some(after) = self.inbound_after {
            statement.with(" AND c.last_inbound_at > ", millis(after));
        }
    }
}

/// ` AND …`: closes after `now` and before `before`. What still closes is open: so the index of just those can be seen to have it.
pub(super) fn closes(statement: &mut Sql, now: OffsetDateTime, before: OffsetDateTime) {
    statement
        .push(WindowColumns::MAYBE_OPEN)
        .with(" AND c.closing_at > ", millis(now))
        .with(" AND c.closing_at < ", millis(before));
}

fn earlier(known: Option<OffsetDateTime>, other: OffsetDateTime) -> OffsetDateTime {
    known.map_or(other, |known| known.min(other))
}

impl ConversationQuery {
    /// Every filter as a condition.
    fn conditions(&self) -> Vec<Filter<ConversationCondition>> {
        use ConversationCondition as C;
        let mut all = self.filters.clone();
        let mut add = |condition| all.push(Filter::is(condition));
        self.tab.into_iter().for_each(|tab| add(C::Tab(vec![tab])));
        self.status.into_iter().for_each(|status| add(C::Tab(status.tabs().to_vec())));
        match &self.inbox {
            Some(Inbox::Mine(agent)) => add(C::Agent(vec![*agent])),
            Some(Inbox::Unassigned) => add(C::Unassigned),
            Some(Inbox::Team(teams)) => add(C::Team(teams.clone())),
            Some(Inbox::All) | None => {}
        }
        if !self.platforms.is_empty() {
            add(C::Platform(self.platforms.clone()));
        }
        if !self.accounts.is_empty() {
            add(C::Account(self.accounts.clone()));
        }
        self.contact.into_iter().for_each(|contact| add(C::Contact(ContactCondition::Id(vec![contact]))));
        if !self.assignees.is_empty() {
            add(C::Agent(self.assignees.clone()));
        }
        if !self.teams.is_empty() {
            add(C::Team(self.teams.clone()));
        }
        self.window.into_iter().for_each(|window| add(C::Window(window)));
        self.closing_before.into_iter().for_each(|before| add(C::ClosingBefore(before)));
        if !self.tags.is_empty() {
            add(C::Tag(self.tags.clone()));
        }
        all
    }
}

impl Reader {
    /// What the filters want together; `None` if they exclude each other.
    pub(super) async fn wanted(&self, query: &ConversationQuery) -> Result<Option<Wanted>, StorageError> {
        use ConversationCondition as C;
        let mut conditions = query.conditions();
        for filter in &mut conditions {
            if let C::Contact(condition) = &mut filter.condition {
                self.follow_aliases(condition).await?;
            }
        }
        let names_platforms = conditions
            .iter()
            .any(|filter| matches!(filter.condition, C::Platform(_) | C::Contact(ContactCondition::Platform(_))));
        let platforms = Platforms(if names_platforms { self.accounts_by_platform().await? } else { Vec::new() });
        let mut wanted = Wanted::default();
        for filter in &conditions {
            wanted.add(filter, &platforms);
        }
        wanted.wishes.extend(Wish::found(query.q.as_deref()));
        Ok((!wanted.is_impossible()).then_some(wanted))
    }

    /// An id of a contact that became a part of another one stands for that one.
    pub(super) async fn follow_aliases(&self, condition: &mut ContactCondition) -> Result<(), StorageError> {
        let ContactCondition::Id(contacts) = condition else { return Ok(()) };
        let mut statement = Sql::of(self);
        statement
            .push("SELECT id, target_id FROM aliases WHERE workspace_id = $1 AND id IN ")
            .list(contacts.iter().map(|id| id.uuid()));
        for row in self.conn.query_all_raw(statement.on(&self.conn)).await? {
            let (gone, kept): (Uuid, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            for contact in contacts.iter_mut().filter(|contact| contact.uuid() == gone) {
                *contact = kept.into();
            }
        }
        Ok(())
    }

    /// Every account with its platform: there are few.
    pub(super) async fn accounts_by_platform(&self) -> Result<Vec<(String, Uuid)>, StorageError> {
        let mut statement = Sql::of(self);
        statement.push("SELECT platform, id FROM channel_accounts WHERE workspace_id = $1");
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
    }

    /// What contacts are asked; ids apart.
    pub(super) async fn wishes_of_contacts(
        &self,
        q: Option<&str>,
        filters: &[Filter<ContactCondition>],
    ) -> Result<Vec<Wish>, StorageError> {
        let names_platforms = filters.iter().any(|filter| matches!(filter.condition, ContactCondition::Platform(_)));
        let platforms = Platforms(if names_platforms { self.accounts_by_platform().await? } else { Vec::new() });
        let wishes = filters
            .iter()
            .filter_map(|filter| Wish::of(filter.holds, &filter.condition, |names| platforms.accounts(names)));
        Ok(wishes.chain(Wish::found(q)).collect())
    }
}

/// A value of a column, for filters of other modules.
pub(super) fn ids(statement: &mut Sql, column: &str, holds: bool, values: impl IntoIterator<Item = Uuid>) {
    statement
        .push(if holds { " AND " } else { " AND NOT " })
        .push(column)
        .push(" IN ")
        .list(values.into_iter().map(Value::from));
}
