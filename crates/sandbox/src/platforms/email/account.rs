//! A mailbox at a provider: its settings, its pace, and the letters that passed through it.

use std::collections::BTreeMap;
use std::time::Duration as Pause;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::reply::SmtpError;
use super::tls::Certificates;
use crate::Problem;
use crate::pacing::Bucket;
use crate::platforms::kit::merged;
use crate::ring::Ring;
use crate::world::World;

/// How many letters of a mailbox are remembered, for answers and reports.
const LETTERS: usize = 4_000;

/// The settings of a mailbox. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// The mailbox's address, which is the account's id.
    pub mailbox: String,
    /// Further addresses whose mail arrives here; sub-addresses (`support+x@…`) of all of them do too.
    pub aliases: Vec<String>,
    /// Addresses that mail may come from; any other sender is refused (550 5.7.1).
    pub senders: Vec<String>,
    /// Signs in at the SMTP port.
    pub username: String,
    /// With this.
    pub password: String,
    /// The SMTP port on 127.0.0.1, with STARTTLS. Told, not set.
    pub smtp_port: u16,
    /// The authority behind its certificate for `localhost` and `127.0.0.1`, in PEM. Told, not set.
    pub ca_certificate: String,
    /// Signing in needs STARTTLS (538 5.7.11).
    pub requires_tls: bool,
    /// In whose shape the inbound webhook speaks.
    pub inbound: Inbound,
    /// The webhook carries the whole letter (`RawEmail`, `body-mime`), and not only its pieces.
    pub raw: bool,
    /// The user name in the webhook's address (Postmark).
    pub webhook_user: String,
    /// The password there.
    pub webhook_password: String,
    /// Signs the webhook (Mailgun).
    pub signing_key: String,
    /// Recipients that the mailbox may write to in any 24 hours (550 5.4.5); `None`: no cap.
    pub daily_limit: Option<u32>,
    /// The largest letter, in octets as they are sent (552 5.3.4).
    pub max_bytes: usize,
    /// Recipients in one dialogue (452 4.5.3).
    pub max_recipients: usize,
    /// Addresses that do not exist (550 5.1.1).
    pub unknown: Vec<String>,
    /// Addresses that the provider sends nothing to, after bounces (550 5.1.1).
    pub suppressed: Vec<String>,
    /// Keeps the rate of 30 letters a minute (450 4.7.1).
    pub pacing: bool,
}

/// In whose shape the inbound webhook speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inbound {
    /// JSON, with HTTP Basic in the address.
    Postmark,
    /// A form, signed.
    Mailgun,
}

impl EmailSettings {
    /// Whether mail to this address arrives here, sub-addresses included.
    pub(super) fn is_ours(&self, address: &str) -> bool {
        let base = without_tag(address);
        [&self.mailbox]
            .into_iter()
            .chain(&self.aliases)
            .chain(&self.senders)
            .any(|ours| ours.eq_ignore_ascii_case(&base))
    }
}

/// A letter that passed through, as far as answers and reports need it.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// `<…>`.
    pub(super) id: String,
    /// The customer, or nobody for outsiders.
    pub(super) customer: String,
    pub(super) subject: String,
    /// Where an answer goes.
    pub(super) reply_to: String,
    pub(super) references: Vec<String>,
    /// `mailto:` address of List-Unsubscribe.
    pub(super) unsubscribe: Option<String>,
    /// From the business.
    pub(super) ours: bool,
    /// The envelope's sender and id, where it came from us.
    pub(super) envelope_from: String,
    pub(super) envelope_id: Option<String>,
    /// The header as it was sent.
    pub(super) head: String,
    /// The words, for quoting.
    pub(super) text: String,
}

/// A mailbox at work.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) settings: EmailSettings,
    pub(super) letters: Ring<Letter>,
    rate: Option<Bucket>,
}

impl Mailbox {
    /// Thirty letters at once, then one every two seconds (sheet 1, quotas).
    pub(super) fn pace(&mut self, now: OffsetDateTime) -> Result<(), SmtpError> {
        if !self.settings.pacing {
            return Ok(());
        }
        let rate = self.rate.get_or_insert_with(|| Bucket::full(30, Pause::from_secs(2), now));
        rate.take(now).map_err(|_| SmtpError::of(450, "4.7.1", "too many messages, slow down"))
    }

