//! What people decide: settle what nobody knows, try again, withdraw.

use sea_orm::FromQueryResult;
use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{Actor, ChannelAccountId, DeliveryState, IdentityId, MessageId, PartId};
use uuid::Uuid;

use super::batch::{Batch, locking};
use super::outbox::Priority;
use super::parts::PartChange;
use super::settle::{ENDING, Ending};
use crate::query::{millis, sql, to_json};
use crate::{StorageError, Tx};

/// What a person decides about a part whose outcome nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// It arrived.
    Confirm,
    /// It counts as failed; what it held of quotas counts as used, since it may have arrived.
    GiveUp,
    /// Once more, though it may arrive twice.
    SendAgain,
}

impl Choice {
    const fn kind(self) -> &'static str {
        match self {
            Choice::Confirm => "confirm",
            Choice::GiveUp => "give_up",
            Choice::SendAgain => "send_again",
        }
    }
}

/// A part that is ours alone.
#[derive(FromQueryResult)]
struct Waiting {
    id: Uuid,
    message_id: Uuid,
    conversation_id: Uuid,
}

impl Tx {
    /// Carries out a person's choice, once: the state of the message afterwards, or `None` if the part is not unknown (any
    /// more).
    ///
    /// Before it is sent again the new attempt has to [reserve](Self::move_reservation) anew: what the unknown one held counts
    /// as used.
    pub async fn settle_unknown(
        &self,
        part: PartId,
        choice: Choice,
        by: &Actor,
        now: OffsetDateTime,
    ) -> Result<Option<DeliveryState>, StorageError> {
        let Some(row) = self.lock_unknown(part).await? else { return Ok(None) };
        let mut batch = Batch::on(&self.conn);
        let (text, values) = self.evidence(row.id, Some(row.attempt), choice.kind(), json!({ "by": by }), now);
        batch.add(text, values);
        let sent_at = Some(row.started_at.at());
        let message_state = match choice {
            Choice::Confirm => {
                self.leave(&mut batch, row.id, row.conversation_id, now);
                let change = PartChange { sent_at, ..PartChange::to(DeliveryState::Sent, now) };
                self.change_one(batch, &row, &change).await?
            }
            Choice::GiveUp => {
                self.leave(&mut batch, row.id, row.conversation_id, now);
                let reason = json!({ "code": "given_up" });
                let change = PartChange { reason: Some(&reason), ..PartChange::to(DeliveryState::Failed, now) };
                self.change_one(batch, &row, &change).await?
            }
            Choice::SendAgain => self.queue_again(batch, &row, Some(to_json(by)?), now, now).await?,
        };
        if row.holds {
            self.use_held(row.id, row.started_at.at(), now).await?;
        }
        Ok(Some(message_state))
    }

    /// Sends a part again whose outcome nobody knows, without a person: only where the platform itself drops a repeat (P3).
    /// `false` if it is not unknown (any more).
    pub async fn resend_unknown(&self, part: PartId, now: OffsetDateTime) -> Result<bool, StorageError> {
        let Some(row) = self.lock_unknown(part).await? else { return Ok(false) };
        let mut batch = Batch::on(&self.conn);
        let (text, values) = self.evidence(row.id, Some(row.attempt), "resend", json!({}), now);
        batch.add(text, values);
        self.queue_again(batch, &row, None, now, now).await?;
        Ok(true)
    }

    pub(super) async fn lock_unknown(&self, part: PartId) -> Result<Option<Ending>, StorageError> {
        let lock = format!("{ENDING} AND o.id = $2 AND o.state = 'unknown'{}", locking(&self.conn, "m, o"));
        let values = [self.ws().into(), part.uuid().into()];
        Ok(Ending::find_by_statement(sql(&self.conn, &lock, values)).one(&self.conn).await?)
    }

