//! Token buckets, one an account and one a recipient, from the channel's capabilities.
//!
//! A 429 empties the account's bucket and lets it fill at half its rate for a while. Waiting for a token is no attempt.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use transom_channel::{Pacing, Rate};
use transom_domain::{ChannelAccountId, IdentityId};

/// Buckets of recipients beyond this many are swept: a full bucket says nothing.
const MANY: usize = 50_000;
/// How long an account goes at half its rate after a 429.
const SLOW_FOR: Duration = Duration::MINUTE;

#[derive(Debug, Default)]
pub(super) struct Pacers {
    buckets: Mutex<HashMap<Key, Bucket>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Account(ChannelAccountId),
    Recipient(IdentityId),
}

/// The instant at which the bucket is full again; each token moves it on by one span (a virtual schedule, GCRA).
#[derive(Debug, Clone, Copy)]
struct Bucket {
    full_at: OffsetDateTime,
    /// Until then each token costs two.
    slow_until: OffsetDateTime,
}

impl Pacers {
    /// Takes a token of both buckets, or says when to come again.
    ///
    /// # Errors
    /// The instant at which both have one.
    pub(super) fn take(
        &self,
        pacing: &Pacing,
        account: ChannelAccountId,
        recipient: IdentityId,
        now: OffsetDateTime,
    ) -> Result<(), OffsetDateTime> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > MANY {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        let wanted = [(Key::Account(account), pacing.account), (Key::Recipient(recipient), pacing.recipient)];
        let ready = wanted.iter().filter_map(|(key, rate)| buckets.get(key)?.ready_at(*rate, now)).max();
        if let Some(at) = ready {
            return Err(at);
        }
        for (key, rate) in wanted {
            let bucket = buckets.entry(key).or_insert(Bucket { full_at: now, slow_until: now });
            let cost = if now < bucket.slow_until { rate.each * 2 } else { rate.each };
            bucket.full_at = bucket.full_at.max(now).saturating_add(cost);
        }
        Ok(())
    }

    /// Gives tokens back that nothing was sent with.
    pub(super) fn put_back(&self, pacing: &Pacing, account: ChannelAccountId, recipient: IdentityId) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, rate) in [(Key::Account(account), pacing.account), (Key::Recipient(recipient), pacing.recipient)] {
            if let Some(bucket) = buckets.get_mut(&key) {
                bucket.full_at = bucket.full_at.saturating_sub(rate.each);
            }
        }
    }

    /// The platform said "too fast": nothing more from this account until then.
    pub(super) fn slow_down(&self, pacing: &Pacing, account: ChannelAccountId, until: OffsetDateTime) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(Key::Account(account)).or_insert(Bucket { full_at: until, slow_until: until });
        bucket.slow_until = bucket.slow_until.max(until.saturating_add(SLOW_FOR));
        let emptied = until.saturating_add(span(pacing.account) - pacing.account.each);
        bucket.full_at = bucket.full_at.max(emptied);
    }
}

impl Bucket {
    /// When the next token is there; `None`: now.
    fn ready_at(self, rate: Rate, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let at = self.full_at.saturating_add(rate.each).saturating_sub(span(rate));
        (at > now).then_some(at)
    }
}

/// How long an empty bucket takes to be full.
fn span(rate: Rate) -> Duration {
    rate.each * rate.burst.get()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use time::macros::datetime;
    use transom_domain::{CountingIds, Ids};

    fn pacing(burst: u32, each: Duration) -> Pacing {
        let one = NonZeroU32::MIN;
        let rate = Rate { burst: NonZeroU32::new(burst).unwrap_or(one), each };
        let wide = Rate { burst: NonZeroU32::new(1_000).unwrap_or(one), each: Duration::MILLISECOND };
        Pacing { account: wide, recipient: rate, concurrency: one }
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (pacers, ids) = (Pacers::default(), CountingIds::new(1));
        let (account, person) = (ids.next().into(), ids.next().into());
        let pacing = pacing(3, Duration::seconds(6));
        let now = datetime!(2026-11-20 10:00 UTC);
        for _ in 0..3 {
            assert_eq!(pacers.take(&pacing, account, person, now), Ok(()));
        }
        let next = now + Duration::seconds(6);
        assert_eq!(pacers.take(&pacing, account, person, now), Err(next));
        assert_eq!(pacers.take(&pacing, account, person, next), Ok(()));
        assert!(pacers.take(&pacing, account, person, next).is_err());
        let other = ids.next().into();
        assert_eq!(pacers.take(&pacing, account, other, next), Ok(()));
        pacers.put_back(&pacing, account, person);
        assert_eq!(pacers.take(&pacing, account, person, next), Ok(()), "what was not used can be taken again");
    }

    #[test]
    fn a_429_stops_the_whole_account_until_then() {
        let (pacers, ids) = (Pacers::default(), CountingIds::new(1));
        let (account, person) = (ids.next().into(), ids.next().into());
        let pacing = pacing(3, Duration::seconds(6));
        let now = datetime!(2026-11-20 10:00 UTC);
        let until = now + Duration::seconds(14);
        pacers.slow_down(&pacing, account, until);
        assert_eq!(pacers.take(&pacing, account, person, now), Err(until));
        assert_eq!(pacers.take(&pacing, account, person, until), Ok(()));
        let others: [IdentityId; 2] = [ids.next().into(), ids.next().into()];
        let twice = until + pacing.account.each * 2;
        assert_eq!(pacers.take(&pacing, account, others[0], until), Err(twice), "at half its rate");
        let later = until + SLOW_FOR;
        assert_eq!(pacers.take(&pacing, account, others[0], later), Ok(()));
        assert_eq!(pacers.take(&pacing, account, others[1], later), Ok(()), "as before");
    }
}
