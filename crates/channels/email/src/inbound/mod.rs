//! From what came in to items: from a mail's source as IMAP gives it, and from what providers post.

mod automatic;
mod files;
mod form;
pub(crate) mod mime;
mod provider;
mod quoted;
mod report;
mod verify;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use transom_channel::{
    Answered, Inbound, InboundMessage, Item, MediaBytes, Opening, OptOutScope, ParseError, Person, RawInbound, Standing,
};
use transom_domain::{Address, Attachment, Body, Content, Mail, MediaKind, MediaSource, Profile};

use crate::address::{canonical, untagged};
use crate::capabilities::EMAIL;
use crate::config::Config;
use crate::html;
use crate::token::{Purpose, Reader, Token};
use mime::{Correspondent, Letter};
use provider::Brought;
pub(crate) use verify::verify;

/// The kinds of openings, as the policy knows them.
const MESSAGE: &str = "message";
const AUTOMATIC_MAIL: &str = "automatic_mail";
const BOUNCE: &str = "bounce";

/// Where a fetched mail's arrival stands among what is journalled with it.
pub(crate) const ARRIVED: &str = "x-internaldate";
/// Where the size of a mail stands of which only the headers were fetched.
pub(crate) const OVERSIZED: &str = "x-oversized";
/// The mail that is answered and those before it: more are not looked up.
const MAX_ANSWERED: usize = 50;

/// Reads one call or one fetched mail.
pub(crate) fn parse(config: &Config, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
    let body = &raw.body;
    if body.len() as u64 > config.max_inbound {
        return Ok(vec![Ground::of(config, raw, None).unsupported("a mail that is too large")]);
    }
    let brought = match body.trim_ascii_start().first() {
        None => return Err(ParseError::new("nothing at all")),
        Some(b'{') => provider::postmark(body)?,
        Some(_) => match form::read(body) {
            Some(fields) => provider::mailgun(&fields)?,
            None => {
                let mut letter = Letter::read(body)?;
                if let Some(size) = raw.header(OVERSIZED) {
                    letter.text = Some(format!("[This mail of {size} bytes is too large. It is in the mailbox.]"));
                }
                Brought::Mail(Box::new(letter), body.clone())
            }
        },
    };
    match brought {
        Brought::Mail(letter, source) => Ok(items(&letter, source, &Ground::of(config, raw, Some(&letter)))),
        Brought::Other(what) => Ok(vec![Ground::of(config, raw, None).unsupported(&what)]),
    }
}

/// What all items of a mail have in common.
pub(super) struct Ground<'g> {
    config: &'g Config,
    account: String,
    key: String,
    at: OffsetDateTime,
}

impl<'g> Ground<'g> {
    fn of(config: &'g Config, raw: &RawInbound, letter: Option<&Letter>) -> Self {
        let arrived =
            raw.header(ARRIVED).and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok()).unwrap_or(raw.received_at);
        Self {
            config,
            account: letter.map_or_else(|| config.account.clone(), |letter| account(config, letter)),
            key: key(config, letter, &raw.body),
            at: mime::believed(letter.and_then(|letter| letter.date), arrived),
        }
    }

    fn item(&self, n: usize, item: Item) -> Inbound {
        let event_key = if n == 0 { self.key.clone() } else { format!("{}:{n}", self.key) };
        Inbound { account: self.account.clone(), event_key, at: self.at, person: None, openings: Vec::new(), item }
    }

    #[expect(clippy::unused_self, reason = "reads with the others")]
    fn opening(&self, kind: &str) -> Opening {
        Opening::of(kind)
    }

    fn unsupported(&self, what: &str) -> Inbound {
        self.item(0, Item::Unsupported { what: what.to_owned(), from_customer: false })
    }

    /// The mail's id; where it has none, one that its bytes give it.
    fn provider_id(&self, letter: &Letter, n: usize) -> String {
        let digest = || format!("<{}@{}>", self.key.trim_start_matches("mail:"), self.config.mailbox.domain());
        match (&letter.message_id, n) {
            (Some(id), 0) => id.clone(),
            (Some(id), n) => format!("{id}:{n}"),
            (None, 0) => digest(),
            (None, n) => format!("{}:{n}", digest()),
        }
    }

    /// A token of ours in the addresses that the mail came to.
    fn token(&self, letter: &Letter, purpose: Purpose) -> Option<Token> {
        // Another mailbox of the same connection has the same secret.
        let came_here = |address: &String| self.config.is_ours(address) || letter.delivered_to.contains(address);
        let tagged = recipients(letter).filter(came_here);
        let tags = tagged.filter_map(|address| untagged(&address).and_then(|(_, tag)| tag));
        tags.filter_map(|tag| self.config.tokens.read(&tag)).find(|token| token.purpose == purpose)
    }
}

