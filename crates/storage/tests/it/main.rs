//! Every query on both databases: a file a subject, one program for all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod attachments;
mod broadcasts;
mod common;
mod conversations;
mod core;
mod echoes;
mod faults;
mod lists;
mod log;
mod mailboxes;
mod marks;
mod messages;
mod outbox;
mod people;
mod people_support;
mod quota;
mod receipts;
mod removal;
mod sending_support;
mod templates;
