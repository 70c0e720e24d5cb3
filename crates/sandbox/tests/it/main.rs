//! The platforms' side over real HTTP: a file a platform, one program for all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test stops at the first surprise"
)]

mod common;
mod email;
mod http;
mod instagram;
mod line;
mod messenger;
mod moods;
mod page;
mod sms;
mod telegram;
mod tiktok;
mod viber;
mod webchat;
mod wechat;
mod whatsapp;
