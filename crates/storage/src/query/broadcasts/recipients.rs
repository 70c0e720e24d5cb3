//! Who a broadcast is for: each contact once, each in one step from waiting to queued.

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use time::{Duration, OffsetDateTime};
use transom_domain::{Actor, Author, BroadcastId, ContactId, MessageId};
use uuid::Uuid;

use super::super::people::statement::{Sql, runs};
use super::super::{millis, sql, to_json};
use super::StoredBroadcast;
use crate::instant::Millis;
use crate::{Reader, StorageError, Tx};

/// Somebody for whom a broadcast is.
#[derive(Debug, Clone, PartialEq)]
pub struct BroadcastRecipient {
    /// Who.
    pub contact: ContactId,
    /// `waiting`, `not_sent`, `canceled`, or the state of the message.
    pub state: String,
    /// Why it was not sent, or did not arrive.
    pub reason: Option<serde_json::Value>,
    /// The message.
    pub message: Option<MessageId>,
    /// Not before.
    pub due_at: OffsetDateTime,
    /// When the message was queued.
    pub queued_at: Option<OffsetDateTime>,
    /// Whether the customer answered in time.
    pub answered: bool,
}

/// How many recipients have a state, for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientCount {
    /// As [`BroadcastRecipient::state`].
    pub state: String,
    /// The code of the reason.
    pub reason: Option<String>,
    /// How many.
    pub count: u64,
}

#[derive(FromQueryResult)]
struct RecipientRow {
    contact_id: Uuid,
    state: String,
    reason: Option<serde_json::Value>,
    message_id: Option<Uuid>,
    due_at: Millis,
    queued_at: Option<Millis>,
    answered: bool,
}

impl From<RecipientRow> for BroadcastRecipient {
    fn from(row: RecipientRow) -> Self {
        Self {
            contact: row.contact_id.into(),
            state: row.state,
            reason: row.reason,
            message: row.message_id.map(Into::into),
            due_at: row.due_at.at(),
            queued_at: row.queued_at.map(Millis::at),
            answered: row.answered,
        }
    }
}

