//! Tests of the channel from outside: the conformance suite and the other side's moods against the sandbox, and whatever may
//! come in.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "integration tests")]

mod conformance;
mod fuzz;
mod moods;
mod world;
