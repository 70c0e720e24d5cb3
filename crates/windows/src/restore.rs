//! Facts to plain data and back.

use std::collections::BTreeMap;

use crate::facts::{Facts, Row, Send, latest};
use crate::ledger::Ledger;
use crate::moment::Moment;
use crate::policy::{Policy, Rules};
use crate::registers::Registers;
use crate::snapshot::{Dropped, Opening, Person, Sent, Snapshot, Stamped};
use crate::vocabulary::{Category, Subject};

impl Facts {
    /// The facts as plain data, by name.
    pub fn snapshot(&self) -> Snapshot {
        let rules = &self.policy.0;
        Snapshot { person: self.person(rules), account: self.ledger.write(rules, &self.rows) }
    }

    /// The facts that a snapshot holds. What names something that the policy no longer has is left out and listed, so
    /// that a changed policy makes nobody unreadable.
    pub fn restore(subject: Subject, policy: &Policy, snapshot: &Snapshot) -> (Self, Vec<Dropped>) {
        let mut facts = Self::new(subject, policy);
        let (ledger, mut dropped) =
            Ledger::read(policy, &snapshot.account, None, snapshot.person.newest_at.map(Moment::from));
        facts.ledger = ledger;
        facts.read(policy, &snapshot.person, &mut dropped);
        facts.answers();
        facts.derive();
        (facts, dropped)
    }

    fn person(&self, rules: &Rules) -> Person {
        let Registers { wrote_before, first_sent, account: _, .. } = self.registers;
        let registers = &self.registers;
        let grant_name = |grant: usize| rules.grants.get(grant).map(|grant| grant.name.to_string()).unwrap_or_default();
        let quota_name = |quota: usize| rules.quotas.get(quota).map(|quota| quota.name.to_string()).unwrap_or_default();
        let cooling = Category::ALL.iter().filter_map(|category| Some((*category, self.cooling(*category)?.into())));
        Person {
            openings: self.rows.iter().map(|row| row.write(rules)).collect(),
            sends: self.sends.iter().map(|send| send.write(grant_name(send.grant))).collect(),
            first_sent_at: first_sent.map(Into::into),
            wrote_before,
            subscribed: registers.unsubscribed.map(|stamped| stamp(stamped, |value| !value)),
            consented: registers.withdrawn.map(|stamped| stamp(stamped, |value| !value)),
            blocked_by_us: registers.blocked_by_us.map(|stamped| stamp(stamped, |value| value)),
            blocked_by_customer: registers.blocked_by_customer.map(|stamped| stamp(stamped, |value| value)),
            opted_out_of_all: registers.out_of_all.map(|stamped| stamp(stamped, |value| value)),
            opted_out_of_marketing: registers.out_of_marketing.map(|stamped| stamp(stamped, |value| value)),
            unreachable: registers.unreachable.clone().map(|stamped| stamp(stamped, |reason| reason.map(Into::into))),
            country: registers.country.map(|stamped| stamp(stamped, |country| country)),
            refused: self.refused.iter().map(|(grant, at)| (grant_name(*grant), (*at).into())).collect(),
            refused_rights: self.refused_rights.iter().map(|(name, at)| (name.to_string(), (*at).into())).collect(),
            used_up: self.used_up.iter().map(|(quota, at)| (quota_name(*quota), (*at).into())).collect(),
            cooling: cooling.collect::<BTreeMap<_, _>>(),
            newest_at: self.newest.map(Into::into),
        }
    }

