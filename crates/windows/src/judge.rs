//! Whether one grant holds. The only place that answers it: a bare permit and a full explanation run the same code.

use std::ops::ControlFlow;

use time::OffsetDateTime;

use crate::facts::{Facts, look_up};
use crate::grant::{Grant, standing};
use crate::moment::{Moment, sooner};
use crate::opened::Opened;
use crate::policy::{Bits, Policy, Rules, positions};
use crate::reason::{Cure, Objection, Objections, Particular, Reason};
use crate::room::Meter;
use crate::vocabulary::{Ask, Category, CategorySet, Sender};

/// A grant that holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// When it stops holding, without any event.
    pub(crate) lapses: Option<Moment>,
    /// The smallest room among its quotas.
    pub(crate) remaining: Option<u32>,
    /// The categories of template it carries now.
    pub(crate) categories: CategorySet,
    /// The quotas that count a message now.
    pub(crate) counted: u64,
}

/// The answer about one grant.
pub(crate) enum Verdict {
    Holds(Held),
    /// With every reason.
    Refused(Objections),
}

/// Where objections go. Whoever only asks whether a grant holds stops at the first.
pub(crate) trait Hearing {
    fn object(&mut self, objection: impl FnOnce() -> Objection) -> ControlFlow<()>;
}

/// Stops at the first objection.
pub(crate) struct Brief;

impl Hearing for Brief {
    fn object(&mut self, _: impl FnOnce() -> Objection) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// Collects every objection.
impl Hearing for Objections {
    fn object(&mut self, objection: impl FnOnce() -> Objection) -> ControlFlow<()> {
        self.push(objection());
        ControlFlow::Continue(())
    }
}

/// One question about one grant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) facts: &'a Facts,
    pub(crate) ask: Ask,
    pub(crate) now: Moment,
    pub(crate) position: usize,
    pub(crate) grant: &'a Grant,
    pub(crate) opened: Option<&'a Opened>,
}

