//! Unknown outcomes that the platform can be asked about (reliability rules, section 5).

use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, DeliveryState, MessageId, PartId};
use uuid::Uuid;

use super::attempts::{LOOKED_UP, number};
use super::batch::Batch;
use super::settle::{Ending, Settled};
use crate::query::{Sql, millis, sql};
use crate::{Reader, Storage, StorageError, Tx, WorkspaceScope};

/// A part whose platform is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookUpDue {
    /// The part.
    pub part: PartId,
    /// Its message.
    pub message: MessageId,
    /// The account it left by.
    pub account: ChannelAccountId,
    /// The attempt nobody came back from.
    pub attempt: u32,
}

impl Storage {
    /// Takes up to `limit` parts that are to be looked up, those that wait longest first. Nobody else takes them before
    /// `again_at`.
    pub async fn take_look_ups(
        &self,
        scope: &WorkspaceScope,
        now: OffsetDateTime,
        again_at: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<LookUpDue>, StorageError> {
        // Asked every few seconds of every workspace, so without a transaction.
        const ANY: &str =
            "SELECT 1 FROM outbox WHERE workspace_id = $1 AND state = 'unknown' AND look_at <= $2 LIMIT 1";
        let reader = self.reader(scope);
        if reader.conn.query_one_raw(sql(&reader.conn, ANY, [reader.ws().into(), millis(now)])).await?.is_none() {
            return Ok(Vec::new());
        }
        self.transact(scope, move |tx| Box::pin(async move { tx.take_look_ups(now, again_at, limit).await })).await
    }
}

impl Tx {
    async fn take_look_ups(
        &self,
        now: OffsetDateTime,
        again_at: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<LookUpDue>, StorageError> {
        #[derive(FromQueryResult)]
        struct Row {
            id: Uuid,
            message_id: Uuid,
            account_id: Uuid,
            attempt: i64,
        }
        const TAKE: &str = "UPDATE outbox SET look_at = $3 WHERE workspace_id = $1 AND state = 'unknown' AND look_at <= $2 AND \
                            id IN (SELECT id FROM outbox WHERE workspace_id = $1 AND state = 'unknown' AND look_at <= $2 \
                            ORDER BY look_at LIMIT $4) RETURNING id, message_id, account_id, attempt";
        let values = [self.ws().into(), millis(now), millis(again_at), i64::from(limit).into()];
        let rows = Row::find_by_statement(sql(&self.conn, TAKE, values)).all(&self.conn).await?;
        let due = |row: Row| LookUpDue {
            part: row.id.into(),
            message: row.message_id.into(),
            account: row.account_id.into(),
            attempt: number(row.attempt),
        };
        Ok(rows.into_iter().map(due).collect())
    }

    /// When a part is looked up next; `None`: never.
    pub async fn look_again_at(&self, part: PartId, at: Option<OffsetDateTime>) -> Result<(), StorageError> {
        const SET: &str = "UPDATE outbox SET look_at = $3 WHERE workspace_id = $1 AND id = $2 AND state = 'unknown'";
        let values = [self.ws().into(), part.uuid().into(), at.map(crate::instant::Millis::from).into()];
        self.conn.execute_raw(sql(&self.conn, SET, values)).await?;
        Ok(())
    }

    /// Keeps what a look-up that settled nothing found; `false` if the attempt's outcome is no longer unknown.
    pub async fn note_look_up(
        &self,
        part: PartId,
        attempt: u32,
        data: serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let Some(row) = self.lock_unknown_attempt(part, attempt).await? else { return Ok(false) };
        let (text, values) = self.evidence(row.id, Some(row.attempt), LOOKED_UP, data, now);
        self.conn.execute_raw(sql(&self.conn, &text, values)).await?;
        Ok(true)
    }

    /// The platform has it after all, under this id: as if the answer had come, with the receipts that came before. `None` if the
    /// attempt's outcome is no longer unknown.
    pub async fn found_sent(
        &self,
        part: PartId,
        attempt: u32,
        provider_id: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Settled>, StorageError> {
        let Some(row) = self.lock_unknown_attempt(part, attempt).await? else { return Ok(None) };
        let mut batch = Batch::on(&self.conn);
        let data = json!({ "found": "sent", "provider_id": provider_id });
        let (text, values) = self.evidence(row.id, Some(row.attempt), LOOKED_UP, data, now);
        batch.add(text, values);
        self.close_attempt(&mut batch, row.id, row.attempt, ("sent", LOOKED_UP), now);
        self.settle_sent(batch, &row, Some(provider_id), now).await.map(Some)
    }

    /// The platform never took it: it goes back to the queue, as after a refusal that passes. The state of the message
    /// afterwards; `None` if the attempt's outcome is no longer unknown.
    pub async fn found_nowhere(
        &self,
        part: PartId,
        attempt: u32,
        now: OffsetDateTime,
    ) -> Result<Option<DeliveryState>, StorageError> {
        let Some(row) = self.lock_unknown_attempt(part, attempt).await? else { return Ok(None) };
        let mut batch = Batch::on(&self.conn);
        let (text, values) = self.evidence(row.id, Some(row.attempt), LOOKED_UP, json!({ "found": "nowhere" }), now);
        batch.add(text, values);
        self.close_attempt(&mut batch, row.id, row.attempt, ("retry", LOOKED_UP), now);
        self.queue_again(batch, &row, None, now, now).await.map(Some)
    }
}

impl Tx {
    async fn lock_unknown_attempt(&self, part: PartId, attempt: u32) -> Result<Option<Ending>, StorageError> {
        Ok(self.lock_unknown(part).await?.filter(|row| row.attempt == i64::from(attempt)))
    }
}

impl Reader {
    /// Those of the platform's ids that parts of the account have.
    pub async fn known_provider_ids(
        &self,
        account: ChannelAccountId,
        ids: &[String],
    ) -> Result<Vec<String>, StorageError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut statement = Sql::of(self);
        statement
            .push("SELECT provider_id FROM parts WHERE workspace_id = $1")
            .with(" AND account_id = ", account.uuid());
        statement.push(" AND provider_id IN ").list(ids.iter().cloned());
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }
}
