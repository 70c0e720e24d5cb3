//! Telegram bots as a Transom channel, and the business accounts that bots serve.
//!
//! # Setup
//! 1. Make a bot with [@BotFather](https://t.me/BotFather) and keep its token.
//! 2. Choose a webhook secret and tell Telegram where to call, and for what:
//!    `setWebhook` with `url`, `secret_token` and `allowed_updates` of `message`, `edited_message`, `callback_query`,
//!    `my_chat_member`, `chat_join_request`, `message_reaction`, `business_connection`, `business_message`,
//!    `edited_business_message` and `deleted_business_messages`. Without a public address set `updates` to `poll` instead.
//! 3. Connect it:
//!
//! ```
//! use transom_channel::{Platform, Ports, SettingValues};
//! use transom_domain::Content;
//! use transom_telegram::Telegram;
//!
//! let settings = SettingValues::default()
//!     .with("bot_token", "123456:AAF-from-BotFather")
//!     .with("webhook_secret", "a-random-secret");
//! let channel = Telegram.connect(&settings, &Ports::system()?)?;
//! assert_eq!(channel.plan(&Content::text("Your parcel left today."))?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One connection, one bot; accounts
//! The token makes the connection. Its first account is the bot itself: `account_id` is left out, policy `telegram`.
//! Each Telegram Business account that the bot serves is an account of its own beside it: `account_id` is the id of the
//! business connection, policy `telegram_business`. Updates name the one or the other, so they find their account; those of
//! a business connection that nobody added go to quarantine.
//!
//! # What to know
//! - A message's id is `<chat_id>:<message_id>`, since numbers count by chat. A tap's is the callback query's id.
//! - Only private chats are conversations; groups and channels are kept as unsupported.
//! - Each file is a message: an album would be one request with many ids. Words go as the caption of the first file where they
//!   fit 1024 UTF-16 units, else as a message behind the files.
//! - Text goes without a parse mode: it arrives as typed, markup and all.
//! - Telegram has no key to tell a repeated request by and reports no delivery: a lost answer stays unknown until a person
//!   decides.
//! - Taps are answered with `answerCallbackQuery` before they are read, so that the button stops spinning: in the answer to the
//!   webhook, or by a request when the bot is polled.
//! - `/stop`, written to the bot, is an opt-out from everything, and a bare `/start` takes it back.
//! - A picture over the limits of photos (10 MB, sides of 10,000 together, 20 times as long as wide) goes as a document.
//! - In a business chat, what the owner types is an echo and opens nothing.
//!
//! Source: the Bot API reference at <https://core.telegram.org/bots/api>.

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
pub struct Telegram;

impl Platform for Telegram {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn label(&self) -> &'static str {
        "Telegram"
    }

    fn settings(&self) -> &'static [SettingField] {
        config::SETTINGS
    }

    fn fetches(&self) -> bool {
        true
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(channel::Telegram::new(config::Config::read(settings)?, ports)))
    }
}
