//! Permits alone cost no allocation, on any built-in policy and for anybody.

#![allow(clippy::unwrap_used, reason = "a test")]

use time::macros::datetime;
use transom_windows::{Ask, Event, Facts, Policies, Sender, Subject, What};

#[test]
fn permits_allocate_nothing() {
    let now = datetime!(2026-03-02 15:00 UTC);
    for policy in Policies::builtin().unwrap().iter() {
        let mut facts = Facts::new(Subject::new(1), policy);
        let nobody = facts.clone();
        for (number, kind) in policy.kinds().iter().enumerate() {
            let reference = kind.needs_ref().then(|| format!("right {number}"));
            let opening = What::Opening { kind: kind.name().to_owned(), reference };
            // What ends the time of others came before them.
            let ends = policy.grants().iter().any(|grant| policy.ended_by(grant).any(|ended| ended == kind.name()));
            let ago = time::Duration::seconds(if ends { 40 } else { 20 });
            facts.apply(policy, &Event::new(now - ago, opening)).unwrap();
        }
        for sender in Sender::ALL {
            for facts in [&nobody, &facts] {
                let (mut held, mut lapsing) = (0, 0);
                let counted = allocation_counter::measure(|| {
                    for allowed in policy.permits(facts, Ask::by(*sender), now) {
                        held += 1;
                        lapsing += usize::from(allowed.lapses_at().is_some());
                    }
                });
                assert_eq!(
                    (counted.count_total, counted.bytes_total),
                    (0, 0),
                    "{} as {sender}: {held} permits",
                    policy.name()
                );
            }
        }
        assert!(
            policy.permits(&facts, Ask::by(Sender::Human), now).next().is_some(),
            "{} allows nothing",
            policy.name()
        );
    }
}

/// The counter counts: an allocation inside is seen.
#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(String::from("text"))));
    assert_eq!(counted.count_total, 1);
}
