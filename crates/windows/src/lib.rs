//! Knows what a messaging platform allows right now: free text, a tagged message, a template, or nothing

mod decide;
mod event;
mod facts;
mod judge;
mod ledger;
mod load;
mod moment;
mod permit;
mod permits;
mod policies;
mod policy;
mod question;
mod reason;
mod restore;
mod rfc3339;
mod room;
mod session;
mod snapshot;
mod table;
mod vocabulary;
mod window;

pub use decide::{Decision, Interval};
pub use event::{Event, PlatformRefusal, UnknownName, What};
pub use facts::Facts;
pub use permit::{Permit, PermitRecord, Spend};
pub use permits::{Allowed, Permits};
pub use policies::{Policies, PolicyError, Problem};
pub use policy::{Basis, CountedFrom, Counts, Feature, Grant, Kind, Per, Policy, Quota, Scope, Source};
pub use question::{
    GivenAccount, GivenContact, GivenOpening, Message, OptedOut, Question, QuestionError, QuestionErrorCode, evaluate,
};
pub use reason::{Because, Reason, Refusal, Remedy};
pub use snapshot::{Account, Dropped, Opening, Person, Sent, Snapshot, Stamped, Usage};
pub use table::rules_table;
pub use vocabulary::{
    Ask, Blocker, Blockers, Category, CategorySet, Country, OptOutScope, OptOutScopes, Sender, SenderSet, Subject,
    UnknownWord,
};
pub use window::{Window, WindowState};
