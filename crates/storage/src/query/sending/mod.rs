//! What is on its way out: outbox, attempts, receipts, quota ledger.

mod attempts;
pub(super) mod batch;
mod choices;
mod claim;
mod echoes;
mod in_flight;
mod limits;
mod look_ups;
mod outbox;
mod parts;
mod quota;
mod quota_facts;
mod receipts;
mod recipients;
mod recover;
mod reserve;
mod scheduled;
mod settle;
mod spend;
mod wire;

pub use attempts::{Attempt, PartEvidence};
pub use choices::Choice;
pub use claim::{AccountRoom, ClaimBound, ClaimRequest, Claimed};
pub use echoes::JoinedEcho;
pub use limits::LimitEvidence;
pub use look_ups::LookUpDue;
pub use outbox::{NewOutbox, OutboxStats, Outcome, Priority, Settlement, UnknownPart};
pub use quota::{Counting, QuotaFull, QuotaScope, Reservation};
pub use quota_facts::PeopleOf;
pub use receipts::{Changed, ReceiptKey};
pub use recover::{Recovered, RecoveredFrom};
pub use scheduled::StoredSchedule;
pub use settle::Settled;
