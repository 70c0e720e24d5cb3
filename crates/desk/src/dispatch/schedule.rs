//! When to try again (reliability.md 7).

use rand::RngExt as _;
use time::{Duration, OffsetDateTime};
use transom_channel::Patience;
use transom_storage::Priority;

/// The longest that a platform's own wish is followed.
const LONGEST_WISH: Duration = Duration::hours(1);

/// The delay before the attempt after number `attempt`, without jitter.
pub(super) fn delay(patience: Patience, priority: Priority, attempt: u32) -> Duration {
    match (patience, priority) {
        (Patience::Postal, _) => match attempt {
            0 | 1 => Duration::MINUTE,
            2 => Duration::minutes(5),
            3 => Duration::minutes(15),
            4 => Duration::HOUR,
            _ => Duration::hours(4),
        },
        (Patience::Prompt, Priority::Reply) => match attempt {
            0 | 1 => Duration::seconds(1),
            2 => Duration::seconds(3),
            3 => Duration::seconds(10),
            4 => Duration::seconds(30),
            5 => Duration::seconds(60),
            6 => Duration::seconds(120),
            _ => Duration::minutes(5),
        },
        (Patience::Prompt, Priority::Automation | Priority::Broadcast) => {
            let doublings = attempt.saturating_sub(1).min(6);
            Duration::seconds(30 * i64::from(1_u32 << doublings)).min(Duration::minutes(30))
        }
    }
}

/// When to try again: the platform's wish, if it has one, else the schedule with equal jitter (half fixed, half random).
pub(super) fn next_try(
    patience: Patience,
    priority: Priority,
    attempt: u32,
    wish: Option<Duration>,
    now: OffsetDateTime,
) -> OffsetDateTime {
    let wait = match wish {
        Some(wish) => wish.clamp(Duration::ZERO, LONGEST_WISH),
        None => delay(patience, priority, attempt) * (0.5 + 0.5 * rand::rng().random::<f64>()),
    };
    now.saturating_add(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn replies_are_tried_at_the_documented_pace() {
        let delay = |priority, n| delay(Patience::Prompt, priority, n);
        let waits: Vec<i64> = (1..=8).map(|n| delay(Priority::Reply, n).whole_seconds()).collect();
        assert_eq!(waits, [1, 3, 10, 30, 60, 120, 300, 300]);
        let broadcast: Vec<i64> = (1..=8).map(|n| delay(Priority::Broadcast, n).whole_seconds()).collect();
        assert_eq!(broadcast, [30, 60, 120, 240, 480, 960, 1_800, 1_800]);
    }

    #[test]
    fn letters_are_tried_patiently_whoever_sends_them() {
        for priority in Priority::ALL {
            let waits: Vec<i64> = (1..=7).map(|n| delay(Patience::Postal, priority, n).whole_minutes()).collect();
            assert_eq!(waits, [1, 5, 15, 60, 240, 240, 240]);
        }
    }

    #[test]
    fn a_wish_is_followed_up_to_an_hour_and_jitter_stays_in_its_half() {
        let now = datetime!(2026-11-20 10:00 UTC);
        let next_try = |priority, attempt, wish, now| next_try(Patience::Prompt, priority, attempt, wish, now);
        assert_eq!(next_try(Priority::Reply, 1, Some(Duration::seconds(14)), now), now + Duration::seconds(14));
        assert_eq!(next_try(Priority::Reply, 1, Some(Duration::days(2)), now), now + Duration::hours(1));
        for _ in 0..200 {
            let wait = next_try(Priority::Reply, 3, None, now) - now;
            assert!((Duration::seconds(5)..=Duration::seconds(10)).contains(&wait), "{wait}");
        }
    }
}
