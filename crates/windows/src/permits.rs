//! The permits alone, one by one, without touching the heap.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::facts::Facts;
use crate::judge::{Brief, Case, Held, Opened};
use crate::moment::Moment;
use crate::permit::Permit;
use crate::policy::{CountedFrom, Grant, Policy};
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
            return Permits(Source::These { walk: Walk::new(self, facts), ask, now });
        }
        // Facts that were made under another policy are read again by their names: rare, and the one case that allocates.
        let facts = Arc::new(facts.under(self));
        let all: Vec<Allowed<'a>> = self
            .permits_at_home(&facts, ask, now)
            .map(|allowed| Allowed {
                policy: self,
                facts: Home::Elsewhere(Arc::clone(&facts)),
                ask,
                now,
                position: allowed.position,
                held: allowed.held,
                reference: allowed.reference.map(|reference| Cow::Owned(reference.into_owned())),
            })
            .collect();
        Permits(Source::Others(all.into_iter()))
    }

    fn permits_at_home<'a>(&'a self, facts: &'a Facts, ask: Ask, now: Moment) -> Permits<'a> {
        Permits(Source::These { walk: Walk::new(self, facts), ask, now })
    }
}

/// The permits that hold, one by one.
#[derive(Debug)]
pub struct Permits<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    These { walk: Walk<'a>, ask: Ask, now: Moment },
    Others(std::vec::IntoIter<Allowed<'a>>),
}

impl<'a> Iterator for Permits<'a> {
    type Item = Allowed<'a>;

    fn next(&mut self) -> Option<Allowed<'a>> {
        match &mut self.0 {
            Source::Others(all) => all.next(),
            Source::These { walk, .. } if walk.facts.barred => None,
            Source::These { walk, ask, now } => {
                let (ask, now) = (*ask, *now);
                let (policy, facts) = (walk.policy, walk.facts);
                loop {
                    let step = walk.next()?;
                    let case = step.case(policy, facts, ask, now);
                    if let ControlFlow::Continue(Some(held)) = case.hear(&mut Brief) {
                        let reference = step.opened.and_then(|opened| opened.reference).map(Cow::Borrowed);
                        let facts = Home::Here(facts);
                        return Some(Allowed { policy, facts, ask, now, position: step.position, held, reference });
                    }
                }
            }
        }
    }
}

/// One grant that holds.
#[derive(Debug, Clone)]
pub struct Allowed<'a> {
    policy: &'a Policy,
    facts: Home<'a>,
    ask: Ask,
    now: Moment,
    pub(crate) position: usize,
    pub(crate) held: Held,
    pub(crate) reference: Option<Cow<'a, str>>,
}

impl<'a> Allowed<'a> {
    /// The grant.
    pub fn grant(&self) -> Option<&'a Grant> {
        self.policy.0.grants.get(self.position)
    }

    /// The grant's name.
    pub fn name(&self) -> &'a str {
        self.grant().map_or("", Grant::name)
    }

    /// What the send must refer to.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
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
        let facts = match &self.facts {
            Home::Here(facts) => facts,
            Home::Elsewhere(facts) => &**facts,
        };
        Permit::new(self.policy, self.position, facts, self.ask, self.now, self.held, self.reference.as_deref())
    }
}

/// Where the facts are that a permit is made of.
#[derive(Debug, Clone)]
enum Home<'a> {
    Here(&'a Facts),
    Elsewhere(Arc<Facts>),
}

/// Each grant with what opened it; a grant whose every event is a right of its own comes once for each.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    policy: &'a Policy,
    facts: &'a Facts,
    position: usize,
    row: usize,
}

/// One grant with what opened it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) position: usize,
    pub(crate) grant: &'a Grant,
    pub(crate) opened: Option<Opened<'a>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(policy: &'a Policy, facts: &'a Facts) -> Self {
        Self { policy, facts, position: 0, row: 0 }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    /// A grant of which each event is a right comes at least once: without any, it has not been opened.
    fn next(&mut self) -> Option<Step<'a>> {
        let position = self.position;
        let grant = self.policy.0.grants.get(position)?;
        if grant.opened_by == 0 || grant.counted_from != CountedFrom::Each {
            self.position += 1;
            let opened = if grant.opened_by == 0 { None } else { Opened::find(self.facts, grant) };
            return Some(Step { position, grant, opened });
        }
        let rights = |from: usize| {
            let rows = self.facts.rows.iter().enumerate().skip(from);
            rows.filter(|(_, row)| grant.opened_by & 1 << row.kind != 0)
        };
        let first = rights(self.row).next();
        let next = rights(first.map_or(usize::MAX, |(row, _)| row + 1)).next();
        (self.position, self.row) = next.map_or((position + 1, 0), |(row, _)| (position, row));
        Some(Step { position, grant, opened: first.map(|(_, row)| Opened::right(row)) })
    }
}

impl<'a> Step<'a> {
    pub(crate) fn case(&self, policy: &'a Policy, facts: &'a Facts, ask: Ask, now: Moment) -> Case<'a> {
        Case { policy, facts, ask, now, position: self.position, grant: self.grant, opened: self.opened }
    }
}
