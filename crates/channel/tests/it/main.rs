//! Tests of this crate from outside: real sockets, real policies, and the conformance suite on trial itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "integration tests")]

mod conformance;
mod http;
mod parrot;
mod permits;
mod server;
