//! Viber bots (REST Bot API) as a Transom channel.
//!
//! # Setup
//! 1. Get a bot: since 2024-02-05 they are made by contract with Viber or a partner; older ones keep working. Its token is on
//!    the bot's edit page in the Viber Admin Panel.
//! 2. Connect it, as below, and note the webhook address of the connection.
//! 3. Tell Viber where to call, with `POST /set_webhook`: `url`, `send_name: true` and `event_types` of `delivered`, `seen`,
//!    `failed`, `subscribed`, `unsubscribed` and `conversation_started`. Without a webhook Viber refuses every send.
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_viber::Viber;
//!
//! let settings = SettingValues::default()
//!     .with("auth_token", "445da6az1s345z78-dazcczb2542zv51a-e0vc5fva17480im9")
//!     .with("bot_id", "pa:75346594275468546724")
//!     .with("sender_name", "Acme Support");
//! let channel = Viber.connect(&settings, &Ports::system()?)?;
//! assert_eq!(channel.plan(&Content::text("Your parcel left today."))?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One connection, one bot
//! Viber's calls do not name the bot, so each bot is a connection of its own, with one account.
//!
//! # What to know
//! - Only subscribers can be written to. Whoever writes is one; Viber does not tell so by an event of its own.
//! - A message in a session of 24 hours is free; any other is *initiated* and counts against the month (policy `viber`, or
//!   `viber_sliding` for another reading of when a session ends). What Viber says of it comes back as
//!   [`Receipt::billing`](transom_channel::Receipt::billing).
//! - Files go by public address only: Viber fetches them, and wants to know the size. Without a public address of its own,
//!   a service can send no stored file here.
//! - `conversation_started` is the one event that is answered in the webhook's response, by the text of the setting
//!   `welcome_text`. It appears in the conversation as an echo.
//! - Keyboards and carousels are not sent. Stickers are received, not sent.
//! - Viber has no key to tell a repeated request by: a lost answer stays unknown until a person decides.
//!
//! Source: the developer documentation at <https://developers.viber.com/docs/api/rest-bot-api/>; sections in comments are those
//! of the project's fact sheet.

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
pub struct Viber;

impl Platform for Viber {
    fn name(&self) -> &'static str {
        "viber"
    }

    fn label(&self) -> &'static str {
        "Viber"
    }

    fn settings(&self) -> &'static [SettingField] {
        config::SETTINGS
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(channel::Viber::new(config::Config::read(settings)?, ports)))
    }
}
