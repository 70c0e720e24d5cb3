//! Facts as plain data, for a storage layer to keep: what belongs to the person, and what belongs to the account.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::rfc3339;
use crate::vocabulary::{Category, Country};

/// All facts about one person on one account, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What belongs to the person on this account.
    pub person: Person,
    /// What everybody on the account shares.
    pub account: Account,
}

/// What is known about one person on one account.
///
/// Where a time stands beside a value, the newest wins, so that events may be applied in any order. Two records of one
/// person make [one](Person::joined_with).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    /// The customer's events that open something, or may.
    pub openings: Vec<Opening>,
    /// The messages of ours that still count in some quota of this person.
    pub sends: Vec<Sent>,
    /// When the first message of ours was accepted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub first_sent_at: Option<OffsetDateTime>,
    /// Whether the person ever wrote.
    pub wrote_before: bool,
    /// Whether the person is subscribed.
    pub subscribed: Option<Stamped<bool>>,
    /// Whether the person consented. Unknown counts as yes: whoever must not assume it records a no.
    pub consented: Option<Stamped<bool>>,
    /// Whether we block the person.
    pub blocked_by_us: Option<Stamped<bool>>,
    /// Whether the person blocks us.
    pub blocked_by_customer: Option<Stamped<bool>>,
    /// Whether the person opted out of every message.
    pub opted_out_of_all: Option<Stamped<bool>>,
    /// Whether the person opted out of marketing.
    pub opted_out_of_marketing: Option<Stamped<bool>>,
    /// Why the person can't be reached.
    pub unreachable: Option<Stamped<Option<String>>>,
    /// The person's country.
    pub country: Option<Stamped<Option<Country>>>,
    /// By grant: when the newest message was sent that the platform refused because the window was over.
    #[serde(with = "rfc3339::map")]
    pub refused: BTreeMap<String, OffsetDateTime>,
    /// By reference: when the newest message was sent on that right that the platform refused.
    #[serde(with = "rfc3339::map")]
    pub refused_rights: BTreeMap<String, OffsetDateTime>,
    /// By quota: when the newest message was sent that the platform refused because the quota was used up.
    #[serde(with = "rfc3339::map")]
    pub used_up: BTreeMap<String, OffsetDateTime>,
    /// By category: until when the platform takes no more templates.
    #[serde(with = "rfc3339::map")]
    pub cooling: BTreeMap<Category, OffsetDateTime>,
    /// The newest event that was applied. What lies far before it no longer counts and is dropped.
    #[serde(with = "time::serde::rfc3339::option")]
    pub newest_at: Option<OffsetDateTime>,
}

/// A value and when it became so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamped<T> {
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What.
    pub value: T,
}

/// The customer's events of one kind, or one event that is a right of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The kind of event.
    pub kind: String,
    /// The comment, token or request, where each event is a right of its own.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The newest event, or the one event.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The start of the session, for kinds that open sessions counted from the first event.
    #[serde(with = "time::serde::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    pub first_at: Option<OffsetDateTime>,
    /// For such kinds, the events of the last weeks: a late one may move every session after it.
    #[serde(with = "rfc3339::list", default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<OffsetDateTime>,
    /// For such kinds, the start of the last session that began before those weeks.
    #[serde(with = "time::serde::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    pub before_recent: Option<OffsetDateTime>,
    /// Accepted messages booked on this opening that are known by number only.
    #[serde(default)]
    pub sent_since: u32,
}

/// A message of ours that the platform accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sent {
    /// What tells it from any other.
    pub id: u128,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The grant it used.
    pub grant: String,
    /// The reference it carried.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What it cost.
    pub cost: u32,
}

/// What everybody on one account shares.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// Why the platform has suspended the account.
    pub suspended: Option<String>,
    /// The account's country.
    pub country: Option<Country>,
    /// The features it has.
    pub features: BTreeSet<String>,
    /// The categories for which it has an approved template; `None` for all.
    pub templates: Option<BTreeSet<Category>>,
    /// By quota, the account's own limit; `null` for none at all.
    pub limits: BTreeMap<String, Option<u32>>,
    /// By quota, how much is used.
    pub quotas: BTreeMap<String, Usage>,
}

/// How much of a quota is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// How much, held messages included.
    pub used: u32,
    /// The month (`2026-11`) or day (`2026-11-20`) it was used in, in the quota's zone. In another one nothing is used.
    pub period: Option<String>,
    /// For rolling quotas, when the oldest message no longer counts: from then on there is room for one more.
    #[serde(with = "time::serde::rfc3339::option")]
    pub frees_at: Option<OffsetDateTime>,
    /// For quotas of distinct recipients, whether this person is already counted.
    pub counts_me: bool,
}

/// A stored name that the policy no longer has. What it said was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: the policy `{policy}` has no `{name}`")]
pub struct Dropped {
    /// The policy.
    pub policy: String,
    /// Where it stood.
    pub field: &'static str,
    /// The name.
    pub name: String,
}