    fn read(&mut self, policy: &Policy, person: &Person, dropped: &mut Vec<Dropped>) {
        let rules = &policy.0;
        let mut drop = |field, name: &str| {
            dropped.push(Dropped { policy: policy.name().to_owned(), field, name: name.to_owned() });
        };
        for opening in &person.openings {
            match rules.kind(&opening.kind) {
                Some(kind)
                    if rules.kinds.get(kind).is_some_and(|kind| kind.needs_ref) != opening.reference.is_some() =>
                {
                    drop("openings", &opening.kind);
                }
                Some(kind) => self.rows.push(Row::read(rules, kind, opening)),
                None => drop("openings", &opening.kind),
            }
        }
        self.rows.sort();
        for sent in &person.sends {
            match rules.grant(&sent.grant) {
                Some(grant) => self.sends.push(Send::read(grant, sent)),
                None => drop("sends", &sent.grant),
            }
        }
        self.sends.sort();
        for (name, at) in &person.refused {
            match rules.grant(name) {
                Some(grant) => latest(&mut self.refused, grant, (*at).into()),
                None => drop("refused", name),
            }
        }
        for (name, at) in &person.used_up {
            match rules.quota(name) {
                Some(quota) => latest(&mut self.used_up, quota, (*at).into()),
                None => drop("used_up", name),
            }
        }
        self.refused_rights =
            person.refused_rights.iter().map(|(name, at)| (name.as_str().into(), (*at).into())).collect();
        let registers = &mut self.registers;
        registers.wrote_before = person.wrote_before;
        registers.first_sent = person.first_sent_at.map(Into::into);
        registers.unsubscribed = person.subscribed.as_ref().map(|stamped| unstamp(stamped, |value| !value));
        registers.withdrawn = person.consented.as_ref().map(|stamped| unstamp(stamped, |value| !value));
        registers.blocked_by_us = person.blocked_by_us.as_ref().map(|stamped| unstamp(stamped, |value| *value));
        registers.blocked_by_customer =
            person.blocked_by_customer.as_ref().map(|stamped| unstamp(stamped, |value| *value));
        registers.out_of_all = person.opted_out_of_all.as_ref().map(|stamped| unstamp(stamped, |value| *value));
        registers.out_of_marketing =
            person.opted_out_of_marketing.as_ref().map(|stamped| unstamp(stamped, |value| *value));
        registers.unreachable =
            person.unreachable.as_ref().map(|stamped| unstamp(stamped, |reason| reason.as_deref().map(Into::into)));
        registers.country = person.country.as_ref().map(|stamped| unstamp(stamped, |country| *country));
        for (category, until) in &person.cooling {
            registers.cool(*category, (*until).into());
        }
        self.newest = person.newest_at.map(Into::into);
    }
}

fn stamp<T, U>((at, value): (Moment, T), read: impl Fn(T) -> U) -> Stamped<U> {
    Stamped { at: at.into(), value: read(value) }
}

fn unstamp<T, U>(stamped: &Stamped<T>, read: impl Fn(&T) -> U) -> (Moment, U) {
    (stamped.at.into(), read(&stamped.value))
}

impl Row {
    pub(crate) fn read(rules: &Rules, kind: usize, opening: &Opening) -> Self {
        let mut recent = Vec::new();
        if rules.kinds.get(kind).is_some_and(|kind| kind.session.is_some()) {
            recent.extend(opening.recent.iter().copied().map(Moment::from));
            if recent.is_empty() && opening.before_recent.is_none() {
                // The start and the newest event say the same as all events, as far as they are known.
                recent.extend(opening.first_at.iter().chain([&opening.at]).copied().map(Moment::from));
            }
            recent.sort_unstable();
            recent.dedup();
        }
        Self {
            kind,
            reference: opening.reference.as_deref().map(Into::into),
            at: opening.at.into(),
            start: opening.first_at.unwrap_or(opening.at).into(),
            recent,
            before_recent: opening.before_recent.map(Into::into),
            sent: opening.sent_since,
        }
    }

    fn write(&self, rules: &Rules) -> Opening {
        let kind = rules.kinds.get(self.kind);
        Opening {
            kind: kind.map(|kind| kind.name.to_string()).unwrap_or_default(),
            reference: self.reference.as_deref().map(Into::into),
            at: self.at.into(),
            first_at: kind.and_then(|kind| kind.session).map(|_| self.start.into()),
            recent: self.recent.iter().map(|at| (*at).into()).collect(),
            before_recent: self.before_recent.map(Into::into),
            sent_since: self.sent,
        }
    }
}

impl Send {
    fn read(grant: usize, sent: &Sent) -> Self {
        let reference = sent.reference.as_deref().map(Into::into);
        Self { id: sent.id, at: sent.at.into(), grant, reference, cost: sent.cost.max(1) }
    }

    fn write(&self, grant: String) -> Sent {
        let reference = self.reference.as_deref().map(Into::into);
        Sent { id: self.id, at: self.at.into(), grant, reference, cost: self.cost }
    }
}