    pub(super) fn letter(&self, id: &str) -> Option<&Letter> {
        self.letters.iter().rev().find(|letter| letter.id == id)
    }

    /// The latest letter that this customer got from us, or wrote.
    pub(super) fn latest(&self, customer: &str, wanted: impl Fn(&Letter) -> bool) -> Option<&Letter> {
        self.letters.iter().rev().find(|letter| letter.customer == customer && wanted(letter))
    }
}

/// All mailboxes, by their address, and what their port shows for TLS.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    pub(super) all: BTreeMap<String, Mailbox>,
    pub(super) certificates: Option<Certificates>,
}

pub(super) fn mailbox<'a>(world: &'a mut World, account: &str) -> Result<&'a mut Mailbox, Problem> {
    let found = world.shelves.of::<Mailboxes>().all.get_mut(account);
    found.ok_or_else(|| Problem::not_found(format!("there is no mailbox `{account}`")))
}

/// Makes a mailbox.
pub(super) fn open(world: &mut World, given: &Value) -> Result<String, Problem> {
    let port = world.ports.get("email").map(std::net::SocketAddr::port).unwrap_or_default();
    let mailboxes = world.shelves.of::<Mailboxes>();
    if mailboxes.certificates.is_none() {
        mailboxes.certificates = Some(Certificates::make().map_err(Problem::invalid)?);
    }
    let authority = mailboxes.certificates.as_ref().map(|made| made.authority.clone()).unwrap_or_default();
    let wanted = given.get("mailbox").and_then(Value::as_str).map(str::to_owned);
    let mailbox = wanted.unwrap_or_else(|| format!("support{}@shop.test", world.names.number()));
    let made_up = EmailSettings {
        aliases: Vec::new(),
        senders: vec![mailbox.clone()],
        username: mailbox.clone(),
        mailbox,
        password: world.names.token(24),
        smtp_port: port,
        ca_certificate: authority,
        requires_tls: false,
        inbound: Inbound::Postmark,
        raw: true,
        webhook_user: "postmark".to_owned(),
        webhook_password: world.names.token(24),
        signing_key: world.names.token(32),
        daily_limit: None,
        max_bytes: 25 * 1024 * 1024,
        max_recipients: 100,
        unknown: Vec::new(),
        suppressed: Vec::new(),
        pacing: true,
    };
    let settings = checked(&made_up, given)?;
    let id = settings.mailbox.clone();
    if world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("there is an account `{id}` already")));
    }
    let all = &mut world.shelves.of::<Mailboxes>().all;
    if all.values().any(|other| other.settings.username == settings.username) {
        return Err(Problem::conflict(format!("the user `{}` signs in at another mailbox", settings.username)));
    }
    all.insert(id.clone(), Mailbox { settings, letters: Ring::new(LETTERS), rate: None });
    Ok(id)
}

/// Changes a mailbox's settings.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let found = mailbox(world, account)?;
    let changed = checked(&found.settings, given)?;
    if changed.mailbox != account {
        return Err(Problem::invalid("mailbox is the account's id and stays"));
    }
    found.settings = changed;
    Ok(())
}

fn checked(base: &EmailSettings, given: &Value) -> Result<EmailSettings, Problem> {
    let settings: EmailSettings = merged(base, given)?;
    if settings.smtp_port != base.smtp_port || settings.ca_certificate != base.ca_certificate {
        return Err(Problem::invalid("smtp_port and ca_certificate are told, not set"));
    }
    if ![&settings.mailbox].into_iter().chain(&settings.senders).chain(&settings.aliases).all(|text| is_address(text)) {
        return Err(Problem::invalid("mailbox, aliases and senders are addresses such as support@shop.test"));
    }
    Ok(settings)
}

/// Whether a text can be an address in a command: a local part of at most 64 octets, a domain, nothing that ends a command.
pub(super) fn is_address(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_graphic() && !"<>,;:\"()[]\\".contains(c);
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        (1..=64).contains(&local.len())
            && text.len() <= 254
            && text.chars().all(safe)
            && !local.contains('@')
            && domain.contains('.')
            && domain.split('.').all(|label| !label.is_empty())
    })
}

/// `support+x@shop.test` is `support@shop.test`.
pub(super) fn without_tag(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{domain}", local.split('+').next().unwrap_or_default()),
        None => address.to_owned(),
    }
}
