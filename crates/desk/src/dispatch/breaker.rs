//! One breaker per account: when a platform or its credentials fail, stop knocking and let one probe through.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use transom_domain::ChannelAccountId;

/// So many temporary failures in a row open it.
const IN_A_ROW: u32 = 5;
/// How long it stays open before a probe.
const OPEN_FOR: Duration = Duration::seconds(15);
/// How long it stays open after the platform refused our credentials: they change only by hand.
const AUTH_OPEN_FOR: Duration = Duration::minutes(1);

#[derive(Debug, Default)]
pub(super) struct Breakers {
    accounts: Mutex<HashMap<ChannelAccountId, State>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    failures: u32,
    open_until: Option<OffsetDateTime>,
}

/// What an attempt says about the account's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// The platform works, whatever it thought of this message.
    Well,
    /// It does not work just now.
    Ill,
    /// It does not know us any more.
    Locked,
}

/// What changed, for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Opened,
    Closed,
}

impl Breakers {
    /// The accounts that nothing is sent to now. After the pause one is no longer among them: the next send is the probe.
    pub(super) fn open(&self, now: OffsetDateTime) -> Vec<ChannelAccountId> {
        self.lock()
            .iter()
            .filter(|(_, state)| state.open_until.is_some_and(|until| now < until))
            .map(|(account, _)| *account)
            .collect()
    }

    /// Counts an attempt; says whether that opened or closed the breaker.
    pub(super) fn note(&self, account: ChannelAccountId, health: Health, now: OffsetDateTime) -> Option<Turn> {
        let mut accounts = self.lock();
        let state = accounts.entry(account).or_default();
        let was_open = state.open_until.is_some();
        match health {
            Health::Well => *state = State::default(),
            Health::Ill => {
                state.failures += 1;
                if was_open || state.failures >= IN_A_ROW {
                    state.open_until = Some(now.saturating_add(OPEN_FOR));
                }
            }
            Health::Locked => state.open_until = Some(now.saturating_add(AUTH_OPEN_FOR)),
        }
        match (was_open, state.open_until.is_some()) {
            (false, true) => Some(Turn::Opened),
            (true, false) => Some(Turn::Closed),
            (true, true) | (false, false) => None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ChannelAccountId, State>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use transom_domain::{CountingIds, Ids};

    #[test]
    fn five_failures_open_it_a_probe_that_fails_keeps_it_open_and_one_that_works_closes_it() {
        let breakers = Breakers::default();
        let account = ChannelAccountId::from(CountingIds::new(1).next());
        let now = datetime!(2026-11-20 10:00 UTC);
        for _ in 0..4 {
            assert_eq!(breakers.note(account, Health::Ill, now), None);
        }
        assert!(breakers.open(now).is_empty());
        assert_eq!(breakers.note(account, Health::Ill, now), Some(Turn::Opened));
        assert_eq!(breakers.open(now), [account]);
        let probe = now + OPEN_FOR;
        assert!(breakers.open(probe).is_empty());
        assert_eq!(breakers.note(account, Health::Ill, probe), None);
        assert_eq!(breakers.open(probe), [account]);
        assert_eq!(breakers.note(account, Health::Well, probe + OPEN_FOR), Some(Turn::Closed));
        assert!(breakers.open(probe + OPEN_FOR).is_empty());
    }
}
