//! What must be told to connect a mailbox.

use std::fmt;
use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use transom_channel::{SettingValues, SettingsError};
use transom_domain::SenderAddress;
use url::Url;

use crate::address::{Mailbox, untagged};
use crate::tls::{Security, Tls, certificates};
use crate::token::{Purpose, Tokens};

mod settings;

pub(crate) use settings::SETTINGS;
use settings::{
    ALIASES, AUTHSERV_ID, BOUNCE_ADDRESS, CA_CERTIFICATE, DEFAULT_SUBJECT, DELIVERY_RECEIPTS, IMAP_AUTH, IMAP_FOLDER,
    IMAP_HOST, IMAP_MOVE_TO, IMAP_PASSWORD, IMAP_POLL_SECONDS, IMAP_PORT, IMAP_SECURITY, IMAP_USER, INBOUND_PARSE,
    MAILBOX, MAILGUN_SIGNING_KEY, MAX_BYTES, MAX_INBOUND_BYTES, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET,
    OAUTH_REFRESH_TOKEN, OAUTH_SCOPE, OAUTH_TOKEN_URL, PER_DAY, PER_MINUTE, SENDER_NAME, SENDERS, SMTP_AUTH, SMTP_HOST,
    SMTP_PASSWORD, SMTP_PORT, SMTP_SECURITY, SMTP_USER, TIMEOUT_SECONDS, TOKEN_SECRET, WEBHOOK_PASSWORD, WEBHOOK_USER,
};

/// The usual total of a provider, encoded (sheet 2, Limits).
const USUAL_MAX_BYTES: u64 = 25 * 1024 * 1024;
/// What is read of a mail that comes in: as much as the largest provider delivers (sheet 4).
const USUAL_MAX_INBOUND: u64 = 35 * 1024 * 1024;
/// The dispatcher's lease ends after this and some (reliability.md 6).
const LONGEST_TIMEOUT: u64 = 30;

/// A connected mailbox.
pub(crate) struct Config {
    /// The mailbox as the settings write it: how items name the account.
    pub(crate) account: String,
    pub(crate) mailbox: Mailbox,
    /// Every address that is ours, without sub-addresses, in lower case.
    pub(crate) ours: Vec<String>,
    pub(crate) senders: Vec<SenderAddress>,
    pub(crate) bounce: Option<Mailbox>,
    pub(crate) tokens: Tokens,
    pub(crate) default_subject: Option<String>,
    pub(crate) smtp: Server,
    pub(crate) imap: Option<Imap>,
    pub(crate) parse: Option<InboundParse>,
    pub(crate) tls: Tls,
    pub(crate) authserv_id: Option<String>,
    pub(crate) max_bytes: u64,
    pub(crate) max_inbound: u64,
    pub(crate) per_minute: u32,
    pub(crate) per_day: Option<u32>,
    pub(crate) timeout: std::time::Duration,
    pub(crate) delivery_receipts: bool,
}

/// Shows no secret and no address.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let imap = self.imap.as_ref().map(|imap| &imap.server);
        f.debug_struct("Config")
            .field("smtp", &self.smtp)
            .field("imap", &imap)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// A server, and how to sign in there.
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) user: String,
    pub(crate) auth: Auth,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({:?}, {:?})", self.host, self.port, self.security, self.auth)
    }
}

/// How to sign in.
pub(crate) enum Auth {
    None,
    Plain(SecretString),
    Login(SecretString),
    Oauth(Oauth),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Auth::None => "None",
            Auth::Plain(_) => "Plain",
            Auth::Login(_) => "Login",
            Auth::Oauth(_) => "Oauth",
        })
    }
}

/// Where access tokens come from (RFC 6749).
#[derive(Debug, Clone)]
pub(crate) struct Oauth {
    pub(crate) token_url: Url,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<SecretString>,
    pub(crate) scope: Option<String>,
    pub(crate) refresh_token: Option<SecretString>,
}

/// A mailbox to fetch from.
pub(crate) struct Imap {
    pub(crate) server: Server,
    pub(crate) folder: String,
    pub(crate) move_to: Option<String>,
    /// Between two looks at a server without IDLE.
    pub(crate) poll: std::time::Duration,
}

/// Whose webhook brings mail, and what proves it.
pub(crate) enum InboundParse {
    Mailgun { signing_keys: Vec<SecretString> },
    Postmark { credentials: SecretString },
}

