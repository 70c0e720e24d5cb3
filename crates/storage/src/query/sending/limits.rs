//! What a platform's refusals say about quotas, and what is forgotten of the ledger.

use sea_orm::{ConnectionTrait, FromQueryResult};
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, ContactId, IdentityId};
use uuid::Uuid;

use super::batch::locking;
use super::quota::{Key, QuotaScope};
use crate::instant::Millis;
use crate::query::{millis, sql};
use crate::{Reader, StorageError, Tx};

/// A refusal from which an account's limit may be learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitEvidence {
    /// The quota.
    pub quota: String,
    /// How many messages had been taken when the next was refused.
    pub refused_at_count: u32,
    /// To whom.
    pub contact: ContactId,
    /// When.
    pub at: OffsetDateTime,
}

impl Reader {
    /// The refusals from which an account's limits are learnt, the earliest first.
    pub async fn limit_evidence(&self, account: ChannelAccountId) -> Result<Vec<LimitEvidence>, StorageError> {
        #[derive(FromQueryResult)]
        struct Row {
            name: String,
            refused_at_count: i64,
            contact_id: Uuid,
            at: Millis,
        }
        const FIND: &str = "SELECT e.name, e.refused_at_count, i.contact_id, e.at FROM quota_evidence AS e JOIN identities AS i ON \
                            i.workspace_id = e.workspace_id AND i.id = e.identity_id WHERE e.workspace_id = $1 AND \
                            e.account_id = $2 ORDER BY e.at, e.name LIMIT 100";
        let values = [self.ws().into(), account.uuid().into()];
        let rows = Row::find_by_statement(sql(&self.conn, FIND, values)).all(&self.conn).await?;
        let evidence = |row: Row| LimitEvidence {
            quota: row.name,
            refused_at_count: u32::try_from(row.refused_at_count).unwrap_or(u32::MAX),
            contact: row.contact_id.into(),
            at: row.at.into(),
        };
        Ok(rows.into_iter().map(evidence).collect())
    }
}

impl Tx {
    /// The platform says that a quota is used up, whatever we counted: nothing more is reserved in this period, until the
    /// customer's next event, or for the whole of a rolling span.
    pub async fn use_up(
        &self,
        scope: &QuotaScope,
        quota: &str,
        period: &str,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const USE_UP: &str = "INSERT INTO quotas (workspace_id, scope, scope_id, name, period, used, held, used_up_at, updated_at) \
                              VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $6) ON CONFLICT (workspace_id, scope, scope_id, name, \
                              period) DO UPDATE SET used_up_at = excluded.used_up_at WHERE quotas.used_up_at IS NULL OR \
                              quotas.used_up_at < excluded.used_up_at";
        let key = Key::new(scope, quota, period);
        let values = key.values(self.ws()).into_iter().chain([millis(now)]);
        self.conn.execute_raw(sql(&self.conn, USE_UP, values)).await?;
        Ok(())
    }

    /// The platform says how much of a quota is used in this period of the calendar, by us and by others: less than that is never
    /// reported or reserved against.
    pub async fn raise_used(
        &self,
        scope: &QuotaScope,
        quota: &str,
        period: &str,
        used: u32,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const RAISE: &str = "INSERT INTO quotas (workspace_id, scope, scope_id, name, period, used, held, updated_at) VALUES ($1, $2, \
                             $3, $4, $5, $6, 0, $7) ON CONFLICT (workspace_id, scope, scope_id, name, period) DO UPDATE SET used = \
                             excluded.used, updated_at = excluded.updated_at WHERE quotas.used < excluded.used";
        let key = Key::new(scope, quota, period);
        let values = key.values(self.ws()).into_iter().chain([i64::from(used).into(), millis(now)]);
        self.conn.execute_raw(sql(&self.conn, RAISE, values)).await?;
        Ok(())
    }

    /// Notes that the platform refused a message to this person at this count, where the policy says that the limit may be
    /// that; whether two people were refused there by now: then the account's limit is known.
    pub async fn note_limit_evidence(
        &self,
        account: ChannelAccountId,
        quota: &str,
        identity: IdentityId,
        observed: u32,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        #[derive(FromQueryResult)]
        struct Refused {
            people: i64,
        }
        const NOTE: &str = "INSERT INTO quota_evidence (workspace_id, account_id, name, refused_at_count, identity_id, at) \
                            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id, account_id, name, refused_at_count, \
                            identity_id) DO NOTHING";
        const COUNT: &str = "SELECT count(*) AS people FROM quota_evidence WHERE workspace_id = $1 AND account_id = $2 AND name = \
                             $3 AND refused_at_count = $4";
        // Two at once: the second has to see the first.
        let lock = format!(
            "SELECT a.id FROM channel_accounts AS a WHERE a.workspace_id = $1 AND a.id = $2{}",
            locking(&self.conn, "a")
        );
        let count = i64::from(observed);
        let place = || [self.ws().into(), account.uuid().into()];
        self.conn.query_one_raw(sql(&self.conn, &lock, place())).await?;
        let note = [quota.into(), count.into(), identity.uuid().into(), millis(now)];
        self.conn.execute_raw(sql(&self.conn, NOTE, place().into_iter().chain(note))).await?;
        let at_count = place().into_iter().chain([quota.into(), count.into()]);
        let refused = Refused::find_by_statement(sql(&self.conn, COUNT, at_count)).one(&self.conn).await?;
        Ok(refused.is_some_and(|refused| refused.people >= 2))
    }

    /// Forgets what refusals taught about these quotas: a person has said what the limits are.
    pub async fn forget_limit_evidence(
        &self,
        account: ChannelAccountId,
        quotas: impl IntoIterator<Item = &str>,
    ) -> Result<(), StorageError> {
        const FORGET: &str = "DELETE FROM quota_evidence WHERE workspace_id = $1 AND account_id = $2 AND name = $3";
        for quota in quotas {
            let values = [self.ws().into(), account.uuid().into(), quota.into()];
            self.conn.execute_raw(sql(&self.conn, FORGET, values)).await?;
        }
        Ok(())
    }

    /// Deletes up to `limit` shares used before `before`, and as many ledger rows without a change since then; how many. No
    /// rolling span and no late event may reach back so far: 31 days are enough.
    pub async fn purge_quotas(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const SHARES: &str = "DELETE FROM quota_reservations WHERE workspace_id = $1 AND (part_id, attempt, scope, scope_id, name) \
                              IN (SELECT part_id, attempt, scope, scope_id, name FROM quota_reservations WHERE workspace_id = \
                              $1 AND state = 'used' AND at < $2 LIMIT $3)";
        const ROWS: &str = "DELETE FROM quotas WHERE workspace_id = $1 AND held = 0 AND (scope, scope_id, name, period) IN \
                            (SELECT q.scope, q.scope_id, q.name, q.period FROM quotas AS q WHERE q.workspace_id = $1 AND q.held = \
                            0 AND q.updated_at < $2 AND NOT EXISTS (SELECT 1 FROM quota_recipients AS p WHERE p.workspace_id = $1 \
                            AND p.scope = q.scope AND p.scope_id = q.scope_id AND p.name = q.name AND p.period = q.period) \
                            LIMIT $3)";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        let shares = self.conn.execute_raw(sql(&self.conn, SHARES, values.clone())).await?.rows_affected();
        Ok(shares + self.conn.execute_raw(sql(&self.conn, ROWS, values)).await?.rows_affected())
    }
}
