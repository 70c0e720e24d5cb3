//! What must be told to connect a sender.

use std::fmt;

use secrecy::SecretString;
use transom_channel::{SettingField, SettingValues, SettingsError};
use url::Url;

use crate::phone;

const ACCOUNT_SID: &str = "account_sid";
const AUTH_TOKEN: &str = "auth_token";
const API_KEY_SID: &str = "api_key_sid";
const API_KEY_SECRET: &str = "api_key_secret";
const SIGNING_KEY_ID: &str = "signing_key_id";
const SIGNING_KEY_SECRET: &str = "signing_key_secret";
const API_HOST: &str = "api_host";
const WEBHOOK_URL: &str = "webhook_url";
const SENDER: &str = "sender";
const MMS: &str = "mms";
const VALIDITY_SECONDS: &str = "validity_seconds";

pub(crate) const SETTINGS: &[SettingField] = &[
    SettingField::required(ACCOUNT_SID, "Account SID", "Twilio console, Account info: AC and 32 hexadecimal digits."),
    SettingField::required(
        AUTH_TOKEN,
        "Auth token",
        "Twilio console, Account info: the primary token of the account that owns the number. It proves that webhook \
         calls come from Twilio. While you change it, give the old and the new one with a comma between them, the one \
         that works for calls first.",
    )
    .secret(),
    SettingField::optional(
        API_KEY_SID,
        "API key SID",
        "SK and 32 hexadecimal digits: calls are made with this key in the place of the token.",
    ),
    SettingField::optional(API_KEY_SECRET, "API key secret", "Shown once, when the key is made.").secret(),
    SettingField::optional(
        SIGNING_KEY_ID,
        "Webhook signing key id",
        "Only for accounts that sign webhooks with a shared key (HMAC-SHA256).",
    ),
    SettingField::optional(SIGNING_KEY_SECRET, "Webhook signing key secret", "The secret of that key.").secret(),
    SettingField::optional(
        API_HOST,
        "API host",
        "Such as api.dublin.ie1.twilio.com, for an account of another region; api.twilio.com unless set.",
    ),
    SettingField::optional(
        WEBHOOK_URL,
        "Webhook address",
        "This connection's address exactly as Twilio calls it. Receipts are asked to it with each message, and \
         signatures are checked against it: give it also when a proxy shows Twilio another address than Transom's own.",
    ),
    SettingField::required(
        SENDER,
        "Sender",
        "The number (+12025550199), short code, name of up to 11 characters, or Messaging Service (MG…) to write from.",
    )
    .external_key(),
    SettingField::optional(
        MMS,
        "MMS",
        "yes or no: whether pictures and other files can be sent. Left out, numbers of +1 can.",
    )
    .of_account(),
    SettingField::optional(
        VALIDITY_SECONDS,
        "Validity",
        "After so many seconds in Twilio's queue (1 to 36000) a message is given up.",
    )
    .of_account(),
];

/// Who writes, and what the network takes from them; whatever the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sender: Sender,
    pub(crate) mms: bool,
    pub(crate) validity_seconds: Option<u16>,
}

/// What a message comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A number, short code or name.
    Address(String),
    /// A Messaging Service of Twilio's, which chooses one.
    Service(String),
}

impl Sender {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Sender::Address(sender) | Sender::Service(sender) => sender,
        }
    }

    /// Whether customers can write to it: names take no messages.
    pub(crate) fn is_written_to(&self) -> bool {
        match self {
            Sender::Address(address) => address.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit()),
            Sender::Service(_) => true,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if is_sid(text, "MG") {
            return Some(Sender::Service(text.to_owned()));
        }
        let all = |test: fn(&u8) -> bool| text.bytes().all(|byte| test(&byte));
        let is_short_code = (3..=8).contains(&text.len()) && all(u8::is_ascii_digit);
        // 1 to 11 letters, digits and blanks, a letter among them (sms.md 2).
        let is_name = (1..=11).contains(&text.len())
            && text.bytes().any(|byte| byte.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_&+".contains(&byte));
        let usable = phone::is_e164(text) || is_short_code || is_name;
        usable.then(|| Sender::Address(text.to_owned()))
    }
}

/// Twilio's part.
pub(crate) struct TwilioConfig {
    pub(crate) account_sid: String,
    pub(crate) auth_tokens: Vec<SecretString>,
    pub(crate) api_key: Option<(String, SecretString)>,
    pub(crate) signing_key: Option<(String, SecretString)>,
    pub(crate) api_host: Option<String>,
    pub(crate) webhook_url: Option<String>,
}

/// A connection, and the sender it is used for. `Debug` shows no secret.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) line: Line,
    pub(crate) twilio: TwilioConfig,
}

