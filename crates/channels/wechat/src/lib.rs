//! WeChat Official Accounts (customer-service messages) as a Transom channel.
//!
//! # Setup
//! 1. In the account's console, under basic configuration, take the AppID and the AppSecret, and put this service's address on
//!    the list of IP addresses that may call. Sending needs a verified account.
//! 2. Choose a Token and an EncodingAESKey there, and keep the account's original id (`gh_…`).
//! 3. Connect it, then give the console the webhook address: it is checked at once.
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_wechat::WeChat;
//!
//! let settings = SettingValues::default()
//!     .with("app_id", "wx00000000000000a1")
//!     .with("app_secret", "the-app's-secret")
//!     .with("token", "supporttoken01")
//!     .with("encoding_aes_key", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
//!     .with("original_id", "gh_0000000000a1");
//! let channel = WeChat.connect(&settings, &Ports::system()?)?;
//! assert_eq!(channel.plan(&Content::text("您的包裹今天发出。"))?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//! - After a message of the customer 20 messages may follow within 48 hours; Tencent's own table has said 5 since 2023. The limit
//!   is the account's (`message_count`), and a refusal uses the present opening up.
//! - Access tokens live two hours and are shared: [`Ports::tokens`](transom_channel::Ports) must keep them.
//! - WeChat gives a customer-service message no id, takes no key to tell a repeated request by, and reports nothing afterwards: a
//!   lost answer stays unknown until a person decides. Template messages have all three.
//! - Without an EncodingAESKey a webhook's signature does not cover its body. Use the secure mode.
//! - The answer inside the response to a webhook (a passive reply) is not used: people do not write within five seconds.
//!
//! Sections in brackets are those of the platform's fact sheet.

mod capabilities;
mod channel;
mod client;
mod config;
mod crypto;
mod error;
mod files;
mod inbound;
mod outbound;
mod template;
mod wire;
mod xml;

use std::sync::Arc;

use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

/// The platform, as the registry lists it.
#[derive(Debug, Clone, Copy, Default)]
pub struct WeChat;

impl Platform for WeChat {
    fn name(&self) -> &'static str {
        "wechat"
    }

    fn label(&self) -> &'static str {
        "WeChat"
    }

    fn settings(&self) -> &'static [SettingField] {
        config::SETTINGS
    }

    fn keeps_templates(&self) -> bool {
        true
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(channel::WeChat::new(config::Config::read(settings)?, ports)))
    }
}
