//! Who may have how much in hand: the whole process, a workspace, an account (reliability.md 6 and 7).
//!
//! A slow account fills its own lane and nobody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transom_domain::{ChannelAccountId, WorkspaceId};

/// How many parts are in hand at once, over all workspaces.
const IN_HAND: u32 = 128;
/// A workspace holds at most half of them, so that one can't keep the others waiting.
const PER_WORKSPACE: u32 = IN_HAND / 2;
/// An account holds at most this many, and fewer where its platform wants that.
pub(super) const PER_ACCOUNT: u32 = 16;

/// What is in hand, counted.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    workspaces: HashMap<WorkspaceId, u32>,
    accounts: HashMap<ChannelAccountId, u32>,
    /// What platforms want, where it is less than usual.
    narrow: HashMap<ChannelAccountId, u32>,
}

/// A place in the lanes, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    lanes: Arc<Lanes>,
    workspace: WorkspaceId,
    account: ChannelAccountId,
}

impl Lanes {
    /// How many more parts of a workspace may be taken in hand.
    pub(super) fn room_for(&self, workspace: WorkspaceId) -> u32 {
        let counts = self.lock();
        let held = counts.workspaces.get(&workspace).copied().unwrap_or_default();
        PER_WORKSPACE.saturating_sub(held).min(IN_HAND.saturating_sub(counts.all))
    }

    /// How wide each account's lane is and how much is in it, for those that are not empty or not of the usual width.
    pub(super) fn accounts(&self) -> HashMap<ChannelAccountId, (u32, u32)> {
        let counts = self.lock();
        let known = counts.accounts.keys().chain(counts.narrow.keys());
        known.map(|account| (*account, (counts.width(*account), counts.held(*account)))).collect()
    }

    /// What the account's platform wants.
    pub(super) fn learn(&self, account: ChannelAccountId, at_once: u32) {
        let mut counts = self.lock();
        if at_once < PER_ACCOUNT {
            counts.narrow.insert(account, at_once.max(1));
        } else {
            counts.narrow.remove(&account);
        }
    }

    /// Takes a place for a part that was claimed.
    pub(super) fn enter(self: &Arc<Self>, workspace: WorkspaceId, account: ChannelAccountId) -> Place {
        let mut counts = self.lock();
        counts.all += 1;
        *counts.workspaces.entry(workspace).or_default() += 1;
        *counts.accounts.entry(account).or_default() += 1;
        drop(counts);
        Place { lanes: Arc::clone(self), workspace, account }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn width(&self, account: ChannelAccountId) -> u32 {
        self.narrow.get(&account).copied().unwrap_or(PER_ACCOUNT)
    }

    fn held(&self, account: ChannelAccountId) -> u32 {
        self.accounts.get(&account).copied().unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.lanes.lock();
        counts.all = counts.all.saturating_sub(1);
        leave(&mut counts.workspaces, self.workspace);
        leave(&mut counts.accounts, self.account);
    }
}

fn leave<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transom_domain::{CountingIds, Ids};

    #[test]
    fn a_workspace_gets_half_and_an_account_its_lane() {
        let (lanes, ids) = (Arc::new(Lanes::default()), CountingIds::new(1));
        let (ours, theirs): (WorkspaceId, WorkspaceId) = (ids.next().into(), ids.next().into());
        let account: ChannelAccountId = ids.next().into();
        let places: Vec<Place> = (0..PER_WORKSPACE).map(|_| lanes.enter(ours, account)).collect();
        assert_eq!((lanes.room_for(ours), lanes.room_for(theirs)), (0, IN_HAND / 2));
        assert_eq!(lanes.accounts()[&account], (PER_ACCOUNT, PER_WORKSPACE));
        drop(places);
        assert_eq!(lanes.room_for(ours), PER_WORKSPACE);
        assert!(lanes.accounts().is_empty());
        lanes.learn(account, 2);
        assert_eq!(lanes.accounts()[&account], (2, 0));
        lanes.learn(account, 80);
        assert!(lanes.accounts().is_empty(), "never more than usual");
    }
}
