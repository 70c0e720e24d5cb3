//! What Messenger and Instagram share: the Send API and the events of `messaging`.
//!
//! | part | what |
//! | --- | --- |
//! | [`plan`] | what is split and what is refused, by the account's own capabilities |
//! | [`Right`] | recipient, `messaging_type` and `tag`, written from the permit and from nothing else |
//! | [`request`](request()) | one part as one request |
//! | [`receipt`](receipt()) | what the platform answered |
//! | [`classify`] | the codes that mean the same on both |
//! | [`Files`] | uploads of what we send, downloads of what customers sent |
//! | [`Happening`] | one event of a webhook, read without trust in any field; comments among them |
//!
//! Sources: messenger.md 2, 4 and 6; instagram.md 2, 4 and 6.

mod comment;
mod content;
mod files;
mod happening;
mod plan;
mod refusal;
mod request;
mod right;
mod token;
mod wire;

pub use files::Files;
pub use happening::{Happening, word};
pub use plan::{check_part, plan};
pub use refusal::{About, classify, is_thread_control};
pub use request::{Style, receipt, request};
pub use right::Right;
pub use token::{NodeToken, again_with_another_token};
pub use wire::{FileRef, Message, Recipient, Request, Sent};

/// What stands before our own reference in `metadata`, so that another program's is not taken for ours.
const OURS: &str = "transom:";

/// Our reference as `metadata` of a message; it comes back in the echo.
pub fn metadata(correlation: &str) -> String {
    format!("{OURS}{correlation}")
}

/// Our reference in an echo's `metadata`, if it is ours.
pub fn correlation(metadata: &str) -> Option<&str> {
    metadata.strip_prefix(OURS).filter(|reference| !reference.is_empty())
}
