//! What was in hand when a process died: claims go back to the queue, what may have left becomes unknown (P3, P4).

use sea_orm::FromQueryResult;
use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, ConversationId, DeliveryState, MessageId, PartId};
use uuid::Uuid;

use super::attempts::number;
use super::batch::{Batch, IdList, locking_free};
use super::parts::PartChange;
use super::settle::{ENDING, Ending};
use crate::query::{millis, sql};
use crate::storage::database_now;
use crate::{Storage, StorageError, Tx, WorkspaceScope};

/// A part that so many processes died with is not tried again.
const CRASHES: i64 = 3;

/// A part whose lease lapsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The part.
    pub part: PartId,
    /// Its message.
    pub message: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The account it leaves by.
    pub account: ChannelAccountId,
    /// How many attempts it has had.
    pub attempt: u32,
    /// Where the process died.
    pub was: RecoveredFrom,
    /// What the part is now.
    pub now: DeliveryState,
    /// How many processes died with it in hand.
    pub crashes: u32,
}

/// Where a process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecoveredFrom {
    /// Before the wire: nothing can have left.
    Claimed,
    /// With the request under way, perhaps.
    Sending,
}

/// A row with a lapsed lease.
#[derive(FromQueryResult)]
struct Lapsed {
    state: String,
    crashes: i64,
    #[sea_orm(nested)]
    row: Ending,
}

impl Storage {
    /// Takes back up to `limit` parts whose leases lapsed, by the database's clock: claimed ones are queued again, those that
    /// were being sent become unknown. What three processes died with before the wire is withheld (`poison`).
    pub async fn recover(
        &self,
        scope: &WorkspaceScope,
        now: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<Recovered>, StorageError> {
        if !self.needs_recovery(scope).await? {
            return Ok(Vec::new());
        }
        self.transact(scope, move |tx| Box::pin(async move { tx.recover(now, limit).await })).await
    }

    /// Whether there is something to recover: asked every few seconds of every workspace, so without a transaction.
    async fn needs_recovery(&self, scope: &WorkspaceScope) -> Result<bool, StorageError> {
        #[derive(FromQueryResult)]
        struct Needs {
            lapsed: bool,
            unmarked: bool,
        }
        let reader = self.reader(scope);
        let ask = format!(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE workspace_id = $1 AND state IN ('claimed', 'sending') AND lease_until \
             <= {}) AS lapsed, EXISTS (SELECT 1 FROM outbox WHERE workspace_id = $1 AND state = 'queued') AND NOT EXISTS \
             (SELECT 1 FROM workspaces_due WHERE workspace_id = $1) AS unmarked",
            super::batch::clock(&reader.conn)
        );
        let needs = Needs::find_by_statement(sql(&reader.conn, &ask, [reader.ws().into()])).one(&reader.conn).await?;
        Ok(needs.is_some_and(|needs| needs.lapsed || needs.unmarked))
    }
}

impl Tx {
    async fn recover(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<Recovered>, StorageError> {
        let clock = database_now(&self.conn).await?;
        let find = ENDING.replacen("SELECT ", "SELECT o.state, o.crashes, ", 1)
            + " AND o.state IN ('claimed', 'sending') AND o.lease_until <= $2 ORDER BY m.id, o.id LIMIT $3"
            + &locking_free(&self.conn, "m, o");
        let values = [self.ws().into(), millis(clock), i64::from(limit).into()];
        let lapsed = Lapsed::find_by_statement(sql(&self.conn, &find, values)).all(&self.conn).await?;

        let mut recovered = Vec::with_capacity(lapsed.len());
        let mut again = Vec::new();
        for Lapsed { state, crashes, row } in &lapsed {
            let crashes = crashes + 1;
            let (was, became) = match state.as_str() {
                "sending" => (RecoveredFrom::Sending, DeliveryState::Unknown),
                _ if crashes >= CRASHES => (RecoveredFrom::Claimed, DeliveryState::NotSent),
                _ => (RecoveredFrom::Claimed, DeliveryState::Queued),
            };
            match became {
                DeliveryState::Unknown => self.lose_sight(row, now).await?,
                DeliveryState::NotSent => self.poisoned(row, crashes, now).await?,
                _ => again.push(row.id),
            }
            recovered.push(Recovered {
                part: row.id.into(),
                message: row.message_id.into(),
                conversation: row.conversation_id.into(),
                account: row.account_id.into(),
                attempt: number(row.attempt),
                was,
                now: became,
                crashes: number(crashes),
            });
        }
        self.queue_lapsed(&again, now).await?;
        Ok(recovered)
    }

    /// The request may have left: only evidence or a person can tell.
    async fn lose_sight(&self, row: &Ending, now: OffsetDateTime) -> Result<(), StorageError> {
        let reason = json!({ "code": "lease_lapsed" });
        let mut batch = Batch::on(&self.conn);
        self.close_attempt(&mut batch, row.id, row.attempt, ("unknown", "lost"), now);
        let (text, values) = self.evidence(row.id, Some(row.attempt), "recovered", reason.clone(), now);
        batch.add(text, values);
        self.become_unknown(batch, row, Some(&reason), 1, now).await?;
        Ok(())
    }

    async fn poisoned(&self, row: &Ending, crashes: i64, now: OffsetDateTime) -> Result<(), StorageError> {
        let reason = json!({ "reason": "poison", "crashes": crashes });
        let change = PartChange { reason: Some(&reason), ..PartChange::to(DeliveryState::NotSent, now) };
        self.take_off(row.id, row.message_id, row.conversation_id, "recovered", &change).await?;
        Ok(())
    }

    /// Also marks the workspace, should its hint have been lost.
    async fn queue_lapsed(&self, parts: &[Uuid], now: OffsetDateTime) -> Result<(), StorageError> {
        let list = IdList::new(3, parts);
        let mut batch = Batch::on(&self.conn);
        let (text, values) = self.due_hint(now, now);
        batch.add(text, values);
        let queue = format!(
            "UPDATE outbox SET state = 'queued', owner = NULL, lease_until = NULL, crashes = crashes + 1, ready_at = CASE WHEN \
             due_at > $2 THEN due_at ELSE $2 END WHERE workspace_id = $1 AND id IN ({})",
            list.places
        );
        let values = [self.ws().into(), millis(now)].into_iter().chain(list.values);
        batch.and(queue, values).await?;
        Ok(())
    }
}
