//! What becomes of what a part holds: used, or free again. Called by whatever settles the part.

use sea_orm::{ConnectionTrait, FromQueryResult};
use time::OffsetDateTime;
use uuid::Uuid;

use super::batch::{Batch, locking};
use super::quota::{Count, HeldShare, KEY, Reservation, SHARE, ShareRow, shares};
use crate::query::{millis, sql};
use crate::{StorageError, Tx};

impl Tx {
    /// The platform has the part, or may have it and nobody will ask any more: what it held is used, at the time of the attempt.
    pub(super) async fn use_held(
        &self,
        part: Uuid,
        at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let held = self.lock_shares(part).await?;
        if held.is_empty() {
            return Ok(());
        }
        for share in held.iter().filter(|share| share.counting == "distinct") {
            self.use_person(&share.key, share.identity, at, now).await?;
        }
        // Counts by time need to know when, all others have counted.
        const KEEP: &str = "UPDATE quota_reservations SET state = 'used', at = $3 WHERE workspace_id = $1 AND part_id = $2 AND \
                            state = 'held' AND counting = 'timed'";
        const FORGET: &str = "DELETE FROM quota_reservations WHERE workspace_id = $1 AND part_id = $2 AND state = 'held' AND \
                              counting <> 'timed'";
        let key = || [self.ws().into(), part.into()];
        let mut batch = Batch::on(&self.conn);
        batch.add(
            counters("CASE WHEN r.counting = 'calendar' THEN r.cost ELSE 0 END"),
            [self.ws().into(), part.into(), millis(now)],
        );
        batch.add(KEEP, [self.ws().into(), part.into(), millis(at)]);
        batch.and(FORGET, key()).await?;
        Ok(())
    }

    /// The platform does not have the part: what it held is free.
    pub(super) async fn release_held(&self, part: Uuid, now: OffsetDateTime) -> Result<(), StorageError> {
        let held = self.lock_shares(part).await?;
        if held.is_empty() {
            return Ok(());
        }
        for share in held.iter().filter(|share| share.counting == "distinct") {
            self.release_person(&share.key, share.identity, now).await?;
        }
        const FORGET: &str =
            "DELETE FROM quota_reservations WHERE workspace_id = $1 AND part_id = $2 AND state = 'held'";
        let mut batch = Batch::on(&self.conn);
        batch.add(counters("0"), [self.ws().into(), part.into(), millis(now)]);
        batch.and(FORGET, [self.ws().into(), part.into()]).await?;
        Ok(())
    }

    /// Books a part that was used otherwise than it was reserved: `released` is free again, `booked` is used. Only shares
    /// that are counted by the calendar can be booked after the fact; a row without room is full already, and stays as it is.
    pub async fn rebook(
        &self,
        released: &[Reservation],
        booked: &[Reservation],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let free = format!("UPDATE quotas SET used = used - $6, updated_at = $7 WHERE {KEY} AND used >= $6");
        const USE: &str = "INSERT INTO quotas (workspace_id, scope, scope_id, name, period, cap, used, held, updated_at) SELECT \
                           $1, $2, $3, $4, $5, $8, $6, 0, $7 WHERE $8 IS NULL OR $6 <= $8 ON CONFLICT (workspace_id, scope, \
                           scope_id, name, period) DO UPDATE SET used = quotas.used + excluded.used, updated_at = \
                           excluded.updated_at WHERE quotas.cap IS NULL OR quotas.used + quotas.held + excluded.used <= quotas.cap";
        let mut changes = Vec::new();
        changes.extend(shares(released, now)?.into_iter().map(|share| (share, false)));
        changes.extend(shares(booked, now)?.into_iter().map(|share| (share, true)));
        changes.retain(|(share, _)| share.count == Count::Calendar);
        // In the order in which everybody locks them.
        changes.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
        for (share, is_used) in changes {
            let values = share.key.values(self.ws()).into_iter().chain([share.cost.into(), millis(now)]);
            let statement = if is_used {
                sql(&self.conn, USE, values.chain([share.limit.into()]))
            } else {
                sql(&self.conn, &free, values)
            };
            self.conn.execute_raw(statement).await?;
        }
        Ok(())
    }

    /// What a part holds, the ledger rows locked in their order.
    async fn lock_shares(&self, part: Uuid) -> Result<Vec<HeldShare>, StorageError> {
        let lock = format!(
            "SELECT {SHARE} FROM quota_reservations AS r JOIN quotas AS q ON q.workspace_id = r.workspace_id AND q.scope = \
             r.scope AND q.scope_id = r.scope_id AND q.name = r.name AND q.period = r.period WHERE r.workspace_id = $1 AND \
             r.part_id = $2 AND r.state = 'held' ORDER BY r.scope, r.scope_id, r.name, r.period{}",
            locking(&self.conn, "q")
        );
        let values = [self.ws().into(), part.into()];
        let rows = ShareRow::find_by_statement(sql(&self.conn, &lock, values)).all(&self.conn).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

/// Takes what a part holds off the counters and adds `used`, in terms of its reservation `r`. People are counted elsewhere.
fn counters(used: &str) -> String {
    format!(
        "UPDATE quotas SET held = quotas.held - r.cost, used = quotas.used + {used}, updated_at = $3 FROM quota_reservations AS r \
         WHERE r.workspace_id = $1 AND r.part_id = $2 AND r.state = 'held' AND r.counting <> 'distinct' AND \
         quotas.workspace_id = r.workspace_id AND quotas.scope = r.scope AND quotas.scope_id = r.scope_id AND quotas.name = \
         r.name AND quotas.period = r.period"
    )
}
