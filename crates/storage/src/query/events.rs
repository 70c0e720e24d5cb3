//! Events: they enter unnumbered with their transaction; once committed they are numbered, without gap or late arrival (P10).
//!
//! A sequence would number before the commit: a reader could see 7, store it as its place, and never see the 6 that commits
//! later. So numbers are given to committed rows only, under the lock of the workspace's `event_numberers` row, and readers
//! see numbered rows only.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value};
use time::OffsetDateTime;
use transom_domain::{AgentId, ContactId, ConversationId, EventId, WorkspaceId};
use uuid::Uuid;

use super::people::statement::{Sql, runs};
use super::{millis, sql};
use crate::entity::{event_numberers, events};
use crate::{Reader, StorageError, Tx};

/// So many events get their numbers at once. Of more a statement would seldom be faster; and while anybody holds a snapshot open each
/// steps over all that were numbered since, so a transaction of several of them can take seconds.
pub(crate) const BATCH: u64 = 500;

/// A change to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Its id; within a transaction, events are numbered in the order of their ids.
    pub id: EventId,
    /// What happened, such as `message.queued`.
    pub kind: String,
    /// The conversation it is about.
    pub conversation: Option<ConversationId>,
    /// The contact it is about.
    pub contact: Option<ContactId>,
    /// What streams and webhooks carry.
    pub data: serde_json::Value,
    /// When it happened.
    pub at: OffsetDateTime,
}

impl NewEvent {
    /// Whether it is for a bot: then its data names the bot among `bots`.
    pub fn is_for(&self, bot: AgentId) -> bool {
        let bots = self.data.get("bots").and_then(serde_json::Value::as_array);
        bots.is_some_and(|bots| bots.contains(&serde_json::json!(bot)))
    }
}

/// An event with its place in the workspace's order.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedEvent {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// The event.
    pub event: NewEvent,
}

impl Reader {
    /// Up to `limit` events after number `seq`, in order. An event that was just committed may still wait for its number.
    pub async fn events_after(&self, seq: u64, limit: u64) -> Result<Vec<NumberedEvent>, StorageError> {
        let rows = events::Entity::find()
            .filter(events::Column::WorkspaceId.eq(self.ws()))
            .filter(Expr::col(events::Column::Seq).gt(i64::try_from(seq).unwrap_or(i64::MAX)))
            .order_by_asc(events::Column::Seq)
            .limit(limit)
            .all(&self.conn)
            .await?;
        let numbered = |row: events::Model| {
            let event = NewEvent {
                id: row.id.into(),
                kind: row.kind,
                conversation: row.conversation_id.map(Into::into),
                contact: row.contact_id.map(Into::into),
                data: row.data,
                at: row.at.at(),
            };
            Some(NumberedEvent { seq: row.seq?.unsigned_abs(), event })
        };
        Ok(rows.into_iter().filter_map(numbered).collect())
    }

    /// The last number that was given; 0 before the first.
    pub async fn last_event_seq(&self) -> Result<u64, StorageError> {
        let row = event_numberers::Entity::find_by_id(self.ws()).one(&self.conn).await?;
        Ok(row.map_or(0, |row| row.last_seq.unsigned_abs()))
    }

    /// The oldest number that is kept; a cursor before it needs a reset.
    pub async fn oldest_event_seq(&self) -> Result<Option<u64>, StorageError> {
        let oldest = events::Entity::find()
            .select_only()
            .column(events::Column::Seq)
            .filter(events::Column::WorkspaceId.eq(self.ws()))
            .filter(Expr::col(events::Column::Seq).is_not_null())
            .order_by_asc(events::Column::Seq)
            .into_tuple::<i64>()
            .one(&self.conn)
            .await?;
        Ok(oldest.map(i64::unsigned_abs))
    }
}

impl Tx {
    /// Tells a change: seen by streams once this transaction has committed.
    pub async fn emit(&self, new: &NewEvent) -> Result<(), StorageError> {
        self.emit_all(std::slice::from_ref(new)).await
    }

    /// Tells many changes.
    pub async fn emit_all(&self, events: &[NewEvent]) -> Result<(), StorageError> {
        for events in runs(events) {
            let rows = events.iter().map(|new| -> [Value; 7] {
                [
                    self.ws().into(),
                    new.id.uuid().into(),
                    new.kind.as_str().into(),
                    new.conversation.map(ConversationId::uuid).into(),
                    new.contact.map(ContactId::uuid).into(),
                    new.data.clone().into(),
                    millis(new.at),
                ]
            });
            let mut statement =
                Sql::new("INSERT INTO events (workspace_id, id, kind, conversation_id, contact_id, data, at) VALUES ");
            statement.rows(rows);
            self.conn.execute_raw(statement.on(&self.conn)).await?;
            self.mark_emitted();
        }
        Ok(())
    }

    /// Deletes up to `limit` of the oldest events, if they happened before `before`; how many. The first that is younger ends
    /// it, so that what is kept has no gap.
    pub async fn purge_events(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM events WHERE workspace_id = $1 AND seq <= (SELECT max(seq) FROM (SELECT seq \
                              FROM events WHERE workspace_id = $1 AND seq IS NOT NULL AND seq < coalesce((SELECT min(seq) \
                              FROM events WHERE workspace_id = $1 AND at >= $2), 9223372036854775807) ORDER BY seq \
                              LIMIT $3) AS old)";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }
}

/// Gives numbers to [`BATCH`] of the workspace's unnumbered events at most, inside the caller's transaction; how many. Chains its audit
/// log, too.
pub(crate) async fn number_events(db: &impl ConnectionTrait, workspace: WorkspaceId) -> Result<u64, StorageError> {
    const NUMBER: &str = "UPDATE events SET seq = $2 + numbered.place FROM (SELECT id, row_number() OVER (ORDER BY id) AS \
                          place FROM events WHERE workspace_id = $1 AND seq IS NULL ORDER BY id LIMIT $3) AS numbered \
                          WHERE events.workspace_id = $1 AND events.id = numbered.id";
    let ws = workspace.uuid();
    // The lock makes replicas take turns; SQLite's writer is alone anyway.
    let Some(row) = event_numberers::Entity::find_by_id(ws).lock_exclusive().one(db).await? else { return Ok(0) };
    crate::audit::seal(db, workspace).await?;
    let values = [ws.into(), row.last_seq.into(), BATCH.cast_signed().into()];
    let numbered = db.execute_raw(sql(db, NUMBER, values)).await?.rows_affected();
    if numbered > 0 {
        event_numberers::Entity::update_many()
            .col_expr(event_numberers::Column::LastSeq, Expr::value(row.last_seq + numbered.cast_signed()))
            .filter(event_numberers::Column::WorkspaceId.eq(ws))
            .exec(db)
            .await?;
    }
    Ok(numbered)
}

/// Workspaces with committed events or lines of the audit log that have no number yet.
pub(crate) async fn unnumbered_workspaces(db: &impl ConnectionTrait) -> Result<Vec<WorkspaceId>, StorageError> {
    const FIND: &str =
        "SELECT workspace_id FROM events WHERE seq IS NULL UNION SELECT workspace_id FROM audit_log WHERE seq IS NULL";
    let rows = db.query_all_raw(sql(db, FIND, [])).await?;
    let id = |row: &sea_orm::QueryResult| row.try_get_by_index::<Uuid>(0).map(Into::into);
    Ok(rows.iter().map(id).collect::<Result<_, _>>()?)
}
