//! One breaker per account: when a platform or its credentials fail, stop knocking (reliability.md 7).
//!
//! ```text
//!            5 in a row, or half of 20 in 30 s          the pause is over
//!  closed ───────────────────────────────────► open ─────────────────────► one probe
//!    ▲                                          ▲                              │
//!    │  5 in a row went well                    │ it failed                    │ it went well
//!    └──────────────── half the width ──────────┴──────────────────────────────┘
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::{Duration, OffsetDateTime};
use transom_domain::ChannelAccountId;
use transom_storage::WorkspaceScope;

/// So many temporary failures in a row open it; so many calls in a row that went well close it again.
const IN_A_ROW: u32 = 5;
/// So many calls must have been made before half of them failing opens it.
const MANY: u32 = 20;
/// The span in which they are counted, by slices.
const SPAN: Duration = Duration::seconds(30);
const SLICE: Duration = Duration::seconds(3);
/// How long it stays open before a probe.
const OPEN_FOR: Duration = Duration::seconds(15);
/// How long it stays open after the platform refused our credentials, if nobody changes them: some platforms say so when
/// they mean something that passes.
const LOCKED_FOR: Duration = Duration::minutes(10);

#[derive(Debug, Default)]
pub(super) struct Breakers {
    accounts: Mutex<HashMap<ChannelAccountId, State>>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    recent: VecDeque<Slice>,
    failed_in_a_row: u32,
}

#[derive(Debug, Clone, Copy)]
struct Slice {
    from: OffsetDateTime,
    calls: u32,
    failed: u32,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Closed,
    /// Nothing until then; after it one probe at a time.
    Open { until: OffsetDateTime },
    /// The same, ended by a change of the account's connection.
    Locked { since: OffsetDateTime, until: OffsetDateTime, scope: WorkspaceScope },
    /// The probe went well; so many after it have.
    Half { well: u32 },
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

/// An account that the platform no longer knows.
#[derive(Debug, Clone)]
pub(super) struct LockedAccount {
    pub(super) scope: WorkspaceScope,
    pub(super) account: ChannelAccountId,
    pub(super) since: OffsetDateTime,
}

impl Breakers {
    /// How much of `width` may be in hand at once; only accounts that are not as wide as usual are named.
    pub(super) fn narrowed(&self, now: OffsetDateTime) -> Vec<(ChannelAccountId, Narrowed)> {
        self.lock()
            .iter()
            .filter_map(|(account, state)| {
                let narrowed = match state.phase {
                    Phase::Closed => return None,
                    Phase::Open { until } | Phase::Locked { until, .. } if now < until => Narrowed::Shut,
                    Phase::Open { .. } | Phase::Locked { .. } => Narrowed::Probe,
                    Phase::Half { .. } => Narrowed::Half,
                };
                Some((*account, narrowed))
            })
            .collect()
    }

    /// Counts an attempt; says whether that opened or closed the breaker.
    pub(super) fn note(
        &self,
        account: ChannelAccountId,
        scope: &WorkspaceScope,
        health: Health,
        now: OffsetDateTime,
    ) -> Option<Turn> {
        let mut accounts = self.lock();
        let state = accounts.entry(account).or_default();
        let tripped = state.count(health, now);
        let opened = Phase::Open { until: now.saturating_add(OPEN_FOR) };
        let locked = || Phase::Locked { since: now, until: now.saturating_add(LOCKED_FOR), scope: scope.clone() };
        let (phase, turn) = match (&state.phase, health) {
            (Phase::Closed | Phase::Half { .. }, Health::Locked) => (locked(), Some(Turn::Opened)),
            (Phase::Open { .. } | Phase::Locked { .. }, Health::Locked) => (locked(), None),
            (Phase::Closed, _) if tripped => (opened, Some(Turn::Opened)),
            (Phase::Half { .. }, Health::Ill) => (opened, Some(Turn::Opened)),
            (Phase::Half { well }, Health::Well) if well + 1 >= IN_A_ROW => (Phase::Closed, None),
            (Phase::Half { well }, Health::Well) => (Phase::Half { well: well + 1 }, None),
            // An answer to what was on the wire before it opened says nothing new.
            (Phase::Open { until } | Phase::Locked { until, .. }, _) if now < *until => return None,
            (Phase::Open { .. } | Phase::Locked { .. }, Health::Ill) => (opened, None),
            (Phase::Open { .. } | Phase::Locked { .. }, Health::Well) => (Phase::Half { well: 1 }, Some(Turn::Closed)),
            (Phase::Closed, Health::Well | Health::Ill) => return None,
        };
        if !matches!(phase, Phase::Closed) {
            (state.recent, state.failed_in_a_row) = (VecDeque::new(), 0);
        }
        state.phase = phase;
        metrics::gauge!("transom_breakers_open").set(f64::from(open(&accounts)));
        turn
    }

    /// The accounts whose credentials were refused.
    pub(super) fn locked(&self) -> Vec<LockedAccount> {
        let locked = |(account, state): (&ChannelAccountId, &State)| match &state.phase {
            Phase::Locked { since, scope, .. } => {
                Some(LockedAccount { scope: scope.clone(), account: *account, since: *since })
            }
            Phase::Closed | Phase::Open { .. } | Phase::Half { .. } => None,
        };
        self.lock().iter().filter_map(locked).collect()
    }

