//! What must be told to connect an account.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use time::Duration;
use transom_channel::{SettingField, SettingScope, SettingValues, SettingsError};

use crate::crypto::AesKey;

const APP_ID: &str = "app_id";
const APP_SECRET: &str = "app_secret";
const TOKEN: &str = "token";
const ENCODING_AES_KEY: &str = "encoding_aes_key";
const MODE: &str = "mode";
const SIGNATURE_AGE: &str = "signature_age_seconds";
const KF_ACCOUNT: &str = "kf_account";
const VIDEO_THUMB: &str = "video_thumb_media_id";
const ORIGINAL_ID: &str = "original_id";

/// "Timestamp freshness (e.g. 5 min)" (4.2).
const DEFAULT_AGE: Duration = Duration::seconds(300);

const fn field(name: &'static str, label: &'static str, help: &'static str) -> SettingField {
    let scope = SettingScope::Connection;
    SettingField { name, label, help, secret: false, scope, required: false, external_key: false }
}

const fn required(field: SettingField) -> SettingField {
    SettingField { required: true, ..field }
}

const fn secret(field: SettingField) -> SettingField {
    SettingField { secret: true, ..field }
}

pub(crate) const SETTINGS: &[SettingField] = &[
    required(field(APP_ID, "AppID", "wx… from the console's basic configuration")),
    required(secret(field(APP_SECRET, "AppSecret", "from the console's basic configuration; shown once"))),
    required(secret(field(
        TOKEN,
        "Token",
        "3 to 32 letters and digits, as typed into the console's server configuration; two may be given, separated by a comma, while it changes",
    ))),
    secret(field(
        ENCODING_AES_KEY,
        "EncodingAESKey",
        "43 characters from the console's server configuration; two may be given, separated by a comma, while it changes. Without it only the plain mode is understood",
    )),
    field(
        MODE,
        "Security mode",
        "secure (the default with an EncodingAESKey) refuses calls that are not encrypted; compatible takes both",
    ),
    field(SIGNATURE_AGE, "Oldest signature, in seconds", "how old a signed webhook call may be; 300 by default"),
    field(
        KF_ACCOUNT,
        "Customer-service account",
        "name@account of an agent in WeChat's console whom customers see as the sender",
    ),
    field(
        VIDEO_THUMB,
        "Still picture for films",
        "the media id of a permanent picture that is shown before a film plays; without it films can't be sent",
    ),
    SettingField {
        scope: SettingScope::Account,
        external_key: true,
        ..required(field(
            ORIGINAL_ID,
            "Original id",
            "gh_… from the console's account details; webhooks name the account by it",
        ))
    },
];

/// An account with what its webhooks are checked with.
pub(crate) struct Config {
    pub(crate) app_id: String,
    pub(crate) app_secret: SecretString,
    /// The present one, and an earlier one while it changes.
    pub(crate) tokens: Vec<SecretString>,
    /// The same of keys; none in the plain mode.
    pub(crate) keys: Vec<AesKey>,
    /// Calls that are not encrypted are let in though there is a key.
    pub(crate) takes_plain: bool,
    pub(crate) signature_age: Duration,
    pub(crate) kf_account: Option<String>,
    pub(crate) video_thumb: Option<String>,
    pub(crate) original_id: String,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        let tokens = several(settings.require(TOKEN)?);
        let is_token = |token: &SecretString| {
            let token = token.expose_secret();
            (3..=32).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        if tokens.is_empty() || !tokens.iter().all(is_token) {
            return Err(wrong(TOKEN, "3 to 32 letters and digits are expected"));
        }
        let keys = several(settings.get(ENCODING_AES_KEY).unwrap_or_default());
        let keys: Option<Vec<AesKey>> = keys.iter().map(|key| AesKey::read(key.expose_secret())).collect();
        let keys = keys.ok_or_else(|| wrong(ENCODING_AES_KEY, "43 letters, digits, `+` or `/` are expected"))?;
        let takes_plain = match settings.get(MODE).map(str::trim) {
            None => keys.is_empty(),
            Some("compatible") => true,
            Some("secure") if keys.is_empty() => {
                return Err(wrong(MODE, "the secure mode needs an `encoding_aes_key`"));
            }
            Some("secure") => false,
            Some(other) => return Err(wrong(MODE, &format!("`secure` or `compatible` is expected, not `{other}`"))),
        };
        let signature_age = match settings.get(SIGNATURE_AGE) {
            None => DEFAULT_AGE,
            Some(text) => match text.trim().parse::<i64>() {
                Ok(seconds @ 1..=86_400) => Duration::seconds(seconds),
                _ => return Err(wrong(SIGNATURE_AGE, &format!("1 to 86400 seconds are expected, not `{text}`"))),
            },
        };
        let text = |name: &str| settings.get(name).map(|value| value.trim().to_owned());
        let app_id = settings.require(APP_ID)?.trim().to_owned();
        if !app_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong(APP_ID, "an AppID has no blanks and no letters beyond ASCII"));
        }
        Ok(Self {
            app_id,
            app_secret: settings.secret(APP_SECRET)?,
            tokens,
            keys,
            takes_plain,
            signature_age,
            kf_account: text(KF_ACCOUNT),
            video_thumb: text(VIDEO_THUMB),
            original_id: settings.require(ORIGINAL_ID)?.trim().to_owned(),
        })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("app_id", &self.app_id)
            .field("original_id", &self.original_id)
            .finish_non_exhaustive()
    }
}

