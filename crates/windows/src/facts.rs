//! What is known about one person on one account, and how events change it.

use std::sync::OnceLock;

use time::OffsetDateTime;

use crate::event::{Event, PlatformRefusal, UnknownName, What};
use crate::grant::standing;
use crate::judge::fitting;
use crate::ledger::Ledger;
use crate::moment::Moment;
use crate::opened::{Slot, slots};
use crate::policy::{Bits, Policy, RefusalEnds, Rules, positions};
use crate::quota::Per;
use crate::registers::{Registers, settle};
use crate::session;
use crate::snapshot::{Account, Dropped};
use crate::vocabulary::{Category, OptOutScope, Subject};

/// What is known about one person on one account: the events that open windows, what was sent, who opted out.
///
/// Facts change by [`apply`](Facts::apply) alone. The order of events and their repeats make no difference, and neither
/// does a clock: there is none inside. Names are turned into numbers when they come in, so that a decision compares numbers.
///
/// # Example: what came late, or twice, changes nothing
///
/// ```
/// use time::macros::datetime;
/// use transom_windows::{Event, Facts, Policies, Subject};
///
/// let policies = Policies::builtin()?;
/// let whatsapp = policies.get("whatsapp").ok_or("no such policy")?;
/// let [early, late] = [datetime!(2026-03-01 09:00 UTC), datetime!(2026-03-01 21:00 UTC)].map(|at| Event::opening(at, "message"));
///
/// let mut facts = Facts::new(Subject::new(7), whatsapp);
/// let mut other = facts.clone();
/// for event in [&early, &late] {
///     facts.apply(whatsapp, event)?;
/// }
/// for event in [&late, &late, &early] {
///     other.apply(whatsapp, event)?;
/// }
/// assert_eq!(facts, other);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What lies more than 30 days before the newest event may be forgotten where it can't count any more; an event that
/// comes even later than that is applied as far as it still matters.
#[derive(Debug, Clone)]
pub struct Facts {
    pub(crate) subject: Subject,
    pub(crate) policy: Policy,
    pub(crate) rows: Vec<Row>,
    pub(crate) sends: Vec<Send>,
    pub(crate) registers: Registers,
    /// By grant: the newest refused send.
    pub(crate) refused: Vec<(usize, Moment)>,
    /// By reference: the newest refused send, where it carried one.
    pub(crate) refused_rights: Vec<(Box<str>, Moment)>,
    /// By quota: the newest send that found it used up.
    pub(crate) used_up: Vec<(usize, Moment)>,
    pub(crate) newest: Option<Moment>,
    pub(crate) ledger: Ledger,
    /// What follows from the registers, in the bits that conditions ask for.
    pub(crate) standing: u8,
    /// Each grant with what opened it.
    pub(crate) slots: Vec<Slot>,
    /// The grants whose lasting conditions are met.
    pub(crate) fitting: Bits,
    /// Somebody blocked, opted out of everything, is out of reach, or the account is suspended.
    pub(crate) barred: bool,
    /// The same facts under another policy, once somebody has asked for them.
    elsewhere: OnceLock<Box<Facts>>,
}

/// The customer's events of one kind, or one event that is a right of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) kind: usize,
    pub(crate) reference: Option<Box<str>>,
    /// The newest event; of events that are rights of their own, the first.
    pub(crate) at: Moment,
    /// Where the current window starts: the newest event, or the start of the session.
    pub(crate) start: Moment,
    pub(crate) recent: Vec<Moment>,
    pub(crate) before_recent: Option<Moment>,
    /// Accepted sends known by number only.
    pub(crate) sent: u32,
}

/// A message of ours that the platform accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Send {
    pub(crate) id: u128,
    pub(crate) at: Moment,
    pub(crate) grant: usize,
    pub(crate) reference: Option<Box<str>>,
    pub(crate) cost: u32,
}

