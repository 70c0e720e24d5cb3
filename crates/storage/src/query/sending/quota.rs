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

use sea_orm::{FromQueryResult, Value};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use transom_domain::{ChannelAccountId, IdentityId};
use uuid::Uuid;

use crate::StorageError;
use crate::instant::Millis;

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
pub(super) enum Count {
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
    pub(super) limit: Option<i64>,
    pub(super) cost: i64,
    pub(super) count: Count,
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

    pub(super) fn counting(&self) -> &'static str {
        match self.count {
            Count::Calendar => "calendar",
            Count::Timed { .. } => "timed",
            Count::Held => "held",
            Count::Distinct { .. } => "distinct",
        }
    }

    pub(super) fn since(&self) -> Option<Millis> {
        match self.count {
            Count::Timed { since, .. } => since,
            _ => None,
        }
    }

    pub(super) fn is(&self, held: &HeldShare) -> bool {
        self.key == held.key
            && self.since() == held.since
            && self.counting() == held.counting
            // A person counts once, whatever the part costs.
            && (self.cost == held.cost || held.counting == "distinct")
    }

    /// The same, as what is held for somebody.
    pub(super) fn held_by(&self, identity: Uuid) -> HeldShare {
        HeldShare {
            key: self.key.clone(),
            since: self.since(),
            counting: self.counting().to_owned(),
            identity,
            cost: self.cost,
        }
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

/// What is wanted, in the order in which all transactions lock the rows.
pub(super) fn shares(wanted: &[Reservation], now: OffsetDateTime) -> Result<Vec<Share>, StorageError> {
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
