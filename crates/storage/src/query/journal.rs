//! The journal: every call that a platform made, as it came, before anything is made of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use sea_orm::sea_query::{Expr, LockBehavior, LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use transom_domain::{ChannelAccountId, ConnectionId, JournalId};
use uuid::Uuid;

use super::people::statement::{Sql, on_postgres, runs};
use super::sending::batch::{IdList, clock};
use super::{from_json, millis, sql, to_json, unreadable};
use crate::entity::{journal, pull_cursors};
use crate::{Reader, Storage, StorageError, Tx, WorkspaceScope};

/// How a call reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallSource {
    /// The platform called our webhook.
    Webhook,
    /// We fetched it.
    Pull,
}

impl CallSource {
    /// The name in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallSource::Webhook => "webhook",
            CallSource::Pull => "pull",
        }
    }
}

/// A call to be journalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCall {
    /// Its id, which also orders the calls.
    pub id: JournalId,
    /// The connection it came for.
    pub connection: ConnectionId,
    /// The account, where the address or the mailbox says so; otherwise each item names its own.
    pub account: Option<ChannelAccountId>,
    /// How it reached us.
    pub source: CallSource,
    /// The headers that are kept.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
    /// When it came.
    pub received_at: OffsetDateTime,
}

/// A call that waits to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalCall {
    /// What came.
    pub call: NewCall,
    /// How often it was [taken in hand](Tx::take_left) after a restart: once with others, from then on alone.
    pub crashes: u32,
    /// How often somebody asked to have it applied again: 0 while it is new.
    pub replays: u32,
}

/// Which of the waiting calls are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting<'c> {
    /// All of them.
    All,
    /// Those after this one.
    After(JournalId),
    /// These, as far as they still wait.
    These(&'c [JournalId]),
}

/// What an earlier process left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Calls that are in hand now, and counted.
    pub taken: Vec<JournalId>,
    /// Whether there are others that somebody else has in hand, or that are spared.
    pub others: bool,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// Its items were applied; those that could not be are in quarantine one by one.
    Applied,
    /// None of it could be used.
    Quarantined,
}

impl CallOutcome {
    /// The name in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallOutcome::Applied => "applied",
            CallOutcome::Quarantined => "quarantined",
        }
    }
}

/// A call with what became of it, to answer "did this ever reach us?".
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCall {
    /// What came.
    pub call: NewCall,
    /// `None` while it waits.
    pub outcome: Option<CallOutcome>,
    /// When it was dealt with.
    pub applied_at: Option<OffsetDateTime>,
    /// What was made of it.
    pub summary: Option<serde_json::Value>,
    /// How often somebody asked to have it applied again.
    pub replays: u32,
    /// What it said was wiped, since it told of somebody who was erased.
    pub erased: bool,
}

impl Storage {
    /// Journals a call in one statement. When this returns it survives a power cut, and the platform can be answered.
    pub async fn append_call(&self, scope: &WorkspaceScope, call: &NewCall) -> Result<(), StorageError> {
        self.append(call_row(scope.workspace().uuid(), call)?).await
    }
}

/// The values of a call's row.
pub(crate) type CallRow = Vec<Value>;

fn call_row(workspace: Uuid, call: &NewCall) -> Result<CallRow, StorageError> {
    Ok(vec![
        workspace.into(),
        call.id.uuid().into(),
        call.connection.uuid().into(),
        call.account.map(ChannelAccountId::uuid).into(),
        call.source.as_str().into(),
        to_json(&call.headers)?.into(),
        call.body.to_vec().into(),
        Sha256::digest(&call.body).to_vec().into(),
        millis(call.received_at),
        "new".into(),
        0_i64.into(),
    ])
}

