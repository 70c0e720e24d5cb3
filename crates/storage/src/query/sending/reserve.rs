//! Taking shares of quotas: all that a part needs, or none.

use sea_orm::{ConnectionTrait, FromQueryResult};
use time::OffsetDateTime;
use transom_domain::{DeliveryState, IdentityId, PartId};
use uuid::Uuid;

use super::batch::locking;
use super::parts::state_of;
use super::quota::{Count, HeldShare, KEY, Key, QuotaFull, Reservation, SHARE, Share, ShareRow, shares};
use crate::instant::Millis;
use crate::query::{millis, sql};
use crate::{StorageError, Tx};

impl Tx {
    /// Takes a part's shares of all these quotas, or of none. The part must have been made or locked by this transaction, and
    /// the person locked, whose own sends the rule engine counts.
    pub async fn reserve(
        &self,
        part: PartId,
        identity: IdentityId,
        wanted: &[Reservation],
        now: OffsetDateTime,
    ) -> Result<Result<(), QuotaFull>, StorageError> {
        let shares = shares(wanted, now)?;
        if let Err(full) = self.hold_all(identity.uuid(), &shares, now).await? {
            return Ok(Err(full));
        }
        self.note_held(part.uuid(), identity.uuid(), &shares, now).await?;
        Ok(Ok(()))
    }

    /// Lets a part that waits hold these shares instead of those it holds: its month turned, the customer wrote, another grant
    /// fits. If one has no room, what it held stays held.
    ///
    /// A part that does not wait any more takes nothing.
    pub async fn move_reservation(
        &self,
        part: PartId,
        identity: IdentityId,
        wanted: &[Reservation],
        now: OffsetDateTime,
    ) -> Result<Result<(), QuotaFull>, StorageError> {
        let Some(held) = self.lock_held(part).await? else { return Ok(Ok(())) };
        let wanted = shares(wanted, now)?;
        let gone: Vec<&HeldShare> = held.iter().filter(|held| !wanted.iter().any(|share| share.is(held))).collect();
        let new: Vec<Share> = wanted.into_iter().filter(|share| !held.iter().any(|held| share.is(held))).collect();
        for held in &gone {
            self.give_back(held, now).await?;
        }
        if let Err(full) = self.hold_all(identity.uuid(), &new, now).await? {
            for held in &gone {
                self.take_back(held, now).await?;
            }
            return Ok(Err(full));
        }
        for held in gone {
            const FORGET: &str = "DELETE FROM quota_reservations WHERE workspace_id = $1 AND scope = $2 AND scope_id = $3 AND \
                                  name = $4 AND period = $5 AND part_id = $6 AND state = 'held'";
            let values = held.key.values(self.ws()).into_iter().chain([part.uuid().into()]);
            self.conn.execute_raw(sql(&self.conn, FORGET, values)).await?;
        }
        self.note_held(part.uuid(), identity.uuid(), &new, now).await?;
        Ok(Ok(()))
    }

    /// What a waiting part holds, its message locked; `None` if it does not wait (any more).
    async fn lock_held(&self, part: PartId) -> Result<Option<Vec<HeldShare>>, StorageError> {
        let lock = format!(
            "SELECT p.state, {SHARE} FROM messages AS m JOIN parts AS p ON p.workspace_id = m.workspace_id AND p.message_id = \
             m.id LEFT JOIN quota_reservations AS r ON r.workspace_id = p.workspace_id AND r.part_id = p.id AND r.state = \
             'held' WHERE p.workspace_id = $1 AND p.id = $2 ORDER BY r.scope, r.scope_id, r.name, r.period{}",
            locking(&self.conn, "m, p")
        );
        let values = [self.ws().into(), part.uuid().into()];
        let rows = self.conn.query_all_raw(sql(&self.conn, &lock, values)).await?;
        let mut held = Vec::with_capacity(rows.len());
        for row in &rows {
            let state: String = row.try_get("", "state")?;
            let state = state_of(("parts", "state", part.uuid()), &state)?;
            if state.is_settled() || state == DeliveryState::Sending {
                return Ok(None);
            }
            if row.try_get::<Option<String>>("", "scope")?.is_some() {
                held.push(ShareRow::from_query_result(row, "")?.into());
            }
        }
        Ok((!rows.is_empty()).then_some(held))
    }

    /// Holds all of them, or none.
    async fn hold_all(
        &self,
        identity: Uuid,
        shares: &[Share],
        now: OffsetDateTime,
    ) -> Result<Result<(), QuotaFull>, StorageError> {
        for (place, share) in shares.iter().enumerate() {
            if self.hold(identity, share, now).await? {
                continue;
            }
            for held in shares.iter().take(place) {
                self.give_back(&held.held_by(identity), now).await?;
            }
            return Ok(Err(QuotaFull { quota: share.key.name.clone() }));
        }
        Ok(Ok(()))
    }

    /// One share, if there is room.
    async fn hold(&self, identity: Uuid, share: &Share, now: OffsetDateTime) -> Result<bool, StorageError> {
        match share.count {
            Count::Calendar | Count::Held => self.hold_counted(share, now).await,
            Count::Timed { from, .. } => self.hold_timed(share, from, now).await,
            Count::Distinct { from } => self.hold_person(&share.key, share.limit, identity, from, now).await,
        }
    }

