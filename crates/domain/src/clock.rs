//! Where time comes from.
//!
//! Everything that needs the time takes a [`Clock`]; [`SystemClock`] is the only code of the workspace that reads the
//! machine's clock (`clippy.toml` forbids it elsewhere). Instants are UTC and cut to whole milliseconds, because that is
//! what both databases keep.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use time::{Duration, OffsetDateTime};

/// A source of the present time, in UTC, in whole milliseconds.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> OffsetDateTime;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> OffsetDateTime {
        truncate_to_millis(OffsetDateTime::now_utc())
    }
}

/// A clock that can be moved forward, for the demo and the tests. Clones share one time.
///
/// It either follows the machine's clock at a distance, or stands still until it is moved.
///
/// ```
/// use time::{Duration, macros::datetime};
/// use transom_domain::{Clock, SettableClock};
///
/// let clock = SettableClock::frozen(datetime!(2026-03-01 09:00 UTC));
/// clock.advance(Duration::hours(30));
/// assert_eq!(clock.now(), datetime!(2026-03-02 15:00 UTC));
/// ```
#[derive(Clone)]
pub struct SettableClock {
    inner: Arc<Inner>,
}

enum Inner {
    /// Milliseconds added to the machine's clock.
    Shifted(AtomicI64),
    Frozen(Mutex<OffsetDateTime>),
}

impl SettableClock {
    /// A clock that runs with the machine's, starting at the present.
    pub fn running() -> Self {
        Self { inner: Arc::new(Inner::Shifted(AtomicI64::new(0))) }
    }

    /// A clock that stands at `at` until it is moved.
    pub fn frozen(at: OffsetDateTime) -> Self {
        Self { inner: Arc::new(Inner::Frozen(Mutex::new(truncate_to_millis(at)))) }
    }

    /// Moves the clock by `by`, counted in whole milliseconds. A negative span is ignored: this clock never runs backwards.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.whole_milliseconds()).unwrap_or(i64::MAX).max(0);
        match &*self.inner {
            Inner::Shifted(shift) => {
                shift.fetch_add(millis, Ordering::SeqCst);
            }
            Inner::Frozen(at) => {
                let mut at = at.lock().unwrap_or_else(PoisonError::into_inner);
                *at = at.saturating_add(Duration::milliseconds(millis));
            }
        }
    }
}

impl Clock for SettableClock {
    fn now(&self) -> OffsetDateTime {
        match &*self.inner {
            Inner::Shifted(shift) => {
                SystemClock.now().saturating_add(Duration::milliseconds(shift.load(Ordering::SeqCst)))
            }
            Inner::Frozen(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl fmt::Debug for SettableClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SettableClock").field(&self.now()).finish()
    }
}

/// Cuts an instant to whole milliseconds, towards the past.
pub fn truncate_to_millis(at: OffsetDateTime) -> OffsetDateTime {
    let nanos = at.nanosecond() - at.nanosecond() % 1_000_000;
    at.replace_nanosecond(nanos).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn clones_share_one_time_and_never_run_backwards() {
        let clock = SettableClock::frozen(datetime!(2026-01-01 00:00 UTC));
        let twin = clock.clone();
        twin.advance(Duration::minutes(5));
        clock.advance(Duration::minutes(-5));
        assert_eq!(clock.now(), datetime!(2026-01-01 00:05 UTC));
    }

    #[test]
    fn a_running_clock_keeps_its_distance() {
        let clock = SettableClock::running();
        clock.advance(Duration::days(2));
        let ahead = clock.now() - SystemClock.now();
        assert!((ahead - Duration::days(2)).abs() < Duration::seconds(5), "{ahead}");
    }

    #[test]
    fn instants_are_cut_to_milliseconds() {
        assert_eq!(
            truncate_to_millis(datetime!(2026-01-01 00:00:00.123_999_999 UTC)),
            datetime!(2026-01-01 00:00:00.123 UTC)
        );
    }
}
