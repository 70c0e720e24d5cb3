//! The settings of a connection and of an account.

use secrecy::SecretString;
use transom_channel::{Ports, SettingField, SettingScope, SettingValues, SettingsError};
use transom_meta::{ApiVersion, Hub};

/// Where the Graph API is, for the two set-ups (instagram.md 0).
const FACEBOOK: &str = "https://graph.facebook.com";
const INSTAGRAM: &str = "https://graph.instagram.com";

const fn field(name: &'static str, label: &'static str, help: &'static str) -> SettingField {
    SettingField {
        name,
        label,
        help,
        secret: false,
        scope: SettingScope::Connection,
        required: false,
        external_key: false,
    }
}

const fn secret(name: &'static str, label: &'static str, help: &'static str) -> SettingField {
    SettingField { secret: true, required: true, ..field(name, label, help) }
}

/// What must be told to connect an account.
pub(crate) const SETTINGS: &[SettingField] = &[
    secret(
        "app_secret",
        "App secret",
        "App dashboard, Settings, Basic, App secret. It proves that webhook calls come from Meta. With Instagram Login give the \
         Instagram app secret too (Instagram, API setup), with a comma between them: either may sign.",
    ),
    secret(
        "verify_token",
        "Verify token",
        "A random text of your own choice. Enter the same text in the app dashboard, Instagram, Webhooks.",
    ),
    secret(
        "access_token",
        "Access token",
        "With Facebook Login: of a system user or of the Page, with instagram_basic, instagram_manage_messages, \
         pages_manage_metadata and pages_read_engagement. With Instagram Login: the account's own, good for 60 days, with \
         instagram_business_basic and instagram_business_manage_messages; it is renewed by itself.",
    ),
    field("login", "Set-up", "`facebook` (the default): the account is linked to a Page. `instagram`: it is not."),
    field(
        "api_version",
        "Graph API version",
        "Such as v25.0, which is the default. Change it only when Meta retires that version.",
    ),
    field(
        "metadata",
        "Own reference",
        "`on` sends our reference along, so that an echo settles a lost answer. Unless set: on with Facebook Login, off with \
         Instagram Login, for which no document promises it.",
    ),
    field("quotes", "Quotes", "`on` lets agents quote a message. Meta's documents leave it open: `off` unless set."),
    SettingField {
        scope: SettingScope::Account,
        ..field("page_id", "Page ID", "With Facebook Login: the Page that the account is linked to, a long number.")
    },
    SettingField {
        scope: SettingScope::Account,
        required: true,
        external_key: true,
        ..field(
            "instagram_id",
            "Instagram account ID",
            "The professional account's ID (17841…), as webhooks show it; `user_id` of /me with Instagram Login.",
        )
    },
];

/// How the account is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// Through the Page that it is linked to.
    Facebook,
    /// By itself.
    Instagram,
}

/// A connection, and the account it is used for. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) hub: Hub,
    pub(crate) access_token: SecretString,
    pub(crate) login: Login,
    pub(crate) version: ApiVersion,
    /// Where the Graph API is, without a slash at its end.
    pub(crate) base: String,
    /// Whether our reference goes along.
    pub(crate) metadata: bool,
    pub(crate) quotes: bool,
    pub(crate) account: Account,
}

/// A professional account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its own id, by which webhooks name it.
    pub(crate) id: String,
    /// The node that sends: its Page, or the account itself.
    pub(crate) node: String,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues, ports: &Ports) -> Result<Self, SettingsError> {
        let app_secrets = Hub::secrets(settings.require("app_secret")?);
        if app_secrets.is_empty() {
            return Err(wrong("app_secret", &"there is no secret in it"));
        }
        let login = match settings.get("login").map(str::trim) {
            None | Some("facebook") => Login::Facebook,
            Some("instagram") => Login::Instagram,
            Some(_) => return Err(wrong("login", &"`facebook` or `instagram` is expected")),
        };
        let version = match settings.get("api_version") {
            None => ApiVersion::default(),
            Some(version) => version.parse().map_err(|error| wrong("api_version", &error))?,
        };
        let own = if login == Login::Facebook { FACEBOOK } else { INSTAGRAM };
        Ok(Self {
            hub: Hub::new(app_secrets, settings.secret("verify_token")?),
            access_token: settings.secret("access_token")?,
            login,
            version,
            base: ports.endpoint("instagram", own),
            metadata: switch(settings, "metadata")?.unwrap_or(login == Login::Facebook),
            quotes: switch(settings, "quotes")?.unwrap_or(false),
            account: account(settings, login)?,
        })
    }
}

fn account(settings: &SettingValues, login: Login) -> Result<Account, SettingsError> {
    let id = node("instagram_id", settings.require("instagram_id")?)?;
    let node = match login {
        Login::Instagram => id.clone(),
        Login::Facebook => node("page_id", settings.require("page_id")?)?,
    };
    Ok(Account { id, node })
}

fn switch(settings: &SettingValues, name: &str) -> Result<Option<bool>, SettingsError> {
    match settings.get(name).map(str::trim) {
        None => Ok(None),
        Some("on") => Ok(Some(true)),
        Some("off") => Ok(Some(false)),
        Some(_) => Err(wrong(name, &"`on` or `off` is expected")),
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
            .with("page_id", "300000000000001")
            .with("instagram_id", " 17840000000000001 ")
    }

    fn read(settings: &SettingValues) -> Result<Config, SettingsError> {
        Config::read(settings, &Ports::system().unwrap())
    }

    #[test]
    fn through_the_page_unless_set() {
        let config = read(&settings()).unwrap();
        assert_eq!((config.base.as_str(), config.login), ("https://graph.facebook.com", Login::Facebook));
        assert_eq!(config.account, Account { id: "17840000000000001".into(), node: "300000000000001".into() });
        assert!(config.metadata && !config.quotes);
    }

    #[test]
    fn by_itself_it_has_another_host_and_no_page() {
        let config = read(&settings().with("login", "instagram").with("page_id", "").with("quotes", "on")).unwrap();
        assert_eq!(config.base, "https://graph.instagram.com");
        let id = "17840000000000001".to_owned();
        assert_eq!(config.account, Account { id: id.clone(), node: id });
        assert!(!config.metadata && config.quotes);
    }

    #[rstest]
    #[case("app_secret", " , ", "app_secret")]
    #[case("app_secret", "", "app_secret")]
    #[case("verify_token", "", "verify_token")]
    #[case("access_token", "", "access_token")]
    #[case("page_id", "", "page_id")]
    #[case("page_id", "1/../2", "page_id")]
    #[case("instagram_id", "", "instagram_id")]
    #[case("instagram_id", "@acme", "instagram_id")]
    #[case("login", "myspace", "login")]
    #[case("api_version", "newest", "api_version")]
    #[case("metadata", "perhaps", "metadata")]
    #[case("quotes", "perhaps", "quotes")]
    fn what_is_missing_or_wrong_is_named(#[case] name: &str, #[case] value: &str, #[case] named: &str) {
        let error = read(&settings().with(name, value)).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", read(&settings()).unwrap());
        for secret in ["old-secret", "new-secret", "verify me", "EAAinvented"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
