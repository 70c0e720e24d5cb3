//! The service over real HTTP, in this process and as the real program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod attachments;
mod bad_input;
mod binary;
mod channels;
mod contacts;
mod desk;
mod documents;
mod events;
mod idempotency;
mod lists;
mod mail;
mod matrix;
mod operations;
mod s3;
mod support;
mod webhooks;