/// One statement that journals these calls; which of them are there already is no matter.
pub(crate) fn insert_calls<'a>(db: &impl ConnectionTrait, calls: impl IntoIterator<Item = &'a CallRow>) -> Statement {
    let mut statement = Sql::new(
        "INSERT INTO journal (workspace_id, id, connection_id, account_id, source, headers, body, body_hash, received_at, \
         state, crashes) VALUES ",
    );
    statement.rows(calls.into_iter().cloned()).push(" ON CONFLICT (workspace_id, id) DO NOTHING");
    statement.on(db)
}

impl TryFrom<journal::Model> for StoredCall {
    type Error = StorageError;

    fn try_from(row: journal::Model) -> Result<Self, StorageError> {
        let place = |column| ("journal", column, row.id);
        let source = match row.source.as_str() {
            "webhook" => CallSource::Webhook,
            "pull" => CallSource::Pull,
            other => return Err(unreadable(place("source"), format!("`{other}` is unknown"))),
        };
        let outcome = match row.state.as_str() {
            "new" => None,
            "applied" => Some(CallOutcome::Applied),
            "quarantined" => Some(CallOutcome::Quarantined),
            other => return Err(unreadable(place("state"), format!("`{other}` is unknown"))),
        };
        let erased = row.body_hash.is_empty();
        let call = NewCall {
            id: row.id.into(),
            connection: row.connection_id.into(),
            account: row.account_id.map(Into::into),
            source,
            headers: if erased { Vec::new() } else { from_json(row.headers, place("headers"))? },
            body: row.body.into(),
            received_at: row.received_at.at(),
        };
        let replays = u32::try_from(row.replays).unwrap_or(u32::MAX);
        Ok(Self { call, outcome, applied_at: row.applied_at.map(Into::into), summary: row.summary, replays, erased })
    }
}

impl Reader {
    /// One call, whatever became of it.
    pub async fn call(&self, id: JournalId) -> Result<Option<StoredCall>, StorageError> {
        let row = journal::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// When the oldest call came that still waits.
    pub async fn oldest_unapplied(&self) -> Result<Option<OffsetDateTime>, StorageError> {
        let row = journal::Entity::find()
            .filter(journal::Column::WorkspaceId.eq(self.ws()))
            .filter(journal::Column::State.eq("new"))
            .order_by_asc(journal::Column::Id)
            .one(&self.conn)
            .await?;
        Ok(row.map(|row| row.received_at.at()))
    }

    /// How far an account was fetched.
    pub async fn pull_cursor(&self, account: ChannelAccountId) -> Result<Option<String>, StorageError> {
        let row = pull_cursors::Entity::find_by_id((self.ws(), account.uuid())).one(&self.conn).await?;
        Ok(row.map(|row| row.cursor))
    }
}

impl Tx {
    /// Journals a call inside a transaction, as a pull does together with its cursor.
    pub async fn append_call(&self, call: &NewCall) -> Result<(), StorageError> {
        self.conn.execute_raw(insert_calls(&self.conn, [&call_row(self.ws(), call)?])).await?;
        Ok(())
    }