    /// Queues a part again that failed or was not sent, because a person wants it; `false` if it is neither (any more).
    ///
    /// It is decided anew at dispatch and reserves anew.
    pub async fn retry_part(
        &self,
        part: PartId,
        by: &Actor,
        now: OffsetDateTime,
        due_at: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let lock = format!(
            "SELECT p.id, p.message_id, p.conversation_id FROM messages AS m JOIN parts AS p ON p.workspace_id = m.workspace_id \
             AND p.message_id = m.id WHERE p.workspace_id = $1 AND p.id = $2 AND p.state IN ('failed', 'not_sent'){}",
            locking(&self.conn, "m, p")
        );
        let values = [self.ws().into(), part.uuid().into()];
        let Some(row) = Waiting::find_by_statement(sql(&self.conn, &lock, values)).one(&self.conn).await? else {
            return Ok(false);
        };
        // It was accepted again just now, so it goes behind what waits.
        const QUEUE: &str = "INSERT INTO outbox (workspace_id, id, message_id, conversation_id, identity_id, account_id, seq, \
                             state, priority, due_at, ready_at, expires_at, attempt, crashes, asked_by, receipts, created_at) \
                             SELECT p.workspace_id, p.id, p.message_id, p.conversation_id, c.identity_id, p.account_id, 1 + \
                             (SELECT coalesce(max(o.seq), 0) FROM outbox AS o WHERE o.workspace_id = $1 AND \
                             o.conversation_id = p.conversation_id), 'queued', $3, $4, $5, $6, p.attempts, 0, $7, false, $8 \
                             FROM parts AS p JOIN conversations AS c ON c.workspace_id = p.workspace_id AND c.id = \
                             p.conversation_id WHERE p.workspace_id = $1 AND p.id = $2";
        let mut batch = Batch::on(&self.conn);
        batch.add(
            QUEUE,
            [
                self.ws().into(),
                row.id.into(),
                Priority::Reply.rank().into(),
                millis(due_at),
                millis(due_at.max(now)),
                millis(expires_at),
                Some(to_json(by)?).into(),
                millis(now),
            ],
        );
        let (text, values) = self.due_hint(due_at, now);
        batch.add(text, values);
        let (text, values) = self.evidence(row.id, None, "retry", json!({ "by": by }), now);
        batch.add(text, values);
        self.change_parts(batch, &[row.id], &[row.message_id], &PartChange::to(DeliveryState::Queued, now)).await?;
        Ok(true)
    }

    /// Withdraws those parts of a message that have not begun to be sent, scheduled or queued; whether there were any.
    pub async fn cancel_message(
        &self,
        message: MessageId,
        by: &Actor,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let data = json!({ "by": by });
        if self.take_schedule(message, None).await? {
            self.end_scheduled(message, DeliveryState::Canceled, &data, now).await?;
            return Ok(true);
        }
        let rows = self.lock_waiting("o.message_id = $2", message.uuid()).await?;
        for row in &rows {
            let change = PartChange { reason: Some(&data), ..PartChange::to(DeliveryState::Canceled, now) };
            self.take_off(row.id, row.message_id, row.conversation_id, "cancel", &change).await?;
        }
        Ok(!rows.is_empty())
    }

    /// Withholds everything to a person that has not begun to be sent, as after an opt-out, a block or an erasure (P6).
    pub async fn cancel_queued_for(
        &self,
        identity: IdentityId,
        reason: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<Vec<PartId>, StorageError> {
        const THEIRS: &str =
            "o.conversation_id IN (SELECT id FROM conversations WHERE workspace_id = $1 AND identity_id = $2)";
        let rows = self.lock_waiting(THEIRS, identity.uuid()).await?;
        self.withhold_all(rows, reason, now).await
    }

    /// Withholds up to `limit` parts over an account that have not begun to be sent: the account is given up, and may have any
    /// number of them.
    pub async fn cancel_queued_over(
        &self,
        account: ChannelAccountId,
        reason: &serde_json::Value,
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<PartId>, StorageError> {
        let theirs = format!(
            "o.id IN (SELECT w.id FROM outbox AS w WHERE w.workspace_id = $1 AND w.account_id = $2 AND w.state IN ('queued', \
             'claimed') LIMIT {limit})"
        );
        let rows = self.lock_waiting(&theirs, account.uuid()).await?;
        self.withhold_all(rows, reason, now).await
    }

    async fn withhold_all(
        &self,
        rows: Vec<Waiting>,
        reason: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<Vec<PartId>, StorageError> {
        for row in &rows {
            let change = PartChange { reason: Some(reason), ..PartChange::to(DeliveryState::NotSent, now) };
            self.take_off(row.id, row.message_id, row.conversation_id, "withheld", &change).await?;
        }
        Ok(rows.into_iter().map(|row| row.id.into()).collect())
    }

    /// Locks what is queued or claimed.
    async fn lock_waiting(&self, which: &str, id: Uuid) -> Result<Vec<Waiting>, StorageError> {
        let lock = format!(
            "SELECT o.id, o.message_id, o.conversation_id FROM messages AS m JOIN outbox AS o ON o.workspace_id = m.workspace_id \
             AND o.message_id = m.id WHERE o.workspace_id = $1 AND {which} AND o.state IN ('queued', 'claimed') ORDER BY m.id, \
             o.id{}",
            locking(&self.conn, "m, o")
        );
        Ok(Waiting::find_by_statement(sql(&self.conn, &lock, [self.ws().into(), id.into()])).all(&self.conn).await?)
    }
}
