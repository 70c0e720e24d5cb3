//! One person under two ids: joined, the facts are those of the whole history.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use rstest::rstest;
use support::{SOMEBODY, any as some, facts, keys, permitted};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use transom_windows::{Account, Event, Facts, Opening, Person, Policy, Snapshot, Stamped};

fn restored(policy: &Policy, person: Person, account: &Account) -> Facts {
    let (facts, dropped) = Facts::restore(SOMEBODY, policy, &Snapshot { person, account: account.clone() });
    assert_eq!(dropped, []);
    facts
}

/// A policy, a history, and to which of the two ids each event came; some come to both.
fn two_ids() -> impl Strategy<Value = (Policy, Vec<Event>, [Vec<Event>; 2])> {
    some::policy().prop_flat_map(|policy| {
        let history = some::history(&policy, 14);
        (Just(policy), history, prop::collection::vec(1_u8..=3, 14)).prop_map(|(policy, history, sides)| {
            let of = |side: u8| {
                let events = history.iter().zip(&sides).filter(move |(_, sides)| *sides & side != 0);
                events.map(|(event, _)| event.clone()).collect::<Vec<_>>()
            };
            let both = [of(1), of(2)];
            (policy, history, both)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, max_shrink_iters: 20_000, max_local_rejects: u32::MAX, failure_persistence: None, ..ProptestConfig::default() })]

    /// Joined, a person may be sent what the whole history permits: nothing more, and nothing less.
    #[test]
    fn two_halves_are_the_whole(
        (policy, history, [one, other]) in two_ids(),
        ask in some::ask(),
        after in some::step(),
        turns in prop::collection::vec((any::<Index>(), -1_i64..=1), 3),
    ) {
        let end = history.iter().map(|event| event.at).max().unwrap_or(some::START);
        // What lies more than 30 days back may be forgotten on one side and not on the other.
        prop_assume!(end - some::START < Duration::days(29));
        let whole = facts(&policy, &history).snapshot();
        let halves = [one, other].map(|events| facts(&policy, &events).snapshot().person);
        let [one, other] = halves;
        let joined = restored(&policy, one.joined_with(other), &whole.account);
        let whole = restored(&policy, whole.person, &whole.account);

        let points: Vec<_> = some::turning_points(&policy, &history).into_iter().filter(|point| *point >= end).collect();
        let mut nows = vec![end + after];
        if !points.is_empty() {
            nows.extend(turns.into_iter().map(|(index, off)| (*index.get(&points) + Duration::nanoseconds(off)).max(end)));
        }
        for now in nows {
            let (got, expected) = (policy.decide(&joined, ask, now), policy.decide(&whole, ask, now));
            prop_assert_eq!(keys(&got), keys(&expected), "at {}\n{}\n{:#?}", now, policy.text(), history);
            let room = |decision: &transom_windows::Decision| {
                decision.permits().iter().map(|permit| (permit.grant().to_owned(), permit.remaining(), permit.lapses_at())).collect::<Vec<_>>()
            };
            prop_assert_eq!(room(&got), room(&expected), "at {}\n{}\n{:#?}", now, policy.text(), history);
            prop_assert_eq!(permitted(&policy, &joined, ask, now), keys(&expected));
        }
    }

    /// Neither order nor repetition makes a difference.
    #[test]
    fn joining_commutes_and_repeats_nothing((policy, history, [one, other]) in two_ids()) {
        let account = facts(&policy, &history).snapshot().account;
        let [one, other] = [one, other].map(|events| facts(&policy, &events).snapshot().person);
        let facts = |person: Person| restored(&policy, person, &account);
        let joined = one.clone().joined_with(other.clone());
        prop_assert_eq!(&joined, &other.clone().joined_with(one.clone()));
        prop_assert_eq!(facts(one.clone().joined_with(one.clone())), facts(one.clone()));
        prop_assert_eq!(facts(joined.clone().joined_with(one)), facts(joined.clone()));
        prop_assert_eq!(facts(joined.clone().joined_with(other)), facts(joined));
    }
}

const AT: OffsetDateTime = datetime!(2026-03-01 09:00 UTC);

fn person(change: impl FnOnce(&mut Person)) -> Person {
    let mut person = Person::default();
    change(&mut person);
    person
}

/// Two values at one instant: the more cautious counts, whichever comes first.
#[rstest]
#[case::subscribed(|person: &mut Person, value| person.subscribed = Some(Stamped { at: AT, value }), false)]
#[case::consented(|person: &mut Person, value| person.consented = Some(Stamped { at: AT, value }), false)]
#[case::blocked_by_us(|person: &mut Person, value| person.blocked_by_us = Some(Stamped { at: AT, value }), true)]
#[case::blocked_by_customer(|person: &mut Person, value| person.blocked_by_customer = Some(Stamped { at: AT, value }), true)]
#[case::opted_out(|person: &mut Person, value| person.opted_out_of_all = Some(Stamped { at: AT, value }), true)]
#[case::opted_out_of_marketing(|person: &mut Person, value| person.opted_out_of_marketing = Some(Stamped { at: AT, value }), true)]
fn of_one_instant_the_cautious_counts(#[case] set: fn(&mut Person, bool), #[case] cautious: bool) {
    let [one, other] = [true, false].map(|value| person(|person| set(person, value)));
    let expected = person(|person| set(person, cautious));
    assert_eq!(one.clone().joined_with(other.clone()), expected);
    assert_eq!(other.joined_with(one), expected);
}

#[test]
fn numbers_of_the_same_event_are_not_added_and_a_newer_event_starts_anew() {
    let opening = |at, sent_since| Opening {
        kind: "message".to_owned(),
        reference: None,
        at,
        first_at: None,
        recent: Vec::new(),
        before_recent: None,
        sent_since,
    };
    let with = |at, sent_since| person(|person| person.openings = vec![opening(at, sent_since)]);
    let later = AT + Duration::HOUR;
    assert_eq!(with(AT, 3).joined_with(with(AT, 4)), with(AT, 4));
    assert_eq!(with(AT, 3).joined_with(with(later, 0)), with(later, 0));
    assert_eq!(with(later, 1).joined_with(with(AT, 9)), with(later, 1));
}

/// A session that began under one id holds the event that came to the other.
#[test]
fn a_session_is_counted_from_the_first_event_of_either_id() {
    let viber = support::policy("viber");
    let wrote = |at| facts(&viber, [&Event::opening(at, "message")]).snapshot().person;
    let account = Account::default();
    let both = restored(&viber, wrote(AT + Duration::hours(5)).joined_with(wrote(AT)), &account);
    let ask = transom_windows::Ask::by(transom_windows::Sender::Human);
    let ends = |facts: &Facts, now| {
        let decision = viber.decide(facts, ask, now);
        decision
            .permits()
            .iter()
            .find(|permit| permit.grant() == "session")
            .and_then(transom_windows::Permit::lapses_at)
    };
    assert_eq!(ends(&both, AT + Duration::hours(6)), Some(AT + Duration::hours(24)));
    // As stored before events were kept: the start and the newest one only.
    let old = person(|person| {
        person.openings = vec![Opening {
            kind: "message".to_owned(),
            reference: None,
            at: AT + Duration::hours(2),
            first_at: Some(AT - Duration::HOUR),
            recent: Vec::new(),
            before_recent: None,
            sent_since: 0,
        }];
        person.subscribed = Some(Stamped { at: AT, value: true });
    });
    let both = restored(&viber, wrote(AT + Duration::hours(5)).joined_with(old), &account);
    assert_eq!(ends(&both, AT + Duration::hours(6)), Some(AT + Duration::hours(23)));
}
