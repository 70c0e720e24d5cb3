//! What must be told to connect.

use std::fmt;

use transom_channel::outside::OutsideRules;
use transom_channel::{AddressRule, SettingField, SettingValues, SettingsError};
use url::{Host, Url};

use crate::capabilities::ADDRESSES;
use crate::signing::Key;

const ENDPOINT: &str = "endpoint";
const SIGNING_SECRET: &str = "signing_secret";
const WEBHOOK_SECRET: &str = "webhook_secret";
const ACCOUNT: &str = "account";
const TEXT_LIMIT: &str = "text_limit";
const ADDRESS_KINDS: &str = "addresses";

const LONGEST_TEXT: u32 = 65_536;
const USUAL_TEXT: u32 = 4_096;

pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField::required(ENDPOINT, "Endpoint", "the address that takes requests, https"),
    SettingField::required(SIGNING_SECRET, "Signing secret", "signs requests: whsec_ and 24 to 64 bytes in base64")
        .secret(),
    SettingField::required(
        WEBHOOK_SECRET,
        "Webhook secret",
        "signs calls to us, in the same form; while it is changed, old and new with a blank between them",
    )
    .secret(),
    SettingField::required(ACCOUNT, "Account", "the name of this account in requests and calls").external_key(),
    SettingField::optional(TEXT_LIMIT, "Longest text", "characters; 4096 unless set").of_account(),
    SettingField::optional(
        ADDRESS_KINDS,
        "Kinds of address",
        "what people go by: some of user_id, phone, email, with blanks between; all unless set",
    )
    .of_account(),
];

/// The other side, and one account on it.
pub(crate) struct Config {
    pub(crate) endpoint: Url,
    pub(crate) signing: Key,
    pub(crate) hearing: Vec<Key>,
    pub(crate) account: String,
    pub(crate) text_limit: u32,
    pub(crate) addresses: Vec<AddressRule>,
}

impl Config {
    /// Reads the settings; the endpoint has to be one that this service may call.
    pub(crate) fn read(settings: &SettingValues, outside: &OutsideRules) -> Result<Self, SettingsError> {
        let endpoint: Option<Url> = settings.require(ENDPOINT)?.trim().parse().ok();
        let endpoint =
            endpoint.filter(is_safe).ok_or_else(|| SettingsError::wrong(ENDPOINT, "it must be an https address"))?;
        outside.check(&endpoint).map_err(|why| SettingsError::wrong(ENDPOINT, why))?;
        let secret = |name: &str, text: &str| {
            Key::read(text)
                .ok_or_else(|| SettingsError::wrong(name, "it must be `whsec_` and 24 to 64 bytes in base64"))
        };
        let hearing = settings.require(WEBHOOK_SECRET)?.split_whitespace();
        let text_limit = settings.number(TEXT_LIMIT, 1..=LONGEST_TEXT)?.unwrap_or(USUAL_TEXT);
        let known = |kind: &str| ADDRESSES.into_iter().find(|rule| rule.kind == kind);
        let addresses = match settings.get(ADDRESS_KINDS) {
            None => Some(ADDRESSES.to_vec()),
            Some(kinds) => kinds.split_whitespace().map(known).collect(),
        };
        Ok(Self {
            endpoint,
            signing: secret(SIGNING_SECRET, settings.require(SIGNING_SECRET)?)?,
            hearing: hearing.map(|text| secret(WEBHOOK_SECRET, text)).collect::<Result<_, _>>()?,
            account: settings.require(ACCOUNT)?.trim().to_owned(),
            text_limit,
            addresses: addresses
                .ok_or_else(|| SettingsError::wrong(ADDRESS_KINDS, "it must be some of user_id, phone and email"))?,
        })
    }
}

/// Over https; without it on this machine only, where the deployer allows that. No password in it: it would be logged somewhere.
fn is_safe(url: &Url) -> bool {
    let local = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    (url.scheme() == "https" || url.scheme() == "http" && local) && url.password().is_none()
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("account", &self.account)
            .field("host", &self.endpoint.host())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn settings() -> SettingValues {
        SettingValues::default()
            .with(ENDPOINT, "https://gateway.example/transom")
            .with(SIGNING_SECRET, SECRET)
            .with(WEBHOOK_SECRET, format!("{SECRET} {SECRET}"))
            .with(ACCOUNT, "main")
    }

    fn read(settings: &SettingValues) -> Result<Config, SettingsError> {
        Config::read(settings, &OutsideRules::default())
    }

    #[test]
    fn an_account_is_read() {
        let config = read(&settings()).unwrap();
        assert_eq!((config.account.as_str(), config.hearing.len(), config.text_limit), ("main", 2, 4_096));
        let by_phone = read(&settings().with(ADDRESS_KINDS, "phone")).unwrap().addresses;
        assert_eq!(by_phone.iter().map(|rule| rule.kind).collect::<Vec<_>>(), ["phone"]);
        let here = OutsideRules { allowed: vec!["127.0.0.0/8".parse().unwrap()], ports: vec![(1, 1)] };
        assert!(Config::read(&settings().with(ENDPOINT, "http://127.0.0.1:1/x"), &here).is_ok());
        let shown = format!("{config:?}");
        assert!(shown.contains("main") && !shown.contains("MfKQ"), "{shown}");
    }

    #[rstest]
    #[case(ENDPOINT, "")]
    #[case(ENDPOINT, "http://gateway.example/")]
    #[case(ENDPOINT, "https://me:pw@gateway.example/")]
    #[case(ENDPOINT, "gateway")]
    #[case(ENDPOINT, "http://127.0.0.1/")]
    #[case(ENDPOINT, "https://10.0.0.7/")]
    #[case(ENDPOINT, "https://gateway.example:8443/")]
    #[case(SIGNING_SECRET, "whsec_x")]
    #[case(WEBHOOK_SECRET, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    #[case(ACCOUNT, " ")]
    #[case(TEXT_LIMIT, "0")]
    #[case(TEXT_LIMIT, "many")]
    #[case(ADDRESS_KINDS, "phone pigeon")]
    fn wrong_settings_are_named_and_secrets_are_not_shown(#[case] name: &str, #[case] value: &str) {
        let error = read(&settings().with(name, value)).unwrap_err();
        let (SettingsError::Missing(named) | SettingsError::Wrong { name: named, .. }) = &error else {
            panic!("{error}")
        };
        assert_eq!(named, name);
        assert!(!error.to_string().contains("MfKQ"), "{error}");
    }
}
