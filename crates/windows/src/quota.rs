//! A quota: a number that a platform counts down.

use time::{Duration, OffsetDateTime};

use crate::facts::Row;
use crate::moment::Moment;
use crate::policy::Bits;

/// A number that the platform counts down.
#[derive(Debug)]
pub struct Quota {
    pub(crate) name: Box<str>,
    pub(crate) about: Box<str>,
    pub(crate) limit: Option<u32>,
    pub(crate) per: Per,
    pub(crate) scope: Scope,
    pub(crate) counts: Counts,
    /// Seconds east of UTC.
    pub(crate) zone: i32,
    pub(crate) possible: Vec<u32>,
    pub(crate) reset_by: Bits,
    /// While this grant's window is open, nothing is counted.
    pub(crate) free_within: Option<usize>,
}

impl Quota {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, in one sentence.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The limit unless the account has another; `None` if only an account has one.
    pub fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// When its count starts anew.
    pub fn per(&self) -> Per {
        self.per
    }

    /// Who shares it.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// What is counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The limits that a platform's refusals may teach us.
    pub fn possible(&self) -> &[u32] {
        &self.possible
    }

    /// The offset from UTC at which its months and days turn, in seconds.
    pub fn zone_seconds(&self) -> i32 {
        self.zone
    }

    /// The name of the calendar's period in which an instant lies, as [`Spend::period`](crate::Spend::period) has it; `None`
    /// for a quota that is not counted by the calendar.
    pub fn period_at(&self, at: OffsetDateTime) -> Option<String> {
        crate::permit::period(self, at.into())
    }
}

/// When a quota's count starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// With each opening of the grant that spends it.
    Opening,
    /// With the calendar month in its zone.
    Month,
    /// With the calendar day in its zone.
    Day,
    /// Never: each message counts for that long.
    Rolling(Duration),
    /// Each message counts for that long, or until the customer's next event that resets it.
    RollingSinceOpening(Duration),
}

/// Who shares a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One person on one account.
    Identity,
    /// Everybody on one account.
    Account,
    /// All accounts of a group, such as the numbers of a portfolio.
    Group,
}

impl Scope {
    /// The word for it in JSON and policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Identity => "identity",
            Scope::Account => "account",
            Scope::Group => "group",
        }
    }
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counts {
    /// Requests, or parts of a message.
    Requests,
    /// Recipients of a message.
    Recipients,
    /// People, each once: somebody who is already counted costs nothing.
    DistinctRecipients,
}

impl Quota {
    /// The newest event of the customer that started the count anew, for quotas that have such.
    pub(crate) fn reset_at(&self, rows: &[Row]) -> Option<Moment> {
        rows.iter().filter(|row| self.reset_by & 1 << row.kind != 0).map(|row| row.at).max()
    }
}
