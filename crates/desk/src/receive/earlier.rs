//! What an earlier turn of a call left in quarantine: a replay settles it, and adds nothing twice.

use std::collections::BTreeSet;

use serde_json::Value;
use time::OffsetDateTime;
use transom_channel::Inbound;
use transom_domain::QuarantineId;
use transom_storage::{JournalCall, QuarantineState, StoredQuarantine, Tx};

use super::apply::named;
use crate::DeskError;

/// The entries of a call that is applied again; nothing of one that is new.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Those that somebody still has to look at.
    open: Vec<StoredQuarantine>,
    /// The items that somebody said are not needed.
    dropped: Vec<Value>,
    /// What could not be used this time either.
    again: BTreeSet<QuarantineId>,
}

impl Earlier {
    pub(super) async fn of(tx: &Tx, call: &JournalCall) -> Result<Self, DeskError> {
        let mut earlier = Self::default();
        if call.replays == 0 {
            return Ok(earlier);
        }
        for entry in tx.quarantined_of(call.call.id).await? {
            match entry.state {
                QuarantineState::Open => earlier.open.push(entry),
                QuarantineState::Dropped => earlier.dropped.extend(entry.entry.item),
                QuarantineState::Replayed => {}
            }
        }
        Ok(earlier)
    }

    /// Whether an item is to be applied: what was dropped stays out.
    pub(super) fn wants(&self, inbound: &Inbound) -> bool {
        self.dropped.is_empty() || !self.dropped.contains(&named(inbound))
    }

    /// The entry of an item that can't be used again, or of the whole call.
    pub(super) fn take(&mut self, inbound: Option<&Inbound>) -> Option<QuarantineId> {
        let item = inbound.map(named);
        let same = |entry: &&StoredQuarantine| entry.entry.item == item && !self.again.contains(&entry.entry.id);
        let id = self.open.iter().find(same)?.entry.id;
        self.again.insert(id);
        Some(id)
    }

    /// The call was read and all of it had its turn: what is not in quarantine again is settled.
    pub(super) async fn settle(self, tx: &Tx, now: OffsetDateTime) -> Result<(), DeskError> {
        for entry in self.open.iter().filter(|entry| !self.again.contains(&entry.entry.id)) {
            tx.settle_quarantine(entry.entry.id, QuarantineState::Replayed, now).await?;
        }
        Ok(())
    }
}