impl<'a> Case<'a> {
    #[inline]
    fn rules(&self) -> &'a Rules {
        &self.policy.0
    }

    /// The same question at another instant.
    pub(crate) fn at(&self, now: Moment) -> Self {
        Self { now, ..*self }
    }

    /// Every reason against the grant, or how it holds.
    pub(crate) fn explain(&self) -> Verdict {
        let mut objections = Objections::new();
        // Whoever collects never breaks off.
        let _ = self.gate(&mut objections);
        let _ = self.lasting_conditions(&mut objections);
        match self.passing_conditions(&mut objections) {
            ControlFlow::Continue(held) if objections.is_empty() => Verdict::Holds(held),
            _ => Verdict::Refused(objections),
        }
    }

    /// How the grant holds, if it does. The lasting conditions are known from the facts.
    #[inline]
    pub(crate) fn held(&self) -> Option<Held> {
        if self.facts.barred || self.facts.fitting & 1 << self.position == 0 {
            return None;
        }
        match self.passing_conditions(&mut Brief) {
            ControlFlow::Continue(held) => Some(held),
            ControlFlow::Break(()) => None,
        }
    }

    /// What bars every grant.
    fn gate(&self, hearing: &mut impl Hearing) -> ControlFlow<()> {
        let Facts { registers, ledger, .. } = self.facts;
        let is = |register: &Option<(Moment, bool)>| register.is_some_and(|(_, value)| value);
        let heard = || match self.rules().kinds_implying(standing::REACHABLE) {
            0 => Cure::None,
            kinds => Cure::CustomerEvent(kinds),
        };
        if let Some(said) = &ledger.suspended {
            hearing.object(|| {
                Objection::new(Reason::AccountSuspended, Cure::Account).about(Particular::Said(Some(said.clone())))
            })?;
        }
        if is(&registers.blocked_by_us) {
            hearing.object(|| Objection::new(Reason::Blocked, Cure::Unblock).about(Particular::ByUs))?;
        }
        if is(&registers.blocked_by_customer) {
            hearing.object(|| Objection::new(Reason::Blocked, heard()).about(Particular::ByCustomer))?;
        }
        if is(&registers.out_of_all) {
            hearing.object(|| Objection::new(Reason::OptedOut, Cure::Consent).about(Particular::All))?;
        }
        if let Some((_, Some(said))) = &registers.unreachable {
            hearing
                .object(|| Objection::new(Reason::Unreachable, heard()).about(Particular::Said(Some(said.clone()))))?;
        }
        ControlFlow::Continue(())
    }

    /// What depends on the sender, the message and the instant.
    #[inline]
    fn passing_conditions(&self, hearing: &mut impl Hearing) -> ControlFlow<(), Held> {
        let Grant { by, from, until, .. } = self.grant;
        if !by.contains(self.ask.sender()) {
            hearing.object(|| Objection::new(Reason::SenderKind, Cure::Sender(*by)))?;
        }
        if let Some(from) = from.filter(|from| self.now < *from) {
            hearing.object(|| Objection::new(Reason::NotInForce, Cure::Wait).until(Some(from)))?;
        }
        if let Some(until) = until.filter(|until| self.now >= *until) {
            hearing.object(|| Objection::new(Reason::NotInForce, Cure::None).about(Particular::Ended(until)))?;
        }
        let open = self.time(hearing)?;
        let categories = self.categories(hearing)?;
        let quotas = self.quotas(open, hearing)?;
        let end = self.opened.and_then(|opened| opened.end);
        let lapses = sooner(sooner(end, *until), quotas.fills);
        ControlFlow::Continue(Held { lapses, remaining: quotas.left, categories, counted: quotas.counted })
    }

    /// What the grant asks of the countries, the account and the person.
    fn lasting_conditions(&self, hearing: &mut impl Hearing) -> ControlFlow<()> {
        let Grant { needs, unless, .. } = self.grant;
        let Facts { standing: known, ledger, registers, .. } = self.facts;
        if let Some(countries) = &self.grant.countries {
            let contact = registers.country.and_then(|(_, country)| country);
            if !countries.allow(contact, ledger.country) {
                hearing.object(|| {
                    Objection::new(Reason::Country, Cure::None).about(Particular::Countries(contact, ledger.country))
                })?;
            }
        }
        let missing = needs.features & !ledger.features;
        if missing != 0 {
            hearing
                .object(|| Objection::new(Reason::FeatureOff, Cure::Feature).about(Particular::Features(missing)))?;
        }
        let excluded = unless.features & ledger.features;
        if excluded != 0 {
            hearing
                .object(|| Objection::new(Reason::SwitchedOff, Cure::Account).about(Particular::Features(excluded)))?;
        }
        let lacking = needs.templates.without(ledger.templates);
        if !lacking.is_empty() {
            hearing
                .object(|| Objection::new(Reason::NoTemplate, Cure::Template).about(Particular::Categories(lacking)))?;
        }
        if !unless.templates.and(ledger.templates).is_empty() {
            hearing.object(|| Objection::new(Reason::SwitchedOff, Cure::None))?;
        }
        let missing = needs.standing & !known;
        let excluded = unless.standing & known;
        if missing | excluded != 0 { self.person(missing, excluded, hearing) } else { ControlFlow::Continue(()) }
    }

    fn person(&self, missing: u8, excluded: u8, hearing: &mut impl Hearing) -> ControlFlow<()> {
        if missing & standing::WROTE_BEFORE != 0 {
            let cure = match self.rules().kinds_implying(standing::WROTE_BEFORE) {
                0 => Cure::None,
                kinds => Cure::CustomerEvent(kinds),
            };
            hearing.object(|| Objection::new(Reason::UnknownPerson, cure))?;
        }
        if missing & standing::SUBSCRIBED != 0 || excluded & standing::UNSUBSCRIBED != 0 {
            hearing.object(|| Objection::new(Reason::NotSubscribed, Cure::Subscribe))?;
        }
        if missing & standing::CONSENTED != 0 {
            hearing.object(|| Objection::new(Reason::NotConsented, Cure::Consent))?;
        }
        if excluded & standing::OPTED_OUT_OF_MARKETING != 0 {
            hearing.object(|| Objection::new(Reason::OptedOut, Cure::Consent).about(Particular::Marketing))?;
        }
        if missing & standing::OPTED_OUT_OF_MARKETING != 0 || excluded & standing::CONSENTED != 0 {
            hearing.object(|| Objection::new(Reason::SwitchedOff, Cure::None).about(Particular::Consented))?;
        }
        ControlFlow::Continue(())
    }

    /// What the message is about; returns the categories of template that the grant carries now.
    #[inline]
    fn categories(&self, hearing: &mut impl Hearing) -> ControlFlow<(), CategorySet> {
        let Facts { standing: known, ledger, .. } = self.facts;
        let opted_out = known & standing::OPTED_OUT_OF_MARKETING != 0;
        let marketing = CategorySet::NONE.with(Category::Marketing);
        let carried = self.grant.templates();
        if carried.is_empty() {
            self.content(opted_out, hearing)?;
            return ControlFlow::Continue(CategorySet::NONE);
        }
        let asked = match self.ask.about() {
            None => carried,
            Some(category) if carried.contains(category) => CategorySet::NONE.with(category),
            Some(_) => {
                hearing
                    .object(|| Objection::new(Reason::Category, Cure::None).about(Particular::Categories(carried)))?;
                return ControlFlow::Continue(carried);
            }
        };
        let cold = self.cold(carried);
        let approved = asked.and(ledger.templates);
        if approved.is_empty() {
            hearing
                .object(|| Objection::new(Reason::NoTemplate, Cure::Template).about(Particular::Categories(asked)))?;
        }
        // Whatever is missing already, the next reason is asked of what would be left without it.
        let left = if approved.is_empty() { asked } else { approved };
        let wanted = if opted_out { left.without(marketing) } else { left };
        if wanted.is_empty() {
            hearing.object(|| Objection::new(Reason::OptedOut, Cure::Consent).about(Particular::Marketing))?;
        }
        let left = if wanted.is_empty() { left } else { wanted };
        if left.without(cold).is_empty() {
            let until = left.iter().filter_map(|category| self.facts.cooling(category)).min();
            hearing.object(|| {
                Objection::new(Reason::CoolingDown, Cure::Wait).about(Particular::Categories(left)).until(until)
            })?;
        }
        let usable = carried.and(ledger.templates).without(cold);
        ControlFlow::Continue(if opted_out { usable.without(marketing) } else { usable })
    }

    /// What a message without a template is about.
    #[inline]
    fn content(&self, opted_out: bool, hearing: &mut impl Hearing) -> ControlFlow<()> {
        let Some(category) = self.ask.about() else { return ControlFlow::Continue(()) };
        if category == Category::Marketing && !self.grant.promotional {
            hearing.object(|| Objection::new(Reason::Category, Cure::None).about(Particular::Promotion))?;
        }
        if category == Category::Marketing && opted_out {
            hearing.object(|| Objection::new(Reason::OptedOut, Cure::Consent).about(Particular::Marketing))?;
        }
        // An answer inside a window that the customer opened is never held back.
        if self.grant.opened_by == 0 && self.is_cooling(category) {
            let only = CategorySet::NONE.with(category);
            hearing.object(|| {
                Objection::new(Reason::CoolingDown, Cure::Wait)
                    .about(Particular::Categories(only))
                    .until(self.facts.cooling(category))
            })?;
        }
        ControlFlow::Continue(())
    }

    /// Those of the categories that the platform takes no more of.
    #[inline]
    fn cold(&self, categories: CategorySet) -> CategorySet {
        if self.facts.registers.cooling.iter().all(Option::is_none) {
            return CategorySet::NONE;
        }
        categories.iter().filter(|category| self.is_cooling(*category)).collect()
    }

    #[inline]
    fn is_cooling(&self, category: Category) -> bool {
        self.facts.cooling(category).is_some_and(|until| self.now < until)
    }

    /// Whether the window is open; returns whether its count is worth asking.
    #[inline]
    fn time(&self, hearing: &mut impl Hearing) -> ControlFlow<(), bool> {
        let again = Cure::CustomerEvent(self.grant.opened_by);
        if self.grant.opened_by == 0 {
            let refused = look_up(&self.facts.refused, self.position);
            if let Some(at) = refused.filter(|refused| !self.was_heard_after(*refused)) {
                let cure =
                    Cure::CustomerEvent(self.rules().kinds_implying(standing::REACHABLE | standing::WROTE_BEFORE));
                hearing.object(|| Objection::new(Reason::RefusedByPlatform, cure).about(Particular::RefusedAt(at)))?;
            }
            return ControlFlow::Continue(true);
        }
        let Some(opened) = self.opened else {
            hearing.object(|| Objection::new(Reason::NeverOpened, again))?;
            return ControlFlow::Continue(false);
        };
        if let Some(closed) = opened.end.filter(|end| *end <= self.now) {
            hearing.object(|| Objection::new(Reason::WindowOver, again).about(Particular::Closed(closed)))?;
            return ControlFlow::Continue(false);
        }
        if let Some(at) = opened.refused {
            hearing.object(|| Objection::new(Reason::RefusedByPlatform, again).about(Particular::RefusedAt(at)))?;
            return ControlFlow::Continue(false);
        }
        ControlFlow::Continue(true)
    }

    fn was_heard_after(&self, at: Moment) -> bool {
        let heard = self.rules().kinds_implying(standing::REACHABLE | standing::WROTE_BEFORE);
        self.facts.rows.iter().any(|row| heard & 1 << row.kind != 0 && row.at > at)
    }

    /// One of the grant's quotas.
    #[inline]
    pub(crate) fn meter(&self, position: usize, opened: Option<&'a Opened>) -> Option<Meter<'a>> {
        let quota = self.rules().quotas.get(position)?;
        Some(Meter { facts: self.facts, position, quota, grant: self.grant, opened })
    }

    /// What the quotas leave.
    #[inline]
    fn quotas(&self, open: bool, hearing: &mut impl Hearing) -> ControlFlow<(), Quotas> {
        let mut quotas = Quotas { left: None, counted: 0, fills: None };
        for position in positions(self.grant.spends) {
            // A window that is not open will be opened anew, with nothing counted on it.
            let Some(meter) = self.meter(position, self.opened.filter(|_| open)) else { continue };
            let cost = self.ask.costs();
            let free = meter.free_until(self.now);
            let left = if free.is_some() { None } else { meter.counted_left(self.now) };
            if left.is_some_and(|left| left < meter.counted(cost)) {
                let mut more = Objections::new();
                hearing.object(|| {
                    more = meter.objections(self.now, cost);
                    more.pop().unwrap_or(Objection::new(Reason::QuotaUsed, Cure::None))
                })?;
                while let Some(objection) = more.pop() {
                    hearing.object(|| objection)?;
                }
            }
            quotas.left = match (quotas.left, left) {
                (Some(least), Some(left)) => Some(least.min(left)),
                (least, left) => least.or(left),
            };
            quotas.counted |= u64::from(free.is_none()) << position;
            quotas.fills = sooner(quotas.fills, meter.fills_at(self.now, free, cost));
        }
        ControlFlow::Continue(quotas)
    }
}

/// What the quotas of a grant leave.
struct Quotas {
    /// The smallest room.
    left: Option<u32>,
    /// Those that count a message now.
    counted: Bits,
    /// When one of them will be full without any event.
    fills: Option<Moment>,
}

/// The grants whose conditions on the person, the account and the countries are met, whoever asks and whenever.
pub(crate) fn fitting(facts: &Facts) -> Bits {
    let policy = &facts.policy;
    let ask = Ask::by(Sender::Human);
    let now = Moment::from(OffsetDateTime::UNIX_EPOCH);
    let cases = policy.0.grants.iter().enumerate();
    let cases = cases.map(|(position, grant)| Case { policy, facts, ask, now, position, grant, opened: None });
    let fits = cases.filter(|case| case.lasting_conditions(&mut Brief).is_continue());
    fits.fold(0, |bits, case| bits | 1 << case.position)
}
