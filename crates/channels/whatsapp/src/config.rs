//! The settings of a connection and of a number.

use secrecy::SecretString;
use transom_channel::{Ports, SettingField, SettingScope, SettingValues, SettingsError};
use transom_meta::{ApiVersion, Hub};

/// Meta's own address of the Graph API.
const GRAPH: &str = "https://graph.facebook.com";

/// What must be told to connect a number.
pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField {
        name: "app_secret",
        label: "App secret",
        help: "App dashboard, Settings, Basic, App secret. It proves that webhook calls come from Meta. While you change it, \
               give the old and the new one with a comma between them.",
        secret: true,
        scope: SettingScope::Connection,
        required: true,
        external_key: false,
    },
    SettingField {
        name: "verify_token",
        label: "Verify token",
        help: "A random text of your own choice. Enter the same text in the app dashboard, WhatsApp, Configuration, Webhook.",
        secret: true,
        scope: SettingScope::Connection,
        required: true,
        external_key: false,
    },
    SettingField {
        name: "access_token",
        label: "Access token",
        help: "Business settings, Users, System users: generate a token that never expires, for your app, with \
               whatsapp_business_messaging and whatsapp_business_management.",
        secret: true,
        scope: SettingScope::Connection,
        required: true,
        external_key: false,
    },
    SettingField {
        name: "api_version",
        label: "Graph API version",
        help: "Such as v25.0, which is the default. Change it only when Meta retires that version.",
        secret: false,
        scope: SettingScope::Connection,
        required: false,
        external_key: false,
    },
    SettingField {
        name: "phone_number_id",
        label: "Phone number ID",
        help: "App dashboard, WhatsApp, API Setup, under From: the ID below the number, not the number itself.",
        secret: false,
        scope: SettingScope::Account,
        required: true,
        external_key: true,
    },
    SettingField {
        name: "waba_id",
        label: "WhatsApp Business Account ID",
        help: "App dashboard, WhatsApp, API Setup: the account that holds the number and its templates.",
        secret: false,
        scope: SettingScope::Account,
        required: true,
        external_key: false,
    },
];

/// A connection, and the number it is used for. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) hub: Hub,
    pub(crate) access_token: SecretString,
    pub(crate) version: ApiVersion,
    /// Where the Graph API is, without a slash at its end.
    pub(crate) base: String,
    /// `None` for a connection whose numbers are not entered yet: it already answers Meta's handshake.
    pub(crate) number: Option<Number>,
}

/// A business phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    /// Its node in the Graph API, by which webhooks name it too.
    pub(crate) phone_number_id: String,
    /// The WhatsApp Business Account that holds it and its templates.
    pub(crate) waba_id: String,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues, ports: &Ports) -> Result<Self, SettingsError> {
        let app_secrets = Hub::secrets(settings.require("app_secret")?);
        if app_secrets.is_empty() {
            return Err(wrong("app_secret", &"there is no secret in it"));
        }
        let version = match settings.get("api_version") {
            None => ApiVersion::default(),
            Some(version) => version.parse().map_err(|error| wrong("api_version", &error))?,
        };
        let number = match (settings.get("phone_number_id"), settings.get("waba_id")) {
            // A connection alone.
            (None, None) => None,
            _ => Some(Number {
                phone_number_id: node("phone_number_id", settings.require("phone_number_id")?)?,
                waba_id: node("waba_id", settings.require("waba_id")?)?,
            }),
        };
        Ok(Self {
            hub: Hub::new(app_secrets, settings.secret("verify_token")?),
            access_token: settings.secret("access_token")?,
            version,
            base: ports.endpoint("whatsapp", GRAPH),
            number,
        })
    }
}

/// An id of the Graph API: digits, which also keeps it a single segment of a path.
fn node(name: &str, id: &str) -> Result<String, SettingsError> {
    let id = id.trim();
    if id.bytes().all(|byte| byte.is_ascii_digit()) && id.len() <= 32 {
        Ok(id.to_owned())
    } else {
        Err(wrong(name, &"an ID of the Graph API is made of digits"))
    }
}

fn wrong(name: &str, reason: &dyn std::fmt::Display) -> SettingsError {
    SettingsError::Wrong { name: name.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings() -> SettingValues {
        SettingValues::default()
            .with("app_secret", "old-secret, new-secret")
            .with("verify_token", "verify me")
            .with("access_token", "EAAinvented")
            .with("phone_number_id", " 106540352242922 ")
            .with("waba_id", "102290129340398")
    }

    fn read(settings: &SettingValues) -> Result<Config, SettingsError> {
        Config::read(settings, &Ports::system().unwrap())
    }

    #[test]
    fn defaults_are_metas_own() {
        let config = read(&settings()).unwrap();
        assert_eq!(
            (config.base.as_str(), config.version.to_string().as_str()),
            ("https://graph.facebook.com", "v25.0")
        );
        assert_eq!(config.number.unwrap().phone_number_id, "106540352242922");
    }

    #[rstest]
    #[case("app_secret", " , ", "app_secret")]
    #[case("app_secret", "", "app_secret")]
    #[case("verify_token", "", "verify_token")]
    #[case("access_token", "", "access_token")]
    #[case("waba_id", "", "waba_id")]
    #[case("phone_number_id", "", "phone_number_id")]
    #[case("waba_id", "my account", "waba_id")]
    #[case("phone_number_id", "1/../2", "phone_number_id")]
    #[case("api_version", "newest", "api_version")]
    fn what_is_missing_or_wrong_is_named(#[case] name: &str, #[case] value: &str, #[case] named: &str) {
        let error = read(&settings().with(name, value)).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }

    #[test]
    fn a_connection_without_a_number_can_answer_the_handshake() {
        assert_eq!(read(&settings().with("phone_number_id", "").with("waba_id", "")).unwrap().number, None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", read(&settings()).unwrap());
        for secret in ["old-secret", "new-secret", "verify me", "EAAinvented"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
