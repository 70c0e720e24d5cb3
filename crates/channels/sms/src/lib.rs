//! SMS and MMS as a Transom channel, by Twilio Programmable Messaging.
//!
//! # Setup
//! 1. In the [Twilio console](https://console.twilio.com/) note the **Account SID** and the **auth token**, and buy a number or
//!    make a **Messaging Service**. Senders must be registered where the law wants it (A2P 10DLC, toll-free verification).
//! 2. Connect with them. The number (E.164), short code, alphanumeric sender id or service (`MG…`) is the account.
//! 3. Enter Transom's webhook address at the number, *A message comes in*, by POST; or in the service, *Integration*, where it
//!    is the status callback as well. Add `#rc=5&rp=all`, so that Twilio calls again when Transom was down.
//! 4. Give the same address as the setting `webhook_url`: then each message asks for its receipts there.
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_sms::{Encoding, Segments, Sms};
//!
//! let settings = SettingValues::default()
//!     .with("account_sid", "AC00000000000000000000000000000001")
//!     .with("auth_token", "0123456789abcdef0123456789abcdef")
//!     .with("sender", "+12025550199");
//! let channel = Sms.connect(&settings, &Ports::system()?)?;
//!
//! // What it costs is known before it leaves.
//! let text = "Your parcel left today – enjoy it!";
//! assert_eq!(Segments::of(text), Segments { encoding: Encoding::Ucs2, units: 34, count: 1 });
//! assert_eq!(channel.plan(&Content::text(text))?[0].cost, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//! - A part costs as many as it has [segments](Segments): that is what is billed, and what senders' rates count. An MMS is one.
//! - An opt-out closes everything at once. Twilio's `OptOutType` is believed where it comes; else the whole text is compared
//!   with the default keywords. Twilio answers STOP, START and HELP itself: nothing is sent in reply.
//! - Twilio has no key to tell a repeated request by. With `webhook_url` the part's id travels in the address of the status
//!   callback, so the first callback settles a send whose answer was lost; without it Twilio's list of messages does.
//! - What no webhook brought is on that list as well: it is read at start and every five minutes.
//! - Numbers are E.164 throughout, see [`phone`]. What comes from a short code or from a name can't be answered.
//! - `whatsapp:` and `rcs:` addresses, which Twilio carries by the same interface, are kept as unsupported.
//! - MMS is offered for numbers of the United States and Canada, or where the setting `mms` says so. Elsewhere send a link.
//!
//! # Another provider
//! What is Twilio's own is in one module, behind one trait: send, verify, parse, check, both lists, download. Segments, keywords, numbers and
//! limits are the network's, and shared.
//!
//! Source: <https://www.twilio.com/docs/messaging>, and 3GPP TS 23.038 and 23.040 for alphabets and segments.

mod capabilities;
mod catching_up;
mod channel;
mod config;
mod gsm;
mod keywords;
mod outbound;
pub mod phone;
mod provider;
mod segments;
mod twilio;

use std::sync::Arc;

pub use segments::{Encoding, Segments};
use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

/// The platform, as the registry lists it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sms;

impl Platform for Sms {
    fn name(&self) -> &'static str {
        "sms"
    }

    fn label(&self) -> &'static str {
        "SMS"
    }

    fn settings(&self) -> &'static [SettingField] {
        config::SETTINGS
    }

    fn fetches(&self) -> bool {
        true
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        let config = config::Config::read(settings)?;
        let provider = Arc::new(twilio::Twilio::new(config.twilio, &config.line, ports));
        Ok(Arc::new(channel::Sms::new(&config.line, provider, ports)))
    }
}
