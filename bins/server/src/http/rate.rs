//! How often a token may ask: a bucket each, in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use transom_domain::TokenId;

/// Buckets that are full again are forgotten at this many.
const SWEPT_AT: usize = 10_000;

/// A bucket for each token: `per_second` on average, twice as many at once.
#[derive(Debug)]
pub(crate) struct Rates {
    per_second: f64,
    buckets: Mutex<HashMap<TokenId, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Rates {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second.max(1)), buckets: Mutex::default() }
    }

    /// Takes one; otherwise says how long to wait.
    pub(crate) fn take(&self, token: TokenId, now: Instant) -> Result<(), Duration> {
        let burst = self.per_second * 2.0;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SWEPT_AT {
            buckets.retain(|_, bucket| now.duration_since(bucket.at).as_secs_f64() * self.per_second < burst);
        }
        let bucket = buckets.entry(token).or_insert(Bucket { level: burst, at: now });
        let refilled = bucket.level + now.duration_since(bucket.at).as_secs_f64() * self.per_second;
        (bucket.level, bucket.at) = (refilled.min(burst), now);
        if bucket.level < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.level) / self.per_second));
        }
        bucket.level -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transom_domain::UuidV7;

    #[test]
    fn a_burst_is_taken_then_one_each_time_the_bucket_refills() {
        let (rates, token, start) = (Rates::new(10), TokenId::new(&UuidV7), Instant::now());
        for _ in 0..20 {
            rates.take(token, start).unwrap();
        }
        let wait = rates.take(token, start).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert!(rates.take(token, start + Duration::from_millis(101)).is_ok());
        assert!(rates.take(TokenId::new(&UuidV7), start).is_ok(), "others have buckets of their own");
    }
}
