//! The quota ledger: used + held <= limit, for every interleaving and every number of replicas (P5).
//!
//! A part holds its share from its acceptance on. Accepted by the platform, the share is used; provably not accepted, it is
//! free again; unknown, it stays held. How that is counted depends on when a count starts anew:
//!
//! - by the calendar, or by a right of its own: two counters in the ledger row;
//! - with each event of the customer, or over a rolling span: what is held is a counter, what is used is the sum of what was
//!   used since. So an event that comes late neither gives back nor eats messages: its count starts at its own time;
//! - over a rolling span of one person: what is used the rule engine counts itself, from the facts, under the lock of the
//!   person; here only what is held is;
//! - distinct recipients: people, each once, see `recipients`.

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use transom_domain::{ChannelAccountId, IdentityId, PartId};
use uuid::Uuid;

use super::batch::locking;
use super::parts::state_of;
use crate::instant::Millis;
use crate::query::{millis, sql};
use crate::{StorageError, Tx};

/// Who shares a quota.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuotaScope {
    /// One person on one account.
    Identity(IdentityId),
    /// Everybody on one account.
    Account(ChannelAccountId),
    /// All accounts of a group.
    Group(String),
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counting {
    /// Requests, within the period.
    Requests,
    /// Recipients of requests, within the period.
    Recipients,
    /// Either of them, each for this long.
    Rolling {
        /// How long each counts.
        window: Duration,
    },
    /// People: somebody who is counted already costs nothing.
    DistinctRecipients {
        /// How long each counts after their last message.
        window: Duration,
    },
}

/// What a part takes from one quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The quota's name in the policy.
    pub quota: String,
    /// Who shares it.
    pub scope: QuotaScope,
    /// The stretch it is counted in, as the rule engine's `Spend` names it: `2026-11`, `2026-11-20`, `since <RFC 3339>`,
    /// `ref <reference>` or `rolling`.
    pub period: String,
    /// The limit; `None` if there is none.
    pub limit: Option<u64>,
    /// How much.
    pub cost: u32,
    /// What is counted.
    pub counting: Counting,
}

/// A quota has no room left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the quota `{quota}` is used up")]
pub struct QuotaFull {
    /// Its name.
    pub quota: String,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) scope: &'static str,
    pub(super) scope_id: String,
    pub(super) name: String,
    pub(super) period: String,
}

/// `workspace_id = $1` and the rest of a [`Key`], in the order of [`Key::values`].
pub(super) const KEY: &str = "workspace_id = $1 AND scope = $2 AND scope_id = $3 AND name = $4 AND period = $5";

/// The periods of counts that no calendar ends.
pub(super) const OPENING: &str = "opening";
pub(super) const ROLLING: &str = "rolling";

impl Key {
    pub(super) fn new(scope: &QuotaScope, name: &str, period: &str) -> Self {
        let (scope, scope_id) = match scope {
            QuotaScope::Identity(id) => ("identity", id.to_string()),
            QuotaScope::Account(id) => ("account", id.to_string()),
            QuotaScope::Group(group) => ("group", group.clone()),
        };
        let period = if opened_at(period).is_some() { OPENING } else { period };
        Self { scope, scope_id, name: name.to_owned(), period: period.to_owned() }
    }

    pub(super) fn values(&self, ws: Uuid) -> [Value; 5] {
        [
            ws.into(),
            self.scope.into(),
            self.scope_id.as_str().into(),
            self.name.as_str().into(),
            self.period.as_str().into(),
        ]
    }
}

/// The opening that a period counts from.
pub(super) fn opened_at(period: &str) -> Option<Millis> {
    let at = OffsetDateTime::parse(period.strip_prefix("since ")?, &Rfc3339).ok()?;
    Some(at.into())
}

/// How a row is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    /// By two counters.
    Calendar,
    /// What is used, by the times of what was used from here on.
    Timed { from: Millis, since: Option<Millis> },
    /// What is held, alone.
    Held,
    /// By people who got their last message from here on.
    Distinct { from: Millis },
}

/// A share that is wanted, and the row it comes from.
#[derive(Debug, Clone)]
pub(super) struct Share {
    pub(super) key: Key,
    limit: Option<i64>,
    cost: i64,
    count: Count,
}