/// The latest of what is kept under a number.
pub(crate) fn latest(list: &mut Vec<(usize, Moment)>, key: usize, at: Moment) {
    match list.binary_search_by_key(&key, |(known, _)| *known) {
        Ok(found) => {
            if let Some((_, known)) = list.get_mut(found) {
                *known = at.max(*known);
            }
        }
        Err(place) => list.insert(place, (key, at)),
    }
}

#[inline]
pub(crate) fn look_up(list: &[(usize, Moment)], key: usize) -> Option<Moment> {
    list.iter().find(|(known, _)| *known == key).map(|(_, at)| *at)
}

impl Facts {
    /// Somebody about whom nothing is known: never wrote, no opt-out, consent not withdrawn; an account without features
    /// and with a template of every category.
    pub fn new(subject: Subject, policy: &Policy) -> Self {
        let mut facts = Self {
            subject,
            policy: policy.clone(),
            rows: Vec::new(),
            sends: Vec::new(),
            registers: Registers::default(),
            refused: Vec::new(),
            refused_rights: Vec::new(),
            used_up: Vec::new(),
            newest: None,
            ledger: Ledger::new(&policy.0),
            standing: 0,
            slots: Vec::new(),
            fitting: 0,
            barred: false,
            elsewhere: OnceLock::new(),
        };
        facts.derive();
        facts
    }

    /// Whose facts these are.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// Changes the facts by what happened. Order and repeats make no difference.
    ///
    /// # Errors
    /// A kind, grant or quota that the policy doesn't declare, or an event without the reference it needs; the facts stay
    /// as they were. What an [`Account`](What::Account) names and the policy doesn't have is left out instead.
    pub fn apply(&mut self, policy: &Policy, event: &Event) -> Result<(), UnknownName> {
        if !self.policy.is(policy) {
            *self = self.under(policy);
        }
        let at = Moment::from(event.at);
        self.record(at, &event.what)?;
        self.newest = self.newest.max(Some(at));
        self.answers();
        self.forget();
        self.derive();
        Ok(())
    }

    /// Replaces the account's part, for a ledger that keeps it current. What the policy doesn't have is left out and listed.
    pub fn set_account(&mut self, policy: &Policy, account: &Account) -> Vec<Dropped> {
        if !self.policy.is(policy) {
            *self = self.under(policy);
        }
        let (ledger, dropped) = Ledger::read(policy, account, None, self.newest);
        self.ledger = ledger;
        self.derive();
        dropped
    }

    fn record(&mut self, at: Moment, what: &What) -> Result<(), UnknownName> {
        let policy = self.policy.clone();
        let rules = &policy.0;
        let registers = &mut self.registers;
        match what {
            What::Opening { kind, reference } => {
                self.open(named(rules, "kind", kind, Rules::kind)?, reference.as_deref(), at)?;
            }
            What::Sent { id, grant, reference, cost } => {
                let grant = named(rules, "grant", grant, Rules::grant)?;
                registers.first_sent = Some(registers.first_sent.map_or(at, |known| known.min(at)));
                self.book(Send {
                    id: *id,
                    at,
                    grant,
                    reference: reference.as_deref().map(Into::into),
                    cost: (*cost).max(1),
                });
            }
            What::Refused { grant, reference, sent_at, cause } => {
                let grant = named(rules, "grant", grant, Rules::grant)?;
                let quota = match cause {
                    PlatformRefusal::WindowClosed => None,
                    PlatformRefusal::QuotaReached { quota } => Some(named(rules, "quota", quota, Rules::quota)?),
                };
                self.refuse(grant, reference.as_deref(), quota, Moment::from(*sent_at));
            }
            What::OptOut { scope: OptOutScope::All } => settle(&mut registers.out_of_all, at, true),
            What::OptOut { scope: OptOutScope::Marketing } => settle(&mut registers.out_of_marketing, at, true),
            What::OptIn { scope } => {
                settle(&mut registers.out_of_marketing, at, false);
                if *scope == OptOutScope::All {
                    settle(&mut registers.out_of_all, at, false);
                }
            }
            What::Blocked { by } => settle(registers.block(*by), at, true),
            What::Unblocked { by } => settle(registers.block(*by), at, false),
            What::Subscribed => settle(&mut registers.unsubscribed, at, false),
            What::Unsubscribed => settle(&mut registers.unsubscribed, at, true),
            What::Unreachable { reason } => settle(&mut registers.unreachable, at, Some(reason.as_str().into())),
            What::Reachable => settle(&mut registers.unreachable, at, None),
            What::Consent { given } => settle(&mut registers.withdrawn, at, !given),
            What::Cooling { category, until } => registers.cool(*category, Moment::from(*until)),
            What::Country { country } => settle(&mut registers.country, at, *country),
            What::WroteBefore => registers.wrote_before = true,
            What::Account { account } => {
                settle(&mut registers.account, at, account.clone());
                if let Some((known_at, known)) = &registers.account {
                    self.ledger = Ledger::read(&policy, known, Some(*known_at), Some(*known_at)).0;
                }
            }
        }
        Ok(())
    }