    /// Remembers how far an account was fetched.
    pub async fn put_pull_cursor(
        &self,
        account: ChannelAccountId,
        cursor: &str,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        use pull_cursors::Column as C;
        let row = pull_cursors::ActiveModel {
            workspace_id: Set(self.ws()),
            account_id: Set(account.uuid()),
            cursor: Set(cursor.to_owned()),
            updated_at: Set(now.into()),
        };
        let further =
            OnConflict::columns([C::WorkspaceId, C::AccountId]).update_columns([C::Cursor, C::UpdatedAt]).to_owned();
        pull_cursors::Entity::insert(row).on_conflict(further).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Up to `limit` waiting calls in their order, locked until the end of this transaction; those that another replica has
    /// in hand are skipped.
    pub async fn lock_unapplied(&self, which: Waiting<'_>, limit: u64) -> Result<Vec<JournalCall>, StorageError> {
        let which = match which {
            Waiting::All => Condition::all(),
            Waiting::After(last) => Condition::all().add(journal::Column::Id.gt(last.uuid())),
            Waiting::These(ids) => Condition::all().add(journal::Column::Id.is_in(ids.iter().map(|id| id.uuid()))),
        };
        let rows = journal::Entity::find()
            .filter(journal::Column::WorkspaceId.eq(self.ws()))
            .filter(journal::Column::State.eq("new"))
            .filter(which)
            .order_by_asc(journal::Column::Id)
            .limit(limit)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .all(&self.conn)
            .await?;
        let waiting = |row: journal::Model| {
            let crashes = u32::try_from(row.crashes).unwrap_or(u32::MAX);
            StoredCall::try_from(row).map(|StoredCall { call, replays, .. }| JournalCall { call, crashes, replays })
        };
        rows.into_iter().map(waiting).collect()
    }

    /// The last call that waits.
    pub async fn last_unapplied(&self) -> Result<Option<JournalId>, StorageError> {
        const LAST: &str = "SELECT id FROM journal WHERE workspace_id = $1 AND state = 'new' ORDER BY id DESC LIMIT 1";
        let row = self.conn.query_one_raw(sql(&self.conn, LAST, [self.ws().into()])).await?;
        row.map(|row| row.try_get_by_index::<Uuid>(0)).transpose().map(|id| id.map(Into::into)).map_err(Into::into)
    }

    /// Takes waiting calls up to `last` in hand and counts that: a process that dies with them leaves that trace, so that one
    /// which kills it is found. Those that were in no hand come together, up to `limit`; one that was, alone. Nobody else takes
    /// them for `ttl`, by the database's clock. Those that were taken exactly `spared` times are left waiting.
    pub async fn take_left(
        &self,
        last: JournalId,
        limit: u64,
        ttl: Duration,
        spared: Option<u32>,
    ) -> Result<Left, StorageError> {
        let clock = clock(&self.conn);
        let lock = match self.conn.get_database_backend() {
            DbBackend::Postgres => " FOR UPDATE SKIP LOCKED",
            _ => "",
        };
        let find = format!(
            "SELECT id, crashes FROM journal WHERE workspace_id = $1 AND state = 'new' AND id <= $2 AND (in_hand_until IS NULL \
             OR in_hand_until <= {clock}) AND crashes <> $4 ORDER BY id LIMIT $3{lock}"
        );
        // No call is taken less than never.
        let spared = spared.map_or(-1, i64::from);
        let values = [self.ws().into(), last.uuid().into(), limit.cast_signed().into(), spared.into()];
        let mut free: Vec<(Uuid, i64)> = Vec::new();
        for row in self.conn.query_all_raw(sql(&self.conn, &find, values)).await? {
            free.push((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        }
        let Some(&(first, crashes)) = free.first() else {
            const ANY: &str = "SELECT 1 FROM journal WHERE workspace_id = $1 AND state = 'new' AND id <= $2 LIMIT 1";
            let any = self.conn.query_one_raw(sql(&self.conn, ANY, [self.ws().into(), last.uuid().into()])).await?;
            return Ok(Left { taken: Vec::new(), others: any.is_some() });
        };
        let taken: Vec<Uuid> = match crashes {
            0 => free.iter().take_while(|(_, crashes)| *crashes == 0).map(|(id, _)| *id).collect(),
            _ => vec![first],
        };
        let ids = IdList::new(3, &taken);
        let count = format!(
            "UPDATE journal SET crashes = crashes + 1, in_hand_until = {clock} + $2 WHERE workspace_id = $1 AND id IN ({})",
            ids.places
        );
        let ttl = i64::try_from(ttl.whole_milliseconds()).unwrap_or(i64::MAX);
        let values = [self.ws().into(), ttl.into()].into_iter().chain(ids.values);
        self.conn.execute_raw(sql(&self.conn, &count, values)).await?;
        Ok(Left { taken: taken.into_iter().map(Into::into).collect(), others: false })
    }

    /// Says what became of a waiting call; `false` if somebody else has said so already.
    pub async fn finish_call(
        &self,
        id: JournalId,
        outcome: CallOutcome,
        summary: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let done = journal::Entity::update_many()
            .col_expr(journal::Column::State, Expr::value(outcome.as_str()))
            .col_expr(journal::Column::Summary, Expr::value(summary.clone()))
            .col_expr(journal::Column::AppliedAt, Expr::value(millis(now)))
            .col_expr(journal::Column::Crashes, Expr::value(0_i64))
            .filter(journal::Column::WorkspaceId.eq(self.ws()))
            .filter(journal::Column::Id.eq(id.uuid()))
            .filter(journal::Column::State.eq("new"))
            .exec(&self.conn)
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// [`finish_call`](Self::finish_call) for many calls; how many of them nobody else had spoken for.
    pub async fn finish_calls(
        &self,
        calls: &[(JournalId, CallOutcome, serde_json::Value)],
        now: OffsetDateTime,
    ) -> Result<u64, StorageError> {
        let mut finished = 0;
        for calls in runs(calls) {
            let rows = calls.iter().map(|(id, outcome, summary)| -> [Value; 3] {
                [id.uuid().into(), outcome.as_str().into(), summary.clone().into()]
            });
            let mut statement =
                Sql::new("UPDATE journal SET crashes = 0, state = done.column2, summary = done.column3, ");
            statement
                .with("applied_at = ", millis(now))
                .push(" FROM (VALUES ")
                .rows(rows)
                .with(") AS done WHERE workspace_id = ", self.ws())
                .push(" AND id = done.column1 AND state = 'new'");
            finished += self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected();
        }
        Ok(finished)
    }

    /// One call, locked until the end of this transaction.
    pub async fn lock_call(&self, id: JournalId) -> Result<Option<StoredCall>, StorageError> {
        let found = journal::Entity::find_by_id((self.ws(), id.uuid())).lock_exclusive().one(&self.conn).await?;
        found.map(TryInto::try_into).transpose()
    }

    /// Lets a call be applied again; whether there is such a call with anything left to apply.
    pub async fn replay_call(&self, id: JournalId) -> Result<bool, StorageError> {
        Ok(self.replay_calls(&[id]).await? == 1)
    }

    /// Lets calls be applied again, all but those that tell of nobody any more; how many.
    pub async fn replay_calls(&self, ids: &[JournalId]) -> Result<u64, StorageError> {
        let ids: BTreeSet<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let (ids, mut count) = (ids.into_iter().collect::<Vec<_>>(), 0);
        for ids in runs(&ids) {
            // In order, so that two who replay the same calls wait for each other instead of for ever.
            let mut lock = Sql::of(self);
            lock.push("SELECT id FROM journal WHERE workspace_id = $1 AND length(body_hash) > 0 AND id IN ")
                .list(ids.iter().copied())
                .push(if on_postgres(self) { " ORDER BY id FOR UPDATE" } else { "" });
            let mut there: Vec<Uuid> = Vec::new();
            for row in self.conn.query_all_raw(lock.on(&self.conn)).await? {
                there.push(row.try_get_by_index(0)?);
            }
            let mut again =
                Sql::new("UPDATE journal SET state = 'new', crashes = 0, in_hand_until = NULL, replays = replays + 1");
            again.with(" WHERE workspace_id = ", self.ws()).push(" AND id IN ").list(there);
            count += self.conn.execute_raw(again.on(&self.conn)).await?.rows_affected();
        }
        Ok(count)
    }

    /// Deletes up to `limit` calls received before `before` that were dealt with; how many.
    pub async fn purge_calls(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM journal WHERE workspace_id = $1 AND id IN (SELECT id FROM journal \
                              WHERE workspace_id = $1 AND received_at < $2 AND state <> 'new' LIMIT $3)";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }
}
