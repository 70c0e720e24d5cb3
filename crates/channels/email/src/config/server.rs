//! The servers that a mailbox is reached by, and how to sign in there.

use std::fmt;
use std::net::IpAddr;

use secrecy::SecretString;
use transom_channel::{SettingValues, SettingsError};
use url::Url;

use super::settings::{
    IMAP_AUTH, IMAP_FOLDER, IMAP_HOST, IMAP_MOVE_TO, IMAP_PASSWORD, IMAP_POLL_SECONDS, IMAP_PORT, IMAP_SECURITY,
    IMAP_SENT_FOLDER, IMAP_USER, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, OAUTH_REFRESH_TOKEN, OAUTH_SCOPE,
    OAUTH_TOKEN_URL, SMTP_AUTH, SMTP_HOST, SMTP_PASSWORD, SMTP_PORT, SMTP_SECURITY, SMTP_USER,
};
use super::value::{number, wrong};
use crate::address::Mailbox;
use crate::tls::Security;

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
    /// Where copies of what was sent are put.
    pub(crate) sent: Option<String>,
    /// Between two looks at a server without IDLE.
    pub(crate) poll: std::time::Duration,
}

/// Where mail is handed in, and the word for how to sign in there.
pub(super) fn smtp<'s>(settings: &'s SettingValues, mailbox: &Mailbox) -> Result<(Server, &'s str), SettingsError> {
    let user = settings.get(SMTP_USER).map_or_else(|| mailbox.as_str().to_owned(), |user| user.trim().to_owned());
    let (security, port) = security(settings, SMTP_SECURITY, SMTP_PORT, (465, 587))?;
    let host = host(SMTP_HOST, settings.require(SMTP_HOST)?, security)?;
    let mechanism = settings.get(SMTP_AUTH).map_or("plain", str::trim);
    let auth = auth(settings, (SMTP_AUTH, mechanism), &[SMTP_PASSWORD])?;
    Ok((Server { host, port, security, user, auth }, mechanism))
}

pub(super) fn imap(settings: &SettingValues, smtp_user: &str, smtp_auth: &str) -> Result<Option<Imap>, SettingsError> {
    let Some(name) = settings.get(IMAP_HOST) else { return Ok(None) };
    let (security, port) = security(settings, IMAP_SECURITY, IMAP_PORT, (993, 143))?;
    let host = host(IMAP_HOST, name, security)?;
    let mechanism = settings.get(IMAP_AUTH).map_or(smtp_auth, str::trim);
    if mechanism == "none" {
        return Err(wrong(IMAP_AUTH, "plain, login or xoauth2 is expected"));
    }
    let auth = auth(settings, (IMAP_AUTH, mechanism), &[IMAP_PASSWORD, SMTP_PASSWORD])?;
    let user = settings.get(IMAP_USER).map_or_else(|| smtp_user.to_owned(), |user| user.trim().to_owned());
    if user.chars().any(char::is_control) {
        return Err(wrong(IMAP_USER, "one line is expected"));
    }
    let folder = |name: &str| match settings.get(name).map(str::trim) {
        Some(folder) if folder.chars().any(char::is_control) => Err(wrong(name, "one line is expected")),
        folder => Ok(folder.map(str::to_owned)),
    };
    let server = Server { host, port, security, user, auth };
    let (move_to, sent) = (folder(IMAP_MOVE_TO)?, folder(IMAP_SENT_FOLDER)?);
    let folder = folder(IMAP_FOLDER)?.unwrap_or_else(|| "INBOX".to_owned());
    if move_to.as_ref() == Some(&folder) {
        return Err(wrong(IMAP_MOVE_TO, "another folder is expected than the one that is fetched"));
    }
    if sent.as_ref() == Some(&folder) {
        return Err(wrong(IMAP_SENT_FOLDER, "another folder is expected than the one that is fetched"));
    }
    // Every 20 to 60 seconds (sheet 4).
    let poll = std::time::Duration::from_secs(number(settings, IMAP_POLL_SECONDS, 1..=300)?.unwrap_or(30));
    Ok(Some(Imap { server, folder, move_to, sent, poll }))
}

fn auth(
    settings: &SettingValues,
    (setting, mechanism): (&str, &str),
    passwords: &[&str],
) -> Result<Auth, SettingsError> {
    let password = || {
        let given = passwords.iter().find_map(|name| settings.secret(name).ok());
        given.ok_or_else(|| SettingsError::Missing(passwords.first().copied().unwrap_or_default().to_owned()))
    };
    match mechanism {
        "plain" => Ok(Auth::Plain(password()?)),
        "login" => Ok(Auth::Login(password()?)),
        "xoauth2" => Ok(Auth::Oauth(oauth(settings)?)),
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