/// Every address that a mail says it came to, those of the envelope first.
fn recipients(letter: &Letter) -> impl Iterator<Item = String> + '_ {
    let stamped = ["delivered-to", "x-original-to", "envelope-to", "x-envelope-to"];
    let stamped = stamped.into_iter().flat_map(|name| letter.all(name).collect::<Vec<_>>()).filter_map(canonical);
    letter.delivered_to.iter().cloned().chain(stamped).chain(letter.to.iter().chain(&letter.cc).cloned())
}

/// Whose mail it is: ours, or of another mailbox that the same webhook serves.
fn account(config: &Config, letter: &Letter) -> String {
    let elsewhere = letter.delivered_to.first().and_then(|address| untagged(address));
    match elsewhere {
        Some((base, _)) if !recipients(letter).any(|address| config.is_ours(&address)) => base,
        _ => config.account.clone(),
    }
}

/// The same mail has the same key however often and by whatever way it comes. The sender is part of it: nobody can keep a
/// mail away by sending its id first.
fn key(config: &Config, letter: Option<&Letter>, body: &Bytes) -> String {
    let mut digest = Sha256::new();
    match letter.and_then(|letter| Some((letter.message_id.as_ref()?, letter.from.as_ref()?))) {
        Some((id, from)) => {
            for piece in [config.mailbox.key().as_str(), id, &from.address.to_lowercase()] {
                digest.update(piece.len().to_be_bytes());
                digest.update(piece);
            }
        }
        None => digest.update(body),
    }
    format!("mail:{}", hex::encode(digest.finalize()))
}

/// How a person is known by mail.
fn person(address: &str, name: Option<&str>) -> Person {
    let profile = Profile { name: name.map(str::to_owned), email: Some(address.to_owned()), ..Profile::default() };
    Person { addresses: vec![Address::new(EMAIL, address)], profile }
}

/// Reports first, then loops, then machines, then people (sheet 4, order of handling).
fn items(letter: &Letter, source: Bytes, ground: &Ground<'_>) -> Vec<Inbound> {
    if automatic::is_our_own(letter, &ground.account, ground.config) {
        return vec![ground.unsupported("a mail of our own that came back")];
    }
    if let Some(items) = report::items(letter, ground) {
        return items;
    }
    let Some(from) = writer(letter, ground.config) else {
        return vec![ground.unsupported("a mail without a sender, or from this mailbox itself")];
    };
    if let Some(token) = ground.token(letter, Purpose::Unsubscribe) {
        return vec![unsubscribed(&token, &from, ground)];
    }
    let is_automatic = automatic::is_automatic(letter);
    let name = from.name.as_deref().filter(|_| is_trusted(letter, ground.config));
    let openings = vec![ground.opening(if is_automatic { AUTOMATIC_MAIL } else { MESSAGE })];
    let message = message(letter, source, &from, is_automatic, ground);
    vec![Inbound { person: Some(person(&from.address, name)), openings, ..ground.item(0, Item::Message(message)) }]
}

