//! The end of an attempt.

use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_domain::{DeliveryState, PartId};
use uuid::Uuid;

use super::batch::{Batch, locking};
use super::echoes::JoinedEcho;
use super::outbox::{Outcome, Settlement};
use super::parts::{PartChange, state_of};
use super::receipts::Changed;
use crate::instant::Millis;
use crate::query::{millis, sql};
use crate::{StorageError, Tx};

/// How long an unknown outcome holds up later messages of its conversation (reliability rules, section 4).
const HOLD: Duration = Duration::seconds(30);
/// How long evidence is waited for before a person is asked (reliability rules, section 4).
const EVIDENCE: Duration = Duration::seconds(60);

/// What became of a settlement.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// It is stored.
    Done {
        /// What the message's state is now.
        message_state: DeliveryState,
        /// Receipts that had come before the answer and count from now on.
        joined: Vec<Changed>,
        /// The same message, which had come back before the answer and was filed as written elsewhere.
        echo: Option<JoinedEcho>,
    },
    /// Somebody recovered the part meanwhile; the answer was kept as evidence.
    LeaseLost,
}

/// A part whose attempt ends; its message is locked.
#[derive(FromQueryResult)]
pub(super) struct Ending {
    pub(super) id: Uuid,
    pub(super) message_id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) account_id: Uuid,
    pub(super) attempt: i64,
    pub(super) receipts: bool,
    pub(super) started_at: Millis,
    pub(super) holds: bool,
}

/// Columns of an [`Ending`] out of messages `m`, outbox `o` and its present attempt `a`.
pub(super) const ENDING: &str = "SELECT o.id, o.message_id, o.conversation_id, o.account_id, o.attempt, o.receipts, \
                                 coalesce(a.started_at, o.created_at) AS started_at, EXISTS (SELECT 1 FROM \
                                 quota_reservations AS r WHERE r.workspace_id = $1 AND r.part_id = o.id AND r.state = 'held') \
                                 AS holds FROM messages AS m JOIN outbox AS o ON o.workspace_id = m.workspace_id AND \
                                 o.message_id = m.id LEFT JOIN attempts AS a ON a.workspace_id = o.workspace_id AND \
                                 a.part_id = o.id AND a.number = o.attempt WHERE o.workspace_id = $1";

impl Tx {
    /// Stores how an attempt ended, if the part still waits for this very attempt; the fence of reliability rules, section 6.
    ///
    /// [`Outcome::Sent`] also settles a part that was meanwhile recovered as unknown from this attempt, or that a receipt
    /// settled first: it proves the same. Every other answer that comes too late is kept as evidence.
    pub async fn settle(
        &self,
        part: PartId,
        attempt: u32,
        settlement: &Settlement,
        now: OffsetDateTime,
    ) -> Result<Settled, StorageError> {
        let state = match settlement.outcome {
            Outcome::Sent { .. } => "IN ('sending', 'unknown')",
            _ => "= 'sending'",
        };
        let lock =
            format!("{ENDING} AND o.id = $2 AND o.attempt = $3 AND o.state {state}{}", locking(&self.conn, "m, o"));
        let values = [self.ws().into(), part.uuid().into(), i64::from(attempt).into()];
        let Some(row) = Ending::find_by_statement(sql(&self.conn, &lock, values)).one(&self.conn).await? else {
            return self.settle_late(part, attempt, settlement, now).await;
        };
        let mut batch = Batch::on(&self.conn);
        self.end_attempt(&mut batch, row.id, row.attempt, settlement, now);
        let reason = settlement.error.as_ref();
        let message_state = match &settlement.outcome {
            Outcome::Sent { provider_id, .. } => {
                return self.settle_sent(batch, &row, provider_id.as_deref(), now).await;
            }
            Outcome::Retry { due_at } => self.queue_again(batch, &row, None, *due_at, now).await?,
            Outcome::Failed => self.settle_refused(batch, &row, DeliveryState::Failed, reason, now).await?,
            Outcome::NotSent => self.settle_refused(batch, &row, DeliveryState::NotSent, reason, now).await?,
            Outcome::Unknown => self.become_unknown(batch, &row, reason, 0, now).await?,
        };
        Ok(Settled::Done { message_state, joined: Vec::new(), echo: None })
    }

