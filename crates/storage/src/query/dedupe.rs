//! Keys of events already seen: one event has one effect (P7). Proofs of calls already seen: one proof is good for one call.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, Value};
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, ConnectionId};
use uuid::Uuid;

use super::people::statement::{Sql, runs};
use super::{millis, sql};
use crate::entity::dedupe_keys;
use crate::instant::Millis;
use crate::{StorageError, Tx};

/// An event of an account, as the platform names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKey {
    /// The account.
    pub account: ChannelAccountId,
    /// Unique on the account.
    pub key: String,
    /// Until when it is remembered; `None`: for good.
    pub kept_until: Option<OffsetDateTime>,
}

impl Tx {
    /// Whether an event of the account is seen for the first time. Its key is stored with the effect of this transaction, and
    /// kept until `kept_until` (`None`: for good).
    ///
    /// On PostgreSQL a second transaction with the same key waits for the first to end.
    pub async fn first_sight(
        &self,
        account: ChannelAccountId,
        event_key: &str,
        kept_until: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let row = dedupe_keys::ActiveModel {
            workspace_id: Set(self.ws()),
            account_id: Set(account.uuid()),
            event_key: Set(event_key.to_owned()),
            seen_at: Set(now.into()),
            kept_until: Set(kept_until.map(Into::into)),
        };
        let seen = OnConflict::new().do_nothing().to_owned();
        let inserted = dedupe_keys::Entity::insert(row).on_conflict(seen).exec_without_returning(&self.conn).await?;
        Ok(inserted == 1)
    }

    /// [`first_sight`](Self::first_sight) of many events, in their order: of two that are the same the first is new.
    pub async fn first_sights(&self, events: &[EventKey], now: OffsetDateTime) -> Result<Vec<bool>, StorageError> {
        // Sorted, so that two who bring the same events wait for each other instead of for ever.
        let keys: BTreeMap<(Uuid, &str), &EventKey> =
            events.iter().map(|event| ((event.account.uuid(), event.key.as_str()), event)).collect();
        let keys: Vec<&EventKey> = keys.into_values().collect();
        let mut new: BTreeSet<(Uuid, String)> = BTreeSet::new();
        for keys in runs(&keys) {
            let rows = keys.iter().map(|event| -> [Value; 5] {
                [
                    self.ws().into(),
                    event.account.uuid().into(),
                    event.key.as_str().into(),
                    millis(now),
                    event.kept_until.map(Millis::from).into(),
                ]
            });
            let mut statement =
                Sql::new("INSERT INTO dedupe_keys (workspace_id, account_id, event_key, seen_at, kept_until) VALUES ");
            statement.rows(rows).push(" ON CONFLICT DO NOTHING RETURNING account_id, event_key");
            for row in self.conn.query_all_raw(statement.on(&self.conn)).await? {
                new.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
            }
        }
        Ok(events.iter().map(|event| new.remove(&(event.account.uuid(), event.key.clone()))).collect())
    }

    /// Whether a proof is good for a call that says this: it is seen for the first time, or it came with the same before.
    ///
    /// On PostgreSQL a second transaction with the same proof waits for the first to end.
    pub async fn take_proof(
        &self,
        connection: ConnectionId,
        proof: &str,
        said: &[u8],
        kept_until: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const KEEP: &str = "INSERT INTO call_proofs (workspace_id, connection_id, proof, said, kept_until) \
                            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        const SAID: &str = "SELECT said FROM call_proofs WHERE workspace_id = $1 AND connection_id = $2 AND proof = $3";
        let key = || [self.ws().into(), connection.uuid().into(), proof.into()];
        let row = key().into_iter().chain([said.to_vec().into(), millis(kept_until)]);
        self.conn.execute_raw(sql(&self.conn, KEEP, row)).await?;
        let Some(kept) = self.conn.query_one_raw(sql(&self.conn, SAID, key())).await? else { return Ok(false) };
        Ok(kept.try_get_by_index::<Vec<u8>>(0)? == said)
    }

    /// Deletes up to `limit` proofs whose time is over; how many.
    pub async fn purge_proofs(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM call_proofs WHERE workspace_id = $1 AND (connection_id, proof) IN \
                              (SELECT connection_id, proof FROM call_proofs WHERE workspace_id = $1 AND kept_until < $2 \
                              LIMIT $3)";
        let values = [self.ws().into(), millis(now), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }

    /// Deletes up to `limit` keys whose time is over; how many.
    pub async fn purge_dedupe(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM dedupe_keys WHERE workspace_id = $1 AND (account_id, event_key) IN \
                              (SELECT account_id, event_key FROM dedupe_keys WHERE workspace_id = $1 AND kept_until < $2 \
                              LIMIT $3)";
        let values = [self.ws().into(), millis(now), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }
}
