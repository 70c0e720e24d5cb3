//! What was counted for two names of one person is the use of one.

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use crate::query::sql;
use crate::{StorageError, Tx};

impl Tx {
    /// Moves quotas, reservations, evidence and early receipts of `gone` to `left`, whose conversations hold the messages of
    /// both by now.
    pub(super) async fn join_ledger(&self, left: Uuid, gone: Uuid) -> Result<(), StorageError> {
        for text in STATEMENTS {
            let values: [Value; 5] =
                [self.ws().into(), gone.into(), left.into(), gone.to_string().into(), left.to_string().into()];
            self.conn.execute_raw(sql(&self.conn, text, values)).await?;
        }
        Ok(())
    }
}

/// `$2` goes, `$3` stays; `$4` and `$5` are the same as the ledger writes them.
const STATEMENTS: [&str; 10] = [
    "INSERT INTO quotas (workspace_id, scope, scope_id, name, period, cap, used, held, used_up_at, updated_at) \
     SELECT workspace_id, scope, $5, name, period, cap, used, held, used_up_at, updated_at FROM quotas \
     WHERE workspace_id = $1 AND scope = 'identity' AND scope_id = $4 \
     ON CONFLICT (workspace_id, scope, scope_id, name, period) DO UPDATE SET used = quotas.used + excluded.used, \
     held = quotas.held + excluded.held, used_up_at = CASE WHEN quotas.used_up_at > excluded.used_up_at \
     THEN quotas.used_up_at ELSE coalesce(excluded.used_up_at, quotas.used_up_at) END",
    "DELETE FROM quotas WHERE workspace_id = $1 AND scope = 'identity' AND scope_id = $4",
    "UPDATE quota_reservations SET identity_id = $3, scope_id = CASE WHEN scope = 'identity' THEN $5 ELSE scope_id END \
     WHERE workspace_id = $1 AND identity_id = $2 AND part_id IN (SELECT p.id FROM conversations c \
     JOIN messages m ON m.workspace_id = $1 AND m.conversation_id = c.id \
     JOIN parts p ON p.workspace_id = $1 AND p.message_id = m.id WHERE c.workspace_id = $1 AND c.identity_id = $3)",
    // A recipient counted under both names is one; the count itself errs on the safe side.
    "INSERT INTO quota_recipients (workspace_id, scope, scope_id, name, period, identity_id, held, last_at) \
     SELECT workspace_id, scope, scope_id, name, period, $3, held, last_at FROM quota_recipients \
     WHERE workspace_id = $1 AND identity_id = $2 \
     ON CONFLICT (workspace_id, scope, scope_id, name, period, identity_id) DO UPDATE \
     SET held = quota_recipients.held + excluded.held, last_at = CASE WHEN quota_recipients.last_at > excluded.last_at \
     THEN quota_recipients.last_at ELSE coalesce(excluded.last_at, quota_recipients.last_at) END",
    "DELETE FROM quota_recipients WHERE workspace_id = $1 AND identity_id = $2",
    // Two witnesses who are one person are one.
    "INSERT INTO quota_evidence (workspace_id, account_id, name, refused_at_count, identity_id, at) SELECT workspace_id, \
     account_id, name, refused_at_count, $3, at FROM quota_evidence WHERE workspace_id = $1 AND identity_id = $2 \
     ON CONFLICT DO NOTHING",
    "DELETE FROM quota_evidence WHERE workspace_id = $1 AND identity_id = $2",
    "INSERT INTO receipts_parked (workspace_id, account_id, reference, state, data, at, received_at) SELECT workspace_id, \
     account_id, 'up_to:' || $5, state, data, at, received_at FROM receipts_parked WHERE workspace_id = $1 \
     AND reference = 'up_to:' || $4 ON CONFLICT (workspace_id, account_id, reference, state) DO UPDATE SET \
     at = CASE WHEN receipts_parked.at > excluded.at THEN receipts_parked.at ELSE excluded.at END",
    "UPDATE consents SET identity_id = $3 WHERE workspace_id = $1 AND identity_id = $2",
    "DELETE FROM receipts_parked WHERE workspace_id = $1 AND reference = 'up_to:' || $4",
];