impl Config {
    pub(crate) fn read(settings: &SettingValues) -> Result<Self, SettingsError> {
        let account = settings.require(MAILBOX)?.to_owned();
        let mailbox = address(MAILBOX, &account)?;
        if account != mailbox.key() {
            // Items of a webhook that serves several mailboxes name them so.
            return Err(wrong(MAILBOX, "the address is expected in lower case, and without blanks around it"));
        }
        if mailbox.local().contains('+') {
            return Err(wrong(MAILBOX, "the mailbox itself is expected, without a sub-address"));
        }
        let oauth = || oauth(settings);
        let user = settings.get(SMTP_USER).map_or_else(|| mailbox.as_str().to_owned(), |user| user.trim().to_owned());
        let (security, port) = security(settings, SMTP_SECURITY, SMTP_PORT, (465, 587))?;
        let host = host(SMTP_HOST, settings.require(SMTP_HOST)?, security)?;
        let mechanism = settings.get(SMTP_AUTH).map_or("plain", str::trim);
        let auth = auth(settings, (SMTP_AUTH, mechanism), &[SMTP_PASSWORD], oauth)?;
        let smtp = Server { host, port, security, user: user.clone(), auth };
        let imap = imap(settings, &user, mechanism, oauth)?;
        let parse = inbound_parse(settings)?;
        let tokens = tokens(settings)?;
        let senders = senders(settings, &mailbox)?;
        let bounce = settings.get(BOUNCE_ADDRESS).map(|text| address(BOUNCE_ADDRESS, text)).transpose()?;
        let replies = senders.iter().map(|sender| sender.reply_to.as_ref().unwrap_or(&sender.address));
        if tokens.is_some() {
            for text in replies {
                room(SENDERS, text, Purpose::Reply)?;
            }
            if let Some(bounce) = &bounce {
                room(BOUNCE_ADDRESS, bounce.as_str(), Purpose::Bounce)?;
            }
        }
        let aliases = settings.get(ALIASES).into_iter().flat_map(|list| list.split(','));
        let aliases = aliases.map(|text| address(ALIASES, text)).collect::<Result<Vec<_>, _>>()?;
        let sent_from = senders.iter().flat_map(|sender| [Some(&sender.address), sender.reply_to.as_ref()]).flatten();
        let mut ours: Vec<String> = [mailbox.key()]
            .into_iter()
            .chain(aliases.iter().chain(&bounce).map(Mailbox::key))
            .chain(sent_from.cloned())
            .filter_map(|text| untagged(&text).map(|(base, _)| base))
            .collect();
        ours.sort_unstable();
        ours.dedup();
        let extra = settings.get(CA_CERTIFICATE).map(certificates).transpose();
        let extra = extra.map_err(|reason| wrong(CA_CERTIFICATE, reason))?.unwrap_or_default();
        let default_subject = settings.get(DEFAULT_SUBJECT).map(|subject| subject.trim().to_owned());
        if default_subject.as_deref().is_some_and(|subject| subject.chars().any(char::is_control)) {
            return Err(wrong(DEFAULT_SUBJECT, "one line is expected"));
        }
        Ok(Self {
            account,
            mailbox,
            ours,
            senders,
            bounce,
            tokens: tokens.unwrap_or_else(|| Tokens::new(Vec::new())),
            default_subject,
            smtp,
            imap,
            parse,
            tls: Tls::new(extra),
            authserv_id: settings.get(AUTHSERV_ID).map(|id| id.trim().to_lowercase()),
            max_bytes: number(settings, MAX_BYTES, 1_024..=1 << 30)?.unwrap_or(USUAL_MAX_BYTES),
            max_inbound: number(settings, MAX_INBOUND_BYTES, 1_024..=1 << 30)?.unwrap_or(USUAL_MAX_INBOUND),
            per_minute: small(settings, PER_MINUTE, 60_000)?.unwrap_or(30),
            per_day: small(settings, PER_DAY, u32::MAX)?,
            timeout: std::time::Duration::from_secs(
                number(settings, TIMEOUT_SECONDS, 1..=LONGEST_TIMEOUT)?.unwrap_or(LONGEST_TIMEOUT),
            ),
            delivery_receipts: yes_or_no(settings, DELIVERY_RECEIPTS)?,
        })
    }