impl Reader {
    /// Up to `limit` recipients who wait and whose time has come.
    pub async fn recipients_due(
        &self,
        broadcast: BroadcastId,
        now: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<ContactId>, StorageError> {
        const FIND: &str = "SELECT contact_id FROM broadcast_recipients WHERE workspace_id = $1 AND broadcast_id = $2 \
                            AND state = 'waiting' AND due_at <= $3 ORDER BY due_at, contact_id LIMIT $4";
        let values = [self.ws().into(), broadcast.uuid().into(), millis(now), i64::from(limit).into()];
        let rows = self.conn.query_all_raw(sql(&self.conn, FIND, values)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
    }

    /// Whether anybody waits still.
    pub async fn has_waiting(&self, broadcast: BroadcastId) -> Result<bool, StorageError> {
        const FIND: &str = "SELECT 1 FROM broadcast_recipients WHERE workspace_id = $1 AND broadcast_id = $2 \
                            AND state = 'waiting' LIMIT 1";
        let values = [self.ws().into(), broadcast.uuid().into()];
        Ok(self.conn.query_one_raw(sql(&self.conn, FIND, values)).await?.is_some())
    }

    /// How many messages were queued after an instant: of this broadcast, and of all over its account.
    pub async fn queued_after(
        &self,
        broadcast: &StoredBroadcast,
        after: OffsetDateTime,
    ) -> Result<(u64, u64), StorageError> {
        const COUNT: &str = "SELECT coalesce(sum(CASE WHEN r.broadcast_id = $2 THEN 1 ELSE 0 END), 0), count(*) FROM \
                             broadcast_recipients AS r JOIN broadcasts AS b ON b.workspace_id = r.workspace_id AND \
                             b.id = r.broadcast_id WHERE r.workspace_id = $1 AND b.account_id = $3 AND r.queued_at > $4";
        let account = broadcast.plan.account.uuid();
        let values = [self.ws().into(), broadcast.id.uuid().into(), account.into(), millis(after)];
        let Some(row) = self.conn.query_one_raw(sql(&self.conn, COUNT, values)).await? else { return Ok((0, 0)) };
        let (own, all): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok((own.unsigned_abs(), all.unsigned_abs()))
    }

    /// Up to `limit` messages of a broadcast that have not begun to be sent.
    pub async fn queued_of_broadcast(
        &self,
        broadcast: BroadcastId,
        limit: u32,
    ) -> Result<Vec<MessageId>, StorageError> {
        const FIND: &str = "SELECT message_id FROM broadcast_recipients WHERE workspace_id = $1 AND broadcast_id = $2 \
                            AND state = 'queued' AND message_id IS NOT NULL ORDER BY contact_id LIMIT $3";
        let values = [self.ws().into(), broadcast.uuid().into(), i64::from(limit).into()];
        let rows = self.conn.query_all_raw(sql(&self.conn, FIND, values)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
    }

    /// Whether a message of a broadcast may leave yet. One that is on the wire may come back: it is queued again then, and to look
    /// for the two one after the other would miss it.
    pub async fn broadcast_is_under_way(&self, broadcast: BroadcastId) -> Result<bool, StorageError> {
        const FIND: &str = "SELECT 1 FROM broadcast_recipients WHERE workspace_id = $1 AND broadcast_id = $2 \
                            AND state IN ('queued', 'sending') LIMIT 1";
        let values = [self.ws().into(), broadcast.uuid().into()];
        Ok(self.conn.query_one_raw(sql(&self.conn, FIND, values)).await?.is_some())
    }

    /// A page of recipients, by contact, of one state if that is given; `answer_within` is how long an answer counts as one.
    pub async fn recipients(
        &self,
        broadcast: BroadcastId,
        state: Option<&str>,
        after: Option<ContactId>,
        limit: u32,
        answer_within: Duration,
    ) -> Result<Vec<BroadcastRecipient>, StorageError> {
        let mut statement = Sql::of(self);
        let answered = answered(&mut statement, answer_within)?;
        statement
            .push(&format!(
                "SELECT r.contact_id, r.state, coalesce(r.reason, m.reason) AS reason, r.message_id, r.due_at, r.queued_at, \
                 {answered} AS answered FROM broadcast_recipients AS r LEFT JOIN messages AS m ON m.workspace_id = r.workspace_id AND \
                 m.id = r.message_id WHERE r.workspace_id = $1",
            ))
            .with(" AND r.broadcast_id = ", broadcast.uuid());
        if let Some(state) = state {
            statement.with(" AND r.state = ", state);
        }
        if let Some(after) = after {
            statement.with(" AND r.contact_id > ", after.uuid());
        }
        statement.with(" ORDER BY r.contact_id LIMIT ", i64::from(limit));
        let rows = RecipientRow::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// How many recipients stand where, and why.
    pub async fn recipient_counts(&self, broadcast: BroadcastId) -> Result<Vec<RecipientCount>, StorageError> {
        // All of it stands in one index.
        const COUNT: &str = "SELECT state, reason_code, count(*) FROM broadcast_recipients WHERE workspace_id = $1 \
                             AND broadcast_id = $2 GROUP BY state, reason_code ORDER BY state, reason_code";
        let values = [self.ws().into(), broadcast.uuid().into()];
        let rows = self.conn.query_all_raw(sql(&self.conn, COUNT, values)).await?;
        let count = |row: sea_orm::QueryResult| {
            Ok(RecipientCount {
                state: row.try_get_by_index(0)?,
                reason: row.try_get_by_index(1)?,
                count: row.try_get_by_index::<i64>(2)?.unsigned_abs(),
            })
        };
        rows.into_iter().map(count).collect()
    }

    /// How many recipients answered in time.
    pub async fn answered_count(&self, broadcast: BroadcastId, answer_within: Duration) -> Result<u64, StorageError> {
        let mut statement = Sql::of(self);
        let answered = answered(&mut statement, answer_within)?;
        statement
            .push(
                "SELECT count(*) FROM broadcast_recipients AS r JOIN messages AS m ON m.workspace_id = r.workspace_id AND \
                 m.id = r.message_id WHERE r.workspace_id = $1",
            )
            .with(" AND r.broadcast_id = ", broadcast.uuid())
            .push(&format!(" AND {answered}"));
        let Some(row) = self.conn.query_one_raw(statement.on(&self.conn)).await? else { return Ok(0) };
        Ok(row.try_get_by_index::<i64>(0)?.unsigned_abs())
    }
}

/// A recipient stands as the message does; the values of a message `m` that changed. Why, in a word: what the rules say, else what
/// we say, else what the platform says.
pub(in crate::query) const STANDING: &str = "state = m.state, reason_code = coalesce(m.reason ->> 'because', m.reason ->> 'reason', \
                                             m.reason ->> 'code')";

/// The same word of a reason that is given as a value.
fn code_of(reason: &serde_json::Value) -> Option<&str> {
    ["because", "reason", "code"].into_iter().find_map(|name| reason.get(name)?.as_str())
}

/// Whether the customer, and no machine of theirs, wrote in the same conversation soon enough after the message was queued; some
/// platforms tell the second in which they did, and no more.
fn answered(statement: &mut Sql, within: Duration) -> Result<String, StorageError> {
    let span = statement.named(i64::try_from(within.whole_milliseconds()).unwrap_or(i64::MAX));
    let customer = statement.named(to_json(&Author::Actor(Actor::Customer))?);
    Ok(format!(
        "(m.id IS NOT NULL AND EXISTS (SELECT 1 FROM messages AS i WHERE i.workspace_id = r.workspace_id AND \
         i.conversation_id = m.conversation_id AND i.direction = 'inbound' AND i.author = {customer} AND \
         i.extra ->> 'automatic' IS NULL AND i.at > r.queued_at - 1000 AND i.at < r.queued_at + {span}))"
    ))
}

impl Tx {
    /// Writes contacts down as recipients, each once, and how far the audience is written down with them. `false`, and
    /// nothing, where somebody else went on from `before` already.
    pub async fn collect_recipients(
        &self,
        broadcast: &StoredBroadcast,
        contacts: &[ContactId],
        after: Option<(OffsetDateTime, ContactId)>,
        collected: bool,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let mut statement = Sql::new("UPDATE broadcasts SET collected = ");
        statement.bind(collected);
        if let Some((at, id)) = after {
            statement.with(", audience_after_at = ", millis(at)).with(", audience_after_id = ", id.uuid());
        }
        statement
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", broadcast.id.uuid())
            .push(" AND state = 'running' AND NOT collected");
        match broadcast.after {
            Some((_, before)) => statement.with(" AND audience_after_id = ", before.uuid()),
            None => statement.push(" AND audience_after_id IS NULL"),
        };
        if self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() == 0 {
            return Ok(false);
        }
        for run in runs(contacts) {
            let mut insert = Sql::new(
                "INSERT INTO broadcast_recipients (workspace_id, broadcast_id, contact_id, state, due_at) VALUES ",
            );
            let row = |contact: &ContactId| -> [Value; 5] {
                [self.ws().into(), broadcast.id.uuid().into(), contact.uuid().into(), "waiting".into(), millis(now)]
            };
            insert.rows(run.iter().map(row)).push(" ON CONFLICT DO NOTHING");
            self.conn.execute_raw(insert.on(&self.conn)).await?;
        }
        Ok(true)
    }

    /// Takes a recipient who waits in a running broadcast; `false` if somebody else did, or it runs no more. The message must be
    /// stored in the same transaction.
    pub async fn take_recipient(
        &self,
        broadcast: BroadcastId,
        contact: ContactId,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const TAKE: &str = "UPDATE broadcast_recipients SET state = 'queued', queued_at = $4 WHERE workspace_id = $1 \
                            AND broadcast_id = $2 AND contact_id = $3 AND state = 'waiting' AND EXISTS (SELECT 1 FROM \
                            broadcasts AS b WHERE b.workspace_id = $1 AND b.id = $2 AND b.state = 'running')";
        let values = [self.ws().into(), broadcast.uuid().into(), contact.uuid().into(), millis(now)];
        Ok(self.conn.execute_raw(sql(&self.conn, TAKE, values)).await?.rows_affected() == 1)
    }

    /// Says which message a recipient who was taken gets.
    pub async fn note_recipient(
        &self,
        broadcast: BroadcastId,
        contact: ContactId,
        message: MessageId,
    ) -> Result<(), StorageError> {
        const NOTE: &str = "UPDATE broadcast_recipients SET message_id = $4 WHERE workspace_id = $1 AND broadcast_id = $2 \
                            AND contact_id = $3";
        let values = [self.ws().into(), broadcast.uuid().into(), contact.uuid().into(), message.uuid().into()];
        self.conn.execute_raw(sql(&self.conn, NOTE, values)).await?;
        Ok(())
    }

    /// Leaves a recipient who waits out, and says why; whether they waited.
    pub async fn leave_recipient_out(
        &self,
        broadcast: BroadcastId,
        contact: ContactId,
        reason: &serde_json::Value,
    ) -> Result<bool, StorageError> {
        const OUT: &str = "UPDATE broadcast_recipients SET state = 'not_sent', reason = $4, reason_code = $5 WHERE \
                           workspace_id = $1 AND broadcast_id = $2 AND contact_id = $3 AND state = 'waiting'";
        let (broadcast, contact, code) = (broadcast.uuid(), contact.uuid(), code_of(reason));
        let values = [self.ws().into(), broadcast.into(), contact.into(), reason.clone().into(), code.into()];
        Ok(self.conn.execute_raw(sql(&self.conn, OUT, values)).await?.rows_affected() == 1)
    }

    /// Up to `limit` who wait for a canceled broadcast wait no more; how many.
    pub async fn cancel_waiting(&self, broadcast: BroadcastId, limit: u32) -> Result<u64, StorageError> {
        const CANCEL: &str = "UPDATE broadcast_recipients SET state = 'canceled' WHERE workspace_id = $1 AND broadcast_id = $2 \
                              AND contact_id IN (SELECT w.contact_id FROM broadcast_recipients AS w WHERE w.workspace_id = $1 \
                              AND w.broadcast_id = $2 AND w.state = 'waiting' LIMIT $3) AND state = 'waiting'";
        let values = [self.ws().into(), broadcast.uuid().into(), i64::from(limit).into()];
        Ok(self.conn.execute_raw(sql(&self.conn, CANCEL, values)).await?.rows_affected())
    }

    /// Lets a recipient wait until later.
    pub async fn defer_recipient(
        &self,
        broadcast: BroadcastId,
        contact: ContactId,
        due_at: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const DEFER: &str = "UPDATE broadcast_recipients SET due_at = $4 WHERE workspace_id = $1 AND broadcast_id = $2 \
                             AND contact_id = $3 AND state = 'waiting'";
        let values = [self.ws().into(), broadcast.uuid().into(), contact.uuid().into(), millis(due_at)];
        self.conn.execute_raw(sql(&self.conn, DEFER, values)).await?;
        Ok(())
    }
}
