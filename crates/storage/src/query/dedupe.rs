//! Keys of events already seen: one event has one effect (P7).

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};
use time::OffsetDateTime;
use transom_domain::ChannelAccountId;

use super::{millis, sql};
use crate::entity::dedupe_keys;
use crate::{StorageError, Tx};

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

    /// Deletes up to `limit` keys whose time is over; how many.
    pub async fn purge_dedupe(&self, now: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM dedupe_keys WHERE workspace_id = $1 AND (account_id, event_key) IN \
                              (SELECT account_id, event_key FROM dedupe_keys WHERE workspace_id = $1 AND kept_until < $2 \
                              LIMIT $3)";
        let values = [self.ws().into(), millis(now), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }
}