    /// Somebody changed the credentials: the next send is the probe.
    pub(super) fn unlock(&self, account: ChannelAccountId, now: OffsetDateTime) {
        if let Some(state) = self.lock().get_mut(&account)
            && matches!(state.phase, Phase::Locked { .. })
        {
            state.phase = Phase::Open { until: now };
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelAccountId, State>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much narrower an account is than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Narrowed {
    /// Nothing is sent.
    Shut,
    /// One at a time.
    Probe,
    /// Half as much as usual.
    Half,
}

impl Narrowed {
    /// What is left of a width.
    pub(super) fn of(self, width: u32) -> u32 {
        match self {
            Narrowed::Shut => 0,
            Narrowed::Probe => 1,
            Narrowed::Half => (width / 2).max(1),
        }
    }
}

impl State {
    /// Counts a call; whether a closed breaker opens by it.
    fn count(&mut self, health: Health, now: OffsetDateTime) -> bool {
        let failed = u32::from(health == Health::Ill);
        self.failed_in_a_row = if failed == 1 { self.failed_in_a_row + 1 } else { 0 };
        self.recent.retain(|slice| slice.from > now.saturating_sub(SPAN) && slice.from <= now);
        match self.recent.back_mut() {
            Some(slice) if now < slice.from.saturating_add(SLICE) => {
                slice.calls += 1;
                slice.failed += failed;
            }
            _ => self.recent.push_back(Slice { from: now, calls: 1, failed }),
        }
        let (calls, all_failed) =
            self.recent.iter().fold((0, 0), |(calls, bad), slice| (calls + slice.calls, bad + slice.failed));
        failed == 1 && (self.failed_in_a_row >= IN_A_ROW || calls >= MANY && all_failed * 2 >= calls)
    }
}

fn open(accounts: &HashMap<ChannelAccountId, State>) -> u32 {
    let open = accounts.values().filter(|state| matches!(state.phase, Phase::Open { .. } | Phase::Locked { .. }));
    u32::try_from(open.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use transom_domain::{CountingIds, Ids};
    use transom_storage::test_support::TestDatabase;

    const NOW: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

    async fn scene() -> (Breakers, ChannelAccountId, WorkspaceScope) {
        let db = TestDatabase::sqlite();
        let scope = db.workspace(&db.open().await, "Acme").await;
        (Breakers::default(), CountingIds::new(1).next().into(), scope)
    }

    #[tokio::test]
    async fn five_failures_open_it_a_probe_that_fails_keeps_it_open_and_one_that_works_lets_half_through() {
        let (breakers, account, scope) = scene().await;
        for _ in 0..4 {
            assert_eq!(breakers.note(account, &scope, Health::Ill, NOW), None);
        }
        assert!(breakers.narrowed(NOW).is_empty());
        assert_eq!(breakers.note(account, &scope, Health::Ill, NOW), Some(Turn::Opened));
        assert_eq!(breakers.narrowed(NOW), [(account, Narrowed::Shut)]);
        assert_eq!(breakers.note(account, &scope, Health::Well, NOW), None, "it was on the wire before");
        assert_eq!(breakers.narrowed(NOW), [(account, Narrowed::Shut)]);
        let probe = NOW + OPEN_FOR;
        assert_eq!(breakers.narrowed(probe), [(account, Narrowed::Probe)]);
        assert_eq!(breakers.note(account, &scope, Health::Ill, probe), None);
        assert_eq!(breakers.narrowed(probe), [(account, Narrowed::Shut)]);
        let probe = probe + OPEN_FOR;
        assert_eq!(breakers.note(account, &scope, Health::Well, probe), Some(Turn::Closed));
        assert_eq!(breakers.narrowed(probe), [(account, Narrowed::Half)]);
        for _ in 1..IN_A_ROW {
            assert_eq!(breakers.note(account, &scope, Health::Well, probe), None);
        }
        assert!(breakers.narrowed(probe).is_empty(), "all of it again");
        assert_eq!((Narrowed::Shut.of(16), Narrowed::Probe.of(16), Narrowed::Half.of(16)), (0, 1, 8));
        assert_eq!(Narrowed::Half.of(1), 1);
    }

    #[tokio::test]
    async fn half_of_twenty_calls_failing_opens_it() {
        let (breakers, account, scope) = scene().await;
        for round in 0..9 {
            assert_eq!(breakers.note(account, &scope, Health::Well, NOW), None, "{round}");
            assert_eq!(breakers.note(account, &scope, Health::Ill, NOW), None, "{round}");
        }
        assert_eq!(breakers.note(account, &scope, Health::Well, NOW), None);
        assert_eq!(breakers.note(account, &scope, Health::Ill, NOW), Some(Turn::Opened), "10 of 20");

        let other: ChannelAccountId = CountingIds::new(9).next().into();
        for second in 0..20 {
            let health = if second % 2 == 0 { Health::Ill } else { Health::Well };
            let turn = breakers.note(other, &scope, health, NOW + Duration::seconds(second * 3));
            assert_eq!(turn, None, "never twenty in thirty seconds");
        }
    }

    #[tokio::test]
    async fn refused_credentials_shut_it_until_they_change() {
        let (breakers, account, scope) = scene().await;
        assert_eq!(breakers.note(account, &scope, Health::Locked, NOW), Some(Turn::Opened));
        let later = NOW + Duration::minutes(9);
        assert_eq!(breakers.narrowed(later), [(account, Narrowed::Shut)]);
        let locked = breakers.locked();
        assert_eq!((locked.len(), locked[0].account, locked[0].since), (1, account, NOW));
        breakers.unlock(account, later);
        assert_eq!(breakers.narrowed(later), [(account, Narrowed::Probe)]);
        assert!(breakers.locked().is_empty());
        assert_eq!(breakers.note(account, &scope, Health::Locked, later), None, "still wrong");
        assert_eq!(breakers.narrowed(later + LOCKED_FOR), [(account, Narrowed::Probe)]);
    }
}
