//! How much room the quotas leave.

use smallvec::SmallVec;

use crate::facts::{Facts, look_up};
use crate::grant::{CountedFrom, Grant};
use crate::ledger::Use;
use crate::moment::{Moment, sooner};
use crate::opened::Opened;
use crate::quota::{Counts, Per, Quota, Scope};
use crate::reason::{Cure, Objection, Objections, Particular, Reason};

/// One quota, as it is for one person and one opening.
pub(crate) struct Meter<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) position: usize,
    pub(crate) quota: &'a Quota,
    pub(crate) grant: &'a Grant,
    pub(crate) opened: Option<&'a Opened>,
}

impl Meter<'_> {
    /// What a message of that cost counts here.
    #[inline]
    pub(crate) fn counted(&self, cost: u32) -> u32 {
        match self.quota.counts {
            Counts::Requests | Counts::Recipients => cost,
            Counts::DistinctRecipients => u32::from(!self.usage().is_some_and(|usage| usage.counts_me)),
        }
    }

    /// The room left at an instant; `None` if nothing is counted or nothing limits it.
    #[inline]
    pub(crate) fn left(&self, at: Moment) -> Option<u32> {
        if self.free_until(at).is_some() { None } else { self.counted_left(at) }
    }

    /// The same, where no other grant's window is open.
    #[inline]
    pub(crate) fn counted_left(&self, at: Moment) -> Option<u32> {
        // Somebody who is counted already takes no more room.
        if self.counted(1) == 0 {
            return None;
        }
        if self.is_used_up(at) {
            return Some(0);
        }
        self.limit().map(|limit| limit.saturating_sub(self.used(at)))
    }

    /// The next instant at which a message of that cost stops fitting, without any event. `free` is until when nothing
    /// is counted.
    #[inline]
    pub(crate) fn fills_at(&self, now: Moment, free: Option<Moment>, cost: u32) -> Option<Moment> {
        let is_full = |left: Option<u32>| left.is_some_and(|left| left < self.counted(cost));
        if let Some(end) = free.filter(|end| is_full(self.counted_left(*end))) {
            return Some(end);
        }
        if self.usage().is_none() && self.facts.used_up.is_empty() {
            return None;
        }
        let (current, start) = self.period(now)?;
        // A period that is still to come may be full already: by what is reported of it, or by a refusal.
        let reported = self.usage().and_then(|usage| usage.period);
        let refused = look_up(&self.facts.used_up, self.position).and_then(|at| self.period_number(at));
        let coming = |period: Option<i64>| {
            period.filter(|period| *period > current).map(&start).filter(|turn| is_full(self.left(*turn)))
        };
        sooner(coming(reported), coming(refused))
    }

    /// The reasons for which a message of that cost does not fit.
    pub(crate) fn objections(&self, now: Moment, cost: u32) -> Objections {
        let mut objections = Objections::new();
        let (Some(left), cost) = (self.left(now), self.counted(cost)) else { return objections };
        if cost <= left {
            return objections;
        }
        let limit = self.limit();
        let particular = Particular::Quota { quota: self.position, limit, left, cost };
        let (release, most) = self.release(now, cost);
        if left > 0 {
            let objection = Objection::new(Reason::CostTooHigh, Cure::Smaller(left));
            objections.push(objection.about(particular).until(release));
            return objections;
        }
        // Within a session, another event starts no count anew: it has to end first, and then be opened again.
        let session = self.opened.filter(|_| self.grant.counted_from == CountedFrom::First);
        let session_ends = session.filter(|_| self.quota.per == Per::Opening).and_then(|opened| opened.end);
        let release = session_ends.or(release);
        let event = match self.quota.per {
            Per::Opening if session_ends.is_some() => None,
            Per::Opening => Some(self.grant.opened_by),
            Per::RollingSinceOpening(_) => Some(self.quota.reset_by),
            _ => None,
        };
        let (cure, most) = match event {
            // A limit of nothing is a setting, unless the platform has said no as well.
            _ if limit == Some(0) => (if self.is_used_up(now) { Cure::None } else { Cure::Account }, most),
            Some(kinds) => (Cure::CustomerEvent(kinds), limit.unwrap_or(u32::MAX)),
            None if session_ends.is_some() => (Cure::Wait, limit.unwrap_or(u32::MAX)),
            None if release.is_some() => (Cure::Wait, most),
            None => (Cure::None, most),
        };
        objections.push(Objection::new(Reason::QuotaUsed, cure).about(particular.clone()).until(release));
        if cost > most && most > 0 {
            objections.push(Objection::new(Reason::CostTooHigh, Cure::Smaller(most)).about(particular));
        }
        objections
    }

    /// When there is room again without any event, and how much there can be at most: for the whole message, or for as
    /// much of it as will ever fit.
    fn release(&self, now: Moment, cost: u32) -> (Option<Moment>, u32) {
        let mut turns: SmallVec<[Moment; 8]> = self.turns(now).into_iter().filter(|at| *at > now).collect();
        turns.sort_unstable();
        let room = |at: &Moment| self.left(*at).unwrap_or(u32::MAX);
        let most = turns.iter().map(room).max().unwrap_or(0);
        let wanted = cost.min(most).max(1);
        (turns.iter().copied().find(|at| room(at) >= wanted), most)
    }

    /// The instants at which something stops being counted.
    fn turns(&self, now: Moment) -> SmallVec<[Moment; 8]> {
        let facts = self.facts;
        let used_up = look_up(&facts.used_up, self.position);
        match self.quota.per {
            Per::Opening => SmallVec::new(),
            Per::Month | Per::Day => {
                let Some((current, start)) = self.period(now) else { return SmallVec::new() };
                // The period may be followed by one that is full as well.
                let reported = self.usage().and_then(|usage| usage.period);
                let refused = used_up.and_then(|at| self.period_number(at));
                [Some(current), reported, refused].into_iter().flatten().map(|period| start(period + 1)).collect()
            }
            Per::Rolling(span) | Per::RollingSinceOpening(span) => {
                let sends = self.own_sends().map(|send| send.at.plus(span));
                let frees = self.usage().and_then(|usage| usage.frees_at);
                sends.chain(frees).chain(used_up.map(|at| at.plus(span))).collect()
            }
        }
    }

    /// The limit that holds, the policy's or the account's own.
    #[inline]
    pub(crate) fn limit(&self) -> Option<u32> {
        self.facts.ledger.limits.get(self.position).copied().flatten()
    }

    #[inline]
    fn usage(&self) -> Option<&Use> {
        self.facts.ledger.usage(self.position, self.quota, &self.facts.rows)
    }

    /// The number of the period at an instant, and how a period's number becomes its start.
    fn period(&self, at: Moment) -> Option<(i64, impl Fn(i64) -> Moment + use<>)> {
        let zone = self.quota.zone;
        let start: fn(i64, i32) -> Moment = match self.quota.per {
            Per::Month => Moment::start_of_month,
            Per::Day => Moment::start_of_day,
            _ => return None,
        };
        Some((self.period_number(at)?, move |period| start(period, zone)))
    }

    fn period_number(&self, at: Moment) -> Option<i64> {
        match self.quota.per {
            Per::Month => Some(at.month(self.quota.zone)),
            Per::Day => Some(at.day(self.quota.zone)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn used(&self, at: Moment) -> u32 {
        let reported = self.usage().map_or(0, |usage| match self.quota.per {
            Per::Month | Per::Day if usage.period.is_some() && usage.period != self.period_number(at) => 0,
            Per::Month | Per::Day => usage.used,
            _ => usage.used.saturating_sub(u32::from(usage.frees_at.is_some_and(|frees| frees <= at))),
        });
        let booked = self.opened.filter(|_| self.quota.per == Per::Opening).map_or(0, |opened| opened.sent);
        let own = if self.quota.scope == Scope::Identity && !self.facts.sends.is_empty() { self.own(at) } else { 0 };
        reported.saturating_add(booked).saturating_add(own)
    }

    /// What the person's own sends count at an instant.
    fn own(&self, at: Moment) -> u32 {
        let since = self.counts_since();
        let period = self.period_number(at);
        let right = self.opened.and_then(|opened| opened.reference(self.facts));
        let counts = self.own_sends().filter(|send| match self.quota.per {
            Per::Opening => {
                since.is_some_and(|since| send.at >= since) && (right.is_none() || send.reference.as_deref() == right)
            }
            Per::Month | Per::Day => self.period_number(send.at) == period,
            Per::Rolling(span) => send.at.plus(span) > at,
            Per::RollingSinceOpening(span) => send.at.plus(span) > at && since.is_none_or(|since| send.at >= since),
        });
        counts.fold(0, |sum, send| sum.saturating_add(self.unit(send.cost)))
    }

    fn unit(&self, cost: u32) -> u32 {
        if self.quota.counts == Counts::DistinctRecipients { 1 } else { cost }
    }

    fn own_sends(&self) -> impl Iterator<Item = &crate::facts::Send> {
        let spends = |grant: usize| {
            self.facts.policy.0.grants.get(grant).is_some_and(|grant| grant.spends & 1 << self.position != 0)
        };
        let counted = self.quota.scope == Scope::Identity;
        self.facts.sends.iter().filter(move |send| counted && spends(send.grant))
    }

    /// Since when sends count, for quotas that events of the customer start anew. A late event tells of a window that was open
    /// when we had it closed: what was sent in it was free as well.
    pub(crate) fn counts_since(&self) -> Option<Moment> {
        match self.quota.per {
            Per::Opening => {
                let start = self.opened?.start;
                Some(self.free_opening().and_then(Opened::whole_until).map_or(start, |end| end.max(start)))
            }
            Per::RollingSinceOpening(_) => self.quota.reset_at(&self.facts.rows),
            _ => None,
        }
    }

    /// Whether the platform has said that the present opening or period is used up.
    #[inline]
    fn is_used_up(&self, at: Moment) -> bool {
        let Some(refused) = look_up(&self.facts.used_up, self.position) else { return false };
        match self.quota.per {
            Per::Opening => self.opened.is_some_and(|opened| opened.start <= refused),
            Per::Month | Per::Day => self.period_number(refused) == self.period_number(at),
            Per::Rolling(span) => refused.plus(span) > at,
            Per::RollingSinceOpening(span) => {
                refused.plus(span) > at && self.counts_since().is_none_or(|since| since <= refused)
            }
        }
    }

    /// Until when nothing is counted, because another grant's window is open.
    #[inline]
    pub(crate) fn free_until(&self, at: Moment) -> Option<Moment> {
        self.free_opening()?.open_until(at)
    }

    #[inline]
    fn free_opening(&self) -> Option<&Opened> {
        let position = self.quota.free_within?;
        self.facts.slots.iter().find(|slot| slot.position == position)?.opened.as_ref()
    }
}
