//! What must be told to connect a bot.

use std::fmt;

use secrecy::SecretString;
use transom_channel::{SettingField, SettingValues, SettingsError};
use url::Url;

use crate::capabilities::{SENDER_NAME, TEXT};

const AUTH_TOKEN: &str = "auth_token";
const BOT_ID: &str = "bot_id";
const SENDER: &str = "sender_name";
const AVATAR: &str = "sender_avatar";
const WELCOME: &str = "welcome_text";

pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField::required(AUTH_TOKEN, "Authentication token", "from the bot's edit page in the Viber Admin Panel")
        .secret(),
    SettingField::required(BOT_ID, "Bot id", "`id` in the answer of get_account_info, such as pa:75346594275468546724")
        .external_key(),
    SettingField::required(SENDER, "Sender name", "shown above messages that no agent signs; at most 28 characters")
        .of_account(),
    SettingField::optional(AVATAR, "Sender picture", "public https address of a picture of at most 100 KB, 720x720")
        .of_account(),
    SettingField::optional(
        WELCOME,
        "Welcome message",
        "text that is shown to whoever opens the chat, before they write or subscribe; empty for none",
    )
    .of_account(),
];

/// A bot, and how it presents itself.
pub(crate) struct Config {
    pub(crate) token: SecretString,
    pub(crate) bot_id: String,
    pub(crate) sender_name: String,
    pub(crate) avatar: Option<Url>,
    pub(crate) welcome: Option<String>,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        // It travels in a header, and it is the key of signatures as it is (4.2).
        let is_token = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
        let token =
            settings.required(AUTH_TOKEN, "it must be the token as Viber shows it, without blanks", is_token)?;
        let is_name = |name: &str| SENDER_NAME.fits(name);
        let sender_name = settings.required(SENDER, "it must be at most 28 characters long", is_name)?;
        let avatar = settings.get(AVATAR).map(str::parse::<Url>).transpose();
        let avatar = avatar.ok().filter(|url| url.as_ref().is_none_or(|url| url.scheme() == "https"));
        let avatar =
            avatar.ok_or_else(|| SettingsError::wrong(AVATAR, "it must be an address that starts with https"))?;
        let welcome = settings.get(WELCOME).map(str::to_owned);
        if welcome.as_deref().is_some_and(|text| !TEXT.fits(text)) {
            return Err(SettingsError::wrong(WELCOME, "it must be at most 7000 characters long"));
        }
        Ok(Self {
            token: token.into(),
            bot_id: settings.require(BOT_ID)?.trim().to_owned(),
            sender_name,
            avatar,
            welcome,
        })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("bot_id", &self.bot_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings() -> SettingValues {
        SettingValues::default()
            .with(AUTH_TOKEN, "4453b6ac12345678-e02c5f12174805f9-daec9cbb5448c51f")
            .with(BOT_ID, "pa:75346594275468546724")
            .with(SENDER, "Acme Support")
    }

    #[test]
    fn a_bot_is_read() {
        let config = Config::read(&settings().with(AVATAR, "https://cdn.example/a.jpg").with(WELCOME, "Hi!")).unwrap();
        assert_eq!((config.bot_id.as_str(), config.sender_name.as_str()), ("pa:75346594275468546724", "Acme Support"));
        assert_eq!(config.avatar.map(String::from).as_deref(), Some("https://cdn.example/a.jpg"));
        assert_eq!(config.welcome.as_deref(), Some("Hi!"));
    }

    #[rstest]
    #[case(AUTH_TOKEN, "")]
    #[case(AUTH_TOKEN, "4453 b6ac")]
    #[case(AUTH_TOKEN, "4453é")]
    #[case(BOT_ID, "")]
    #[case(SENDER, "")]
    #[case(SENDER, "A name that is far too long for Viber")]
    #[case(AVATAR, "http://cdn.example/a.jpg")]
    #[case(AVATAR, "a.jpg")]
    #[case(WELCOME, &"x".repeat(7_001))]
    fn wrong_settings_are_named_and_secrets_are_not_shown(#[case] name: &str, #[case] value: &str) {
        let error = Config::read(&settings().with(name, value)).unwrap_err();
        let (SettingsError::Missing(named) | SettingsError::Wrong { name: named, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!(named, name);
        assert!(!error.to_string().contains("4453"), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Config::read(&settings()).unwrap());
        assert!(shown.contains("pa:753") && !shown.contains("4453"), "{shown}");
    }
}