    /// Whether mail to this address comes to us, sub-addresses included.
    pub(crate) fn is_ours(&self, address: &str) -> bool {
        untagged(address).is_some_and(|(base, _)| self.ours.contains(&base))
    }

    /// The sender of that address, or the default one.
    pub(crate) fn sender(&self, address: Option<&str>) -> Option<&SenderAddress> {
        match address {
            Some(address) => self.senders.iter().find(|sender| sender.address.eq_ignore_ascii_case(address.trim())),
            None => self.senders.iter().find(|sender| sender.default).or_else(|| self.senders.first()),
        }
    }
}

/// A sender as the settings give it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sender {
    address: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    reply_to: Option<String>,
    #[serde(default)]
    default: bool,
}

fn senders(settings: &SettingValues, mailbox: &Mailbox) -> Result<Vec<SenderAddress>, SettingsError> {
    let Some(list) = settings.get(SENDERS) else {
        let name = settings.get(SENDER_NAME).map(|name| shown(SENDER_NAME, name)).transpose()?;
        return Ok(vec![SenderAddress { address: mailbox.as_str().to_owned(), name, reply_to: None, default: true }]);
    };
    let expected = "a JSON list of objects with address, name, reply_to and default is expected";
    let list: Vec<Sender> = serde_json::from_str(list).map_err(|_| wrong(SENDERS, expected))?;
    let mut senders = Vec::with_capacity(list.len());
    for sender in list {
        let read = address(SENDERS, &sender.address)?;
        let reply_to = sender.reply_to.map(|text| address(SENDERS, &text)).transpose()?;
        senders.push(SenderAddress {
            address: read.as_str().to_owned(),
            name: sender.name.map(|name| shown(SENDERS, &name)).transpose()?,
            reply_to: reply_to.map(|reply_to| reply_to.as_str().to_owned()),
            default: sender.default,
        });
    }
    let mut keys: Vec<String> = senders.iter().map(|sender| sender.address.to_ascii_lowercase()).collect();
    keys.sort_unstable();
    keys.dedup();
    if senders.is_empty() || keys.len() < senders.len() {
        return Err(wrong(SENDERS, "at least one sender is needed, and each address once"));
    }
    match senders.iter().filter(|sender| sender.default).count() {
        0 => senders.iter_mut().take(1).for_each(|sender| sender.default = true),
        1 => {}
        _ => return Err(wrong(SENDERS, "only one sender is the default")),
    }
    Ok(senders)
}

/// A name for a header: one line.
fn shown(setting: &str, name: &str) -> Result<String, SettingsError> {
    let name = name.trim();
    match name.chars().any(char::is_control) || name.chars().count() > 100 {
        true => Err(wrong(setting, "a name is one line of at most 100 characters")),
        false => Ok(name.to_owned()),
    }
}

fn imap(
    settings: &SettingValues,
    smtp_user: &str,
    smtp_auth: &str,
    oauth: impl Fn() -> Result<Oauth, SettingsError>,
) -> Result<Option<Imap>, SettingsError> {
    let Some(name) = settings.get(IMAP_HOST) else { return Ok(None) };
    let (security, port) = security(settings, IMAP_SECURITY, IMAP_PORT, (993, 143))?;
    let host = host(IMAP_HOST, name, security)?;
    let mechanism = settings.get(IMAP_AUTH).map_or(smtp_auth, str::trim);
    if mechanism == "none" {
        return Err(wrong(IMAP_AUTH, "plain, login or xoauth2 is expected"));
    }
    let auth = auth(settings, (IMAP_AUTH, mechanism), &[IMAP_PASSWORD, SMTP_PASSWORD], oauth)?;
    let user = settings.get(IMAP_USER).map_or_else(|| smtp_user.to_owned(), |user| user.trim().to_owned());
    if user.chars().any(char::is_control) {
        return Err(wrong(IMAP_USER, "one line is expected"));
    }
    let folder = |name: &str| match settings.get(name).map(str::trim) {
        Some(folder) if folder.chars().any(char::is_control) => Err(wrong(name, "one line is expected")),
        folder => Ok(folder.map(str::to_owned)),
    };
    let server = Server { host, port, security, user, auth };
    let move_to = folder(IMAP_MOVE_TO)?;
    let folder = folder(IMAP_FOLDER)?.unwrap_or_else(|| "INBOX".to_owned());
    if move_to.as_ref() == Some(&folder) {
        return Err(wrong(IMAP_MOVE_TO, "another folder is expected than the one that is fetched"));
    }
    // Every 20 to 60 seconds (sheet 4).
    let poll = std::time::Duration::from_secs(number(settings, IMAP_POLL_SECONDS, 1..=300)?.unwrap_or(30));
    Ok(Some(Imap { server, folder, move_to, poll }))
}

