//! Tests of the channel from outside: the conformance suite and the platform's moods against the sandbox, vectors from the
//! platform's own libraries, and whatever may come in.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "integration tests")]

mod conformance;
mod fixtures;
mod fuzz;
mod moods;
mod world;
