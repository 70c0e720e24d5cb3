//! Retries are at most a fifth of an account's calls in the last minute: more would keep a platform down that is in trouble.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use transom_domain::ChannelAccountId;

/// What is looked back on.
const SPAN: Duration = Duration::MINUTE;
/// Calls are counted by slices of this length.
const SLICE: Duration = Duration::seconds(5);
/// One call in so many may be a retry.
const SHARE: u32 = 5;
/// So many a minute are always free: an account with few messages must be able to retry them.
const FREE: u32 = 10;

/// The calls of the last minute, by account.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    accounts: Mutex<HashMap<ChannelAccountId, VecDeque<Slice>>>,
}

#[derive(Debug, Clone, Copy)]
struct Slice {
    from: OffsetDateTime,
    calls: u32,
    retries: u32,
}

impl Budgets {
    /// Counts a call, or says when a retry may come again.
    ///
    /// # Errors
    /// The instant at which there may be room.
    pub(super) fn spend(
        &self,
        account: ChannelAccountId,
        is_retry: bool,
        now: OffsetDateTime,
    ) -> Result<(), OffsetDateTime> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let slices = accounts.entry(account).or_default();
        // A clock that was set back (tests) begins anew.
        slices.retain(|slice| slice.from > now.saturating_sub(SPAN) && slice.from <= now);
        let (calls, retries) =
            slices.iter().fold((0, 0), |(calls, retries), slice| (calls + slice.calls, retries + slice.retries));
        if is_retry && retries >= FREE && (retries + 1) * SHARE > calls + 1 {
            return Err(now.saturating_add(SLICE));
        }
        match slices.back_mut() {
            Some(slice) if now < slice.from.saturating_add(SLICE) => {
                slice.calls += 1;
                slice.retries += u32::from(is_retry);
            }
            _ => slices.push_back(Slice { from: now, calls: 1, retries: u32::from(is_retry) }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use transom_domain::{CountingIds, Ids};

    #[test]
    fn one_call_in_five_may_be_a_retry() {
        let (budgets, ids) = (Budgets::default(), CountingIds::new(1));
        let (account, other) = (ids.next().into(), ids.next().into());
        let now = datetime!(2026-11-20 10:00 UTC);
        for _ in 0..FREE {
            assert_eq!(budgets.spend(account, true, now), Ok(()), "the first few are free");
        }
        assert_eq!(budgets.spend(account, true, now), Err(now + SLICE));
        assert_eq!(budgets.spend(other, true, now), Ok(()), "another account's trouble is not ours");
        for _ in 0..44 {
            assert_eq!(budgets.spend(account, false, now), Ok(()), "a first attempt never waits");
        }
        assert_eq!(budgets.spend(account, true, now), Ok(()), "11 of 55");
        assert!(budgets.spend(account, true, now).is_err(), "12 of 56 is too much");
        assert_eq!(budgets.spend(account, true, now + SPAN), Ok(()), "a minute later all is forgotten");
    }
}