    /// Books an event of the customer, with all that its kind implies.
    pub(crate) fn open(&mut self, kind: usize, reference: Option<&str>, at: Moment) -> Result<(), UnknownName> {
        let policy = self.policy.clone();
        let Some(known) = policy.0.kinds.get(kind) else { return Ok(()) };
        if known.needs_ref && reference.is_none() {
            let what = "event without a reference of the kind";
            return Err(UnknownName { policy: policy.name().to_owned(), what, name: known.name.to_string() });
        }
        let reference = reference.filter(|_| known.needs_ref);
        let place = self.rows.iter().position(|row| row.kind == kind && row.reference.as_deref() == reference);
        let row = place.and_then(|place| self.rows.get_mut(place));
        match row {
            Some(row) if known.needs_ref => row.at = row.at.min(at),
            Some(row) if at > row.at => (row.at, row.sent) = (at, 0),
            Some(_) => {}
            None => self.rows.push(Row {
                kind,
                reference: reference.map(Into::into),
                at,
                start: at,
                recent: Vec::new(),
                before_recent: None,
                sent: 0,
            }),
        }
        if known.session.is_some()
            && let Some(row) = self.rows.iter_mut().find(|row| row.kind == kind)
            && let Err(place) = row.recent.binary_search(&at)
        {
            row.recent.insert(place, at);
        }
        self.rows.sort();
        let registers = &mut self.registers;
        if known.implies & standing::WROTE_BEFORE != 0 {
            registers.wrote_before = true;
        }
        if known.implies & standing::SUBSCRIBED != 0 {
            settle(&mut registers.unsubscribed, at, false);
        }
        if known.implies & standing::REACHABLE != 0 {
            settle(&mut registers.unreachable, at, None);
            settle(&mut registers.blocked_by_customer, at, false);
        }
        Ok(())
    }

    fn book(&mut self, send: Send) {
        match self.sends.iter_mut().find(|known| known.id == send.id) {
            Some(known) => {
                if send < *known {
                    *known = send;
                }
            }
            None => self.sends.push(send),
        }
        self.sends.sort();
    }

    /// Takes a refused message as evidence (R-515).
    pub(crate) fn refuse(&mut self, grant: usize, reference: Option<&str>, quota: Option<usize>, sent_at: Moment) {
        if let Some(reference) = reference {
            match self.refused_rights.iter_mut().find(|(known, _)| **known == *reference) {
                Some((_, known)) => *known = sent_at.max(*known),
                None => self.refused_rights.push((reference.into(), sent_at)),
            }
            self.refused_rights.sort();
            return;
        }
        match quota {
            Some(quota) => latest(&mut self.used_up, quota, sent_at),
            None => latest(&mut self.refused, grant, sent_at),
        }
        let policy = self.policy.clone();
        if quota.is_none() {
            session::refuse(&mut self.refused, grant, sent_at, &policy.0);
        }
        let opened = policy.0.grants.get(grant).is_some_and(|grant| grant.opened_by != 0);
        if !opened || policy.0.refusal_ends == RefusalEnds::ItsGrant {
            return;
        }
        for (position, opened) in policy.0.grants.iter().enumerate().filter(|(_, grant)| grant.opened_by != 0) {
            let counted = positions(opened.spends)
                .filter(|quota| policy.0.quotas.get(*quota).is_some_and(|quota| quota.per == Per::Opening));
            let counted: Vec<usize> = counted.collect();
            if quota.is_none() || counted.is_empty() {
                latest(&mut self.refused, position, sent_at);
            } else {
                for quota in counted {
                    latest(&mut self.used_up, quota, sent_at);
                }
            }
        }
    }

