//! What must be told to connect a bot, or a business account that a bot serves.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use transom_channel::{SettingField, SettingValues, SettingsError};

const BOT_TOKEN: &str = "bot_token";
const WEBHOOK_SECRET: &str = "webhook_secret";
const UPDATES: &str = "updates";
const ACCOUNT_ID: &str = "account_id";

pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField::required(BOT_TOKEN, "Bot token", "from @BotFather, such as 123456:AAF…").secret(),
    SettingField::required(
        WEBHOOK_SECRET,
        "Webhook secret",
        "the secret_token given to setWebhook: 1 to 256 of A-Z, a-z, 0-9, _ and -",
    )
    .secret(),
    SettingField::optional(
        UPDATES,
        "How updates come",
        "webhook (the default) or poll; a bot that has a webhook set can't be polled",
    ),
    SettingField::optional(
        ACCOUNT_ID,
        "Account id",
        "left out, the bot itself, whose id the token holds; or the id of a business connection, to write in its \
         owner's name under the policy telegram_business",
    )
    .external_key(),
];

/// A bot, and whose name it writes in.
pub(crate) struct Config {
    pub(crate) token: SecretString,
    pub(crate) webhook_secret: SecretString,
    pub(crate) bot_id: String,
    pub(crate) voice: Voice,
    pub(crate) polls: bool,
}

/// In whose name messages leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Voice {
    /// The bot's own.
    Bot,
    /// Of the person behind a business connection.
    Business {
        /// The connection's id.
        connection: String,
    },
}

impl Config {
    pub(crate) fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        let token = settings.secret(BOT_TOKEN)?;
        let bot_id = bot_id(token.expose_secret())
            .ok_or_else(|| SettingsError::wrong(BOT_TOKEN, "it must be `<bot id>:<secret>`, as @BotFather gave it"))?
            .to_owned();
        let webhook_secret = settings.secret(WEBHOOK_SECRET)?;
        let secret = webhook_secret.expose_secret();
        if !(1..=256).contains(&secret.len()) || !secret.bytes().all(is_token_byte) {
            return Err(SettingsError::wrong(WEBHOOK_SECRET, "it must be 1 to 256 of A-Z, a-z, 0-9, _ and -"));
        }
        let voice = match settings.get(ACCOUNT_ID) {
            None => Voice::Bot,
            Some(id) if id == bot_id => Voice::Bot,
            Some(id) if id.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(SettingsError::wrong(
                    ACCOUNT_ID,
                    format_args!("`{id}` is another bot's id; the token is that of bot {bot_id}"),
                ));
            }
            Some(id) if id.bytes().all(is_token_byte) => Voice::Business { connection: id.to_owned() },
            Some(_) => {
                return Err(SettingsError::wrong(
                    ACCOUNT_ID,
                    "it must be the bot's id or the id of a business connection",
                ));
            }
        };
        let polls = settings.choice(UPDATES, &[("webhook", false), ("poll", true)])?.unwrap_or(false);
        Ok(Self { token, webhook_secret, bot_id, voice, polls })
    }

    /// How updates name the account.
    pub(crate) fn account_id(&self) -> &str {
        match &self.voice {
            Voice::Bot => &self.bot_id,
            Voice::Business { connection } => connection,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("bot_id", &self.bot_id)
            .field("voice", &self.voice)
            .field("polls", &self.polls)
            .finish_non_exhaustive()
    }
}

/// The number before the colon, if the token has the right form.
fn bot_id(token: &str) -> Option<&str> {
    let (id, secret) = token.split_once(':')?;
    let well_formed = !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_digit())
        && !secret.is_empty()
        && secret.bytes().all(is_token_byte);
    well_formed.then_some(id)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings(token: &str, secret: &str, account: &str, updates: &str) -> SettingValues {
        SettingValues::default()
            .with(BOT_TOKEN, token)
            .with(WEBHOOK_SECRET, secret)
            .with(ACCOUNT_ID, account)
            .with(UPDATES, updates)
    }

    #[test]
    fn a_bot_and_a_business_connection_are_told_apart() {
        let bot = Config::read(&settings("123456:AAF-x_1", "s3cret", "123456", "")).unwrap();
        assert_eq!((bot.account_id(), &bot.voice, bot.polls), ("123456", &Voice::Bot, false));
        let unsaid = Config::read(&settings("123456:AAF-x_1", "s3cret", "", "")).unwrap();
        assert_eq!((unsaid.account_id(), &unsaid.voice), ("123456", &Voice::Bot), "the token holds the bot's id");
        let business = Config::read(&settings("123456:AAF-x_1", "s3cret", "bc-77", "poll")).unwrap();
        assert_eq!(business.voice, Voice::Business { connection: "bc-77".into() });
        assert_eq!((business.account_id(), business.bot_id.as_str(), business.polls), ("bc-77", "123456", true));
    }

    #[rstest]
    #[case(settings("", "s", "1", ""), BOT_TOKEN)]
    #[case(settings("123456", "s", "123456", ""), BOT_TOKEN)]
    #[case(settings("x:AAF", "s", "x", ""), BOT_TOKEN)]
    #[case(settings("1:AA/../F", "s", "1", ""), BOT_TOKEN)]
    #[case(settings("1:AAF", "", "1", ""), WEBHOOK_SECRET)]
    #[case(settings("1:AAF", "with blank", "1", ""), WEBHOOK_SECRET)]
    #[case(settings("1:AAF", &"x".repeat(257), "1", ""), WEBHOOK_SECRET)]
    #[case(settings("1:AAF", "s", "2", ""), ACCOUNT_ID)]
    #[case(settings("1:AAF", "s", "b/c", ""), ACCOUNT_ID)]
    #[case(settings("1:AAF", "s", "1", "pigeon"), UPDATES)]
    fn wrong_settings_are_named_and_secrets_are_not_shown(#[case] settings: SettingValues, #[case] expected: &str) {
        let error = Config::read(&settings).unwrap_err();
        let (SettingsError::Missing(name) | SettingsError::Wrong { name, .. }) = &error else { panic!("{error}") };
        assert_eq!(name, expected);
        assert!(!error.to_string().contains("AAF"), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = Config::read(&settings("123456:AAF-x_1", "s3cret", "123456", "")).unwrap();
        let shown = format!("{config:?}");
        assert!(shown.contains("123456") && !shown.contains("AAF") && !shown.contains("s3cret"), "{shown}");
    }
}
