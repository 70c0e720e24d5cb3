//! The service and the sandbox over real HTTP, on both databases: a file a subject, one program for all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod afterwards;
mod apps;
mod attachments;
mod audit;
mod bots;
mod broadcast;
mod bulk;
mod closing;
mod comments;
mod delivery;
mod desk;
mod dispatch;
mod echoes;
mod email;
mod erase;
mod events;
mod export;
mod groups;
mod house;
mod housekeeping;
mod import;
mod letters;
mod limits;
mod mail;
mod missed;
mod moments;
mod names;
mod outbound;
mod parts;
mod people;
mod person;
mod poison;
mod post;
mod pull;
mod quarantine;
mod quiet;
mod receive;
mod receiver;
mod refusals;
mod routing;
mod scheduled;
mod search;
mod story;
mod surveys;
mod telegram;
mod templates;
mod texts;
mod webchat;
mod webhooks_out;
