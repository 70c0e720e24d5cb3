//! Web chat over real HTTP and real WebSockets: visitors, agents, replicas, and those who should stay outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "webchat/acts.rs"]
mod acts;
#[path = "webchat/outsiders.rs"]
mod outsiders;
#[path = "webchat/replicas.rs"]
mod replicas;
#[path = "webchat/site.rs"]
mod site;
