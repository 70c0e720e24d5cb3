//! Web chat over real HTTP and real WebSockets: visitors, agents, replicas, and those who should stay outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod acts;
mod letters;
mod outsiders;
mod replicas;
mod site;
