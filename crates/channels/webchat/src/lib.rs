//! Web chat and chat in mobile apps, hosted by the service itself, as a Transom channel.
//!
//! # Setup
//! 1. Choose a widget id, such as `wgt_1`, and make two secrets of at least 32 random characters: one for events, one to prove
//!    identities with.
//! 2. Connect with them and with the origins of the site, such as `https://shop.example`.
//! 3. Put the snippet of `docs/channels/webchat.md` on the site. Its key is the last part of the connection's webhook address.
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_webchat::WebChat;
//!
//! let settings = SettingValues::default()
//!     .with("widget_id", "wgt_1")
//!     .with("event_secret", "an-invented-secret-of-32-letters-or-more")
//!     .with("origins", "https://shop.example https://*.shop.example")
//!     .with("identity_secrets", "an-invented-secret-for-identities");
//! let channel = WebChat.connect(&settings, &Ports::system()?)?;
//! assert_eq!(channel.plan(&Content::text("Your parcel left today."))?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//! - A send appends to the visitor's mailbox (`Ports::mailbox`), under the part's id: repeated, it is not there twice. Sockets on
//!   any replica read the mailbox. Somebody known by an external id has a mailbox before they ever come.
//! - What visitors do is journalled like a webhook: the routes sign each event with `event_secret` and hand it to the connection's
//!   webhook address, where [`Channel::verify`] checks it like any other. Without that secret
//!   nobody can report events over HTTP; with it, a chat that a site runs itself can.
//! - An external id is believed with a proof only: an HMAC of the site, or a JWT. Without one a visitor stays a stranger with a
//!   mailbox of their own, whatever they claim.
//! - Feature `server` has the routes under `/widget/v1`, which the service mounts.
//!
//! Source: the project's own protocol, `docs/channels/webchat-protocol.md`.

mod capabilities;
mod channel;
mod config;
mod error;
mod event;
mod inbound;
mod outbound;
#[cfg_attr(not(feature = "server"), allow(dead_code, reason = "only the routes ask for proofs"))]
mod proof;
pub mod protocol;
#[cfg(feature = "server")]
pub mod server;
mod signing;
mod visitor;

use std::sync::Arc;

use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

/// The platform, as the registry lists it.
#[derive(Debug, Clone, Copy, Default)]
pub struct WebChat;

/// Its name in configuration, policies and the API.
const NAME: &str = "webchat";

impl Platform for WebChat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn label(&self) -> &'static str {
        "Web chat"
    }

    fn settings(&self) -> &'static [SettingField] {
        config::SETTINGS
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(channel::WebChat::new(config::Config::read(settings)?, ports)))
    }
}
