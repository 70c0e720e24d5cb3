//! The settings of a connection and of a Page.

use transom_channel::{Ports, SettingField, SettingValues, SettingsError};
use transom_meta::settings::{self, App, GRAPH, node_id};

/// What must be told to connect a Page.
pub(crate) const SETTINGS: &[SettingField] = &[
    settings::app_secret(
        "App dashboard, Settings, Basic, App secret. It proves that webhook calls come from Meta. While you change it, \
         give the old and the new one with a comma between them.",
    ),
    settings::verify_token(
        "A random text of your own choice. Enter the same text in the app dashboard, Messenger, Settings, Webhooks.",
    ),
    settings::access_token(
        "Business settings, Users, System users: generate a token that never expires, for your app and your Pages, with \
         pages_messaging, pages_manage_metadata and pages_read_engagement. A Page's own token does for one Page.",
    ),
    settings::API_VERSION,
    SettingField::optional(
        "reactions",
        "Reactions",
        "`on` lets agents put an emoji to a message. Meta's documents leave it open whether Pages may: `off` unless set.",
    ),
    SettingField::required("page_id", "Page ID", "Your Page, About, Page transparency: the Page ID, a long number.")
        .external_key(),
];

/// A connection, and the Page it is used for. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) app: App,
    /// Where the Graph API is, without a slash at its end.
    pub(crate) base: String,
    pub(crate) reactions: bool,
    pub(crate) page_id: String,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues, ports: &Ports) -> Result<Self, SettingsError> {
        Ok(Self {
            app: App::read(settings)?,
            base: ports.endpoint("messenger", GRAPH),
            reactions: settings.switch("reactions")?.unwrap_or(false),
            page_id: node_id(settings, "page_id")?,
        })
    }
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
            (config.base.as_str(), config.app.version.to_string().as_str()),
            ("https://graph.facebook.com", "v25.0")
        );
        assert_eq!((config.page_id.as_str(), config.reactions), ("300000000000001", false));
        assert!(read(&settings().with("reactions", "on")).unwrap().reactions);
    }

    #[rstest]
    #[case("page_id", "")]
    #[case("page_id", "my page")]
    #[case("page_id", "1/../2")]
    #[case("reactions", "perhaps")]
    fn what_is_missing_or_wrong_is_named(#[case] name: &str, #[case] value: &str) {
        let error = read(&settings().with(name, value)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}
