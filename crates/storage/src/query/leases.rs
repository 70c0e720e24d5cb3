//! Leases: one holder at a time, by the database's clock, so that replicas with wrong clocks agree.

use sea_orm::ConnectionTrait;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{millis, sql};
use crate::storage::database_now;
use crate::{StorageError, Tx};

/// A lease that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// When it ends, by the database's clock.
    pub until: OffsetDateTime,
}

impl Tx {
    /// Takes a lease that is free or over, or renews one's own; `None` while somebody else holds it.
    pub async fn acquire_lease(&self, name: &str, owner: Uuid, ttl: Duration) -> Result<Option<Lease>, StorageError> {
        const TAKE: &str = "INSERT INTO leases (workspace_id, name, owner, until) VALUES ($1, $2, $3, $4) \
                            ON CONFLICT (workspace_id, name) DO UPDATE SET owner = excluded.owner, until = excluded.until \
                            WHERE leases.owner = excluded.owner OR leases.until <= $5";
        let now = database_now(&self.conn).await?;
        let until = now + ttl;
        let values = [self.ws().into(), name.into(), owner.into(), millis(until), millis(now)];
        let taken = self.conn.execute_raw(sql(&self.conn, TAKE, values)).await?.rows_affected();
        Ok((taken == 1).then_some(Lease { until }))
    }

    /// Waits until no other transaction has taken its turn at this name, and keeps the turn until its own end. Leaves nothing
    /// behind: the unique key of a row that is taken away again at once is what the others wait for.
    pub async fn take_turn(&self, name: &str) -> Result<(), StorageError> {
        const TAKE: &str = "INSERT INTO leases (workspace_id, name, owner, until) VALUES ($1, $2, $3, 0)";
        const LEAVE: &str = "DELETE FROM leases WHERE workspace_id = $1 AND name = $2";
        let take = [self.ws().into(), name.into(), Uuid::nil().into()];
        self.conn.execute_raw(sql(&self.conn, TAKE, take)).await?;
        self.conn.execute_raw(sql(&self.conn, LEAVE, [self.ws().into(), name.into()])).await?;
        Ok(())
    }

    /// Gives one's own lease back; whether one had it.
    pub async fn release_lease(&self, name: &str, owner: Uuid) -> Result<bool, StorageError> {
        const RELEASE: &str = "DELETE FROM leases WHERE workspace_id = $1 AND name = $2 AND owner = $3";
        let values = [self.ws().into(), name.into(), owner.into()];
        Ok(self.conn.execute_raw(sql(&self.conn, RELEASE, values)).await?.rows_affected() == 1)
    }
}
