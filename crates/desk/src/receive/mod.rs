//! Receive: what platforms tell us, journalled first and applied in order.
//!
//! A call is verified, journalled and answered ([`accept`]); then calls are applied, up to a hundred a transaction. At first
//! all together, customers' messages in one statement a table; if anything fails, once more with each item in a savepoint of
//! its own, so that a bad one goes to quarantine and its neighbours go on (reliability.md 3).

mod accept;
mod answer;
mod apply;
mod earlier;
mod echo;
mod erased;
mod ground;
mod item;
mod late;
mod leftover;
mod message;
mod notice;
mod receipt;
mod standing;
mod together;

pub(crate) use apply::apply_call;
pub(crate) use item::Case;
pub(crate) use leftover::Leftovers;

pub use accept::{Heard, WebhookRefused, accept, largest_call};
pub use apply::{Applied, apply_waiting, run};
