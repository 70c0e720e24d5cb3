//! The right to send one message to one person, until an instant.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use time::{Duration, OffsetDateTime};

use crate::grant::{Basis, Grant};
use crate::judge::{Case, Held};
use crate::moment::{Moment, day_name, month_name};
use crate::policy::{Policy, positions};
use crate::quota::{Per, Quota, Scope};
use crate::vocabulary::{Ask, CategorySet, Sender, Subject};

/// How far a clock may run backwards between a decision and the use of its permit.
const CLOCK_STEP: Duration = Duration::seconds(5);

/// The right to send one message to one person, until an instant.
///
/// Only a decision makes one: there is no constructor and no way back from its [record](Permit::record). A permit is
/// never stored; whoever sends later decides anew.
///
/// ```compile_fail
/// let forged = transom_windows::Permit {};
/// ```
///
/// ```compile_fail
/// fn stored(record: transom_windows::PermitRecord) -> transom_windows::Permit {
///     record.into()
/// }
/// ```
#[derive(Clone)]
pub struct Permit {
    policy: Policy,
    position: usize,
    subject: Subject,
    ask: Ask,
    decided: Moment,
    held: Held,
    reference: Option<Box<str>>,
    spends: SmallVec<[Taking; 2]>,
}

/// What a message takes from a quota, before it is spelt out.
#[derive(Debug, Clone, Copy)]
struct Taking {
    quota: usize,
    used: u32,
    cost: u32,
    limit: Option<u32>,
    /// Since when it counts, if an opening started the count.
    since: Option<Moment>,
}

/// What a message on a permit takes from one quota: what a storage layer reserves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// The quota.
    pub quota: String,
    /// Who shares it.
    pub scope: Scope,
    /// Names the stretch in which it is counted: `2026-11`, `2026-11-20`, `rolling`, or the opening, such as
    /// `since 2026-11-20T10:00:00Z` (where another grant's window was free, since the end of that) or `ref 4711`.
    pub period: String,
    /// How much was taken before it, where the decision counted that.
    pub used: Option<u32>,
    /// How much it takes.
    pub cost: u32,
    /// The limit, where there is one.
    pub limit: Option<u32>,
}

/// What a permit said, as plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermitRecord {
    /// The policy.
    pub policy: String,
    /// Its version.
    pub policy_version: String,
    /// The grant.
    pub grant: String,
    /// `free_form`, `tagged`, `template` or `initiated`.
    pub basis: String,
    /// The tag that the request must name.
    pub tag: Option<String>,
    /// The categories of which the template may be.
    pub categories: Option<CategorySet>,
    /// What the request must refer to.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// Whether promotional content is allowed.
    pub promotional: bool,
    /// Who may send.
    pub sender: Sender,
    /// When it was decided.
    #[serde(with = "time::serde::rfc3339")]
    pub decided_at: OffsetDateTime,
    /// When it ends by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    pub lapses_at: Option<OffsetDateTime>,
    /// Before when the request must leave.
    #[serde(with = "time::serde::rfc3339::option")]
    pub send_before: Option<OffsetDateTime>,
    /// The smallest room that its quotas left.
    pub remaining: Option<u32>,
}

impl Permit {
    pub(crate) fn new(case: &Case<'_>, held: Held) -> Self {
        let Case { policy, facts, ask, now, position, opened, .. } = *case;
        let spends = positions(held.counted).filter_map(|quota| {
            let meter = case.meter(quota, opened)?;
            let (used, cost, limit) = (meter.used(now), meter.counted(ask.costs()), meter.limit());
            Some(Taking { quota, used, cost, limit, since: meter.counts_since() })
        });
        Self {
            policy: policy.clone(),
            position,
            subject: facts.subject,
            ask,
            decided: now,
            held,
            reference: opened.and_then(|opened| opened.reference(facts)).map(Into::into),
            spends: spends.collect(),
        }
    }

    /// What the message takes from which quotas.
    pub fn spends(&self) -> Vec<Spend> {
        let spends = self.spends.iter().filter_map(|taking| {
            let quota = self.policy.0.quotas.get(taking.quota)?;
            Some(Spend {
                quota: quota.name.to_string(),
                scope: quota.scope,
                period: period(quota, self.decided).unwrap_or_else(|| match quota.per {
                    Per::Opening => self.opening(taking.since),
                    _ => "rolling".to_owned(),
                }),
                used: Some(taking.used),
                cost: taking.cost,
                limit: taking.limit,
            })
        });
        spends.collect()
    }