fn several(given: &str) -> Vec<SecretString> {
    given.split(',').map(str::trim).filter(|one| !one.is_empty()).map(SecretString::from).collect()
}

fn wrong(name: &str, reason: &str) -> SettingsError {
    SettingsError::Wrong { name: name.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

    fn settings() -> SettingValues {
        SettingValues::default()
            .with(APP_ID, "wx00000000000000a1")
            .with(APP_SECRET, "s3cret")
            .with(TOKEN, "supporttoken01")
            .with(ORIGINAL_ID, "gh_0000000000a1")
    }

    #[test]
    fn the_mode_follows_from_the_key() {
        let plain = Config::read(&settings()).unwrap();
        assert_eq!((plain.keys.len(), plain.takes_plain, plain.signature_age), (0, true, Duration::minutes(5)));
        let secure = Config::read(&settings().with(ENCODING_AES_KEY, KEY)).unwrap();
        assert_eq!((secure.keys.len(), secure.takes_plain), (1, false));
        let both = settings().with(ENCODING_AES_KEY, format!("{KEY}, {KEY}")).with(MODE, "compatible");
        let both = Config::read(&both.with(TOKEN, "old,new")).unwrap();
        assert_eq!((both.keys.len(), both.takes_plain, both.tokens.len()), (2, true, 2));
        assert_eq!(both.tokens.first().map(ExposeSecret::expose_secret), Some("old"));
    }

    #[rstest]
    #[case(APP_ID, "")]
    #[case(APP_ID, "wx 1")]
    #[case(APP_SECRET, " ")]
    #[case(TOKEN, "")]
    #[case(TOKEN, " , ")]
    #[case(TOKEN, "ab")]
    #[case(TOKEN, "not-a-token")]
    #[case(ORIGINAL_ID, "")]
    #[case(ENCODING_AES_KEY, "short")]
    #[case(ENCODING_AES_KEY, "abcdefghijklmnopqrstuvwxyz0123456789ABCDEF!")]
    #[case(MODE, "secure")]
    #[case(MODE, "open")]
    #[case(SIGNATURE_AGE, "0")]
    #[case(SIGNATURE_AGE, "soon")]
    fn a_wrong_setting_is_named(#[case] name: &str, #[case] value: &str) {
        let error = Config::read(&settings().with(name, value)).unwrap_err();
        let (SettingsError::Missing(named) | SettingsError::Wrong { name: named, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!(named, name);
        assert!(!error.to_string().contains("not-a-token"), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Config::read(&settings().with(ENCODING_AES_KEY, KEY)).unwrap());
        assert!(shown.contains("gh_0000000000a1"), "{shown}");
        assert!(!shown.contains("s3cret") && !shown.contains("supporttoken") && !shown.contains(KEY), "{shown}");
    }
}
