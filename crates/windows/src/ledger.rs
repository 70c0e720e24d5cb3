//! What everybody on an account shares, its names turned into numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::Row;
use crate::moment::{Moment, day_name, day_number, month_name, month_number};
use crate::policy::{Bits, Policy, Rules};
use crate::quota::{Per, Quota};
use crate::snapshot::{Account, Dropped, Usage};
use crate::vocabulary::{Category, CategorySet, Country};

/// The account's part of the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) suspended: Option<Box<str>>,
    pub(crate) country: Option<Country>,
    pub(crate) features: Bits,
    pub(crate) templates: CategorySet,
    /// By quota: the limit that holds, the policy's or the account's own.
    pub(crate) limits: Vec<Option<u32>>,
    /// By quota: what is used.
    pub(crate) usage: Vec<Option<Use>>,
    /// The quotas whose limit is the account's own.
    own_limits: Bits,
}

/// How much of a quota is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) used: u32,
    /// The number of the month or day it was used in.
    pub(crate) period: Option<i64>,
    pub(crate) frees_at: Option<Moment>,
    pub(crate) counts_me: bool,
    /// When it was so: an event of the customer that starts the count anew may have come since.
    pub(crate) reported: Option<Moment>,
}

impl Ledger {
    /// An account without features, with a template of every category, that has used nothing.
    pub(crate) fn new(rules: &Rules) -> Self {
        Self {
            suspended: None,
            country: None,
            features: 0,
            templates: CategorySet::ALL,
            limits: rules.quotas.iter().map(|quota| quota.limit).collect(),
            usage: vec![None; rules.quotas.len()],
            own_limits: 0,
        }
    }

    /// Reads an account as it was `reported`. A period left out is the one of `at`; without `at`, it never turns.
    pub(crate) fn read(
        policy: &Policy,
        account: &Account,
        at: Option<Moment>,
        reported: Option<Moment>,
    ) -> (Self, Vec<Dropped>) {
        let rules = &policy.0;
        let mut ledger = Self::new(rules);
        let mut dropped = Vec::new();
        let mut drop = |field, name: &str| {
            dropped.push(Dropped { policy: policy.name().to_owned(), field, name: name.to_owned() });
        };
        ledger.suspended = account.suspended.as_deref().map(Into::into);
        ledger.country = account.country;
        ledger.templates = account.templates.as_ref().map_or(CategorySet::ALL, |list| list.iter().copied().collect());
        for name in &account.features {
            match rules.feature(name) {
                Some(feature) => ledger.features |= 1 << feature,
                None => drop("features", name),
            }
        }
        for (name, limit) in &account.limits {
            match rules.quota(name) {
                Some(quota) => ledger.limit(quota, *limit),
                None => drop("limits", name),
            }
        }
        for (name, usage) in &account.quotas {
            let quota = rules.quota(name).and_then(|position| Some((position, rules.quotas.get(position)?)));
            match quota.and_then(|(position, quota)| Some((position, Use::read(quota, usage, at, reported)?))) {
                Some((position, usage)) => ledger.set(position, usage),
                None => drop("quotas", name),
            }
        }
        (ledger, dropped)
    }

    pub(crate) fn limit(&mut self, quota: usize, limit: Option<u32>) {
        if let Some(known) = self.limits.get_mut(quota) {
            *known = limit;
            self.own_limits |= 1 << quota;
        }
    }

    pub(crate) fn set(&mut self, quota: usize, usage: Use) {
        if let Some(known) = self.usage.get_mut(quota) {
            *known = Some(usage);
        }
    }

    /// What is used of a quota, unless the customer has started its count anew.
    #[inline]
    pub(crate) fn usage(&self, position: usize, quota: &Quota, rows: &[Row]) -> Option<&Use> {
        let usage = self.usage.get(position)?.as_ref()?;
        let is_current = || usage.reported.is_none() || quota.reset_at(rows) <= usage.reported;
        (quota.reset_by == 0 || is_current()).then_some(usage)
    }

    /// The account by its names.
    pub(crate) fn write(&self, rules: &Rules, rows: &[Row]) -> Account {
        let quotas = || rules.quotas.iter().enumerate();
        let limits = quotas()
            .filter(|(position, _)| self.own_limits & 1 << position != 0)
            .map(|(position, quota)| (quota.name.to_string(), self.limits.get(position).copied().flatten()));
        let used = quotas().filter_map(|(position, quota)| {
            Some((quota.name.to_string(), self.usage(position, quota, rows)?.write(quota)))
        });
        Account {
            suspended: self.suspended.as_deref().map(Into::into),
            country: self.country,
            features: rules.feature_names(self.features).map(str::to_owned).collect::<BTreeSet<_>>(),
            templates: (self.templates != CategorySet::ALL)
                .then(|| self.templates.iter().collect::<BTreeSet<Category>>()),
            limits: limits.collect::<BTreeMap<_, _>>(),
            quotas: used.collect::<BTreeMap<_, _>>(),
        }
    }
}

impl Use {
    /// Reads a usage; `None` if its period is no period of the quota, or the quota is counted by the openings themselves.
    pub(crate) fn read(quota: &Quota, usage: &Usage, at: Option<Moment>, reported: Option<Moment>) -> Option<Self> {
        let period = match (quota.per, usage.period.as_deref()) {
            (Per::Opening, _) => return None,
            (Per::Month, Some(name)) => Some(month_number(name)?),
            (Per::Day, Some(name)) => Some(day_number(name)?),
            (Per::Month, None) => at.map(|at| at.month(quota.zone)),
            (Per::Day, None) => at.map(|at| at.day(quota.zone)),
            (Per::Rolling(_) | Per::RollingSinceOpening(_), _) => None,
        };
        let frees_at = usage.frees_at.map(Moment::from);
        Some(Self { used: usage.used, period, frees_at, counts_me: usage.counts_me, reported })
    }

    fn write(self, quota: &Quota) -> Usage {
        let period = match quota.per {
            Per::Month => self.period.map(month_name),
            Per::Day => self.period.map(day_name),
            _ => None,
        };
        Usage { used: self.used, period, frees_at: self.frees_at.map(Into::into), counts_me: self.counts_me }
    }
}
