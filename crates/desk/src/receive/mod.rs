//! Receive: what platforms tell us, journalled first and applied in order.
//!
//! A call is verified, journalled and answered ([`accept`]); then its items are applied, up to a hundred a transaction, each
//! in a savepoint of its own, so that a bad one goes to quarantine and its neighbours go on (reliability.md 3).

mod accept;
mod apply;
mod item;
mod message;
mod notice;
mod receipt;
mod standing;

pub use accept::{Heard, WebhookRefused, accept};
pub use apply::{Applied, apply_waiting, run};
