//! How many conversations each tab has, by the filters of a list. Counting stops at [`TabCounts::MANY`].

use sea_orm::ConnectionTrait;
use transom_domain::Tab;

use super::conditions::ConversationCondition;
use super::conversations::tab_name;
use super::lists::{ConversationQuery, Sort};
use super::statement::Sql;
use super::wanted::Wanted;
use crate::{Reader, StorageError};

/// From so few members of a set they are counted one by one.
pub(super) const DRIVEN: i64 = 30_000;

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

impl ConversationQuery {
    /// The same without what is asked of tab and status.
    pub(super) fn of_every_tab(&self) -> Self {
        let mut query = Self { tab: None, status: None, sort: Sort::Newest, ..self.clone() };
        query.filters.retain(|filter| !matches!(filter.condition, ConversationCondition::Tab(_)));
        query
    }
}

impl Reader {
    /// How many conversations each tab has, with every filter but those by tab and status; the order is of no account.
    pub async fn tab_counts(&self, query: &ConversationQuery) -> Result<TabCounts, StorageError> {
        let query = query.of_every_tab();
        let Some(mut wanted) = self.wanted(&query).await? else { return Ok(TabCounts::default()) };
        let driver = self.smallest(&mut wanted.wishes, DRIVEN).await?;
        let statement = self.counts_of_conversations(&query, &wanted, driver);
        let Some(row) = self.conn.query_one_raw(statement.on(&self.conn)).await? else {
            return Ok(TabCounts::default());
        };
        let count = |tab| {
            let count = row.try_get::<Option<i64>>("", tab_name(tab));
            count.map(|count| u32::try_from(count.unwrap_or_default()).unwrap_or(u32::MAX).min(TabCounts::MANY))
        };
        Ok(TabCounts {
            open: count(Tab::Open)?,
            assigned: count(Tab::Assigned)?,
            snoozed: count(Tab::Snoozed)?,
            closed: count(Tab::Closed)?,
        })
    }

    pub(super) fn counts_of_conversations(
        &self,
        query: &ConversationQuery,
        wanted: &Wanted,
        driver: Option<usize>,
    ) -> Sql {
        let mut statement = Sql::of(self);
        if let Some((wish, driver)) = driver.and_then(|driver| Some((wanted.wishes.get(driver)?, driver))) {
            for (at, tab) in Tab::ALL.into_iter().map(tab_name).enumerate() {
                statement
                    .push(if at == 0 { "SELECT " } else { ", " })
                    .push(&format!("count(CASE WHEN tab = '{tab}' THEN 1 END) AS {tab}"));
            }
            statement.push(" FROM (");
            self.rows_of(&mut statement, wish, "c.tab", |statement| query.narrow(wanted, Some(driver), &[], statement));
            statement.push(") AS counted");
            return statement;
        }
        for (at, tab) in Tab::ALL.into_iter().enumerate() {
            let (index, column) = [
                ("conversations_by_agent", wanted.agents.is_some()),
                ("conversations_by_team", wanted.teams.is_some()),
                ("lists_by_account", wanted.accounts.is_some()),
            ]
            .into_iter()
            .find(|(_, is_given)| *is_given)
            .unwrap_or(("lists_by_tab", false));
            let index = if wanted.contacts.is_some() { "lists_by_contact" } else { index };
            statement
                .push(if at == 0 { "SELECT " } else { ", " })
                .push("(SELECT count(*) FROM (SELECT 1 FROM conversations c")
                .push(&self.along(index))
                .with(" WHERE c.workspace_id = $1 AND c.tab = ", tab_name(tab));
            query.narrow(wanted, None, &[], &mut statement);
            if !column && index == "lists_by_tab" {
                // In the order of the index, by a limit that the planner can't guess: it walks that index as far as it must,
                // and never sorts or reads all of the table.
                statement.push(" ORDER BY c.active_at DESC");
            }
            statement
                .with(" LIMIT (SELECT ", i64::from(TabCounts::MANY))
                .push(&format!(")) AS counted) AS {}", tab_name(tab)));
        }
        statement
    }
}
