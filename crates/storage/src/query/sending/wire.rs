//! From claimed to the wire, or back: `sending` is written before the first byte may leave.

use std::collections::BTreeMap;

use sea_orm::FromQueryResult;
use time::{Duration, OffsetDateTime};
use transom_domain::{DeliveryState, PartId};
use uuid::Uuid;

use super::attempts::number;
use super::batch::{Batch, IdList, clock, locking};
use super::parts::PartChange;
use crate::instant::Millis;
use crate::query::{millis, sql};
use crate::{Storage, StorageError, Tx, WorkspaceScope};

/// A row in a worker's hand.
#[derive(FromQueryResult)]
struct InHand {
    id: Uuid,
    message_id: Uuid,
    conversation_id: Uuid,
    attempt: i64,
    lease_until: Millis,
    clock: Millis,
}

impl Storage {
    /// Begins to send several parts in one commit; those that may be sent, with the numbers of their attempts. The others were
    /// recovered by somebody else.
    pub async fn begin_sending_many(
        &self,
        scope: &WorkspaceScope,
        owner: Uuid,
        parts: &[PartId],
        lease: Duration,
        now: OffsetDateTime,
    ) -> Result<Vec<(PartId, u32)>, StorageError> {
        let parts: Vec<Uuid> = parts.iter().map(|part| part.uuid()).collect();
        self.transact(scope, move |tx| {
            let parts = parts.clone();
            Box::pin(async move { tx.begin(owner, &parts, lease, now).await })
        })
        .await
    }

    /// Gives back what a process has claimed and not begun to send, as it shuts down; how many.
    pub async fn release_claims(
        &self,
        scope: &WorkspaceScope,
        owner: Uuid,
        now: OffsetDateTime,
    ) -> Result<u64, StorageError> {
        const RELEASE: &str = "UPDATE outbox SET state = 'queued', owner = NULL, lease_until = NULL, ready_at = CASE WHEN \
                               due_at > $3 THEN due_at ELSE $3 END WHERE workspace_id = $1 AND state = 'claimed' AND owner \
                               = $2 RETURNING id";
        self.transact(scope, move |tx| {
            Box::pin(async move {
                let mut batch = Batch::on(&tx.conn);
                let (text, values) = tx.due_hint(now, now);
                batch.add(text, values);
                let released = batch.and(RELEASE, [tx.ws().into(), owner.into(), millis(now)]).await?;
                Ok(u64::try_from(released.len()).unwrap_or(u64::MAX))
            })
        })
        .await
    }
}

impl Tx {
    /// Writes that an attempt begins, if the claim still holds; its number. `None`: somebody else recovered the part, and it
    /// must not be sent.
    ///
    /// `lease` is longer than the longest request, with room to store its outcome (reliability rules, section 6).
    pub async fn begin_sending(
        &self,
        part: PartId,
        owner: Uuid,
        lease: Duration,
        now: OffsetDateTime,
    ) -> Result<Option<u32>, StorageError> {
        Ok(self.begin(owner, &[part.uuid()], lease, now).await?.first().map(|(_, attempt)| *attempt))
    }

    async fn begin(
        &self,
        owner: Uuid,
        parts: &[Uuid],
        lease: Duration,
        now: OffsetDateTime,
    ) -> Result<Vec<(PartId, u32)>, StorageError> {
        let held = self.in_hand(owner, parts).await?;
        let held: Vec<&InHand> = held.iter().filter(|row| row.lease_until > row.clock).collect();
        let Some(until) = held.first().map(|row| row.clock.at() + lease) else { return Ok(Vec::new()) };
        let parts: Vec<Uuid> = held.iter().map(|row| row.id).collect();
        let messages: Vec<Uuid> = held.iter().map(|row| row.message_id).collect();

        let mut batch = Batch::on(&self.conn);
        let list = IdList::new(4, &parts);
        let fixed = [self.ws().into(), owner.into(), millis(now)];
        // Before the outbox counts the attempt: on SQLite it would be counted twice.
        batch.add(
            format!(
                "INSERT INTO attempts (workspace_id, part_id, number, owner, asked_by, started_at) SELECT workspace_id, id, \
                 attempt + 1, $2, asked_by, $3 FROM outbox WHERE workspace_id = $1 AND id IN ({})",
                list.places
            ),
            fixed.into_iter().chain(list.values),
        );
        let list = IdList::new(3, &parts);
        batch.add(
            format!(
                "UPDATE outbox SET state = 'sending', attempt = attempt + 1, asked_by = NULL, lease_until = $2 \
                 WHERE workspace_id = $1 AND id IN ({})",
                list.places
            ),
            [self.ws().into(), millis(until)].into_iter().chain(list.values),
        );
        let change = PartChange { begins: true, ..PartChange::to(DeliveryState::Sending, now) };
        self.change_parts(batch, &parts, &messages, &change).await?;
        Ok(held.iter().map(|row| (row.id.into(), number(row.attempt + 1))).collect())
    }

