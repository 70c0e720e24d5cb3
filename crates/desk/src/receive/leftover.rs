//! What an earlier process left in the journal: taken with care, so that a call which kills the process is found.
//!
//! A call that is new is applied without any trace of that, which costs nothing. What waited already when this process began
//! may be what ended the one before: it is counted before it is tried, at first with all the others, from the second time on
//! alone. One that was alone in hand at three deaths is quarantined (reliability.md 3). The third try waits until the process
//! has lived for a while: one that is killed from outside, over and over and soon after its start, may have had the same
//! innocent call in hand each time, and would never have come to that try.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use time::Duration;
use tokio::sync::OnceCell;
use transom_domain::{JournalId, WorkspaceId};
use transom_storage::{JournalCall, Left, Waiting, WorkspaceScope};

use super::apply::BATCH;
use crate::{Desk, DeskError};

/// So many deaths with a call alone in hand prove it.
const POISON: u32 = 3;
/// For how long no other replica takes what is in hand: they start together, and would count one death as many.
const IN_HAND: Duration = Duration::seconds(3);
/// A process that has lived for so long dies of what it does, not of what ends all of them soon after their start.
const CALM: Duration = Duration::seconds(3);

/// What was left in each workspace when this process began.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    found: OnceCell<Found>,
}

#[derive(Debug)]
struct Found {
    /// When this process began to apply.
    began: Instant,
    by_workspace: Mutex<HashMap<WorkspaceId, Leftover>>,
}

#[derive(Debug, Clone)]
struct Leftover {
    /// The last call that waited then.
    last: JournalId,
    /// Calls that are counted already, and could not be applied for another reason than a death.
    in_hand: Vec<JournalId>,
}

/// What a workspace's next batch is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The oldest calls, whichever.
    Any,
    /// The oldest that came since this process began: what was left is in another replica's hand, or spared for now.
    Since(JournalId),
    /// These, which were left.
    Left(Vec<JournalId>),
}

impl Next {
    pub(super) fn waiting(&self) -> Waiting<'_> {
        match self {
            Next::Any => Waiting::All,
            Next::Since(last) => Waiting::After(*last),
            Next::Left(calls) => Waiting::These(calls),
        }
    }
}

/// Whether a call has killed often enough.
pub(super) fn is_poison(call: &JournalCall) -> bool {
    // The first time it was in hand with others, and this time it has not killed yet.
    call.crashes > 1 + POISON
}

impl Leftovers {
    /// Looks once in a process's life what was left, before anything is applied.
    pub(super) async fn look(&self, desk: &Desk) -> Result<(), DeskError> {
        let look = || async {
            let mut found = HashMap::new();
            for scope in desk.storage().scopes_with_unapplied_journal().await? {
                let last = desk
                    .storage()
                    .transact(&scope, |tx| Box::pin(async move { Ok::<_, DeskError>(tx.last_unapplied().await?) }))
                    .await?;
                if let Some(last) = last {
                    found.insert(scope.workspace(), Leftover { last, in_hand: Vec::new() });
                }
            }
            Ok::<_, DeskError>(Found { began: Instant::now(), by_workspace: Mutex::new(found) })
        };
        self.found.get_or_try_init(look).await.map(drop)
    }

    /// What comes next in a workspace; what was left is counted.
    pub(super) async fn next(&self, desk: &Desk, scope: &WorkspaceScope) -> Result<Next, DeskError> {
        let known = self.found().and_then(|found| found.get(&scope.workspace()).cloned());
        let Some(leftover) = known else { return Ok(Next::Any) };
        if !leftover.in_hand.is_empty() {
            return Ok(Next::Left(leftover.in_hand));
        }
        // A file has one process.
        let (last, ttl) = (leftover.last, if desk.storage().is_shared() { IN_HAND } else { Duration::ZERO });
        let spared = (!self.calm()).then_some(POISON);
        let left = desk
            .storage()
            .transact(scope, move |tx| {
                Box::pin(async move { Ok::<_, DeskError>(tx.take_left(last, BATCH, ttl, spared).await?) })
            })
            .await?;
        let Some(mut found) = self.found() else { return Ok(Next::Any) };
        Ok(match left {
            Left { taken, .. } if !taken.is_empty() => {
                found.insert(scope.workspace(), Leftover { last, in_hand: taken.clone() });
                Next::Left(taken)
            }
            Left { others: true, .. } => Next::Since(last),
            Left { .. } => {
                found.remove(&scope.workspace());
                Next::Any
            }
        })
    }

    /// What was in hand is applied.
    pub(super) fn done(&self, scope: &WorkspaceScope, next: &Next) {
        let Next::Left(_) = next else { return };
        if let Some(leftover) = self.found().as_mut().and_then(|found| found.get_mut(&scope.workspace())) {
            leftover.in_hand.clear();
        }
    }

    /// What was left, once somebody has [looked](Self::look).
    fn found(&self) -> Option<MutexGuard<'_, HashMap<WorkspaceId, Leftover>>> {
        Some(self.found.get()?.by_workspace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn calm(&self) -> bool {
        self.found.get().is_some_and(|found| CALM <= found.began.elapsed())
    }
}
