//! The settings of a connection and of a number.

use transom_channel::{Ports, SettingField, SettingValues, SettingsError};
use transom_meta::settings::{self, App, GRAPH, node_id};

/// What must be told to connect a number.
pub(crate) const SETTINGS: &[SettingField] = &[
    settings::app_secret(
        "App dashboard, Settings, Basic, App secret. It proves that webhook calls come from Meta. While you change it, \
         give the old and the new one with a comma between them.",
    ),
    settings::verify_token(
        "A random text of your own choice. Enter the same text in the app dashboard, WhatsApp, Configuration, Webhook.",
    ),
    settings::access_token(
        "Business settings, Users, System users: generate a token that never expires, for your app, with \
         whatsapp_business_messaging and whatsapp_business_management.",
    ),
    settings::API_VERSION,
    SettingField::required(
        "phone_number_id",
        "Phone number ID",
        "App dashboard, WhatsApp, API Setup, under From: the ID below the number, not the number itself.",
    )
    .external_key(),
    SettingField::required(
        "waba_id",
        "WhatsApp Business Account ID",
        "App dashboard, WhatsApp, API Setup: the account that holds the number and its templates.",
    )
    .of_account(),
];

/// A connection, and the number it is used for. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) app: App,
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
        let number = match (settings.get("phone_number_id"), settings.get("waba_id")) {
            // A connection alone.
            (None, None) => None,
            _ => Some(Number {
                phone_number_id: node_id(settings, "phone_number_id")?,
                waba_id: node_id(settings, "waba_id")?,
            }),
        };
        Ok(Self { app: App::read(settings)?, base: ports.endpoint("whatsapp", GRAPH), number })
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
            (config.base.as_str(), config.app.version.to_string().as_str()),
            ("https://graph.facebook.com", "v25.0")
        );
        assert_eq!(config.number.unwrap().phone_number_id, "106540352242922");
    }

    #[rstest]
    #[case("waba_id", "", "waba_id")]
    #[case("phone_number_id", "", "phone_number_id")]
    #[case("waba_id", "my account", "waba_id")]
    #[case("phone_number_id", "1/../2", "phone_number_id")]
    fn what_is_missing_or_wrong_is_named(#[case] name: &str, #[case] value: &str, #[case] named: &str) {
        let error = read(&settings().with(name, value)).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }

    #[test]
    fn a_connection_without_a_number_can_answer_the_handshake() {
        assert_eq!(read(&settings().with("phone_number_id", "").with("waba_id", "")).unwrap().number, None);
    }
}