impl Share {
    fn new(wanted: &Reservation, now: OffsetDateTime) -> Result<Self, StorageError> {
        let of_person = matches!(wanted.scope, QuotaScope::Identity(_));
        let count = match (wanted.counting, opened_at(&wanted.period)) {
            (Counting::DistinctRecipients { window }, _) => Count::Distinct { from: after(now, window) },
            (Counting::Rolling { .. }, None) if of_person => Count::Held,
            (Counting::Rolling { window }, None) => Count::Timed { from: after(now, window), since: None },
            (_, Some(since)) => Count::Timed { from: since, since: Some(since) },
            (Counting::Requests | Counting::Recipients, None) if wanted.period != ROLLING => Count::Calendar,
            (Counting::Requests | Counting::Recipients, None) if of_person => Count::Held,
            (Counting::Requests | Counting::Recipients, None) => {
                return Err(StorageError::Config(format!(
                    "the quota `{}` rolls: reserve it with `Counting::Rolling`, or it would never be free again",
                    wanted.quota
                )));
            }
        };
        Ok(Self {
            key: Key::new(&wanted.scope, &wanted.quota, &wanted.period),
            limit: wanted.limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)),
            cost: wanted.cost.into(),
            count,
        })
    }

    fn counting(&self) -> &'static str {
        match self.count {
            Count::Calendar => "calendar",
            Count::Timed { .. } => "timed",
            Count::Held => "held",
            Count::Distinct { .. } => "distinct",
        }
    }

    fn since(&self) -> Option<Millis> {
        match self.count {
            Count::Timed { since, .. } => since,
            _ => None,
        }
    }

    fn is(&self, held: &HeldShare) -> bool {
        self.key == held.key
            && self.since() == held.since
            && self.counting() == held.counting
            // A person counts once, whatever the part costs.
            && (self.cost == held.cost || held.counting == "distinct")
    }
}

/// The first instant that counts at `now` if each counts for `window`.
pub(super) fn after(now: OffsetDateTime, window: Duration) -> Millis {
    Millis(Millis::from(now.saturating_sub(window)).0 + 1)
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldShare {
    pub(super) key: Key,
    pub(super) since: Option<Millis>,
    pub(super) counting: String,
    pub(super) identity: Uuid,
    pub(super) cost: i64,
}

/// The columns of a [`HeldShare`] in `quota_reservations AS r`.
pub(super) const SHARE: &str = "r.scope, r.scope_id, r.name, r.period, r.since, r.counting, r.identity_id, r.cost";

#[derive(FromQueryResult)]
pub(super) struct ShareRow {
    scope: String,
    scope_id: String,
    name: String,
    period: String,
    since: Option<Millis>,
    counting: String,
    identity_id: Uuid,
    cost: i64,
}

impl From<ShareRow> for HeldShare {
    fn from(row: ShareRow) -> Self {
        let scope = match row.scope.as_str() {
            "identity" => "identity",
            "account" => "account",
            _ => "group",
        };
        let key = Key { scope, scope_id: row.scope_id, name: row.name, period: row.period };
        Self { key, since: row.since, counting: row.counting, identity: row.identity_id, cost: row.cost }
    }
}

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
            if state.is_settled() || state == transom_domain::DeliveryState::Sending {
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

impl Share {
    fn held_by(&self, identity: Uuid) -> HeldShare {
        HeldShare {
            key: self.key.clone(),
            since: self.since(),
            counting: self.counting().to_owned(),
            identity,
            cost: self.cost,
        }
    }
}

/// What is wanted, in the order in which all transactions lock the rows.
fn shares(wanted: &[Reservation], now: OffsetDateTime) -> Result<Vec<Share>, StorageError> {
    let mut shares = wanted.iter().map(|wanted| Share::new(wanted, now)).collect::<Result<Vec<_>, _>>()?;
    shares.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use transom_domain::UuidV7;

    const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

    fn wanted(scope: QuotaScope, period: &str, counting: Counting) -> Reservation {
        Reservation { quota: "q".into(), scope, period: period.into(), limit: Some(1), cost: 1, counting }
    }

    #[test]
    fn periods_say_how_they_are_counted() {
        let person = || QuotaScope::Identity(IdentityId::new(&UuidV7));
        let account = || QuotaScope::Account(ChannelAccountId::new(&UuidV7));
        let rolling = Counting::Rolling { window: Duration::HOUR };
        let count =
            |scope, period, counting| Share::new(&wanted(scope, period, counting), NOW).map(|share| share.count);
        let opened = datetime!(2026-11-20 10:00 UTC).into();

        assert_eq!(count(account(), "2026-11", Counting::Requests).unwrap(), Count::Calendar);
        assert_eq!(count(person(), "ref 4711", Counting::Requests).unwrap(), Count::Calendar);
        let since = count(person(), "since 2026-11-20T10:00:00Z", Counting::Requests).unwrap();
        assert_eq!(since, Count::Timed { from: opened, since: Some(opened) });
        assert_eq!(count(person(), "rolling", Counting::Requests).unwrap(), Count::Held);
        assert_eq!(count(person(), "rolling", rolling).unwrap(), Count::Held);
        assert!(matches!(count(account(), "rolling", rolling).unwrap(), Count::Timed { since: None, .. }));
        assert!(matches!(count(account(), "rolling", Counting::Recipients), Err(StorageError::Config(_))));
    }

    #[test]
    fn what_lies_a_whole_window_back_no_longer_counts() {
        let counted = Millis::from(NOW - Duration::HOUR);
        assert!(counted < after(NOW, Duration::HOUR));
        assert!(counted >= after(NOW - Duration::MILLISECOND, Duration::HOUR));
    }
}
