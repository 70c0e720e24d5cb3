//! Messages that leave at a time of their own. Until then no outbox row stands in the way of others.
//!
//! Whoever takes the row of a schedule away, under its version, decides what becomes of the message; the second finds nothing.

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use time::OffsetDateTime;
use transom_domain::{DeliveryState, MessageId};
use uuid::Uuid;

use super::batch::{Batch, locking};
use super::parts::PartChange;
use crate::instant::Millis;
use crate::query::people::NewMessage;
use crate::query::people::statement::Sql;
use crate::query::{millis, sql, to_json};
use crate::{Reader, StorageError, Tx};

/// When a message shall leave.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSchedule {
    /// The message.
    pub message: MessageId,
    /// When it shall leave.
    pub send_at: OffsetDateTime,
    /// What was asked for.
    pub draft: serde_json::Value,
    /// Changes with time and draft.
    pub version: u64,
}

#[derive(FromQueryResult)]
struct Row {
    message_id: Uuid,
    send_at: Millis,
    draft: serde_json::Value,
    version: i64,
}

impl From<Row> for StoredSchedule {
    fn from(row: Row) -> Self {
        Self {
            message: row.message_id.into(),
            send_at: row.send_at.at(),
            draft: row.draft,
            version: row.version.unsigned_abs(),
        }
    }
}

impl Reader {
    /// When a message shall leave; `None` if it is not scheduled (any more).
    pub async fn schedule(&self, message: MessageId) -> Result<Option<StoredSchedule>, StorageError> {
        let mut statement = self.select_schedules();
        statement.with(" AND message_id = ", message.uuid());
        Ok(self.stored_schedules(statement).await?.pop())
    }

    /// When these messages shall leave, as far as they are scheduled; in no order.
    pub async fn schedules_of(&self, messages: &[MessageId]) -> Result<Vec<StoredSchedule>, StorageError> {
        let mut statement = self.select_schedules();
        statement.push(" AND message_id IN ").list(messages.iter().map(|id| id.uuid()));
        self.stored_schedules(statement).await
    }

    /// Up to `limit` messages that shall leave, the next first; behind `after`, a time and a message, if that is given.
    pub async fn schedules(
        &self,
        after: Option<(OffsetDateTime, MessageId)>,
        limit: u32,
    ) -> Result<Vec<StoredSchedule>, StorageError> {
        let mut statement = self.select_schedules();
        if let Some((at, id)) = after {
            statement.with(" AND (send_at, message_id) > (", millis(at)).with(", ", id.uuid()).push(")");
        }
        statement.with(" ORDER BY send_at, message_id LIMIT ", i64::from(limit));
        self.stored_schedules(statement).await
    }

