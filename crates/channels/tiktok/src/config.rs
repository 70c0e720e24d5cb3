//! What must be told to connect a business account.

use std::fmt;

use secrecy::SecretString;
use time::Duration;
use transom_channel::{SettingField, SettingScope, SettingValues, SettingsError};

const APP_ID: &str = "app_id";
const APP_SECRET: &str = "app_secret";
const SIGNATURE_AGE: &str = "signature_age_seconds";
const CHALLENGE: &str = "challenge";
const BUSINESS_ID: &str = "business_id";
const REFRESH_TOKEN: &str = "refresh_token";

/// Signed calls may be this old: room for clocks and queues (4.2).
const DEFAULT_AGE: Duration = Duration::seconds(300);

pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField {
        name: APP_ID,
        label: "App id",
        help: "the app's id, which the portal also calls client key",
        secret: false,
        scope: SettingScope::Connection,
        required: true,
        external_key: false,
    },
    SettingField {
        name: APP_SECRET,
        label: "App secret",
        help: "the app's secret; webhook calls are signed with it",
        secret: true,
        scope: SettingScope::Connection,
        required: true,
        external_key: false,
    },
    SettingField {
        name: SIGNATURE_AGE,
        label: "Oldest signature, in seconds",
        help: "how old a signed webhook call may be; 300 by default, TikTok's own sample allows 5",
        secret: false,
        scope: SettingScope::Connection,
        required: false,
        external_key: false,
    },
    SettingField {
        name: CHALLENGE,
        label: "Answer to a challenge",
        help: "refuse (the default) or echo: whether a GET with a challenge is answered with it; TikTok documents no such call",
        secret: false,
        scope: SettingScope::Connection,
        required: false,
        external_key: false,
    },
    SettingField {
        name: BUSINESS_ID,
        label: "Business id",
        help: "the open_id that came with the authorisation; webhooks name the account by it",
        secret: false,
        scope: SettingScope::Account,
        required: true,
        external_key: true,
    },
    SettingField {
        name: REFRESH_TOKEN,
        label: "Refresh token",
        help: "from the authorisation; it is exchanged at once, and each exchange gives the next one",
        secret: true,
        scope: SettingScope::Account,
        required: true,
        external_key: false,
    },
];

/// An app and the business account that authorised it.
pub(crate) struct Config {
    pub(crate) app_id: String,
    pub(crate) app_secret: SecretString,
    pub(crate) signature_age: Duration,
    pub(crate) echoes_challenge: bool,
    pub(crate) business_id: String,
    pub(crate) refresh_token: SecretString,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        let signature_age = match settings.get(SIGNATURE_AGE) {
            None => DEFAULT_AGE,
            Some(text) => match text.trim().parse::<i64>() {
                Ok(seconds @ 1..=86_400) => Duration::seconds(seconds),
                _ => return Err(wrong(SIGNATURE_AGE, &format!("1 to 86400 seconds are expected, not `{text}`"))),
            },
        };
        let echoes_challenge = match settings.get(CHALLENGE) {
            None | Some("refuse") => false,
            Some("echo") => true,
            Some(other) => return Err(wrong(CHALLENGE, &format!("`refuse` or `echo` is expected, not `{other}`"))),
        };
        Ok(Self {
            app_id: settings.require(APP_ID)?.trim().to_owned(),
            app_secret: settings.secret(APP_SECRET)?,
            signature_age,
            echoes_challenge,
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

fn wrong(name: &str, reason: &str) -> SettingsError {
    SettingsError::Wrong { name: name.to_owned(), reason: reason.to_owned() }
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