fn auth(
    settings: &SettingValues,
    (setting, mechanism): (&str, &str),
    passwords: &[&str],
    oauth: impl Fn() -> Result<Oauth, SettingsError>,
) -> Result<Auth, SettingsError> {
    let password = || {
        let given = passwords.iter().find_map(|name| settings.secret(name).ok());
        given.ok_or_else(|| SettingsError::Missing(passwords.first().copied().unwrap_or_default().to_owned()))
    };
    match mechanism {
        "plain" => Ok(Auth::Plain(password()?)),
        "login" => Ok(Auth::Login(password()?)),
        "xoauth2" => Ok(Auth::Oauth(oauth()?)),
        "none" => Ok(Auth::None),
        _ => Err(wrong(setting, "plain, login, xoauth2 or none is expected")),
    }
}

fn oauth(settings: &SettingValues) -> Result<Oauth, SettingsError> {
    let token_url = Url::parse(settings.require(OAUTH_TOKEN_URL)?.trim()).ok();
    let is_safe =
        |url: &Url| url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_loopback));
    let token_url = token_url.filter(is_safe).ok_or_else(|| wrong(OAUTH_TOKEN_URL, "an https address is expected"))?;
    let client_secret = settings.secret(OAUTH_CLIENT_SECRET).ok();
    let refresh_token = settings.secret(OAUTH_REFRESH_TOKEN).ok();
    if client_secret.is_none() && refresh_token.is_none() {
        return Err(SettingsError::Missing(OAUTH_REFRESH_TOKEN.to_owned()));
    }
    Ok(Oauth {
        token_url,
        client_id: settings.require(OAUTH_CLIENT_ID)?.trim().to_owned(),
        client_secret,
        scope: settings.get(OAUTH_SCOPE).map(|scope| scope.trim().to_owned()),
        refresh_token,
    })
}

fn inbound_parse(settings: &SettingValues) -> Result<Option<InboundParse>, SettingsError> {
    match settings.get(INBOUND_PARSE).map(str::trim) {
        None => Ok(None),
        Some("mailgun") => {
            let signing_keys = several(settings.require(MAILGUN_SIGNING_KEY)?);
            match signing_keys.is_empty() {
                true => Err(wrong(MAILGUN_SIGNING_KEY, "there is no key in it")),
                false => Ok(Some(InboundParse::Mailgun { signing_keys })),
            }
        }
        Some("postmark") => {
            let (user, password) = (settings.require(WEBHOOK_USER)?, settings.require(WEBHOOK_PASSWORD)?);
            if user.contains(':') {
                return Err(wrong(WEBHOOK_USER, "a user name holds no colon"));
            }
            Ok(Some(InboundParse::Postmark { credentials: format!("{user}:{password}").into() }))
        }
        Some(_) => Err(wrong(INBOUND_PARSE, "mailgun or postmark is expected")),
    }
}

fn tokens(settings: &SettingValues) -> Result<Option<Tokens>, SettingsError> {
    let Some(text) = settings.get(TOKEN_SECRET) else { return Ok(None) };
    let secrets = several(text);
    match secrets.is_empty() || secrets.iter().any(|secret| secret.expose_secret().len() < 16) {
        true => Err(wrong(TOKEN_SECRET, "at least 16 characters are expected")),
        false => Ok(Some(Tokens::new(secrets))),
    }
}

fn several(text: &str) -> Vec<SecretString> {
    text.split(',').map(str::trim).filter(|secret| !secret.is_empty()).map(SecretString::from).collect()
}

