//! The channel against the sandbox, over real HTTP.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

mod conformance;
mod fuzz;
mod sending;
mod signature;
mod world;
