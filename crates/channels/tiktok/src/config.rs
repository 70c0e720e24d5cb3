//! What must be told to connect a business account.

use std::fmt;

use secrecy::SecretString;
use time::Duration;
use transom_channel::{SettingField, SettingValues, SettingsError};

const APP_ID: &str = "app_id";
const APP_SECRET: &str = "app_secret";
const SIGNATURE_AGE: &str = "signature_age_seconds";
const CHALLENGE: &str = "challenge";
const DIRECT_REPLY: &str = "direct_reply";
const BUSINESS_ID: &str = "business_id";
const REFRESH_TOKEN: &str = "refresh_token";

/// Signed calls may be this old: room for clocks and queues (4.2).
const DEFAULT_AGE: Duration = Duration::seconds(300);

pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField::required(APP_ID, "App id", "the app's id, which the portal also calls client key"),
    SettingField::required(APP_SECRET, "App secret", "the app's secret; webhook calls are signed with it").secret(),
    SettingField::optional(
        SIGNATURE_AGE,
        "Oldest signature, in seconds",
        "how old a signed webhook call may be; 300 by default, TikTok's own sample allows 5",
    ),
    SettingField::optional(
        CHALLENGE,
        "Answer to a challenge",
        "refuse (the default) or echo: whether a GET with a challenge is answered with it; TikTok documents no such call",
    ),
    SettingField::required(
        BUSINESS_ID,
        "Business id",
        "the open_id that came with the authorisation; webhooks name the account by it",
    )
    .external_key(),
    SettingField::optional(
        DIRECT_REPLY,
        "Private replies to comments",
        "leave (the default) or enable: whether they are switched on at TikTok when the account is connected or checked; the \
         feature comment_to_message then permits them",
    )
    .of_account(),
    SettingField::required(
        REFRESH_TOKEN,
        "Refresh token",
        "from the authorisation; it is exchanged at once, and each exchange gives the next one",
    )
    .secret()
    .of_account(),
];

/// An app and the business account that authorised it.
pub(crate) struct Config {
    pub(crate) app_id: String,
    pub(crate) app_secret: SecretString,
    pub(crate) signature_age: Duration,
    pub(crate) echoes_challenge: bool,
    pub(crate) enables_direct_reply: bool,
    pub(crate) business_id: String,
    pub(crate) refresh_token: SecretString,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        let signature_age = settings.number(SIGNATURE_AGE, 1..=86_400)?;
        let echoes_challenge = settings.choice(CHALLENGE, &[("refuse", false), ("echo", true)])?;
        let enables_direct_reply = settings.choice(DIRECT_REPLY, &[("leave", false), ("enable", true)])?;
        Ok(Self {
            app_id: settings.require(APP_ID)?.trim().to_owned(),
            app_secret: settings.secret(APP_SECRET)?,
            signature_age: signature_age.map_or(DEFAULT_AGE, Duration::seconds),
            echoes_challenge: echoes_challenge.unwrap_or(false),
            enables_direct_reply: enables_direct_reply.unwrap_or(false),
            business_id: settings.require(BUSINESS_ID)?.trim().to_owned(),
            refresh_token: settings.secret(REFRESH_TOKEN)?,
        })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("app_id", &self.app_id)
            .field("business_id", &self.business_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings() -> SettingValues {
        SettingValues::default()
            .with(APP_ID, "7000000000000000001")
            .with(APP_SECRET, "s3cret")
            .with(BUSINESS_ID, "biz-open-0001")
            .with(REFRESH_TOKEN, "rft.1")
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let config = Config::read(&settings()).unwrap();
        assert_eq!((config.signature_age, config.echoes_challenge), (Duration::minutes(5), false));
        let config = Config::read(&settings().with(SIGNATURE_AGE, "5").with(CHALLENGE, "echo")).unwrap();
        assert_eq!((config.signature_age, config.echoes_challenge), (Duration::seconds(5), true));
    }

    #[rstest]
    #[case(APP_ID, "")]
    #[case(APP_SECRET, " ")]
    #[case(BUSINESS_ID, "")]
    #[case(REFRESH_TOKEN, "")]
    #[case(SIGNATURE_AGE, "0")]
    #[case(SIGNATURE_AGE, "soon")]
    #[case(CHALLENGE, "yes")]
    fn a_wrong_setting_is_named(#[case] name: &str, #[case] value: &str) {
        let error = Config::read(&settings().with(name, value)).unwrap_err();
        let (SettingsError::Missing(named) | SettingsError::Wrong { name: named, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!(named, name);
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Config::read(&settings()).unwrap());
        assert!(shown.contains("biz-open-0001") && !shown.contains("s3cret") && !shown.contains("rft"), "{shown}");
    }
}
