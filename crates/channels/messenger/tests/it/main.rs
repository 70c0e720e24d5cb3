//! The channel from outside: the contract's laws, other people's vectors, its wire against the sandbox, and chance.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod conformance;
mod fixtures;
mod fuzz;
mod rights;
mod wire;
mod world;