    fn opening(&self, since: Option<Moment>) -> String {
        match (&self.reference, since) {
            (Some(reference), _) => format!("ref {reference}"),
            (None, Some(start)) => format!("since {}", rfc3339(start.into())),
            (None, None) => String::new(),
        }
    }

    pub(crate) fn decided(&self) -> Moment {
        self.decided
    }

    /// What the message that was asked for costs.
    pub(crate) fn cost(&self) -> u32 {
        self.ask.costs()
    }

    fn rule(&self) -> Option<&Grant> {
        self.policy.0.grants.get(self.position)
    }

    /// The policy that allows it.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// That policy's version.
    pub fn policy_version(&self) -> &str {
        self.policy.version()
    }

    /// The grant's name.
    pub fn grant(&self) -> &str {
        self.rule().map_or("", Grant::name)
    }

    /// What the message is to the platform.
    pub fn basis(&self) -> &Basis {
        self.rule().map_or(&Basis::FreeForm, Grant::basis)
    }

    /// For templates, the categories that may be used now; none for anything else.
    pub fn categories(&self) -> CategorySet {
        self.held.categories
    }

    /// The comment, token or request that the send must carry.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Whether promotional content may use it.
    pub fn promotional(&self) -> bool {
        self.rule().is_some_and(Grant::promotional)
    }

    /// When the grant ends, if the customer stays silent.
    pub fn lapses_at(&self) -> Option<OffsetDateTime> {
        self.held.lapses.map(Into::into)
    }

    /// Before when the request must leave: the end, less the grant's margin.
    pub fn send_before(&self) -> Option<OffsetDateTime> {
        self.sent_before().map(Into::into)
    }

    fn sent_before(&self) -> Option<Moment> {
        let margin = self.rule().map_or(Duration::ZERO, Grant::margin);
        self.held.lapses.map(|lapses| lapses.minus(margin))
    }

    /// The smallest room among its quotas before this message; `None` if none limits it.
    pub fn remaining(&self) -> Option<u32> {
        self.held.remaining
    }

    /// To whom.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// By whom.
    pub fn sender(&self) -> Sender {
        self.ask.sender()
    }

    /// When it was decided.
    pub fn decided_at(&self) -> OffsetDateTime {
        self.decided.into()
    }

    /// Whether it lets a message through to this person at this instant: not for another, not after `send_before`, and not
    /// before it was decided (but for a clock's small step backwards).
    pub fn is_valid_for(&self, subject: Subject, now: OffsetDateTime) -> bool {
        let now = Moment::from(now);
        subject == self.subject
            && now >= self.decided.minus(CLOCK_STEP)
            && self.sent_before().is_none_or(|end| now < end)
    }

    /// What it says, as plain data.
    pub fn record(&self) -> PermitRecord {
        let template = matches!(self.basis(), Basis::Template { .. });
        PermitRecord {
            policy: self.policy.name().to_owned(),
            policy_version: self.policy.version().to_owned(),
            grant: self.grant().to_owned(),
            basis: self.basis().as_str().to_owned(),
            tag: self.basis().tag().map(str::to_owned),
            categories: template.then_some(self.held.categories),
            reference: self.reference.as_deref().map(str::to_owned),
            promotional: self.promotional(),
            sender: self.sender(),
            decided_at: self.decided_at(),
            lapses_at: self.lapses_at(),
            send_before: self.send_before(),
            remaining: self.remaining(),
        }
    }
}

/// The stretch of the calendar in which a quota counts an instant; `None` for quotas that no calendar turns.
pub(crate) fn period(quota: &Quota, at: Moment) -> Option<String> {
    match quota.per {
        Per::Month => Some(month_name(at.month(quota.zone))),
        Per::Day => Some(day_name(at.day(quota.zone))),
        Per::Opening | Per::Rolling(_) | Per::RollingSinceOpening(_) => None,
    }
}

pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("policy", &self.policy.name())
            .field("grant", &self.grant())
            .field("subject", &self.subject)
            .field("sender", &self.sender())
            .field("reference", &self.reference)
            .field("lapses_at", &self.lapses_at())
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
