//! One person who was kept under two ids.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use time::OffsetDateTime;

use crate::snapshot::{Opening, Person, Sent, Stamped};

impl Person {
    /// The facts of one person on one account that were kept under two ids (R-522): what they would be, had every event of
    /// both come in under one.
    ///
    /// So nothing is permitted that the whole history doesn't permit: a block, an opt-out or a refusal of either counts, as
    /// long as the other has nothing newer; messages sent under either are counted. Which of the two comes first makes no
    /// difference, and joining the same facts again adds nothing.
    ///
    /// Of messages known by number only (`sent_since`) on the same event, the greater number counts.
    ///
    /// # Example: who opted out under one id has opted out
    ///
    /// ```
    /// use time::macros::datetime;
    /// use transom_windows::{Ask, Event, Facts, OptOutScope, Policies, Sender, Snapshot, Subject, What};
    ///
    /// let policies = Policies::builtin()?;
    /// let sms = policies.get("sms").ok_or("no such policy")?;
    /// let (wrote, stopped) = (datetime!(2026-03-01 09:00 UTC), datetime!(2026-03-01 10:00 UTC));
    /// let told = |event| -> Result<_, Box<dyn std::error::Error>> {
    ///     let mut facts = Facts::new(Subject::new(7), sms);
    ///     facts.apply(sms, &event)?;
    ///     Ok(facts.snapshot().person)
    /// };
    /// let one = told(Event::opening(wrote, "message"))?;
    /// let other = told(Event::new(stopped, What::OptOut { scope: OptOutScope::All }))?;
    ///
    /// let both = Snapshot { person: one.joined_with(other), ..Snapshot::default() };
    /// let (facts, _) = Facts::restore(Subject::new(7), sms, &both);
    /// assert!(sms.decide(&facts, Ask::by(Sender::Human), stopped).permits().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn joined_with(self, other: Self) -> Self {
        Self {
            openings: openings(self.openings, other.openings),
            sends: sends(self.sends, other.sends),
            first_sent_at: earliest(self.first_sent_at, other.first_sent_at),
            wrote_before: self.wrote_before || other.wrote_before,
            // Of two at the same instant the more cautious counts: whoever may be both is not subscribed.
            subscribed: newest_by(self.subscribed, other.subscribed, |subscribed| !subscribed),
            consented: newest_by(self.consented, other.consented, |consented| !consented),
            blocked_by_us: self.blocked_by_us.max(other.blocked_by_us),
            blocked_by_customer: self.blocked_by_customer.max(other.blocked_by_customer),
            opted_out_of_all: self.opted_out_of_all.max(other.opted_out_of_all),
            opted_out_of_marketing: self.opted_out_of_marketing.max(other.opted_out_of_marketing),
            unreachable: self.unreachable.max(other.unreachable),
            country: self.country.max(other.country),
            refused: latest(self.refused, other.refused),
            refused_rights: latest(self.refused_rights, other.refused_rights),
            used_up: latest(self.used_up, other.used_up),
            cooling: latest(self.cooling, other.cooling),
            newest_at: self.newest_at.max(other.newest_at),
        }
    }
}

fn earliest(one: Option<OffsetDateTime>, other: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
    [one, other].into_iter().flatten().min()
}

/// The newest; of two at the same instant, the one that `caution` puts higher.
fn newest_by(
    one: Option<Stamped<bool>>,
    other: Option<Stamped<bool>>,
    caution: impl Fn(bool) -> bool,
) -> Option<Stamped<bool>> {
    [one, other].into_iter().flatten().max_by_key(|stamped| (stamped.at, caution(stamped.value)))
}

fn latest<K: Ord>(
    mut one: BTreeMap<K, OffsetDateTime>,
    other: BTreeMap<K, OffsetDateTime>,
) -> BTreeMap<K, OffsetDateTime> {
    for (key, at) in other {
        let known = one.entry(key).or_insert(at);
        *known = at.max(*known);
    }
    one
}

/// The messages of both, each once. One that is told in two ways counts as the lesser, as a repeat does.
fn sends(one: Vec<Sent>, other: Vec<Sent>) -> Vec<Sent> {
    let mut sends: Vec<Sent> = one.into_iter().chain(other).collect();
    sends.sort();
    sends.dedup_by_key(|sent| sent.id);
    sends
}

fn openings(one: Vec<Opening>, other: Vec<Opening>) -> Vec<Opening> {
    let mut openings: BTreeMap<(String, Option<String>), Opening> = BTreeMap::new();
    for opening in one.into_iter().chain(other) {
        match openings.entry((opening.kind.clone(), opening.reference.clone())) {
            Entry::Vacant(free) => {
                free.insert(opening);
            }
            Entry::Occupied(mut known) => {
                let both = joined(known.get(), &opening);
                known.insert(both);
            }
        }
    }
    openings.into_values().collect()
}

/// The same event, or the events of one kind.
fn joined(one: &Opening, other: &Opening) -> Opening {
    if one == other {
        return one.clone();
    }
    let of_sessions = [one, other].into_iter().any(counts_sessions);
    let mut recent: Vec<OffsetDateTime> = [one, other].into_iter().filter(|_| of_sessions).flat_map(events).collect();
    recent.sort_unstable();
    recent.dedup();
    // A right counts from its event, of which a repeat may claim to be later; other kinds from their newest, which starts
    // the count anew.
    let at = if one.reference.is_some() { one.at.min(other.at) } else { one.at.max(other.at) };
    let counted = [one, other].into_iter().filter(|opening| opening.reference.is_some() || opening.at == at);
    Opening {
        kind: one.kind.clone(),
        reference: one.reference.clone(),
        at,
        first_at: earliest(one.first_at, other.first_at),
        recent,
        before_recent: None,
        sent_since: counted.map(|opening| opening.sent_since).max().unwrap_or_default(),
    }
}

fn counts_sessions(opening: &Opening) -> bool {
    opening.first_at.is_some() || opening.before_recent.is_some() || !opening.recent.is_empty()
}

/// The events that sessions are worked out of, as far as they are known: a session's start is one.
fn events(opening: &Opening) -> Vec<OffsetDateTime> {
    let mut events: Vec<OffsetDateTime> = opening.before_recent.iter().chain(&opening.recent).copied().collect();
    if events.is_empty() {
        events.extend(opening.first_at.iter().chain([&opening.at]));
    }
    events
}
