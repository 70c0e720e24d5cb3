//! What must be told to connect an Official Account.

use std::fmt;

use secrecy::SecretString;
use transom_channel::{SettingField, SettingValues, SettingsError};
use url::Url;

const CHANNEL_SECRET: &str = "channel_secret";
const CHANNEL_ACCESS_TOKEN: &str = "channel_access_token";
const VIDEO_PREVIEW_URL: &str = "video_preview_url";
const BOT_USER_ID: &str = "bot_user_id";

pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField::required(CHANNEL_SECRET, "Channel secret", "LINE Developers console, Basic settings. It proves that webhook calls come from LINE. While you change it, give \
         the old and the new one with a comma between them.").secret(),
    SettingField::required(CHANNEL_ACCESS_TOKEN, "Channel access token", "LINE Developers console, Messaging API: the long-lived token.").secret(),
    SettingField::optional(VIDEO_PREVIEW_URL, "Still picture for films", "The https address of a JPEG or PNG that LINE shows before a film plays. Without it no films can be sent.").of_account(),
    SettingField::optional(BOT_USER_ID, "Bot user id", "U and 32 hexadecimal digits, by which webhooks name the account. Left out, LINE is asked for it.").external_key(),
];

/// An Official Account. `Debug` shows no secret.
pub(crate) struct Config {
    pub(crate) channel_secrets: Vec<SecretString>,
    pub(crate) access_token: SecretString,
    pub(crate) video_preview: Option<String>,
    pub(crate) bot_user_id: Option<String>,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        let is_token = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
        let token = "a token has no blanks and no letters beyond ASCII";
        let bot = "U and 32 hexadecimal digits are expected; left out, LINE is asked for it";
        Ok(Self {
            channel_secrets: settings.secrets(CHANNEL_SECRET)?,
            access_token: settings.required(CHANNEL_ACCESS_TOKEN, token, is_token)?.into(),
            video_preview: settings.optional(VIDEO_PREVIEW_URL, "an https address is expected", is_https)?,
            bot_user_id: settings.optional(BOT_USER_ID, bot, is_user_id)?,
        })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("bot_user_id", &self.bot_user_id)
            .field("video_preview", &self.video_preview)
            .finish_non_exhaustive()
    }
}

/// `U` and 32 hexadecimal digits (line.md 5).
pub(crate) fn is_user_id(id: &str) -> bool {
    id.strip_prefix('U').is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub(crate) fn is_https(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.scheme() == "https" && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use secrecy::ExposeSecret;

    fn settings() -> SettingValues {
        SettingValues::default()
            .with(CHANNEL_SECRET, "old-secret, new-secret")
            .with(CHANNEL_ACCESS_TOKEN, "tok/en+==")
            .with(BOT_USER_ID, "U00000000000000000000000000000001")
    }

    #[test]
    fn two_secrets_may_be_given() {
        let config = Config::read(&settings()).unwrap();
        let secrets: Vec<&str> = config.channel_secrets.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(secrets, ["old-secret", "new-secret"]);
    }

    #[test]
    fn the_bots_id_may_be_left_out() {
        assert_eq!(Config::read(&settings().with(BOT_USER_ID, "")).unwrap().bot_user_id, None);
    }

    #[rstest]
    #[case(CHANNEL_SECRET, "")]
    #[case(CHANNEL_SECRET, " , ")]
    #[case(CHANNEL_ACCESS_TOKEN, "")]
    #[case(CHANNEL_ACCESS_TOKEN, "two words")]
    #[case(VIDEO_PREVIEW_URL, "http://cdn.example/still.jpg")]
    #[case(VIDEO_PREVIEW_URL, "still.jpg")]
    #[case(BOT_USER_ID, "@shop")]
    #[case(BOT_USER_ID, "C00000000000000000000000000000001")]
    fn what_is_missing_or_wrong_is_named(#[case] name: &str, #[case] value: &str) {
        let error = Config::read(&settings().with(name, value)).unwrap_err();
        let (SettingsError::Missing(named) | SettingsError::Wrong { name: named, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!(named, name);
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Config::read(&settings()).unwrap());
        assert!(!shown.contains("secret\"") && !shown.contains("new-secret") && !shown.contains("tok/en"), "{shown}");
    }
}
