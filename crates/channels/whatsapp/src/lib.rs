//! WhatsApp Business Platform (Cloud API) as a channel of Transom.
//!
//! Carries text, files, voice notes, stickers, templates, quotes, reactions, buttons, lists, links, places and contact
//! cards; reads every kind of webhook; keeps the template catalogue in step; fetches what customers sent. When what may be
//! sent is decided elsewhere: a send needs a permit of the rule engine.
//!
//! # Connecting a real number
//!
//! 1. In [Meta's app dashboard](https://developers.facebook.com/apps) make an app of type *Business* and add *WhatsApp*.
//! 2. *WhatsApp, API Setup*: note the **phone number ID** and the **WhatsApp Business Account ID**.
//! 3. *Settings, Basic*: note the **app secret**.
//! 4. *Business settings, System users*: make one, give it the app and the account, and generate an **access token** that
//!    never expires, with `whatsapp_business_messaging` and `whatsapp_business_management`.
//! 5. Connect with these values and a **verify token** of your own choice.
//! 6. *WhatsApp, Configuration*: enter Transom's webhook address and the verify token, and subscribe to the fields in
//!    [`FIELDS`]. Then subscribe the app to the account: `POST /{waba_id}/subscribed_apps`.
//!
//! # Example
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_whatsapp::WhatsApp;
//!
//! let settings = SettingValues::default()
//!     .with("app_secret", "invented0000000000000000secret01")
//!     .with("verify_token", "a long random text")
//!     .with("access_token", "EAAinvented")
//!     .with("phone_number_id", "106540352242922")
//!     .with("waba_id", "102290129340398");
//! let channel = WhatsApp.connect(&settings, &Ports::system()?)?;
//!
//! let parts = channel.plan(&Content::text("Your parcel left Graz today."))?;
//! assert_eq!(parts.len(), 1);
//! // channel.check().await tells whether the token works; channel.send(&part).await needs a permit in the part.
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it decides where the platform leaves room
//!
//! - Customers are known by their business-scoped user id (`bsuid`) where a webhook tells it, with the phone (`phone`, E.164)
//!   as another name of the same person. Sends go to the phone where it is known, else to the id.
//! - `unsupported` messages open the window (the customer did write); reactions, edits, deletions, system messages and types
//!   that do not exist yet open nothing.
//! - An answer that names no message, a lost answer and a breakdown with a vague code are *unknown*, never *failed*:
//!   WhatsApp has no idempotency key. The part's id travels as `biz_opaque_callback_data`, so a status settles it.
//! - Words go as the caption of the first file where it can have one, else as a message before the files.
//! - Notices about the account and its templates name no number: they are read as being about the connected number if they
//!   are about its WhatsApp Business Account, and under that account's own id otherwise.

mod capabilities;
mod client;
mod config;
mod error;
mod inbound;
mod media;
mod outbound;
mod template;
mod wire;

use std::sync::Arc;

use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

pub use inbound::{Charge, charges};

use crate::client::Client;
use crate::config::{Config, SETTINGS};

/// The webhook fields to subscribe to (whatsapp.md 4.3); others are kept as unsupported.
pub const FIELDS: &[&str] = &[
    "messages",
    "calls",
    "user_preferences",
    "smb_message_echoes",
    "message_template_status_update",
    "message_template_quality_update",
    "template_category_update",
    "phone_number_quality_update",
    "business_capability_update",
    "account_update",
    "account_alerts",
];

/// The platform. See the [crate](self) for how to connect a number.
#[derive(Debug, Clone, Copy, Default)]
pub struct WhatsApp;

impl Platform for WhatsApp {
    fn name(&self) -> &'static str {
        "whatsapp"
    }

    fn label(&self) -> &'static str {
        "WhatsApp"
    }

    fn settings(&self) -> &'static [SettingField] {
        SETTINGS
    }

    fn keeps_templates(&self) -> bool {
        true
    }

    /// Account settings may be left out while a connection has no number yet: such a channel answers the handshake, reads
    /// webhooks, and sends nothing.
    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(Client::new(Config::read(settings, ports)?, ports)))
    }
}