    /// Locks what a worker has claimed, and the messages it belongs to.
    async fn in_hand(&self, owner: Uuid, parts: &[Uuid]) -> Result<Vec<InHand>, StorageError> {
        let list = IdList::new(3, parts);
        let lock = format!(
            "SELECT o.id, o.message_id, o.conversation_id, o.attempt, o.lease_until, {} AS clock FROM messages AS m JOIN \
             outbox AS o ON o.workspace_id = m.workspace_id AND o.message_id = m.id WHERE o.workspace_id = $1 AND o.owner = $2 \
             AND o.state = 'claimed' AND o.id IN ({}) ORDER BY m.id, o.id{}",
            clock(&self.conn),
            list.places,
            locking(&self.conn, "m, o")
        );
        let values = [self.ws().into(), owner.into()].into_iter().chain(list.values);
        Ok(InHand::find_by_statement(sql(&self.conn, &lock, values)).all(&self.conn).await?)
    }

    /// Takes a claimed part off its way, before the wire: no attempt is counted, what it held of quotas is given back. `false`:
    /// somebody else recovered it.
    pub async fn withhold(
        &self,
        part: PartId,
        owner: Uuid,
        state: DeliveryState,
        reason: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let Some(row) = self.in_hand(owner, &[part.uuid()]).await?.pop() else { return Ok(false) };
        let change = PartChange { reason: Some(reason), ..PartChange::to(state, now) };
        self.take_off(row.id, row.message_id, row.conversation_id, "withheld", &change).await?;
        Ok(true)
    }

    /// Settles a part that never got to the wire; its message must be locked.
    pub(super) async fn take_off(
        &self,
        part: Uuid,
        message: Uuid,
        conversation: Uuid,
        kind: &str,
        change: &PartChange<'_>,
    ) -> Result<BTreeMap<transom_domain::MessageId, DeliveryState>, StorageError> {
        let mut batch = Batch::on(&self.conn);
        self.leave(&mut batch, part, conversation, change.now);
        let data = serde_json::json!({ "state": change.to, "reason": change.reason });
        let (text, values) = self.evidence(part, None, kind, data, change.now);
        batch.add(text, values);
        let states = self.change_parts(batch, &[part], &[message], change).await?;
        self.release_held(part, change.now).await?;
        Ok(states)
    }

    /// Gives a claimed part back to the queue, due later: no attempt is counted. `false`: somebody else recovered it.
    pub async fn postpone(
        &self,
        part: PartId,
        owner: Uuid,
        due_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const POSTPONE: &str = "UPDATE outbox SET state = 'queued', owner = NULL, lease_until = NULL, crashes = 0, due_at = $4, \
                                ready_at = $5 WHERE workspace_id = $1 AND id = $2 AND owner = $3 AND state = 'claimed' \
                                RETURNING id";
        let mut batch = Batch::on(&self.conn);
        let (text, values) = self.due_hint(due_at, now);
        batch.add(text, values);
        let values = [self.ws().into(), part.uuid().into(), owner.into(), millis(due_at), millis(due_at.max(now))];
        Ok(!batch.and(POSTPONE, values).await?.is_empty())
    }
}
