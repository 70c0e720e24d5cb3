//! Instagram messaging (Messenger Platform and Instagram Login) as a channel of Transom.
//!
//! Carries text of up to 1,000 bytes, files, buttons, quick replies and reactions; reads messages, story replies and mentions,
//! taps, links, reactions, edits, messages taken back, seen receipts, echoes and comments; refreshes profiles and fetches
//! what customers sent. When what may be sent is decided elsewhere: a send needs a permit of the rule engine, and
//! `messaging_type` and `tag` are written from it.
//!
//! # Connecting a real account
//!
//! The account must be a professional one, with *Allow access to messages* switched on in the Instagram app. There are two
//! set-ups; both need the app to be published, and *Advanced Access* for people outside of it:
//!
//! - **Facebook Login** (`login` = `facebook`): the account is linked to a Facebook Page. The access token is a system user's or
//!   the Page's, with `instagram_basic`, `instagram_manage_messages`, `pages_manage_metadata` and `pages_read_engagement`;
//!   `page_id` is needed besides `instagram_id`.
//! - **Instagram Login** (`login` = `instagram`): no Page. The access token is the account's own, good for 60 days, with
//!   `instagram_business_basic` and `instagram_business_manage_messages`; it is renewed by itself.
//!
//! Then enter Transom's webhook address and the verify token in the app dashboard, subscribe to [`FIELDS`], and subscribe the
//! app to the account: `POST /{page_id or instagram_id}/subscribed_apps?subscribed_fields=…`.
//!
//! # Example
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_instagram::Instagram;
//!
//! let settings = SettingValues::default()
//!     .with("app_secret", "invented0000000000000000secret01")
//!     .with("verify_token", "a long random text")
//!     .with("access_token", "EAAinvented")
//!     .with("page_id", "300000000000001")
//!     .with("instagram_id", "17840000000000001");
//! let channel = Instagram.connect(&settings, &Ports::system()?)?;
//!
//! let parts = channel.plan(&Content::text("Your parcel left Graz today."))?;
//! assert_eq!(parts.len(), 1);
//! // A byte is what the platform counts: 500 letters of two bytes each are the most.
//! assert!(channel.plan(&Content::text("é".repeat(501))).is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it decides where the platform leaves room
//!
//! - Calls are checked with any of the app secrets that are given: which of Meta's two signs under Instagram Login is not said.
//! - Words go before the files; up to ten neighbouring pictures go together. Up to three buttons stay under the words, more
//!   become quick replies. Quotes are a setting, off unless set, because no document promises them here.
//! - Our reference goes along as `metadata` with Facebook Login, where it comes back in the echo; with Instagram Login only if
//!   the setting says so.
//! - Files go by our public address where there is one, which is what is documented, and are uploaded otherwise.
//! - A mention in a story opens like a message; a reaction is told to the policy, which by default lets it open nothing;
//!   comments open nothing and give the right to one private reply each. Live comments and mentions give none.
//! - A seen receipt marks the message that it names. That earlier ones are seen too is implied, and not told.

mod capabilities;
mod client;
mod config;
mod error;
mod inbound;
mod outbound;
mod token;
mod wire;

use std::sync::Arc;

use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

use crate::client::Client;
use crate::config::{Config, SETTINGS};

/// The webhook fields to subscribe to (instagram.md 4.4); others are kept as unsupported.
pub const FIELDS: &[&str] = &[
    "messages",
    "message_reactions",
    "message_edit",
    "messaging_postbacks",
    "messaging_referral",
    "messaging_seen",
    "messaging_optins",
    "messaging_handover",
    "standby",
    "comments",
    "live_comments",
    "mentions",
];

/// The platform. See the [crate](self) for how to connect an account.
#[derive(Debug, Clone, Copy, Default)]
pub struct Instagram;

impl Platform for Instagram {
    fn name(&self) -> &'static str {
        "instagram"
    }

    fn label(&self) -> &'static str {
        "Instagram"
    }

    fn settings(&self) -> &'static [SettingField] {
        SETTINGS
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(Client::new(Config::read(settings, ports)?, ports)))
    }
}