    /// One conditional statement: whoever comes at the same time waits at the row, and sees it as it is then.
    async fn hold_counted(&self, share: &Share, now: OffsetDateTime) -> Result<bool, StorageError> {
        const HOLD: &str = "INSERT INTO quotas (workspace_id, scope, scope_id, name, period, cap, used, held, updated_at) SELECT \
                            $1, $2, $3, $4, $5, $6, 0, $7, $8 WHERE $6 IS NULL OR $7 <= $6 ON CONFLICT (workspace_id, scope, \
                            scope_id, name, period) DO UPDATE SET cap = excluded.cap, held = quotas.held + excluded.held, \
                            updated_at = excluded.updated_at WHERE quotas.used_up_at IS NULL AND (excluded.cap IS NULL OR \
                            quotas.used + quotas.held + excluded.held <= excluded.cap)";
        let values =
            share.key.values(self.ws()).into_iter().chain([share.limit.into(), share.cost.into(), millis(now)]);
        Ok(self.conn.execute_raw(sql(&self.conn, HOLD, values)).await?.rows_affected() == 1)
    }

    /// What was used is summed up in a second statement, which sees what those did who held the row before.
    async fn hold_timed(&self, share: &Share, from: Millis, now: OffsetDateTime) -> Result<bool, StorageError> {
        self.lock_row(&share.key, share.limit, now).await?;
        let hold = format!(
            "UPDATE quotas SET held = held + $6, updated_at = $7 WHERE {KEY} AND (used_up_at IS NULL OR used_up_at < $8) AND \
             ($9 IS NULL OR held + $6 + (SELECT CAST(coalesce(sum(r.cost), 0) AS bigint) FROM quota_reservations AS r \
             WHERE r.workspace_id = $1 AND r.scope = $2 AND r.scope_id = $3 AND r.name = $4 AND r.state = 'used' AND r.at >= \
             $8) <= $9)"
        );
        let values = share.key.values(self.ws()).into_iter().chain([
            share.cost.into(),
            millis(now),
            from.into(),
            share.limit.into(),
        ]);
        Ok(self.conn.execute_raw(sql(&self.conn, &hold, values)).await?.rows_affected() == 1)
    }

    /// Locks a row until the end of the transaction, and makes it if it is missing.
    pub(super) async fn lock_row(
        &self,
        key: &Key,
        limit: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const LOCK: &str = "INSERT INTO quotas (workspace_id, scope, scope_id, name, period, cap, used, held, updated_at) \
                            VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7) ON CONFLICT (workspace_id, scope, scope_id, name, \
                            period) DO UPDATE SET cap = excluded.cap";
        let values = key.values(self.ws()).into_iter().chain([limit.into(), millis(now)]);
        self.conn.execute_raw(sql(&self.conn, LOCK, values)).await?;
        Ok(())
    }

    /// Takes a hold off the counters.
    async fn give_back(&self, held: &HeldShare, now: OffsetDateTime) -> Result<(), StorageError> {
        if held.counting == "distinct" {
            return self.release_person(&held.key, held.identity, now).await;
        }
        self.count_held(&held.key, -held.cost).await
    }

    /// Puts a hold back on that was given back in this transaction: its row is still locked, so there is room.
    async fn take_back(&self, held: &HeldShare, now: OffsetDateTime) -> Result<(), StorageError> {
        if held.counting == "distinct" {
            self.hold_person(&held.key, None, held.identity, Millis(i64::MIN), now).await?;
            return Ok(());
        }
        self.count_held(&held.key, held.cost).await
    }

    async fn count_held(&self, key: &Key, by: i64) -> Result<(), StorageError> {
        let count = format!("UPDATE quotas SET held = held + $6 WHERE {KEY}");
        let values = key.values(self.ws()).into_iter().chain([by.into()]);
        self.conn.execute_raw(sql(&self.conn, &count, values)).await?;
        Ok(())
    }

    /// Remembers what a part holds, under the number of attempts it has had.
    async fn note_held(
        &self,
        part: Uuid,
        identity: Uuid,
        shares: &[Share],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const NOTE: &str = "INSERT INTO quota_reservations (workspace_id, part_id, attempt, scope, scope_id, name, period, since, \
                            counting, identity_id, cost, state, at) SELECT $1, $6, p.attempts, $2, $3, $4, $5, $7, $8, $9, \
                            $10, 'held', $11 FROM parts AS p WHERE p.workspace_id = $1 AND p.id = $6";
        for share in shares {
            let values = share.key.values(self.ws()).into_iter().chain([
                part.into(),
                share.since().into(),
                share.counting().into(),
                identity.into(),
                share.cost.into(),
                millis(now),
            ]);
            let noted = self.conn.execute_raw(sql(&self.conn, NOTE, values)).await?.rows_affected();
            if noted != 1 {
                return Err(StorageError::MissingReference("the part that reserves is not stored".to_owned()));
            }
        }
        Ok(())
    }
}
