//! Email as a Transom channel: SMTP submission out, IMAP or a provider's inbound webhook in.
//!
//! # Setup
//! 1. At the provider, make an app password for the mailbox, or register an app for OAuth; see `docs/channels/email.md`.
//! 2. Connect, as below. With `imap_host` mail is fetched; with `inbound_parse` Mailgun or Postmark bring it.
//! 3. Set up SPF, DKIM and DMARC for the domain: the server that mail is handed in at signs.
//!
//! ```
//! use transom_channel::{Channel, Platform, Ports, SettingValues};
//! use transom_domain::{Body, Content, Mail};
//! use transom_email::Email;
//!
//! let settings = SettingValues::default()
//!     .with("mailbox", "support@shop.example")
//!     .with("smtp_host", "smtp.shop.example")
//!     .with("smtp_password", "app-password")
//!     .with("imap_host", "imap.shop.example");
//! let channel = Email.connect(&settings, &Ports::system()?)?;
//!
//! let mail = Mail {
//!     subject: Some("Your order".to_owned()),
//!     text: "It left today.".to_owned(),
//!     cc: vec!["bob@example.org".to_owned()],
//!     bcc: vec!["audit@example.net".to_owned()],
//!     ..Mail::default()
//! };
//! // Ann and Bob share an envelope; nobody learns of the other one.
//! let parts = channel.plan(&Content { body: Body::Mail(mail), reply_to: None })?;
//! assert_eq!(parts.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//! - All parts and attempts of a message have one Message-ID, `<message id@sender's domain>`.
//! - With `token_secret` answers and bounces find their part by a signed sub-address, also when headers are lost.
//! - Before the final dot nothing was accepted; after it a lost answer is unknown, and stays so.
//! - A reader in Cc who is refused does not stop the mail to the person: [`Receipt::refused`](transom_channel::Receipt) says who.

mod address;
mod capabilities;
mod channel;
mod compose;
mod config;
mod error;
mod html;
mod imap;
mod inbound;
mod message_id;
mod oauth;
mod outbound;
#[cfg(test)]
mod roundtrip;
mod smtp;
mod tls;
mod token;

use std::sync::Arc;

use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

/// The platform, as the registry lists it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Email;

impl Platform for Email {
    fn name(&self) -> &'static str {
        "email"
    }

    fn label(&self) -> &'static str {
        "Email"
    }

    fn settings(&self) -> &'static [SettingField] {
        config::SETTINGS
    }

    fn fetches(&self) -> bool {
        true
    }

    /// The largest mail that a provider brings, in base 64 (sheet 4, Limit).
    fn largest_call(&self) -> Option<u64> {
        Some(config::USUAL_MAX_INBOUND * 137 / 100)
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(channel::Email::new(config::Config::read(settings)?, ports)))
    }
}
