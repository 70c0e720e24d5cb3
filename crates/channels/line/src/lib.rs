//! LINE Official Accounts as a Transom channel (the Messaging API).
//!
//! # Setup
//! 1. In the [LINE Developers console](https://developers.line.biz/console/) make a provider and a Messaging API channel, or
//!    enable the Messaging API for an Official Account that exists.
//! 2. *Basic settings*: note the **channel secret**. *Messaging API*: issue a long-lived **channel access token**.
//! 3. Connect with both. The bot's user id, by which webhooks name the account, is asked from LINE.
//! 4. *Messaging API*: enter Transom's webhook address, press *Verify*, and turn on *Use webhook* and *Webhook redelivery*.
//!    In the Official Account Manager turn the automatic answers off.
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_line::Line;
//!
//! let settings = SettingValues::default()
//!     .with("channel_secret", "0123456789abcdef0123456789abcdef")
//!     .with("channel_access_token", "an-invented-token")
//!     .with("bot_user_id", "U00000000000000000000000000000001");
//! let channel = Line.connect(&settings, &Ports::system()?)?;
//! assert_eq!(channel.plan(&Content::text("Your parcel left today."))?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//! - A permit tagged `reply_token` goes out as a reply, which costs no quota; any other goes out as a push, which takes one of
//!   the month's messages. A token that LINE no longer takes is evidence, and the message goes on as a push.
//! - A push carries the part's id as `X-Line-Retry-Key`: for 24 hours a repeated request is not a second message. A reply has
//!   no such key, so a lost answer to a reply stays unknown until a person decides, and a token is used at a first try only.
//! - One request carries up to five messages: words and four files are one part. The part's id is that of its first message.
//! - LINE reports nothing about a message after accepting it. 200 for somebody who blocked the account is not delivery: the
//!   block comes as an `unfollow`.
//! - Files go by public https address, since LINE has no upload. Films need a still picture to show before they play: give its
//!   address as the setting `video_preview_url`, else films are refused. There is no way to send other files.
//! - A sticker goes out by its package and id, `446/1988`, as the platform's file.
//! - Up to 13 buttons go as quick replies, which vanish once one is tapped. Buttons that open an address go as a button
//!   template, four at most.
//! - Quoting needs a token of the quoted message which is not kept: quotes come in, and do not go out.
//! - Only one-to-one chats are conversations; what happens in groups and rooms is kept as unsupported. So is the right to
//!   answer in a chat that another module has (mode `standby`): such an event opens nothing.
//!
//! Source: the Messaging API reference at <https://developers.line.biz/en/reference/messaging-api/>.

mod capabilities;
mod channel;
mod client;
mod config;
mod error;
mod inbound;
mod month;
mod outbound;
mod wire;

use std::sync::Arc;

use transom_channel::{Channel, Platform, Ports, SettingField, SettingValues, SettingsError};

/// The platform, as the registry lists it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line;

impl Platform for Line {
    fn name(&self) -> &'static str {
        "line"
    }

    fn label(&self) -> &'static str {
        "LINE"
    }

    fn settings(&self) -> &'static [SettingField] {
        config::SETTINGS
    }

    fn fetches(&self) -> bool {
        true
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(channel::Line::new(config::Config::read(settings)?, ports)))
    }
}
