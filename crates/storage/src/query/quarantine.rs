//! Quarantine: what came in with a valid signature and could not be used.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use time::OffsetDateTime;
use transom_domain::{AgentId, ChannelAccountId, ConnectionId, JournalId, QuarantineId};
use uuid::Uuid;

use super::people::statement::Sql;
use super::{millis, sql, unreadable};
use crate::entity::quarantine;
use crate::{Reader, StorageError, Tx};

/// Something to be put into quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct NewQuarantine {
    /// Its id.
    pub id: QuarantineId,
    /// The call it came with.
    pub journal: JournalId,
    /// The connection it came over.
    pub connection: Option<ConnectionId>,
    /// The account, if one is known.
    pub account: Option<ChannelAccountId>,
    /// The item; `None` for the whole call.
    pub item: Option<serde_json::Value>,
    /// A stable word: `unknown_account`, `unreadable`, `fault`, `poison`, …
    pub reason: String,
    /// What exactly is wrong, for people.
    pub detail: String,
    /// When it was found.
    pub at: OffsetDateTime,
}

/// What became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum QuarantineState {
    /// Somebody has to look at it.
    #[default]
    Open,
    /// It was applied after all.
    Replayed,
    /// Somebody decided that it is not needed.
    Dropped,
}

impl QuarantineState {
    /// The name in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            QuarantineState::Open => "open",
            QuarantineState::Replayed => "replayed",
            QuarantineState::Dropped => "dropped",
        }
    }
}

/// Something in quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredQuarantine {
    /// What was put there.
    pub entry: NewQuarantine,
    /// What became of it.
    pub state: QuarantineState,
    /// When that was decided.
    pub settled_at: Option<OffsetDateTime>,
    /// Who decided it, if it was a person.
    pub settled_by: Option<AgentId>,
    /// Why they did.
    pub settled_why: Option<String>,
    /// When it was replayed in vain last.
    pub tried_at: Option<OffsetDateTime>,
}

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuarantineQuery {
    /// In this state.
    pub state: QuarantineState,
    /// For this reason.
    pub reason: Option<String>,
    /// That came over this connection.
    pub connection: Option<ConnectionId>,
    /// Found at this instant or later.
    pub since: Option<OffsetDateTime>,
    /// Found before this instant.
    pub until: Option<OffsetDateTime>,
}

impl QuarantineQuery {
    /// Appends its conditions to a statement whose `$1` is the workspace.
    fn conditions(&self, find: &mut Sql) {
        // A word of ours, said literally so that the index of open entries is used.
        find.push(&format!("workspace_id = $1 AND state = '{}'", self.state.as_str()));
        if let Some(reason) = &self.reason {
            find.with(" AND reason = ", reason.as_str());
        }
        if let Some(connection) = self.connection {
            find.with(" AND connection_id = ", connection.uuid());
        }
        if let Some(since) = self.since {
            find.with(" AND at >= ", millis(since));
        }
        if let Some(until) = self.until {
            find.with(" AND at < ", millis(until));
        }
    }
}

impl TryFrom<quarantine::Model> for StoredQuarantine {
    type Error = StorageError;

    fn try_from(row: quarantine::Model) -> Result<Self, StorageError> {
        let all = [QuarantineState::Open, QuarantineState::Replayed, QuarantineState::Dropped];
        let state = all.into_iter().find(|state| state.as_str() == row.state);
        let state = state.ok_or_else(|| unreadable(("quarantine", "state", row.id), format!("`{}`", row.state)))?;
        let entry = NewQuarantine {
            id: row.id.into(),
            journal: row.journal_id.into(),
            connection: row.connection_id.map(Into::into),
            account: row.account_id.map(Into::into),
            item: row.item,
            reason: row.reason,
            detail: row.detail,
            at: row.at.at(),
        };
        Ok(Self {
            entry,
            state,
            settled_at: row.settled_at.map(Into::into),
            settled_by: row.settled_by.map(Into::into),
            settled_why: row.settled_why,
            tried_at: row.tried_at.map(Into::into),
        })
    }
}

