//! The settings of a connection and of a Page.

use secrecy::SecretString;
use transom_channel::{Ports, SettingField, SettingScope, SettingValues, SettingsError};
use transom_meta::{ApiVersion, Hub};

/// Meta's own address of the Graph API.
const GRAPH: &str = "https://graph.facebook.com";

/// What must be told to connect a Page.
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
        help: "A random text of your own choice. Enter the same text in the app dashboard, Messenger, Settings, Webhooks.",
        secret: true,
        scope: SettingScope::Connection,
        required: true,
        external_key: false,
    },
    SettingField {
        name: "access_token",
        label: "Access token",
        help: "Business settings, Users, System users: generate a token that never expires, for your app and your Pages, with \
               pages_messaging, pages_manage_metadata and pages_read_engagement. A Page's own token does for one Page.",
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
        name: "reactions",
        label: "Reactions",
        help: "`on` lets agents put an emoji to a message. Meta's documents leave it open whether Pages may: `off` unless set.",
        secret: false,
        scope: SettingScope::Connection,
        required: false,
        external_key: false,
    },
    SettingField {
        name: "page_id",
        label: "Page ID",
        help: "Your Page, About, Page transparency: the Page ID, a long number.",
        secret: false,
        scope: SettingScope::Account,
        required: true,
        external_key: true,
    },
];

/// A connection, and the Page it is used for. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) hub: Hub,
    pub(crate) access_token: SecretString,
    pub(crate) version: ApiVersion,
    /// Where the Graph API is, without a slash at its end.
    pub(crate) base: String,
    pub(crate) reactions: bool,
    pub(crate) page_id: String,
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
        let reactions = match settings.get("reactions").map(str::trim) {
            None | Some("off") => false,
            Some("on") => true,
            Some(_) => return Err(wrong("reactions", &"`on` or `off` is expected")),
        };
        Ok(Self {
            hub: Hub::new(app_secrets, settings.secret("verify_token")?),
            access_token: settings.secret("access_token")?,
            version,
            base: ports.endpoint("messenger", GRAPH),
            reactions,
            page_id: page_id(settings.require("page_id")?)?,
        })
    }
}

/// An id of the Graph API: digits, which also keeps it a single segment of a path.
fn page_id(id: &str) -> Result<String, SettingsError> {
    let id = id.trim();
    if id.bytes().all(|byte| byte.is_ascii_digit()) && id.len() <= 32 {
        Ok(id.to_owned())
    } else {
        Err(wrong("page_id", &"a Page ID is made of digits"))
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
            .with("page_id", " 300000000000001 ")
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
        assert_eq!((config.page_id.as_str(), config.reactions), ("300000000000001", false));
        assert!(read(&settings().with("reactions", "on")).unwrap().reactions);
    }

    #[rstest]
    #[case("app_secret", " , ")]
    #[case("app_secret", "")]
    #[case("verify_token", "")]
    #[case("access_token", "")]
    #[case("page_id", "")]
    #[case("page_id", "my page")]
    #[case("page_id", "1/../2")]
    #[case("api_version", "newest")]
    #[case("reactions", "perhaps")]
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