impl Config {
    pub(crate) fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        let is_account = |sid: &str| is_sid(sid, "AC");
        let account_sid = settings.required(ACCOUNT_SID, "AC and 32 hexadecimal digits are expected", is_account)?;
        let auth_tokens = settings.secrets(AUTH_TOKEN)?;
        let api_key = settings.pair(API_KEY_SID, API_KEY_SECRET)?;
        if api_key.as_ref().is_some_and(|(sid, _)| !is_sid(sid, "SK")) {
            return Err(SettingsError::wrong(API_KEY_SID, "SK and 32 hexadecimal digits are expected"));
        }
        let host = "a host such as api.dublin.ie1.twilio.com is expected";
        let api_host = settings.optional(API_HOST, host, is_api_host)?;
        let address = "an address that starts with https:// or http:// is expected";
        let webhook_url = settings.optional(WEBHOOK_URL, address, is_web_address)?;
        let sender = Sender::read(settings.require(SENDER)?).ok_or_else(|| {
            let what =
                "a number with its plus sign, a short code, a name of up to 11 letters and digits, or MG and 32 digits";
            SettingsError::wrong(SENDER, format_args!("{what} is expected"))
        })?;
        let mms = settings.choice(MMS, &[("yes", true), ("no", false)])?;
        let mms = mms.unwrap_or_else(|| sender.as_str().starts_with("+1"));
        let validity_seconds = settings.number(VALIDITY_SECONDS, 1..=36_000)?;
        let signing_key = settings.pair(SIGNING_KEY_ID, SIGNING_KEY_SECRET)?;
        let twilio = TwilioConfig { account_sid, auth_tokens, api_key, signing_key, api_host, webhook_url };
        Ok(Self { line: Line { sender, mms, validity_seconds }, twilio })
    }
}

impl fmt::Debug for TwilioConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwilioConfig")
            .field("account_sid", &self.account_sid)
            .field("api_host", &self.api_host)
            .field("webhook_url", &self.webhook_url)
            .finish_non_exhaustive()
    }
}

/// Two letters and 32 hexadecimal digits, as Twilio names everything.
pub(crate) fn is_sid(text: &str, kind: &str) -> bool {
    text.strip_prefix(kind).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Twilio's own: `api.twilio.com`, or `api.{edge}.{region}.twilio.com`.
pub(crate) fn is_api_host(host: &str) -> bool {
    let Some(middle) = host.strip_prefix("api.").and_then(|rest| rest.strip_suffix("twilio.com")) else { return false };
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    middle.is_empty() || middle.strip_suffix('.').is_some_and(|labels| labels.split('.').all(is_label))
}

fn is_web_address(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings() -> SettingValues {
        SettingValues::default()
            .with(ACCOUNT_SID, "AC00000000000000000000000000000001")
            .with(AUTH_TOKEN, "old-token, new-token")
            .with(SENDER, "+12025550199")
    }

    #[rstest]
    #[case("+12025550199", Some(Sender::Address("+12025550199".into())), true)]
    #[case("+4366412345678", Some(Sender::Address("+4366412345678".into())), false)]
    #[case("72345", Some(Sender::Address("72345".into())), false)]
    #[case("ACME", Some(Sender::Address("ACME".into())), false)]
    #[case("MG00000000000000000000000000000001", Some(Sender::Service("MG00000000000000000000000000000001".into())), false)]
    #[case("12025550199", None, false)]
    #[case("whatsapp:+12025550199", None, false)]
    #[case("a name that is long", None, false)]
    fn senders_are_told_apart(#[case] text: &str, #[case] sender: Option<Sender>, #[case] mms: bool) {
        let config = Config::read(&settings().with(SENDER, text));
        assert_eq!(config.as_ref().ok().map(|config| config.line.sender.clone()), sender);
        assert_eq!(config.is_ok_and(|config| config.line.mms), mms);
    }

    #[rstest]
    #[case(ACCOUNT_SID, "")]
    #[case(ACCOUNT_SID, "AC1/../2")]
    #[case(AUTH_TOKEN, "")]
    #[case(AUTH_TOKEN, " , ")]
    #[case(API_HOST, "evil.example")]
    #[case(API_HOST, "api.evil.example/twilio.com")]
    #[case(WEBHOOK_URL, "hooks")]
    #[case(SENDER, "")]
    #[case(MMS, "perhaps")]
    #[case(VALIDITY_SECONDS, "0")]
    #[case(VALIDITY_SECONDS, "40000")]
    fn what_is_missing_or_wrong_is_named(#[case] name: &str, #[case] value: &str) {
        let error = Config::read(&settings().with(name, value)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }

    #[test]
    fn a_key_needs_its_secret() {
        let error = Config::read(&settings().with(API_KEY_SID, "SK00000000000000000000000000000001")).unwrap_err();
        assert!(error.to_string().contains(API_KEY_SECRET), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Config::read(&settings()).unwrap());
        assert!(!shown.contains("token, ") && !shown.contains("new-token"), "{shown}");
    }
}
