//! The engine against its naive twin: two tellings of the same rules must agree on every history.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use proptest::prelude::*;
use proptest::sample::Index;
use support::any as some;
use support::twin::Twin;
use time::Duration;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, max_local_rejects: u32::MAX, failure_persistence: None, ..ProptestConfig::default() })]

    /// At the end of a history, whatever the order in which it came in, and at the instants where something turns.
    #[test]
    fn the_engine_agrees_with_its_naive_twin(
        (policy, history) in some::policy().prop_flat_map(|policy| { let history = some::history(&policy, 16); (Just(policy), history) }),
        ask in some::ask(),
        after in some::step(),
        shuffle in any::<u64>(),
        turns in prop::collection::vec((any::<Index>(), -1_i64..=1), 3),
    ) {
        let twin = Twin::read(policy.text());
        let end = history.iter().map(|event| event.at).max().unwrap_or(some::START);
        // An event that comes more than 30 days late may be forgotten; within them, any order is the same.
        let arrived = if end - some::START < Duration::days(29) { shuffled(&history, shuffle) } else { history.clone() };
        let facts = support::facts(&policy, &arrived);

        let points: Vec<_> = some::turning_points(&policy, &history).into_iter().filter(|point| *point >= end).collect();
        let mut nows = vec![end + after];
        if !points.is_empty() {
            nows.extend(turns.into_iter().map(|(index, off)| (*index.get(&points) + Duration::nanoseconds(off)).max(end)));
        }
        for now in nows {
            let expected = twin.permitted(&history, ask, now);
            prop_assert_eq!(support::permitted(&policy, &facts, ask, now), expected.clone(), "permits at {}\n{}", now, told(&policy, &history));
            prop_assert_eq!(support::keys(&policy.decide(&facts, ask, now)), expected, "decide at {}\n{}", now, told(&policy, &history));
        }
    }
}

/// 4,000 histories, or as many as `TRANSOM_TWIN_CASES` says: `TRANSOM_TWIN_CASES=1000000 cargo test --release -p
/// transom-windows --test twin` is the long run.
fn cases() -> u32 {
    std::env::var("TRANSOM_TWIN_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4_000)
}

fn shuffled(history: &[transom_windows::Event], seed: u64) -> Vec<transom_windows::Event> {
    let mut events: Vec<_> = history.iter().chain(history.iter().take(history.len() / 2)).cloned().collect();
    // A small generator is enough to mix a handful of events, and keeps the failing order in the seed.
    let mut state = seed | 1;
    for place in (1..events.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        events.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
    }
    events
}

/// The case in full, for whoever reads a failure.
fn told(policy: &transom_windows::Policy, history: &[transom_windows::Event]) -> String {
    let events: Vec<String> = history.iter().map(|event| format!("{} {:?}", event.at, event.what)).collect();
    format!("{}\n{}", policy.text(), events.join("\n"))
}
