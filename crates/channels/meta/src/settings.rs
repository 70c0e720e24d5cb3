//! The settings that every connection to the Graph API has, and how they are read.

use secrecy::SecretString;
use transom_channel::{SettingField, SettingValues, SettingsError};

use crate::{ApiVersion, Hub};

/// Meta's own address of the Graph API.
pub const GRAPH: &str = "https://graph.facebook.com";

const APP_SECRET: &str = "app_secret";
const VERIFY_TOKEN: &str = "verify_token";
const ACCESS_TOKEN: &str = "access_token";
const VERSION: &str = "api_version";

/// What checks webhook calls. `help` says where it is found.
pub const fn app_secret(help: &'static str) -> SettingField {
    SettingField::required(APP_SECRET, "App secret", help).secret()
}

/// The word of the handshake. `help` says where Meta is told it.
pub const fn verify_token(help: &'static str) -> SettingField {
    SettingField::required(VERIFY_TOKEN, "Verify token", help).secret()
}

/// What calls are made with. `help` says which rights it needs.
pub const fn access_token(help: &'static str) -> SettingField {
    SettingField::required(ACCESS_TOKEN, "Access token", help).secret()
}

/// The version of the Graph API.
pub const API_VERSION: SettingField = SettingField::optional(
    VERSION,
    "Graph API version",
    "Such as v25.0, which is the default. Change it only when Meta retires that version.",
);

/// A connection to an app of Meta's. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct App {
    /// What its webhook calls are checked with.
    pub hub: Hub,
    /// What calls are made with.
    pub access_token: SecretString,
    /// The version of the Graph API.
    pub version: ApiVersion,
}

impl App {
    /// Reads the four settings.
    ///
    /// # Errors
    /// [`SettingsError`] names the one that is missing or wrong.
    pub fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        let version = settings.text(VERSION).map(str::parse).transpose();
        Ok(Self {
            hub: Hub::new(settings.secrets(APP_SECRET)?, settings.secret(VERIFY_TOKEN)?),
            access_token: settings.secret(ACCESS_TOKEN)?,
            version: version.map_err(|error| SettingsError::wrong(VERSION, error))?.unwrap_or_default(),
        })
    }
}

/// An id of the Graph API: digits, which also keeps it a single segment of a path.
///
/// # Errors
/// [`SettingsError`] where it is missing, or is none.
pub fn node_id(settings: &SettingValues, name: &str) -> Result<String, SettingsError> {
    let is_id = |id: &str| id.bytes().all(|byte| byte.is_ascii_digit()) && id.len() <= 32;
    settings.required(name, "an ID of the Graph API is made of digits", is_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings() -> SettingValues {
        SettingValues::default()
            .with(APP_SECRET, "old-secret, new-secret")
            .with(VERIFY_TOKEN, "verify me")
            .with(ACCESS_TOKEN, "EAAinvented")
            .with("node", " 106540352242922 ")
    }

    fn read(settings: &SettingValues) -> Result<(App, String), SettingsError> {
        Ok((App::read(settings)?, node_id(settings, "node")?))
    }

    #[test]
    fn a_version_is_there_unless_set() {
        let (app, node) = read(&settings()).unwrap();
        assert_eq!((app.version.to_string().as_str(), node.as_str()), ("v25.0", "106540352242922"));
        assert_eq!(App::read(&settings().with(VERSION, " v26.0 ")).unwrap().version.to_string(), "v26.0");
    }

    #[rstest]
    #[case(APP_SECRET, " , ")]
    #[case(APP_SECRET, "")]
    #[case(VERIFY_TOKEN, "")]
    #[case(ACCESS_TOKEN, "")]
    #[case(VERSION, "newest")]
    #[case("node", "")]
    #[case("node", "my account")]
    #[case("node", "1/../2")]
    fn what_is_missing_or_wrong_is_named(#[case] name: &str, #[case] value: &str) {
        let error = read(&settings().with(name, value)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", read(&settings()).unwrap());
        for secret in ["old-secret", "new-secret", "verify me", "EAAinvented"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
