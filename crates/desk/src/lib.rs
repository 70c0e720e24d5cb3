//! The use cases of a support desk, one file each: receive, send, note, status, assign, window, dispatch.
//!
//! A use case is one transaction: a closure without outside effects, because it may run again. Time and ids are taken
//! outside, the clock is injected, and everything that happened is told as an event in the same transaction.
//!
//! The desk knows no platform: what a channel can do it reads from capabilities, what is allowed from the policy.

pub mod administration;
pub mod attachments;
pub mod audit;
pub mod authorise;
mod background;
pub mod bots;
pub mod broadcast;
pub mod bulk;
mod changes;
mod channel_settings;
pub mod channels;
pub mod connections;
pub mod consent;
pub mod contacts;
mod country;
pub mod custom_fields;
mod desk;
pub mod dispatch;
pub mod erase;
mod error;
mod evidence;
pub mod export;
pub mod fallback;
pub mod follow;
mod hosting;
mod house;
pub mod housekeeping;
mod idempotency;
pub mod import;
pub mod jobs;
pub mod journal;
pub mod labels;
mod letter;
mod may_send;
pub mod merge;
pub mod messages;
pub mod moments;
mod note;
pub mod outbound;
mod ports;
mod preview;
mod pull;
pub mod quarantine;
pub mod queries;
mod quiet;
mod quota;
pub mod reach;
pub mod receive;
mod registry;
pub mod rehearse;
mod removed;
pub mod reports;
pub mod routing;
mod rows;
pub mod saved_replies;
pub mod schedule;
pub mod search;
mod send;
mod signature;
mod situation;
pub mod status;
pub mod tags;
pub mod templates;
pub mod typing;
pub mod unsubscribe;
pub mod webhooks_out;
pub mod window;
pub mod workspaces;

pub use attachments::{Files, Links};
pub use authorise::{Action, Caller, authorise};
pub use background::Background;
pub use desk::{Desk, DeskConfig};
pub use error::DeskError;
pub use hosting::Hosting;
pub use house::HouseReason;
pub use idempotency::Once;
pub use may_send::Verdict;
pub use note::note;
pub use preview::{Preview, preview};
pub use registry::Registry;
pub use send::{Draft, Sent, Target, TemplateChoice, send};
