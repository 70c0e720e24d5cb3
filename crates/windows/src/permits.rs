//! The permits alone, one by one, without touching the heap.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::facts::Facts;
use crate::grant::Grant;
use crate::judge::{Case, Held};
use crate::moment::Moment;
use crate::opened::Opened;
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
        self.permits_at(facts, ask, now.into())
    }

    pub(crate) fn permits_at<'a>(&'a self, facts: &'a Facts, ask: Ask, now: Moment) -> Permits<'a> {
        if facts.policy.is(self) {
            return Permits { policy: self, home: Home::Here(facts), next: 0, ask, now };
        }
        // Facts that were made under another policy are read again by their names: rare, and the one case that allocates.
        Permits { policy: self, home: Home::Elsewhere(Arc::new(facts.under(self))), next: 0, ask, now }
    }
}

/// The permits that hold, one by one.
#[derive(Debug, Clone)]
pub struct Permits<'a> {
    policy: &'a Policy,
    home: Home<'a>,
    next: usize,
    ask: Ask,
    now: Moment,
}

/// Where the facts are.
#[derive(Debug, Clone)]
enum Home<'a> {
    Here(&'a Facts),
    Elsewhere(Arc<Facts>),
}

impl Home<'_> {
    fn facts(&self) -> &Facts {
        match self {
            Home::Here(facts) => facts,
            Home::Elsewhere(facts) => facts,
        }
    }
}

impl<'a> Iterator for Permits<'a> {
    type Item = Allowed<'a>;

    fn next(&mut self) -> Option<Allowed<'a>> {
        let facts = self.home.facts();
        while let Some(slot) = facts.slots.get(self.next) {
            self.next += 1;
            let Self { policy, ask, now, next, .. } = *self;
            let position = slot.position;
            let Some(grant) = policy.0.grants.get(position) else { continue };
            let case = Case { policy, facts, ask, now, position, grant, opened: slot.opened.as_ref() };
            if let Some(held) = case.held() {
                return Some(Allowed {
                    policy,
                    grant,
                    position,
                    home: self.home.clone(),
                    slot: next - 1,
                    ask,
                    now,
                    held,
                });
            }
        }
        None
    }
}

/// One grant that holds.
#[derive(Debug, Clone)]
pub struct Allowed<'a> {
    policy: &'a Policy,
    grant: &'a Grant,
    position: usize,
    home: Home<'a>,
    slot: usize,
    ask: Ask,
    now: Moment,
    held: Held,
}

impl<'a> Allowed<'a> {
    /// The grant.
    pub fn grant(&self) -> &'a Grant {
        self.grant
    }

    /// The grant's name.
    pub fn name(&self) -> &'a str {
        self.grant.name()
    }

    /// What the send must refer to.
    pub fn reference(&self) -> Option<&str> {
        self.opened()?.reference(self.home.facts())
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
        let Self { policy, grant, position, ask, now, .. } = *self;
        let case = Case { policy, facts: self.home.facts(), ask, now, position, grant, opened: self.opened() };
        Permit::new(&case, self.held)
    }

    fn opened(&self) -> Option<&Opened> {
        self.home.facts().slots.get(self.slot)?.opened.as_ref()
    }
}
