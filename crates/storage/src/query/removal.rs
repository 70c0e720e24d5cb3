//! Accounts that are given up: what was said over them stays, and what could still send or receive goes.

use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, ConnectionId};
use uuid::Uuid;

use super::{millis, sql};
use crate::{StorageError, Tx};

/// What went with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedAccount {
    /// Its connection.
    pub connection: ConnectionId,
    /// Whether the connection went with it: it was the last account on it.
    pub with_connection: bool,
}

impl Tx {
    /// Removes an account for good; `None` if there is no such account (any more).
    ///
    /// The row stays, for the conversations that are of it. From here on nothing leaves over it: what waits to be sent is
    /// [withheld](Self::cancel_queued_over) afterwards, however much it is, and what is on the wire ends as it ends. Its settings
    /// go, and with the last account of a connection that connection's secrets and address.
    pub async fn remove_account(
        &self,
        id: ChannelAccountId,
        now: OffsetDateTime,
    ) -> Result<Option<RemovedAccount>, StorageError> {
        const REMOVE: &str = "UPDATE channel_accounts SET removed_at = $3, updated_at = $3, enabled = false, settings = '{}' \
                              WHERE workspace_id = $1 AND id = $2 AND removed_at IS NULL RETURNING connection_id";
        const CURSOR: &str = "DELETE FROM pull_cursors WHERE workspace_id = $1 AND account_id = $2";
        let ids = || [self.ws().into(), id.uuid().into()];
        let at = || ids().into_iter().chain([millis(now)]);
        let Some(row) = self.conn.query_one_raw(sql(&self.conn, REMOVE, at())).await? else { return Ok(None) };
        let connection = ConnectionId::from(row.try_get_by_index::<Uuid>(0)?);
        self.conn.execute_raw(sql(&self.conn, CURSOR, ids())).await?;
        self.drop_secrets_of(connection, id, now).await?;
        // Lists sort and filter by its people's windows: whoever keeps them looks at them again.
        self.windows_are_stale(id, now).await?;
        let with_connection = self.remove_connection(connection, now).await?;
        Ok(Some(RemovedAccount { connection, with_connection }))
    }

    /// Removes a connection that has no account (any more), with its secrets; whether it did.
    pub async fn remove_connection(&self, id: ConnectionId, now: OffsetDateTime) -> Result<bool, StorageError> {
        const REMOVE: &str = "UPDATE connections SET removed_at = $3, updated_at = $3, settings = '{}', secrets = NULL, secret_hints \
                              = '{}' WHERE workspace_id = $1 AND id = $2 AND removed_at IS NULL AND NOT EXISTS (SELECT 1 FROM \
                              channel_accounts AS a WHERE a.workspace_id = $1 AND a.connection_id = $2 AND a.removed_at IS NULL)";
        const TOKENS: &str = "DELETE FROM provider_tokens WHERE workspace_id = $1 AND connection_id = $2";
        const KEYS: &str = "DELETE FROM mailbox_keys WHERE workspace_id = $1 AND connection_id = $2";
        const PROOFS: &str = "DELETE FROM call_proofs WHERE workspace_id = $1 AND connection_id = $2";
        // Locked, so that no account is put onto it meanwhile.
        if !self.lock_connection(id).await? {
            return Ok(false);
        }
        let ids = || [self.ws().into(), id.uuid().into()];
        let remove = sql(&self.conn, REMOVE, ids().into_iter().chain([millis(now)]));
        if self.conn.execute_raw(remove).await?.rows_affected() == 0 {
            return Ok(false);
        }
        self.conn.execute_raw(sql(&self.conn, TOKENS, ids())).await?;
        self.conn.execute_raw(sql(&self.conn, KEYS, ids())).await?;
        self.conn.execute_raw(sql(&self.conn, PROOFS, ids())).await?;
        Ok(true)
    }
}