    /// Works out what follows from the rest.
    pub(crate) fn derive(&mut self) {
        let policy = self.policy.clone();
        let rules = &policy.0;
        session::derive(&mut self.rows, rules, &self.refused);
        let registers = &self.registers;
        let is = |register: &Option<(Moment, bool)>| register.is_some_and(|(_, value)| value);
        let bit = |condition: bool, bit: u8| if condition { bit } else { 0 };
        self.standing = bit(registers.wrote_before, standing::WROTE_BEFORE)
            | bit(registers.unsubscribed.is_some_and(|(_, value)| !value), standing::SUBSCRIBED)
            | bit(is(&registers.unsubscribed), standing::UNSUBSCRIBED)
            | bit(!is(&registers.withdrawn), standing::CONSENTED)
            | bit(is(&registers.out_of_marketing) || is(&registers.out_of_all), standing::OPTED_OUT_OF_MARKETING);
        self.barred = is(&registers.blocked_by_us)
            || is(&registers.blocked_by_customer)
            || is(&registers.out_of_all)
            || registers.unreachable.as_ref().is_some_and(|(_, reason)| reason.is_some())
            || self.ledger.suspended.is_some();
        self.elsewhere = OnceLock::new();
        self.slots = slots(self);
        self.fitting = fitting(self);
    }

    /// Books, for kinds that come after a message of ours, the events that do.
    pub(crate) fn answers(&mut self) {
        let policy = self.policy.clone();
        let rules = &policy.0;
        let Some(first_sent) = self.registers.first_sent else { return };
        for (kind, base) in rules.kinds.iter().enumerate().filter_map(|(kind, known)| Some((kind, known.after_send?))) {
            let newest = self.rows.iter().filter(|row| row.kind == base && row.at > first_sent).map(|row| row.at).max();
            if let Some(at) = newest {
                // The kind is declared, and a kind derived from another needs no reference.
                let _ = self.open(kind, None, at);
            }
        }
    }

    /// The same facts under another policy; what that policy doesn't have is left out.
    pub(crate) fn under(&self, policy: &Policy) -> Self {
        Self::restore(self.subject, policy, &self.snapshot()).0
    }

    /// These facts if they are that policy's own, else the same facts read again by their names: a rare case, and the only
    /// question that allocates.
    pub(crate) fn at_home(&self, policy: &Policy) -> &Facts {
        if self.policy.is(policy) {
            return self;
        }
        self.elsewhere.get_or_init(|| Box::new(self.under(policy))).at_home(policy)
    }

    /// Until when the platform takes no more templates of that category.
    #[inline]
    pub(crate) fn cooling(&self, category: Category) -> Option<Moment> {
        self.registers.cooling.get(category as usize).copied().flatten()
    }

    /// The newest event that was applied.
    pub fn newest_at(&self) -> Option<OffsetDateTime> {
        self.newest.map(Into::into)
    }
}

impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        self.subject == other.subject && self.policy.is(&other.policy) && self.snapshot() == other.snapshot()
    }
}

impl Eq for Facts {}

fn named(
    rules: &Rules,
    what: &'static str,
    name: &str,
    find: impl Fn(&Rules, &str) -> Option<usize>,
) -> Result<usize, UnknownName> {
    find(rules, name).ok_or_else(|| UnknownName { policy: rules.name.to_string(), what, name: name.to_owned() })
}
