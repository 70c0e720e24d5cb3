//! Any messaging system that speaks a small signed JSON protocol, as a Transom channel: an app of one's own, an SMS or Viber
//! Business aggregator behind a few lines of glue.
//!
//! Transom posts requests to one address and takes calls at its webhook; both are signed as the Standard Webhooks
//! specification says, so the other side can use its libraries. `docs/channels/http.md` describes the protocol.
//!
//! # Setup
//! 1. Make two secrets, one for each direction: `whsec_` and 24 to 64 random bytes in base64.
//! 2. Connect, as below; choose the policy by which messages may be sent. The default is `http`, which this crate brings along;
//!    any other policy can be named, such as `viber_business`.
//! 3. Let the other side call the webhook address of the connection.
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_http::Http;
//!
//! let settings = SettingValues::default()
//!     .with("endpoint", "https://gateway.example/transom")
//!     .with("signing_secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
//!     .with("webhook_secret", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
//!     .with("account", "acme-main");
//! let channel = Http.connect(&settings, &Ports::system()?)?;
//! assert_eq!(channel.plan(&Content::text("Your parcel left today."))?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//! - A message's part id is its `webhook-id` and `id`: the other side drops what it has seen within a day. So a lost answer is
//!   settled by asking again.
//! - What the permit says goes along (grant, tag, reference), for a side that has to pass it on.
//! - Files go by public address.
//! - Events carry an `id` of their own; the same id is the same event.

mod capabilities;
mod channel;
mod client;
mod config;
mod error;
mod inbound;
mod outbound;
mod signing;
mod wire;

use std::sync::Arc;

use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

/// The platform, as the registry lists it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Http;

impl Platform for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn label(&self) -> &'static str {
        "HTTP"
    }

    fn policies(&self) -> &'static [(&'static str, &'static str)] {
        &[("http.toml", include_str!("../policy.toml"))]
    }

    /// What it carries is somebody else's: so are the rules.
    fn follows(&self, _platform: &str) -> bool {
        true
    }

    fn settings(&self) -> &'static [SettingField] {
        config::SETTINGS
    }

    fn keeps_templates(&self) -> bool {
        true
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(channel::Http::new(config::Config::read(settings, ports.outside.rules())?, ports)))
    }
}
