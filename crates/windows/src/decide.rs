//! The whole answer: what may be sent, why the rest may not, and when that changes.

use smallvec::SmallVec;
use time::OffsetDateTime;

use crate::facts::Facts;
use crate::judge::{Case, Verdict};
use crate::moment::{Moment, sooner};
use crate::opened::Slot;
use crate::permit::{Permit, PermitRecord};
use crate::policy::Policy;
use crate::reason::{Cure, Objections, Refusal};
use crate::vocabulary::Ask;
use crate::window::{View, Window};

/// What may be sent at an instant, and why the rest may not. It serialises to the JSON of `evaluate`.
#[derive(Debug, Clone)]
pub struct Decision {
    pub(crate) policy: Policy,
    pub(crate) permits: Vec<Permit>,
    pub(crate) window: Window,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) next_change: Option<Moment>,
}

impl Decision {
    /// The policy that decided.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What may be sent, in the order of preference.
    pub fn permits(&self) -> &[Permit] {
        &self.permits
    }

    /// The permit to prefer.
    pub fn first(&self) -> Option<&Permit> {
        self.permits.first()
    }

    /// The permit of that grant, the first if it holds for several events.
    pub fn permit(&self, grant: &str) -> Option<&Permit> {
        self.permits.iter().find(|permit| permit.grant() == grant)
    }

    /// The conversation's window for this sender (R-209).
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The grants that don't hold, each with every reason.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// The next instant at which a permit comes or goes, if the customer stays silent; `None` if none ever does.
    pub fn next_change(&self) -> Option<OffsetDateTime> {
        self.next_change.map(Into::into)
    }
}

/// A stretch of time during which the same may be sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Interval {
    /// From then on.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Until then, exclusive; `None` for ever.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// What may be sent, as records: a permit for later is none yet.
    pub permits: Vec<PermitRecord>,
}

/// More turns than any person's facts hold; a bound, so that a timeline ends whatever a policy says.
const MOST_INTERVALS: usize = 1_000;

impl Policy {
    /// What may be sent now, why the rest may not, and when that changes.
    ///
    /// ```
    /// use time::macros::datetime;
    /// use transom_windows::{Ask, Event, Facts, Policies, Reason, Sender, Subject};
    ///
    /// let policies = Policies::builtin()?;
    /// let whatsapp = policies.get("whatsapp").ok_or("no such policy")?;
    /// let mut facts = Facts::new(Subject::new(1), whatsapp);
    /// facts.apply(whatsapp, &Event::opening(datetime!(2026-03-01 09:00 UTC), "message"))?;
    ///
    /// let decision = whatsapp.decide(&facts, Ask::by(Sender::Human), datetime!(2026-03-02 15:00 UTC));
    /// assert_eq!(decision.first().map(|permit| permit.grant()), Some("utility_template"));
    /// let refused = decision.refusals().iter().find(|refusal| refusal.grant() == "customer_service").ok_or("it holds")?;
    /// assert!(refused.because().any(|because| because.reason() == Reason::WindowOver));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decide(&self, facts: &Facts, ask: Ask, now: OffsetDateTime) -> Decision {
        self.decide_at(facts, ask, now.into())
    }

    fn decide_at(&self, facts: &Facts, ask: Ask, now: Moment) -> Decision {
        let facts = facts.at_home(self);
        let (mut permits, mut refusals) = (Vec::new(), Vec::<Refusal>::with_capacity(self.0.grants.len()));
        let mut next_change: Option<Moment> = None;
        let mut views = SmallVec::<[View<'_>; 12]>::new();
        let mut holds = None;
        for Slot { position, opened } in &facts.slots {
            let position = *position;
            let Some(grant) = self.0.grants.get(position) else { continue };
            let case = Case { policy: self, facts, ask, now, position, grant, opened: opened.as_ref() };
            let (turn, view) = match case.explain() {
                Verdict::Holds(held) => {
                    permits.push(Permit::new(&case, held));
                    holds = Some(position);
                    refusals.pop_if(|refusal| refusal.grant == position);
                    (held.lapses, View::held(&case, held.lapses))
                }
                Verdict::Refused(objections) => {
                    let turn = begins(&case, &objections);
                    let view = View::refused(&case, &objections);
                    // Of several rights that are over, the newest one speaks for the grant, unless another holds.
                    refusals.pop_if(|refusal| refusal.grant == position);
                    if holds != Some(position) {
                        refusals.push(Refusal {
                            policy: self.clone(),
                            grant: position,
                            objections: complete(&case, objections),
                        });
                    }
                    (turn, view)
                }
            };
            next_change = sooner(next_change, turn);
            views.push(view);
        }
        let window = Window::of(self, &views, ask, now);
        Decision { policy: self.clone(), permits, window, refusals, next_change }
    }

    /// What may be sent from an instant on, interval by interval, if the customer stays silent and nothing is sent (R-504).
    pub fn timeline(&self, facts: &Facts, ask: Ask, from: OffsetDateTime) -> Vec<Interval> {
        let mut intervals = Vec::new();
        let mut start = Some(Moment::from(from));
        while let Some(now) = start.filter(|_| intervals.len() < MOST_INTERVALS) {
            let decision = self.decide_at(facts, ask, now);
            intervals.push(Interval {
                from: now.into(),
                until: decision.next_change(),
                permits: decision.permits.iter().map(Permit::record).collect(),
            });
            start = decision.next_change;
        }
        intervals
    }
}

/// When a grant that does not hold begins to hold without any event: once its last reason has ended by itself. Each
/// reason holds until its own end, so nothing can happen before.
fn begins(case: &Case<'_>, objections: &Objections) -> Option<Moment> {
    let mut at = ends(objections)?;
    // A reason that ended may leave another behind it, which ends in turn; each turn is later than the one before.
    for _ in 0..MOST_INTERVALS {
        match case.at(at).explain() {
            Verdict::Holds(_) => return Some(at),
            Verdict::Refused(objections) => at = ends(&objections).filter(|later| *later > at)?,
        }
    }
    None
}

/// When the last of the reasons ends by itself, if all of them do.
fn ends(objections: &Objections) -> Option<Moment> {
    objections
        .iter()
        .map(|objection| objection.until)
        .try_fold(None, |last, until| until.map(|until| last.max(Some(until))))?
}

/// Adds what stands against the grant once its remedies have been waited for: a window or a date that is over by then.
fn complete(case: &Case<'_>, mut objections: Objections) -> Objections {
    let mut waited = case.now;
    while let Some(until) = waits(&objections).filter(|until| *until > waited) {
        waited = until;
        let Verdict::Refused(later) = case.at(until).explain() else { continue };
        for later in later {
            match objections.iter_mut().find(|known| known.concerns() == later.concerns()) {
                Some(known) if known.until.is_none_or(|end| end > until) => {}
                Some(known) => *known = later,
                None => objections.push(later),
            }
        }
    }
    objections
}

/// How long the remedies ask to wait.
fn waits(objections: &Objections) -> Option<Moment> {
    objections.iter().filter(|objection| objection.cure == Cure::Wait).filter_map(|objection| objection.until).max()
}
