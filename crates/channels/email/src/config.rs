//! What must be told to connect a mailbox.

use std::fmt;

use transom_channel::{SettingValues, SettingsError};
use transom_domain::SenderAddress;

use crate::address::{Mailbox, untagged};
use crate::tls::{Tls, certificates};
use crate::token::{Purpose, Tokens};

mod inbound;
mod senders;
mod server;
mod settings;
mod value;

pub(crate) use inbound::InboundParse;
pub(crate) use server::{Auth, Imap, Oauth, Server};
pub(crate) use settings::SETTINGS;
use settings::{
    ALIASES, AUTHSERV_ID, BOUNCE_ADDRESS, CA_CERTIFICATE, DEFAULT_SUBJECT, DELIVERY_RECEIPTS, MAILBOX, MAX_BYTES,
    MAX_INBOUND_BYTES, PER_DAY, PER_MINUTE, SENDERS, TIMEOUT_SECONDS,
};
use value::{address, number, room, small, wrong, yes_or_no};

/// The usual total of a provider, encoded (sheet 2, Limits).
const USUAL_MAX_BYTES: u64 = 25 * 1024 * 1024;
/// What is read of a mail that comes in: as much as the largest provider delivers (sheet 4).
pub(crate) const USUAL_MAX_INBOUND: u64 = 35 * 1024 * 1024;
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
        let (smtp, mechanism) = server::smtp(settings, &mailbox)?;
        let imap = server::imap(settings, &smtp.user, mechanism)?;
        let parse = inbound::inbound_parse(settings)?;
        let tokens = inbound::tokens(settings)?;
        let senders = senders::senders(settings, &mailbox)?;
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::settings::{
        IMAP_HOST, INBOUND_PARSE, MAILGUN_SIGNING_KEY, OAUTH_TOKEN_URL, SMTP_AUTH, SMTP_HOST, SMTP_PASSWORD, SMTP_PORT,
        SMTP_SECURITY, SMTP_USER, TOKEN_SECRET, TOKEN_SECRET_PREVIOUS, WEBHOOK_PASSWORD, WEBHOOK_USER,
    };
    use super::*;
    use crate::tls::Security;

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
    #[case(TOKEN_SECRET_PREVIOUS, "short")]
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

    /// Secrets are whole, whatever is in them; what the one before proved still holds.
    #[test]
    fn a_secret_with_a_comma_is_one_secret() {
        let part = "0192e4a0-7b5a-7c3e-8f00-000000000001".parse().unwrap();
        let tokens = |present: &str| Config::read(&settings().with(TOKEN_SECRET, present)).unwrap().tokens;
        let tag = tokens("sixteen-characters,and-some-more").reply(part).unwrap();
        assert_eq!(tokens("sixteen-characters").read(&tag), None);
        let renewed = settings()
            .with(TOKEN_SECRET, "another-long-secret")
            .with(TOKEN_SECRET_PREVIOUS, "sixteen-characters,and-some-more");
        let renewed = Config::read(&renewed).unwrap().tokens;
        assert_eq!(renewed.read(&tag).unwrap().part, part);
        assert_ne!(renewed.reply(part).unwrap(), tag);
        let alone = Config::read(&settings().with(TOKEN_SECRET_PREVIOUS, "sixteen-characters-and-more")).unwrap_err();
        assert!(alone.to_string().contains("`token_secret`"), "{alone}");
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
