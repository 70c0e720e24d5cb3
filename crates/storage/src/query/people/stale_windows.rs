//! Accounts whose people's windows are all to be computed again: their policy, features or limits changed.
//!
//! An account may have a million people. It is marked in the transaction that changes it, and its people are gone through
//! afterwards, page by page.

use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, IdentityId};
use uuid::Uuid;

use super::statement::Sql;
use crate::instant::Millis;
use crate::query::millis;
use crate::{Reader, StorageError, Tx};

/// An account whose people are being gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleWindows {
    /// The account.
    pub account: ChannelAccountId,
    /// Since when they are stale: a later change begins anew.
    pub since: OffsetDateTime,
    /// The last one who was looked at.
    pub after: Option<IdentityId>,
}

impl Reader {
    /// The accounts whose people are still to be gone through, those that wait longest first.
    pub async fn stale_windows(&self) -> Result<Vec<StaleWindows>, StorageError> {
        let mut statement = Sql::of(self);
        statement.push(
            "SELECT account_id, since, after_identity FROM windows_stale WHERE workspace_id = $1 ORDER BY since, account_id",
        );
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        let stale = |row: &sea_orm::QueryResult| {
            Ok(StaleWindows {
                account: row.try_get_by_index::<Uuid>(0)?.into(),
                since: row.try_get_by_index::<Millis>(1)?.at(),
                after: row.try_get_by_index::<Option<Uuid>>(2)?.map(Into::into),
            })
        };
        rows.iter().map(stale).collect()
    }

    /// People of an account behind one of them, in the order of their ids.
    pub async fn people_of_account(
        &self,
        account: ChannelAccountId,
        after: Option<IdentityId>,
        limit: u32,
    ) -> Result<Vec<IdentityId>, StorageError> {
        let rows = self.conn.query_all_raw(self.select_people_of_account(account, after, limit).on(&self.conn)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
    }

    pub(super) fn select_people_of_account(
        &self,
        account: ChannelAccountId,
        after: Option<IdentityId>,
        limit: u32,
    ) -> Sql {
        let mut statement = Sql::of(self);
        statement.with("SELECT id FROM identities WHERE workspace_id = $1 AND account_id = ", account.uuid());
        if let Some(after) = after {
            statement.with(" AND id > ", after.uuid());
        }
        statement.with(" ORDER BY id LIMIT ", i64::from(limit));
        statement
    }

    /// The versions of the policies that computed the windows of an account's longest silent conversations, one a tab. Whatever
    /// went through all of an account's people has been at these.
    pub async fn oldest_window_versions(&self, account: ChannelAccountId) -> Result<Vec<String>, StorageError> {
        let mut statement = Sql::of(self);
        for (at, tab) in transom_domain::Tab::ALL.into_iter().map(super::conversations::tab_name).enumerate() {
            statement
                .push(if at == 0 { "" } else { " UNION ALL " })
                .push("SELECT * FROM (SELECT window_policy_version FROM conversations WHERE workspace_id = $1")
                .with(" AND account_id = ", account.uuid())
                .with(" AND tab = ", tab)
                .push(&format!(" ORDER BY active_at, id LIMIT 1) AS tab_{at}"));
        }
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        let mut versions: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
        versions.retain(|version| !version.is_empty());
        Ok(versions)
    }
}

impl Tx {
    /// Notes that the windows of all of an account's people are to be computed again.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if there is no such account.
    pub async fn windows_are_stale(&self, account: ChannelAccountId, now: OffsetDateTime) -> Result<(), StorageError> {
        let mut statement = Sql::new("INSERT INTO windows_stale (workspace_id, account_id, since) VALUES ");
        statement.list([sea_orm::Value::from(self.ws()), account.uuid().into(), millis(now)]).push(
            " ON CONFLICT (workspace_id, account_id) DO UPDATE SET since = excluded.since, after_identity = NULL",
        );
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }

    /// Notes how far an account's people were gone through: to the last of them, if `after` is `None`. Nothing happens if the
    /// account changed again meanwhile.
    pub async fn windows_renewed(&self, stale: &StaleWindows, after: Option<IdentityId>) -> Result<(), StorageError> {
        let mut statement = match after {
            Some(after) => {
                let mut update = Sql::new("UPDATE windows_stale SET after_identity = ");
                update.bind(after.uuid());
                update
            }
            None => Sql::new("DELETE FROM windows_stale"),
        };
        statement
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND account_id = ", stale.account.uuid())
            .with(" AND since = ", millis(stale.since));
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }
}