fn security(
    settings: &SettingValues,
    name: &str,
    port_name: &str,
    ports: (u16, u16),
) -> Result<(Security, u16), SettingsError> {
    let (security, usual) = match settings.get(name).map(str::trim) {
        None | Some("tls") => (Security::Tls, ports.0),
        Some("starttls") => (Security::StartTls, ports.1),
        Some("plain") => (Security::Plain, ports.1),
        Some(_) => return Err(wrong(name, "tls, starttls or plain is expected")),
    };
    let port = number(settings, port_name, 1..=65_535)?.and_then(|port| u16::try_from(port).ok());
    Ok((security, port.unwrap_or(usual)))
}

/// A host name or an IP address; passwords travel openly on this machine only.
fn host(name: &str, text: &str, security: Security) -> Result<String, SettingsError> {
    let host = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_name = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        });
    if !is_name && host.parse::<IpAddr>().is_err() {
        return Err(wrong(name, "a host name is expected, without a scheme or a port"));
    }
    if security == Security::Plain && !is_loopback(&host) {
        return Err(wrong(name, "without TLS only a server on this machine is connected to"));
    }
    Ok(host)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn address(setting: &str, text: &str) -> Result<Mailbox, SettingsError> {
    Mailbox::parse(text.trim()).map_err(|reason| wrong(setting, reason))
}

/// Whether a token fits before the @.
fn room(setting: &str, text: &str, purpose: Purpose) -> Result<(), SettingsError> {
    let (local, longest) = (text.split('@').next().unwrap_or_default(), purpose.longest_local());
    match local.len() > longest || local.contains('+') {
        true => Err(wrong(
            setting,
            &format!(
                "with a token secret, at most {longest} characters stand before the @, and no plus sign among them"
            ),
        )),
        false => Ok(()),
    }
}

