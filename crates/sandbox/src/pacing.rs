//! How fast one may send: a token bucket.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

/// A bucket of `burst` sends that refills with one each `every`.
///
/// It refills by the sandbox's clock or by real time, whichever passed more: a clock that stands still must not lock
/// everybody out, and one that jumps a day ahead has waited a day.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    burst: f64,
    every: Duration,
    level: f64,
    seen: (OffsetDateTime, Instant),
}

impl Bucket {
    pub(crate) fn full(burst: u32, every: Duration, now: OffsetDateTime) -> Self {
        Self { burst: f64::from(burst), every, level: f64::from(burst), seen: (now, Instant::now()) }
    }

    /// Takes one send out, or says how long until there is one.
    pub(crate) fn take(&mut self, now: OffsetDateTime) -> Result<(), Duration> {
        let real = Instant::now();
        let by_clock = Duration::try_from(now - self.seen.0).unwrap_or_default();
        let passed = by_clock.max(real.saturating_duration_since(self.seen.1));
        self.level = (self.level + passed.as_secs_f64() / self.every.as_secs_f64()).min(self.burst);
        self.seen = (now, real);
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        Err(self.every.mul_f64(1.0 - self.level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[tokio::test(start_paused = true)]
    async fn it_refills_by_the_clock_and_by_real_time() {
        let start = datetime!(2026-01-01 00:00 UTC);
        let mut bucket = Bucket::full(2, Duration::from_secs(6), start);
        assert_eq!((bucket.take(start), bucket.take(start)), (Ok(()), Ok(())));
        assert_eq!(bucket.take(start), Err(Duration::from_secs(6)));
        assert_eq!(bucket.take(start + time::Duration::seconds(6)), Ok(()));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(bucket.take(start + time::Duration::seconds(6)), Ok(()));
        assert!(bucket.take(start + time::Duration::seconds(6)).is_err());
    }
}