    /// Up to `limit` messages whose time has come, those that wait longest first.
    pub async fn schedules_due(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<StoredSchedule>, StorageError> {
        let mut statement = self.select_schedules();
        statement.with(" AND due_at <= ", millis(now)).with(" ORDER BY due_at, message_id LIMIT ", i64::from(limit));
        self.stored_schedules(statement).await
    }

    fn select_schedules(&self) -> Sql {
        let mut statement = Sql::of(self);
        statement.push("SELECT message_id, send_at, draft, version FROM scheduled_messages WHERE workspace_id = $1");
        statement
    }

    async fn stored_schedules(&self, statement: Sql) -> Result<Vec<StoredSchedule>, StorageError> {
        let rows = Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

impl Tx {
    /// Says when a stored message shall leave, and keeps what was asked for.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if that is said already.
    pub async fn insert_schedule(
        &self,
        message: MessageId,
        send_at: OffsetDateTime,
        draft: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const INSERT: &str = "INSERT INTO scheduled_messages (workspace_id, message_id, send_at, due_at, draft, version, \
                              updated_at) VALUES ($1, $2, $3, $3, $4, 1, $5)";
        let values = [self.ws().into(), message.uuid().into(), millis(send_at), draft.clone().into(), millis(now)];
        self.conn.execute_raw(sql(&self.conn, INSERT, values)).await?;
        Ok(())
    }

    /// Changes time and draft of a schedule that still has this version; whether it has.
    pub async fn change_schedule(
        &self,
        (message, version): (MessageId, u64),
        send_at: OffsetDateTime,
        draft: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const CHANGE: &str = "UPDATE scheduled_messages SET send_at = $4, due_at = $4, draft = $5, version = version + 1, \
                              updated_at = $6 WHERE workspace_id = $1 AND message_id = $2 AND version = $3";
        let values = [
            self.ws().into(),
            message.uuid().into(),
            version.cast_signed().into(),
            millis(send_at),
            draft.clone().into(),
            millis(now),
        ];
        Ok(self.conn.execute_raw(sql(&self.conn, CHANGE, values)).await?.rows_affected() == 1)
    }

    /// Looks at a schedule again at another time, as after a fault; the time at which it shall leave stays.
    pub async fn defer_schedule(
        &self,
        (message, version): (MessageId, u64),
        due_at: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const DEFER: &str = "UPDATE scheduled_messages SET due_at = $4 WHERE workspace_id = $1 AND message_id = $2 \
                             AND version = $3";
        let values = [self.ws().into(), message.uuid().into(), version.cast_signed().into(), millis(due_at)];
        Ok(self.conn.execute_raw(sql(&self.conn, DEFER, values)).await?.rows_affected() == 1)
    }

    /// Takes a schedule away, whatever its version or only at this one; whether it was there. Then the message is the caller's.
    pub async fn take_schedule(&self, message: MessageId, version: Option<u64>) -> Result<bool, StorageError> {
        const TAKE: &str = "DELETE FROM scheduled_messages WHERE workspace_id = $1 AND message_id = $2 \
                            AND (CAST($3 AS bigint) IS NULL OR version = $3)";
        let values = [self.ws().into(), message.uuid().into(), version.map(u64::cast_signed).into()];
        Ok(self.conn.execute_raw(sql(&self.conn, TAKE, values)).await?.rows_affected() == 1)
    }

    /// Writes a scheduled message anew, without its parts: content, state, right and time may be others.
    pub async fn rewrite_scheduled(&self, new: &NewMessage) -> Result<(), StorageError> {
        const PARTS: &str = "DELETE FROM parts WHERE workspace_id = $1 AND message_id = $2";
        const MESSAGE: &str = "UPDATE messages SET content = $3, state = $4, reason = NULL, permit = $5, reply_to = $6, \
                               extra = $7, at = $8 WHERE workspace_id = $1 AND id = $2";
        let message = &new.message;
        let key = || [self.ws().into(), message.id.uuid().into()];
        self.conn.execute_raw(sql(&self.conn, PARTS, key())).await?;
        let values: [Value; 6] = [
            to_json(&message.content)?.into(),
            message.state.map(DeliveryState::as_str).into(),
            new.permit.as_ref().map(to_json).transpose()?.into(),
            new.reply_to.map(Uuid::from).into(),
            new.extra.clone().into(),
            millis(message.at),
        ];
        self.conn.execute_raw(sql(&self.conn, MESSAGE, key().into_iter().chain(values))).await?;
        Ok(())
    }

    /// What becomes of a scheduled message that does not leave; its schedule must have been taken.
    pub async fn end_scheduled(
        &self,
        message: MessageId,
        to: DeliveryState,
        reason: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let lock = format!(
            "SELECT p.id FROM messages AS m JOIN parts AS p ON p.workspace_id = m.workspace_id AND p.message_id = m.id \
             WHERE m.workspace_id = $1 AND m.id = $2 AND p.state = 'scheduled' ORDER BY p.id{}",
            locking(&self.conn, "m, p")
        );
        let rows = self.conn.query_all_raw(sql(&self.conn, &lock, [self.ws().into(), message.uuid().into()])).await?;
        let parts = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<Uuid>, _>>()?;
        let mut batch = Batch::on(&self.conn);
        for part in &parts {
            let data = serde_json::json!({ "state": to, "reason": reason });
            let (text, values) = self.evidence(*part, None, "schedule", data, now);
            batch.add(text, values);
        }
        let change = PartChange { reason: Some(reason), ..PartChange::to(to, now) };
        self.change_parts(batch, &parts, &[message.uuid()], &change).await?;
        Ok(())
    }
}