    pub(super) async fn settle_sent(
        &self,
        mut batch: Batch<'_>,
        row: &Ending,
        provider_id: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Settled, StorageError> {
        self.leave(&mut batch, row.id, row.conversation_id, now);
        let started_at = row.started_at.at();
        let change = PartChange { provider_id, sent_at: Some(started_at), ..PartChange::to(DeliveryState::Sent, now) };
        let mut message_state = self.change_one(batch, row, &change).await?;
        if row.holds {
            self.use_held(row.id, started_at, now).await?;
        }
        let joined = if row.receipts { self.join_parked(row, provider_id, now).await? } else { Vec::new() };
        if let Some(last) = joined.last() {
            message_state = last.message_state;
        }
        let echo = match provider_id.filter(|_| row.receipts) {
            Some(id) => self.join_echo(row.account_id.into(), row.message_id.into(), id).await?,
            None => None,
        };
        Ok(Settled::Done { message_state, joined, echo })
    }

    async fn settle_refused(
        &self,
        mut batch: Batch<'_>,
        row: &Ending,
        state: DeliveryState,
        reason: Option<&serde_json::Value>,
        now: OffsetDateTime,
    ) -> Result<DeliveryState, StorageError> {
        self.leave(&mut batch, row.id, row.conversation_id, now);
        let message_state = self.change_one(batch, row, &PartChange { reason, ..PartChange::to(state, now) }).await?;
        if row.holds {
            self.release_held(row.id, now).await?;
        }
        Ok(message_state)
    }

    /// Back to the queue: the platform provably did not accept it, or somebody wants it sent again.
    pub(super) async fn queue_again(
        &self,
        mut batch: Batch<'_>,
        row: &Ending,
        asked_by: Option<serde_json::Value>,
        due_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<DeliveryState, StorageError> {
        // Whoever asks for it gives it as long as it had at first.
        const QUEUE: &str = "UPDATE outbox SET state = 'queued', owner = NULL, lease_until = NULL, holds_until = NULL, ask_at = \
                             NULL, look_at = NULL, receipts = false, crashes = 0, due_at = $3, ready_at = $4, asked_by = $5, expires_at = \
                             CASE WHEN $6 THEN $7 + expires_at - created_at ELSE expires_at END WHERE workspace_id = $1 AND \
                             id = $2";
        let person = asked_by.is_some();
        batch.add(
            QUEUE,
            [
                self.ws().into(),
                row.id.into(),
                millis(due_at),
                millis(due_at.max(now)),
                asked_by.into(),
                person.into(),
                millis(now),
            ],
        );
        let (text, values) = self.due_hint(due_at, now);
        batch.add(text, values);
        self.change_one(batch, row, &PartChange::to(DeliveryState::Queued, now)).await
    }

    /// Nobody knows: evidence is waited for, then a person is asked; its quotas stay held.
    pub(super) async fn become_unknown(
        &self,
        mut batch: Batch<'_>,
        row: &Ending,
        reason: Option<&serde_json::Value>,
        crashes: i64,
        now: OffsetDateTime,
    ) -> Result<DeliveryState, StorageError> {
        const UNKNOWN: &str = "UPDATE outbox SET state = 'unknown', owner = NULL, lease_until = NULL, holds_until = $3, ask_at \
                               = $4, look_at = $4, crashes = crashes + $5 WHERE workspace_id = $1 AND id = $2";
        let values = [self.ws().into(), row.id.into(), millis(now + HOLD), millis(now + EVIDENCE), crashes.into()];
        batch.add(UNKNOWN, values);
        let (text, values) = self.release_next(row.conversation_id, row.id, now + HOLD);
        batch.add(text, values);
        self.change_one(batch, row, &PartChange { reason, ..PartChange::to(DeliveryState::Unknown, now) }).await
    }

    pub(super) async fn change_one(
        &self,
        batch: Batch<'_>,
        row: &Ending,
        change: &PartChange<'_>,
    ) -> Result<DeliveryState, StorageError> {
        let states = self.change_parts(batch, &[row.id], &[row.message_id], change).await?;
        Ok(states.into_values().next().unwrap_or(change.to))
    }

    /// An answer to an attempt that the part no longer waits for.
    async fn settle_late(
        &self,
        part: PartId,
        attempt: u32,
        settlement: &Settlement,
        now: OffsetDateTime,
    ) -> Result<Settled, StorageError> {
        #[derive(FromQueryResult)]
        struct Late {
            state: String,
            attempts: i64,
            account_id: Uuid,
            message_id: Uuid,
            message_state: Option<String>,
        }
        let lock = format!(
            "SELECT p.state, p.attempts, p.account_id, p.message_id, m.state AS message_state FROM messages AS m JOIN parts AS p \
             ON p.workspace_id = m.workspace_id AND p.message_id = m.id WHERE p.workspace_id = $1 AND p.id = $2{}",
            locking(&self.conn, "m, p")
        );
        let values = [self.ws().into(), part.uuid().into()];
        let Some(late) = Late::find_by_statement(sql(&self.conn, &lock, values)).one(&self.conn).await? else {
            return Ok(Settled::LeaseLost);
        };
        let state = state_of(("parts", "state", part.uuid()), &late.state)?;
        let accepted = matches!(state, DeliveryState::Sent | DeliveryState::Delivered | DeliveryState::Read);
        match &settlement.outcome {
            // A receipt was faster than the answer.
            Outcome::Sent { provider_id, .. } if accepted && late.attempts == i64::from(attempt) => {
                const NAME: &str = "UPDATE parts SET provider_id = coalesce(provider_id, $3) WHERE workspace_id = $1 AND id = $2 \
                                    RETURNING provider_id";
                let mut batch = Batch::on(&self.conn);
                self.end_attempt(&mut batch, part.uuid(), late.attempts, settlement, now);
                let rows = batch.and(NAME, [self.ws().into(), part.uuid().into(), provider_id.clone().into()]).await?;
                let known: Option<String> = rows.first().map(|row| row.try_get_by_index(0)).transpose()?.flatten();
                let echo = match known.filter(|known| provider_id.as_ref() == Some(known)) {
                    Some(id) => self.join_echo(late.account_id.into(), late.message_id.into(), &id).await?,
                    None => None,
                };
                let name = late.message_state.unwrap_or_default();
                let message_state = state_of(("messages", "state", late.message_id), &name)?;
                Ok(Settled::Done { message_state, joined: Vec::new(), echo })
            }
            outcome => {
                let provider_id = match outcome {
                    Outcome::Sent { provider_id, .. } => provider_id.as_deref(),
                    _ => None,
                };
                let data = json!({
                    "verdict": outcome.verdict(),
                    "provider_id": provider_id,
                    "error": settlement.error,
                    "phase": settlement.phase,
                    "status": settlement.status,
                    "duration_ms": settlement.duration_ms,
                });
                let (text, values) = self.evidence(part.uuid(), Some(attempt.into()), "late_answer", data, now);
                self.conn.execute_raw(sql(&self.conn, &text, values)).await?;
                Ok(Settled::LeaseLost)
            }
        }
    }
}