fn number(
    settings: &SettingValues,
    name: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, SettingsError> {
    match settings.get(name).map(|text| text.trim().parse::<u64>()) {
        None => Ok(None),
        Some(Ok(value)) if range.contains(&value) => Ok(Some(value)),
        Some(_) => Err(wrong(name, &format!("a number from {} to {} is expected", range.start(), range.end()))),
    }
}

fn small(settings: &SettingValues, name: &str, max: u32) -> Result<Option<u32>, SettingsError> {
    Ok(number(settings, name, 1..=u64::from(max))?.and_then(|value| u32::try_from(value).ok()))
}

fn yes_or_no(settings: &SettingValues, name: &str) -> Result<bool, SettingsError> {
    match settings.get(name).map(str::trim) {
        None | Some("no") => Ok(false),
        Some("yes") => Ok(true),
        Some(_) => Err(wrong(name, "yes or no is expected")),
    }
}

fn wrong(name: &str, reason: &str) -> SettingsError {
    SettingsError::Wrong { name: name.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings() -> SettingValues {
        SettingValues::default()
            .with(SMTP_HOST, "smtp.example.test")
            .with(SMTP_PASSWORD, "a-password")
            .with(MAILBOX, "support@shop.test")
    }

    #[test]
    fn little_is_enough() {
        let config = Config::read(&settings()).unwrap();
        assert_eq!((config.smtp.port, config.smtp.security), (465, Security::Tls));
        assert_eq!(config.smtp.user, "support@shop.test");
        assert!(config.imap.is_none() && config.parse.is_none());
        let [sender] = config.senders.as_slice() else { panic!("one sender") };
        assert!(sender.default && sender.address == "support@shop.test");
    }

    #[test]
    fn senders_are_ours_and_one_is_the_default() {
        let list = r#"[{"address": "Sales@Shop.test", "name": "Sales"}, {"address": "help@shop.test", "reply_to": "h+1@shop.test"}]"#;
        let config =
            Config::read(&settings().with(SENDERS, list).with(ALIASES, "abc@inbound.example, B@x.example")).unwrap();
        assert_eq!(config.sender(None).unwrap().address, "Sales@shop.test");
        assert_eq!(config.sender(Some("sales@SHOP.test")).unwrap().name.as_deref(), Some("Sales"));
        assert!(config.sender(Some("support@shop.test")).is_none());
        for ours in ["SUPPORT+x@shop.test", "sales@shop.test", "h@shop.test", "abc+hash@inbound.example", "b@x.example"]
        {
            assert!(config.is_ours(ours), "{ours}");
        }
        assert!(!config.is_ours("ann@example.test"));
    }

    #[rstest]
    #[case(SMTP_HOST, "")]
    #[case(SMTP_HOST, "https://smtp.example.test")]
    #[case(SMTP_HOST, "smtp example.test")]
    #[case(SMTP_PASSWORD, "")]
    #[case(SMTP_PORT, "0")]
    #[case(SMTP_PORT, "70000")]
    #[case(SMTP_SECURITY, "ssl")]
    #[case(SMTP_AUTH, "cram-md5")]
    #[case(MAILBOX, "")]
    #[case(MAILBOX, "support")]
    #[case(MAILBOX, "support+x@shop.test")]
    #[case(MAILBOX, "Support@shop.test")]
    #[case(ALIASES, "a@shop.test,,b@shop.test")]
    #[case(SENDERS, "support@shop.test")]
    #[case(SENDERS, "[]")]
    #[case(SENDERS, r#"[{"address": "a@shop.test", "colour": 1}]"#)]
    #[case(SENDERS, r#"[{"address": "a@shop.test"}, {"address": "A@shop.test"}]"#)]
    #[case(SENDERS, r#"[{"address": "a@shop.test", "default": true}, {"address": "b@shop.test", "default": true}]"#)]
    #[case(SENDERS, r#"[{"address": "a@shop.test", "name": "A\nB"}]"#)]
    #[case(BOUNCE_ADDRESS, "bounces")]
    #[case(CA_CERTIFICATE, "nothing")]
    #[case(INBOUND_PARSE, "sendmail")]
    #[case(TOKEN_SECRET, "short")]
    #[case(TIMEOUT_SECONDS, "31")]
    #[case(PER_MINUTE, "0")]
    #[case(PER_DAY, "many")]
    #[case(MAX_BYTES, "1")]
    #[case(DELIVERY_RECEIPTS, "perhaps")]
    #[case(DEFAULT_SUBJECT, "a\nb")]
    fn what_is_missing_or_wrong_is_named(#[case] name: &str, #[case] value: &str) {
        let error = Config::read(&settings().with(name, value)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }

    #[rstest]
    #[case("127.0.0.1", true)]
    #[case("::1", true)]
    #[case("localhost", true)]
    #[case("smtp.example.test", false)]
    #[case("10.0.0.1", false)]
    #[case("localhost.example.test", false)]
    fn without_tls_only_this_machine_is_connected_to(#[case] host: &str, #[case] allowed: bool) {
        let plain = settings().with(SMTP_SECURITY, "plain").with(SMTP_HOST, host);
        assert_eq!(Config::read(&plain).is_ok(), allowed);
    }

    #[rstest]
    #[case(INBOUND_PARSE, "mailgun", MAILGUN_SIGNING_KEY)]
    #[case(INBOUND_PARSE, "postmark", WEBHOOK_USER)]
    #[case(SMTP_AUTH, "xoauth2", OAUTH_TOKEN_URL)]
    fn what_a_choice_needs_is_asked_for(#[case] name: &str, #[case] value: &str, #[case] needed: &str) {
        let error = Config::read(&settings().with(name, value)).unwrap_err();
        assert!(error.to_string().contains(needed), "{error}");
    }

    #[test]
    fn imap_signs_in_as_smtp_does() {
        let config = Config::read(&settings().with(IMAP_HOST, "imap.example.test").with(SMTP_USER, "u")).unwrap();
        let imap = config.imap.unwrap();
        assert_eq!((imap.server.port, imap.server.user.as_str(), imap.folder.as_str()), (993, "u", "INBOX"));
        assert!(matches!(imap.server.auth, Auth::Plain(_)));
    }

    #[test]
    fn a_token_must_fit_before_the_at() {
        let long = settings()
            .with(TOKEN_SECRET, "sixteen-characters-and-more")
            .with(MAILBOX, "a-name-of-thirty-characters-xx@shop.test");
        assert!(Config::read(&long.clone().with(TOKEN_SECRET, "")).is_ok());
        assert!(Config::read(&long).unwrap_err().to_string().contains("before the @"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = settings()
            .with(TOKEN_SECRET, "sixteen-characters-and-more")
            .with(INBOUND_PARSE, "postmark")
            .with(WEBHOOK_USER, "hook")
            .with(WEBHOOK_PASSWORD, "hook-password");
        let shown = format!("{:?}", Config::read(&config).unwrap());
        for secret in ["a-password", "sixteen", "hook-password"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
