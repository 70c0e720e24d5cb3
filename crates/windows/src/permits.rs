//! The permits alone, one by one, without touching the heap.

use time::OffsetDateTime;

use crate::facts::Facts;
use crate::grant::Grant;
use crate::judge::{Case, Held};
use crate::moment::Moment;
use crate::permit::Permit;
use crate::policy::Policy;
use crate::vocabulary::Ask;

impl Policy {
    /// What may be sent now, in the order of preference: one item for each grant that holds, and for each right of its
    /// own under it. Nothing is allocated, so this is the question for lists of many conversations.
    ///
    /// ```
    /// use time::macros::datetime;
    /// use transom_windows::{Ask, Event, Facts, Policies, Sender, Subject};
    ///
    /// let policies = Policies::builtin()?;
    /// let wechat = policies.get("wechat").ok_or("no such policy")?;
    /// let mut facts = Facts::new(Subject::new(1), wechat);
    /// facts.apply(wechat, &Event::opening(datetime!(2026-03-01 09:00 UTC), "message"))?;
    ///
    /// let first = wechat.permits(&facts, Ask::by(Sender::Human), datetime!(2026-03-02 09:00 UTC)).next();
    /// assert_eq!(first.and_then(|allowed| allowed.remaining()), Some(20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn permits<'a>(&'a self, facts: &'a Facts, ask: Ask, now: OffsetDateTime) -> Permits<'a> {
        Permits { policy: self, facts: facts.at_home(self), next: 0, ask, now: now.into() }
    }
}

/// The permits that hold, one by one.
#[derive(Debug, Clone)]
pub struct Permits<'a> {
    policy: &'a Policy,
    facts: &'a Facts,
    next: usize,
    ask: Ask,
    now: Moment,
}

impl<'a> Iterator for Permits<'a> {
    type Item = Allowed<'a>;

    fn next(&mut self) -> Option<Allowed<'a>> {
        while let Some(slot) = self.facts.slots.get(self.next) {
            self.next += 1;
            let Self { policy, facts, ask, now, .. } = *self;
            let position = slot.position;
            let Some(grant) = policy.0.grants.get(position) else { continue };
            let case = Case { policy, facts, ask, now, position, grant, opened: slot.opened.as_ref() };
            if let Some(held) = case.held() {
                return Some(Allowed { case, held });
            }
        }
        None
    }
}

/// One grant that holds.
#[derive(Debug, Clone, Copy)]
pub struct Allowed<'a> {
    case: Case<'a>,
    held: Held,
}

impl<'a> Allowed<'a> {
    /// The grant.
    pub fn grant(&self) -> &'a Grant {
        self.case.grant
    }

    /// The grant's name.
    pub fn name(&self) -> &'a str {
        self.case.grant.name()
    }

    /// What the send must refer to.
    pub fn reference(&self) -> Option<&'a str> {
        self.case.opened?.reference(self.case.facts)
    }

    /// When it ends, if the customer stays silent.
    pub fn lapses_at(&self) -> Option<OffsetDateTime> {
        self.held.lapses.map(Into::into)
    }

    /// The smallest room among its quotas; `None` if none limits it.
    pub fn remaining(&self) -> Option<u32> {
        self.held.remaining
    }

    /// The permit itself, to send with.
    pub fn permit(&self) -> Permit {
        Permit::new(&self.case, self.held)
    }
}
