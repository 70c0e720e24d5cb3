#![doc = include_str!("../README.md")]

mod answer;
mod billing;
mod decide;
mod event;
mod facts;
mod forget;
mod grant;
mod join;
mod judge;
mod ledger;
mod load;
mod moment;
mod opened;
mod permit;
mod permits;
mod policies;
mod policy;
mod question;
mod quota;
mod reason;
mod registers;
mod restore;
mod rfc3339;
mod room;
mod session;
mod snapshot;
mod table;
mod vocabulary;
mod window;

pub use billing::Rebooking;
pub use decide::{Decision, Interval};
pub use event::{Event, PlatformRefusal, UnknownName, What};
pub use facts::Facts;
pub use grant::{Basis, CountedFrom, Grant};
pub use permit::{Permit, PermitRecord, Spend};
pub use permits::{Allowed, Permits};
pub use policies::{Policies, PolicyError, Problem};
pub use policy::{Feature, Kind, Policy, Source};
pub use question::{
    GivenAccount, GivenContact, GivenOpening, Message, OptedOut, Question, QuestionError, QuestionErrorCode, evaluate,
};
pub use quota::{Counts, Per, Quota, Scope};
pub use reason::{Because, Reason, Refusal, Remedy};
pub use snapshot::{Account, Dropped, Opening, Person, Sent, Snapshot, Stamped, Usage};
pub use table::rules_table;
pub use vocabulary::{
    Ask, Blocker, Blockers, Category, CategorySet, Country, OptOutScope, OptOutScopes, Sender, SenderSet, Subject,
    UnknownWord,
};
pub use window::{Window, WindowState};
