//! Facebook Messenger (Send API of a Page) as a channel of Transom.
//!
//! Carries text, files, quotes, buttons, quick replies and utility templates; reads messages, taps, links, opt-ins, reactions,
//! edits, receipts, echoes, comments and visitor posts; refreshes profiles and fetches what customers sent. When what may be
//! sent is decided elsewhere: a send needs a permit of the rule engine, and `messaging_type` and `tag` are written from it.
//!
//! # Connecting a real Page
//!
//! 1. In [Meta's app dashboard](https://developers.facebook.com/apps) make an app of type *Business* and add *Messenger*.
//! 2. *Settings, Basic*: note the **app secret**.
//! 3. *Business settings, System users*: make one, give it the app and the Page, and generate an **access token** with
//!    `pages_messaging`, `pages_manage_metadata` and `pages_read_engagement` (and `page_utility_messaging` for templates).
//! 4. Connect with these values and a **verify token** of your own choice, then the **Page ID**.
//! 5. *Messenger, Settings, Webhooks*: enter Transom's webhook address and the verify token, and subscribe to [`FIELDS`].
//!    Then subscribe the app to the Page: `POST /{page_id}/subscribed_apps?subscribed_fields=…`.
//! 6. Ask for the app review feature *Human Agent*, if people are to answer after 24 hours.
//!
//! # Example
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_messenger::Messenger;
//!
//! let settings = SettingValues::default()
//!     .with("app_secret", "invented0000000000000000secret01")
//!     .with("verify_token", "a long random text")
//!     .with("access_token", "EAAinvented")
//!     .with("page_id", "300000000000001");
//! let channel = Messenger.connect(&settings, &Ports::system()?)?;
//!
//! let parts = channel.plan(&Content::text("Your parcel left Graz today."))?;
//! assert_eq!(parts.len(), 1);
//! // channel.check().await tells whether the token works; channel.send(&part).await needs a permit in the part.
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it decides where the platform leaves room
//!
//! - Words go before the files: there are no captions. Up to three buttons stay under the words, more become quick replies.
//! - Our reference travels as `metadata` and comes back in the echo, which settles an answer that was lost.
//! - A delivery is told for each message that it names and up to its watermark; both are in milliseconds.
//! - Events under `standby` (another app has the thread) are read like those under `messaging`: the window is the Page's.
//! - A link opens if it carries a `ref` and is no advertisement; a reaction opens, taking it back does not; comments and
//!   visitor posts open nothing and give the right to one private reply each.
//! - If another app has the thread, a person's message asks for it once and goes out with the next attempt.

mod capabilities;
mod client;
mod config;
mod error;
mod inbound;
mod outbound;
mod template;
mod wire;

use std::sync::Arc;

use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

use crate::client::Client;
use crate::config::{Config, SETTINGS};

/// The webhook fields to subscribe to (messenger.md 4.4); others are kept as unsupported.
pub const FIELDS: &[&str] = &[
    "messages",
    "messaging_postbacks",
    "message_echoes",
    "message_reads",
    "message_deliveries",
    "message_reactions",
    "message_edits",
    "messaging_referrals",
    "messaging_optins",
    "messaging_handovers",
    "standby",
    "messaging_policy_enforcement",
    "message_template_status_update",
    "feed",
];

/// The platform. See the [crate](self) for how to connect a Page.
#[derive(Debug, Clone, Copy, Default)]
pub struct Messenger;

impl Platform for Messenger {
    fn name(&self) -> &'static str {
        "messenger"
    }

    fn label(&self) -> &'static str {
        "Messenger"
    }

    fn settings(&self) -> &'static [SettingField] {
        SETTINGS
    }

    fn keeps_templates(&self) -> bool {
        true
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(Client::new(Config::read(settings, ports)?, ports)))
    }
}