impl Reader {
    /// One entry.
    pub async fn quarantined(&self, id: QuarantineId) -> Result<Option<StoredQuarantine>, StorageError> {
        let row = quarantine::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Up to `limit` entries after `after`, oldest first.
    pub async fn quarantine_page(
        &self,
        query: &QuarantineQuery,
        after: Option<QuarantineId>,
        limit: u64,
    ) -> Result<Vec<StoredQuarantine>, StorageError> {
        let columns = super::people::statement::columns::<quarantine::Entity>("quarantine");
        let mut find = Sql::of(self);
        find.push(&format!("SELECT {columns} FROM quarantine WHERE "));
        query.conditions(&mut find);
        if let Some(after) = after {
            find.with(" AND id > ", after.uuid());
        }
        find.with(" ORDER BY id LIMIT ", limit.cast_signed());
        let rows = quarantine::Entity::find().from_raw_sql(find.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The calls of up to `limit` of them, in order, each once.
    pub async fn quarantined_calls(
        &self,
        query: &QuarantineQuery,
        after: Option<JournalId>,
        limit: u64,
    ) -> Result<Vec<JournalId>, StorageError> {
        let mut find = Sql::of(self);
        find.push("SELECT DISTINCT journal_id FROM quarantine WHERE ");
        query.conditions(&mut find);
        if let Some(after) = after {
            find.with(" AND journal_id > ", after.uuid());
        }
        find.with(" ORDER BY journal_id LIMIT ", limit.cast_signed());
        let mut calls = Vec::new();
        for row in self.conn.query_all_raw(find.on(&self.conn)).await? {
            calls.push(JournalId::from(row.try_get_by_index::<Uuid>(0)?));
        }
        Ok(calls)
    }

    /// All entries of a call.
    pub async fn quarantined_of(&self, call: JournalId) -> Result<Vec<StoredQuarantine>, StorageError> {
        let rows = quarantine::Entity::find()
            .filter(quarantine::Column::WorkspaceId.eq(self.ws()))
            .filter(quarantine::Column::JournalId.eq(call.uuid()))
            .order_by_asc(quarantine::Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How many entries are open.
    pub async fn quarantine_count(&self) -> Result<u64, StorageError> {
        let open = quarantine::Entity::find()
            .filter(quarantine::Column::WorkspaceId.eq(self.ws()))
            .filter(quarantine::Column::State.eq(QuarantineState::Open.as_str()));
        Ok(open.count(&self.conn).await?)
    }
}

impl Tx {
    /// Puts something into quarantine.
    pub async fn quarantine(&self, new: &NewQuarantine) -> Result<(), StorageError> {
        let row = quarantine::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(new.id.uuid()),
            journal_id: Set(new.journal.uuid()),
            account_id: Set(new.account.map(ChannelAccountId::uuid)),
            item: Set(new.item.clone()),
            reason: Set(new.reason.clone()),
            detail: Set(new.detail.clone()),
            state: Set(QuarantineState::Open.as_str().to_owned()),
            at: Set(new.at.into()),
            settled_at: Set(None),
            connection_id: Set(new.connection.map(ConnectionId::uuid)),
            tried_at: Set(None),
            settled_by: Set(None),
            settled_why: Set(None),
        };
        quarantine::Entity::insert(row).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Says what became of an open entry; `false` if it is not open.
    pub async fn settle_quarantine(
        &self,
        id: QuarantineId,
        state: QuarantineState,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let settled = quarantine::Entity::update_many()
            .col_expr(quarantine::Column::State, Expr::value(state.as_str()))
            .col_expr(quarantine::Column::SettledAt, Expr::value(millis(now)))
            .filter(quarantine::Column::WorkspaceId.eq(self.ws()))
            .filter(quarantine::Column::Id.eq(id.uuid()))
            .filter(quarantine::Column::State.eq(QuarantineState::Open.as_str()))
            .exec(&self.conn)
            .await?;
        Ok(settled.rows_affected == 1)
    }

    /// It was replayed, and still can't be used, for this reason.
    pub async fn quarantine_again(
        &self,
        id: QuarantineId,
        reason: &str,
        detail: &str,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const TRIED: &str =
            "UPDATE quarantine SET reason = $3, detail = $4, tried_at = $5 WHERE workspace_id = $1 AND id = $2";
        let values = [self.ws().into(), id.uuid().into(), reason.into(), detail.into(), millis(now)];
        self.conn.execute_raw(sql(&self.conn, TRIED, values)).await?;
        Ok(())
    }

    /// Somebody says that an open entry is not needed, and why; `false` if it is not open.
    pub async fn drop_quarantined(
        &self,
        id: QuarantineId,
        by: AgentId,
        why: &str,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const DROP: &str = "UPDATE quarantine SET state = 'dropped', settled_at = $3, settled_by = $4, settled_why = $5 \
                            WHERE workspace_id = $1 AND id = $2 AND state = 'open'";
        let values = [self.ws().into(), id.uuid().into(), millis(now), by.uuid().into(), why.into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DROP, values)).await?.rows_affected() == 1)
    }

    /// A dropped entry is needed after all; `false` if it was not dropped.
    pub async fn reopen_quarantined(&self, id: QuarantineId) -> Result<bool, StorageError> {
        const REOPEN: &str = "UPDATE quarantine SET state = 'open', settled_at = NULL, settled_by = NULL, \
                              settled_why = NULL WHERE workspace_id = $1 AND id = $2 AND state = 'dropped'";
        let values = [self.ws().into(), id.uuid().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, REOPEN, values)).await?.rows_affected() == 1)
    }

    /// Deletes up to `limit` entries found before `before` whose call is no longer kept; how many.
    pub async fn purge_quarantine(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM quarantine WHERE workspace_id = $1 AND id IN (SELECT entry.id FROM quarantine AS \
                              entry WHERE entry.workspace_id = $1 AND entry.at < $2 AND NOT EXISTS (SELECT 1 FROM journal \
                              WHERE journal.workspace_id = $1 AND journal.id = entry.journal_id) LIMIT $3)";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }
}
