//! The settings of a connection and of an account.

use transom_channel::{Ports, SettingField, SettingValues, SettingsError};
use transom_meta::settings::{self, App, GRAPH, node_id};

/// Where the Graph API is with Instagram Login (instagram.md 0).
const INSTAGRAM: &str = "https://graph.instagram.com";

/// What must be told to connect an account.
pub(crate) const SETTINGS: &[SettingField] = &[
    settings::app_secret(
        "App dashboard, Settings, Basic, App secret. It proves that webhook calls come from Meta. With Instagram Login give the \
         Instagram app secret too (Instagram, API setup), with a comma between them: either may sign.",
    ),
    settings::verify_token(
        "A random text of your own choice. Enter the same text in the app dashboard, Instagram, Webhooks.",
    ),
    settings::access_token(
        "With Facebook Login: of a system user or of the Page, with instagram_basic, instagram_manage_messages, \
         pages_manage_metadata and pages_read_engagement. With Instagram Login: the account's own, good for 60 days, with \
         instagram_business_basic and instagram_business_manage_messages; it is renewed by itself.",
    ),
    SettingField::optional(
        "login",
        "Set-up",
        "`facebook` (the default): the account is linked to a Page. `instagram`: it is not.",
    ),
    settings::API_VERSION,
    SettingField::optional(
        "metadata",
        "Own reference",
        "`on` sends our reference along, so that an echo settles a lost answer. Unless set: on with Facebook Login, off with \
         Instagram Login, for which no document promises it.",
    ),
    SettingField::optional(
        "quotes",
        "Quotes",
        "`on` lets agents quote a message. Meta's documents leave it open: `off` unless set.",
    ),
    SettingField::optional(
        "page_id",
        "Page ID",
        "With Facebook Login: the Page that the account is linked to, a long number.",
    )
    .of_account(),
    SettingField::required(
        "instagram_id",
        "Instagram account ID",
        "The professional account's ID (17841…), as webhooks show it; `user_id` of /me with Instagram Login.",
    )
    .external_key(),
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
    pub(crate) app: App,
    pub(crate) login: Login,
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
        let login = settings.choice("login", &[("facebook", Login::Facebook), ("instagram", Login::Instagram)])?;
        let login = login.unwrap_or(Login::Facebook);
        let own = if login == Login::Facebook { GRAPH } else { INSTAGRAM };
        Ok(Self {
            app: App::read(settings)?,
            login,
            base: ports.endpoint("instagram", own),
            metadata: settings.switch("metadata")?.unwrap_or(login == Login::Facebook),
            quotes: settings.switch("quotes")?.unwrap_or(false),
            account: account(settings, login)?,
        })
    }
}

fn account(settings: &SettingValues, login: Login) -> Result<Account, SettingsError> {
    let id = node_id(settings, "instagram_id")?;
    let node = match login {
        Login::Instagram => id.clone(),
        Login::Facebook => node_id(settings, "page_id")?,
    };
    Ok(Account { id, node })
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
    #[case("page_id", "", "page_id")]
    #[case("page_id", "1/../2", "page_id")]
    #[case("instagram_id", "", "instagram_id")]
    #[case("instagram_id", "@acme", "instagram_id")]
    #[case("login", "myspace", "login")]
    #[case("metadata", "perhaps", "metadata")]
    #[case("quotes", "perhaps", "quotes")]
    fn what_is_missing_or_wrong_is_named(#[case] name: &str, #[case] value: &str, #[case] named: &str) {
        let error = read(&settings().with(name, value)).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}
