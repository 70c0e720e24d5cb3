//! How far accounts were fetched whose platforms call nobody.

use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use transom_domain::ChannelAccountId;

use super::{millis, sql};
use crate::instant::Millis;
use crate::{Reader, StorageError, Tx};

impl Reader {
    /// When an account was connected; `None` if there is no such account.
    pub async fn connected_at(&self, account: ChannelAccountId) -> Result<Option<OffsetDateTime>, StorageError> {
        const MADE: &str = "SELECT created_at FROM channel_accounts WHERE workspace_id = $1 AND id = $2";
        let row = self.conn.query_one_raw(sql(&self.conn, MADE, [self.ws().into(), account.uuid().into()])).await?;
        Ok(row.map(|row| row.try_get_by_index::<Millis>(0)).transpose()?.map(Millis::at))
    }
}

impl Tx {
    /// Moves an account's cursor on from where it was read (`None`: never fetched); `false` if it is no longer there, so that
    /// somebody else has journalled the same.
    pub async fn advance_pull_cursor(
        &self,
        account: ChannelAccountId,
        from: Option<&str>,
        to: &str,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const BEGIN: &str = "INSERT INTO pull_cursors (workspace_id, account_id, cursor, updated_at) VALUES ($1, $2, $3, $4) \
                             ON CONFLICT (workspace_id, account_id) DO NOTHING";
        const ADVANCE: &str = "UPDATE pull_cursors SET cursor = $3, updated_at = $4 WHERE workspace_id = $1 AND account_id = $2 \
                               AND cursor = $5";
        let mut values = vec![self.ws().into(), account.uuid().into(), to.into(), millis(now)];
        let text = match from {
            None => BEGIN,
            Some(from) => {
                values.push(from.into());
                ADVANCE
            }
        };
        Ok(self.conn.execute_raw(sql(&self.conn, text, values)).await?.rows_affected() == 1)
    }
}
