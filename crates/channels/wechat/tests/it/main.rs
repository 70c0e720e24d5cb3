//! The channel against the sandbox, over real HTTP, and against vectors of other libraries.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

mod conformance;
mod fixtures;
mod fuzz;
mod sending;
mod world;
