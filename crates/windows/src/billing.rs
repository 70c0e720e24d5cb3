//! A platform that says how it counted a message has the last word on the ledger.

use crate::facts::Facts;
use crate::grant::Grant;
use crate::permit::{Permit, Spend, period};
use crate::policy::{Policy, positions};

/// What changes in the ledger when the platform counted a message by another grant than the one it was sent by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebooking {
    /// The grant by which it counted.
    pub grant: String,
    /// Used, and now free again: the platform found a grant that stands before the one it was sent by.
    pub release: Vec<Spend>,
    /// Not taken, and used.
    pub book: Vec<Spend>,
}

impl Policy {
    /// What the platform's own word on how it counted a message changes; `None` if it is counted as it was sent, or the word
    /// means nothing here.
    ///
    /// A grant that stands before the one of the permit takes its place. One that stands behind it comes on top: the platform
    /// went past the permit's grant because that was used up, so what it spends stays used (viber.md 1.3).
    ///
    /// ```
    /// use time::macros::datetime;
    /// use transom_windows::{Ask, Event, Facts, Policies, Sender, Subject};
    ///
    /// let policies = Policies::builtin()?;
    /// let viber = policies.get("viber").ok_or("no such policy")?;
    /// let mut facts = Facts::new(Subject::new(1), viber);
    /// facts.apply(viber, &Event::opening(datetime!(2026-03-01 09:00 UTC), "message"))?;
    /// let decision = viber.decide(&facts, Ask::by(Sender::Human), datetime!(2026-03-01 10:00 UTC));
    ///
    /// let permit = &decision.permits()[0];
    /// let anew = viber.rebooking(&facts, permit, "out of session, free").ok_or("counted as sent")?;
    /// assert_eq!((permit.grant(), anew.grant.as_str()), ("session", "initiated"));
    /// assert_eq!(anew.book[0].quota, "monthly_free");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rebooking(&self, facts: &Facts, permit: &Permit, word: &str) -> Option<Rebooking> {
        let rules = &self.0;
        let sent_by = rules.grant(permit.grant())?;
        let counted_by = rules.grants.iter().position(|grant| grant.billed_as().any(|known| known == word))?;
        let (from, to) = (rules.grants.get(sent_by)?, rules.grants.get(counted_by)?);
        if sent_by == counted_by {
            return None;
        }
        let limits = &facts.at_home(self).ledger.limits;
        let spends = |of: &Grant, but: &Grant| {
            let own = positions(of.spends & !but.spends).filter_map(|position| {
                let quota = rules.quotas.get(position)?;
                Some(Spend {
                    quota: quota.name.to_string(),
                    scope: quota.scope,
                    period: period(quota, permit.decided())?,
                    used: None,
                    cost: permit.cost(),
                    limit: limits.get(position).copied().flatten(),
                })
            });
            own.collect::<Vec<_>>()
        };
        let release = if counted_by < sent_by { spends(from, to) } else { Vec::new() };
        Some(Rebooking { grant: to.name().to_owned(), release, book: spends(to, from) })
    }
}
