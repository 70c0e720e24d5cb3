//! Tests of the channel from outside: the conformance suite and a server's moods over real SMTP, fetching over real IMAP, and
//! whatever may come in.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "integration tests")]

mod conformance;
mod fetching;
mod folder;
mod fuzz;
mod samples;
mod sending;
mod server;
mod world;
