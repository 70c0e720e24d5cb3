//! Delivery states, which only go forward.
//!
//! ```text
//!  scheduled ─► queued ─► sending ─► sent ─► delivered ─► read
//!      │          │  ▲       ├────► unknown ─► sent | failed | not_sent (evidence, or a person's choice)
//!      ▼          ▼  │       ├────► failed ──► queued (a person retries) | delivered, read (proof)
//!  canceled   not_sent ◄─────┘
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a part of an outgoing message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Ours alone, to leave at a chosen time.
    Scheduled,
    /// Ours alone, to leave as soon as it may.
    Queued,
    /// Written before the first byte may leave; an attempt is under way.
    Sending,
    /// The platform accepted it.
    Sent,
    /// It reached the customer's device.
    Delivered,
    /// The customer saw it.
    Read,
    /// The platform got it and refused it or reported failure.
    Failed,
    /// Provably never accepted.
    NotSent,
    /// It may have been accepted; nobody can know without evidence.
    Unknown,
    /// Withdrawn while it was still ours.
    Canceled,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [DeliveryState; 10] = [
        DeliveryState::Scheduled,
        DeliveryState::Queued,
        DeliveryState::Sending,
        DeliveryState::Sent,
        DeliveryState::Delivered,
        DeliveryState::Read,
        DeliveryState::Failed,
        DeliveryState::NotSent,
        DeliveryState::Unknown,
        DeliveryState::Canceled,
    ];

    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Scheduled => "scheduled",
            DeliveryState::Queued => "queued",
            DeliveryState::Sending => "sending",
            DeliveryState::Sent => "sent",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Read => "read",
            DeliveryState::Failed => "failed",
            DeliveryState::NotSent => "not_sent",
            DeliveryState::Unknown => "unknown",
            DeliveryState::Canceled => "canceled",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether this state may be followed by `next` at all; [`Cause`] says by whose hand.
    pub fn may_become(self, next: DeliveryState, cause: Cause) -> bool {
        use DeliveryState as S;
        match (self, next, cause) {
            // Ours alone: it leaves, is withheld, or is withdrawn.
            (S::Scheduled, S::Queued | S::NotSent | S::Canceled, _)
            | (S::Queued, S::Sending | S::NotSent, Cause::Dispatch)
            | (S::Queued, S::Scheduled | S::NotSent | S::Canceled, Cause::Person)
            // The attempt ends; back to queued only when the platform provably did not accept it (P3).
            | (S::Sending, S::Sent | S::Failed | S::Queued | S::Unknown | S::NotSent, Cause::Dispatch) => true,
            // Receipts: an unknown is settled, ranks only rise, and failed yields only to proof of the contrary.
            (S::Sending | S::Unknown, S::Sent | S::Delivered | S::Read | S::Failed, Cause::Receipt)
            | (S::Sent, S::Delivered | S::Read | S::Failed, Cause::Receipt)
            | (S::Delivered, S::Read, Cause::Receipt)
            | (S::Failed, S::Delivered | S::Read, Cause::Receipt) => true,
            // A look-up with authority may also find that it never arrived.
            (S::Unknown, S::Sent | S::Failed | S::NotSent, Cause::LookUp) => true,
            // A person retries, or settles what can't be known (R-519).
            (S::Failed | S::NotSent, S::Queued, Cause::Person)
            | (S::Unknown, S::Sent | S::Queued | S::Failed, Cause::Person) => true,
            _ => false,
        }
    }

    /// Moves on to `next`.
    ///
    /// # Errors
    /// [`IllegalStep`] where [`may_become`](Self::may_become) says no; a caller with a late receipt simply keeps the state.
    pub fn step(self, next: DeliveryState, cause: Cause) -> Result<DeliveryState, IllegalStep> {
        if self.may_become(next, cause) { Ok(next) } else { Err(IllegalStep { from: self, to: next, cause }) }
    }

    /// What a receipt makes of this state: the higher rank wins, whatever order receipts come in.
    #[must_use]
    pub fn after_receipt(self, receipt: DeliveryState) -> DeliveryState {
        self.step(receipt, Cause::Receipt).unwrap_or(self)
    }

    /// Whether nothing more will happen by itself, receipts aside.
    pub const fn is_settled(self) -> bool {
        !matches!(self, DeliveryState::Scheduled | DeliveryState::Queued | DeliveryState::Sending)
    }

    /// How much a person has to look at it: a message shows the worst of its parts (R-517).
    const fn severity(self) -> u8 {
        match self {
            DeliveryState::Read => 0,
            DeliveryState::Delivered => 1,
            DeliveryState::Sent => 2,
            DeliveryState::Canceled => 3,
            DeliveryState::Scheduled => 4,
            DeliveryState::Queued => 5,
            DeliveryState::Sending => 6,
            DeliveryState::Unknown => 7,
            DeliveryState::NotSent => 8,
            DeliveryState::Failed => 9,
        }
    }

    /// The state of a message with these parts; `None` for none.
    pub fn of_message(parts: impl IntoIterator<Item = DeliveryState>) -> Option<DeliveryState> {
        parts.into_iter().max_by_key(|state| state.severity())
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By whose hand a delivery state changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The dispatcher.
    Dispatch,
    /// A receipt or an echo of the platform.
    Receipt,
    /// An authoritative look-up at the platform.
    LookUp,
    /// Somebody's decision.
    Person,
}

/// A change of delivery state that must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message that is {from} can't become {to} ({cause:?})")]
pub struct IllegalStep {
    /// The state it is in.
    pub from: DeliveryState,
    /// The state asked for.
    pub to: DeliveryState,
    /// By whose hand.
    pub cause: Cause,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    const RECEIPTS: [DeliveryState; 4] =
        [DeliveryState::Sent, DeliveryState::Delivered, DeliveryState::Read, DeliveryState::Failed];

    #[test]
    fn names_round_trip() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
        }
    }

    #[test]
    fn what_the_platform_holds_never_comes_back_by_itself() {
        for cause in [Cause::Receipt, Cause::LookUp, Cause::Dispatch] {
            for held in [DeliveryState::Sent, DeliveryState::Delivered, DeliveryState::Read, DeliveryState::Unknown] {
                assert!(!held.may_become(DeliveryState::Queued, cause), "{held} by {cause:?}");
            }
        }
    }

    #[test]
    fn failed_yields_only_to_proof() {
        assert_eq!(DeliveryState::Failed.after_receipt(DeliveryState::Sent), DeliveryState::Failed);
        assert_eq!(DeliveryState::Failed.after_receipt(DeliveryState::Read), DeliveryState::Read);
    }

    proptest! {
        /// Receipts in any order, with any repeats, end in one state.
        #[test]
        fn the_order_of_receipts_does_not_matter(
            receipts in proptest::collection::vec(select(RECEIPTS.to_vec()), 1..8),
            seed in any::<proptest::sample::Index>(),
        ) {
            let end = |list: &[DeliveryState]| list.iter().fold(DeliveryState::Sending, |state, r| state.after_receipt(*r));
            let mut shuffled = receipts.clone();
            shuffled.rotate_left(seed.index(receipts.len()));
            shuffled.push(receipts[seed.index(receipts.len())]);
            let mut reversed = receipts.clone();
            reversed.reverse();
            let proofs = |list: &[DeliveryState]| end(list);
            prop_assert_eq!(proofs(&receipts), proofs(&shuffled));
            prop_assert_eq!(proofs(&receipts), proofs(&reversed));
        }
    }
}
