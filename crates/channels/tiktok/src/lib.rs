//! TikTok Business Messaging as a Transom channel. **Beta**: TikTok's own documents could not be read when it was written; what
//! is unsure is a setting or a policy of its own, and `docs/channels/tiktok.md` says which.
//!
//! # Setup
//! 1. Have an app approved for Business Messaging and keep its id (`client_key`) and secret.
//! 2. Let the business account's owner authorise it with the `message.list.*` scopes; keep `open_id` and `refresh_token`.
//! 3. Register the webhook for `DIRECT_MESSAGE` with `/business/webhook/update/`.
//! 4. Connect it:
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_tiktok::TikTok;
//!
//! let settings = SettingValues::default()
//!     .with("app_id", "7000000000000000001")
//!     .with("app_secret", "the-app's-secret")
//!     .with("business_id", "biz-open-0001")
//!     .with("refresh_token", "from-the-authorisation");
//! let channel = TikTok.connect(&settings, &Ports::system()?)?;
//! assert_eq!(channel.plan(&Content::text("Your parcel left today."))?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//! - Access tokens live a day and refresh tokens rotate: [`Ports::tokens`](transom_channel::Ports) must keep them.
//! - One request carries a text or one picture. Words with pictures go first, as a message of their own.
//! - TikTok has no key to tell a repeated request by: a lost answer stays unknown until its echo comes or a person decides.
//! - One code (40064) stands for a closed window, a used-up count and a customer's own settings: it counts as a closed window
//!   until the customer writes again.
//!
//! Sections in brackets are those of the platform's fact sheet.

mod capabilities;
mod channel;
mod client;
mod config;
mod error;
mod inbound;
mod outbound;
mod wire;

use std::sync::Arc;

use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

/// The platform, as the registry lists it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TikTok;

impl Platform for TikTok {
    fn name(&self) -> &'static str {
        "tiktok"
    }

    fn label(&self) -> &'static str {
        "TikTok"
    }

    fn settings(&self) -> &'static [SettingField] {
        config::SETTINGS
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(channel::TikTok::new(config::Config::read(settings)?, ports)))
    }
}
