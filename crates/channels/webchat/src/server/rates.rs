//! How often visitors may ask: token buckets, in this process (webchat.md 8).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::refusal::Refused;

/// Buckets that are full again are forgotten at this many.
const SWEPT_AT: usize = 20_000;

/// What is counted, each with its own bucket a person or address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// New visitors, an address: 10 a minute.
    Sessions,
    /// Visitors who come back, an address: 30 a minute.
    Hellos,
    /// Messages, a visitor: one a second, ten at once.
    Messages,
    /// Messages of strangers: 60 an hour.
    Unverified,
    /// Typing, a visitor: 20 a minute.
    Typing,
    /// Files, a visitor: 10 a minute.
    Uploads,
    /// Bytes of files, a visitor: 100 MB a day.
    UploadedBytes,
    /// History, a visitor: 60 a minute.
    Fetches,
    /// Any other frame, a visitor: 20 a second, 40 at once.
    Frames,
    /// Requests of a whole widget: 500 a second, 2,000 at once.
    Widget,
}

impl What {
    /// How many at once, and how many a second.
    const fn bucket(self) -> (f64, f64) {
        match self {
            What::Sessions => (10.0, 10.0 / 60.0),
            What::Hellos => (30.0, 30.0 / 60.0),
            What::Messages => (10.0, 1.0),
            What::Unverified => (60.0, 60.0 / 3_600.0),
            What::Typing => (20.0, 20.0 / 60.0),
            What::Uploads => (10.0, 10.0 / 60.0),
            What::UploadedBytes => (104_857_600.0, 104_857_600.0 / 86_400.0),
            What::Fetches => (60.0, 1.0),
            What::Frames => (40.0, 20.0),
            What::Widget => (2_000.0, 500.0),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: Mutex<HashMap<(What, String), Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Rates {
    /// Takes `cost` for somebody; otherwise says how long to wait.
    pub(super) fn take(&self, what: What, who: &str, cost: f64, now: Instant) -> Result<(), Refused> {
        let (most, a_second) = what.bucket();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SWEPT_AT {
            buckets.retain(|(what, _), bucket| {
                let (most, a_second) = what.bucket();
                bucket.level + now.duration_since(bucket.at).as_secs_f64() * a_second < most
            });
        }
        let bucket = buckets.entry((what, who.to_owned())).or_insert(Bucket { level: most, at: now });
        let refilled = bucket.level + now.duration_since(bucket.at).as_secs_f64() * a_second;
        (bucket.level, bucket.at) = (refilled.min(most), now);
        if bucket.level < cost {
            let wait = ((cost - bucket.level) / a_second).ceil();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and positive")]
            return Err(Refused::too_fast(wait.clamp(1.0, 86_400.0) as u64));
        }
        bucket.level -= cost;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_taken_then_one_each_time_the_bucket_refills() {
        let (rates, start) = (Rates::default(), Instant::now());
        for _ in 0..10 {
            rates.take(What::Messages, "v_1", 1.0, start).unwrap();
        }
        assert_eq!(rates.take(What::Messages, "v_1", 1.0, start).unwrap_err().retry_after, Some(1));
        assert!(rates.take(What::Messages, "v_2", 1.0, start).is_ok(), "others have buckets of their own");
        assert!(rates.take(What::Fetches, "v_1", 1.0, start).is_ok(), "and so has everything else");
        assert!(rates.take(What::Messages, "v_1", 1.0, start + Duration::from_secs(1)).is_ok());
    }
}
