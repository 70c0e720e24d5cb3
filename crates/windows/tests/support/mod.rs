//! What the tests of the engine share: the naive twin, and generators of policies and histories.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

pub mod any;
pub mod twin;

use std::collections::BTreeSet;

use time::OffsetDateTime;
use transom_windows::{Ask, Decision, Event, Facts, Policies, Policy, Subject};

/// A permit as a name: its grant, and the right it stands on.
pub type Key = (String, Option<String>);

pub const SOMEBODY: Subject = Subject::new(42);

pub fn policy(name: &str) -> Policy {
    Policies::builtin().unwrap().get(name).unwrap().clone()
}

pub fn facts<'e>(policy: &Policy, events: impl IntoIterator<Item = &'e Event>) -> Facts {
    let mut facts = Facts::new(SOMEBODY, policy);
    for event in events {
        facts.apply(policy, event).unwrap();
    }
    facts
}

pub fn keys(decision: &Decision) -> BTreeSet<Key> {
    decision.permits().iter().map(|permit| (permit.grant().to_owned(), permit.reference().map(str::to_owned))).collect()
}

pub fn permitted(policy: &Policy, facts: &Facts, ask: Ask, now: OffsetDateTime) -> BTreeSet<Key> {
    let permits = policy.permits(facts, ask, now);
    permits.map(|allowed| (allowed.name().to_owned(), allowed.reference().map(str::to_owned))).collect()
}