/// Who wrote: From. A form on the shop's own page writes from the shop's address, with the visitor's in Reply-To.
fn writer(letter: &Letter, config: &Config) -> Option<Correspondent> {
    let from = letter.from.clone()?;
    if !config.is_ours(&from.address) {
        return Some(from);
    }
    let reply_to = Letter::of_headers([("From", letter.header("reply-to")?)]).from?;
    (!config.is_ours(&reply_to.address)).then_some(reply_to)
}

/// Whether a name may be believed: without a receiver that we trust, as far as any; with one, only where it checked the sender.
/// Copies of its header that somebody wrote before it stand below its own.
fn is_trusted(letter: &Letter, config: &Config) -> bool {
    let Some(authserv) = &config.authserv_id else { return true };
    let own = letter.all("authentication-results").find(|results| {
        let id = results.split([';', ' ']).next().unwrap_or_default();
        id.eq_ignore_ascii_case(authserv)
    });
    own.is_some_and(|results| results.to_lowercase().split([';', ' ']).any(|word| word == "dmarc=pass"))
}

fn unsubscribed(token: &Token, from: &Correspondent, ground: &Ground<'_>) -> Inbound {
    match ground.config.tokens.reader(token, &from.address) {
        Some(Reader::Person(address)) => Inbound {
            person: Some(person(address, None)),
            ..ground.item(0, Item::Standing(Standing::OptedOut(OptOutScope::Marketing)))
        },
        _ => ground.unsupported("an unsubscription by somebody else"),
    }
}

fn message(
    letter: &Letter,
    source: Bytes,
    from: &Correspondent,
    automatic: bool,
    ground: &Ground<'_>,
) -> InboundMessage {
    let provider_id = ground.provider_id(letter, 0);
    let mut references = letter.references.clone();
    for id in &letter.in_reply_to {
        references.retain(|known| known != id);
        references.push(id.clone());
    }
    let thread = references.first().unwrap_or(&provider_id).clone();
    let mut answers: Vec<Answered> =
        ground.token(letter, Purpose::Reply).map(|token| Answered::Part(token.part.to_string())).into_iter().collect();
    answers.extend(references.iter().rev().take(MAX_ANSWERED).map(|id| Answered::Message(id.clone())));

    let mut enclosed = letter.files.clone();
    let attachments = enclosed.iter().enumerate().map(|(n, file)| files::attachment(n, file)).collect();
    let source =
        MediaBytes { bytes: source, mime: "message/rfc822".to_owned(), file_name: Some("mail.eml".to_owned()) };
    let kept = Attachment {
        kind: MediaKind::Document,
        source: MediaSource::Enclosed { index: u32::try_from(enclosed.len()).unwrap_or(u32::MAX) },
        mime: Some(source.mime.clone()),
        file_name: source.file_name.clone(),
        size: Some(source.bytes.len() as u64),
    };
    enclosed.push(source);
    let mail = Mail {
        subject: letter.subject.clone().filter(|subject| !subject.is_empty()),
        text: shown_text(letter),
        html: letter.html.as_deref().map(shown_html),
        attachments,
        from: Some(from.address.clone()),
        to: letter.to.clone(),
        cc: letter.cc.clone(),
        bcc: Vec::new(),
        references,
        source: Some(kept),
    };
    InboundMessage {
        thread,
        answers,
        automatic,
        enclosed,
        ..InboundMessage::new(provider_id, Content { body: Body::Mail(mail), reply_to: None })
    }
}

fn shown_text(letter: &Letter) -> String {
    match (&letter.text, &letter.html) {
        (Some(text), _) if !text.trim().is_empty() => quoted::stripped(text),
        (_, Some(html)) => quoted::stripped(&html::to_text(&shown_html(html))),
        _ => String::new(),
    }
}

/// Without what was quoted, unless nothing else is there; safe to show.
fn shown_html(html: &str) -> String {
    let own = html::for_showing(&quoted::stripped_html(html));
    if html::to_text(&own).trim().is_empty() { html::for_showing(html) } else { own }
}

#[cfg(test)]
mod tests;
