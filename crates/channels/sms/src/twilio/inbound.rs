//! From webhook calls to what happened (sms.md 4).

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use transom_channel::{
    Inbound, InboundMessage, Item, Opening, OptOutScope, ParseError, Person, RawInbound, ReceiptFor, ReceiptState,
    Standing,
};
use transom_domain::{Address, Attachment, Body, Content, MediaKind, MediaSource, Profile};

use super::{PART, error};
use crate::capabilities::{PHONE, SENDER_ID};
use crate::config::Sender;
use crate::keywords::Keyword;
use crate::phone;

/// Where the time of a listed message stands among what is journalled with it; webhooks state none.
pub(super) const SENT: &str = "x-date-sent";
/// More files than a message can have.
const MOST_FILES: usize = 20;

/// Reads one call: a message, or how one of ours fares.
pub(super) fn parse(sender: &Sender, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
    let reader = Reader { fields: fields(raw), sender, raw };
    match reader.sid() {
        Some(sid) => Ok(reader.read(sid)),
        None if reader.is_json() => Ok(vec![reader.json()]),
        None => Err(ParseError::new("not a webhook call: it has no `MessageSid`")),
    }
}

/// The first value of each field of the form; by GET the form stands in the query.
fn fields(raw: &RawInbound) -> BTreeMap<String, String> {
    let query = raw.query.as_deref().unwrap_or_default().as_bytes();
    let form = if raw.body.is_empty() { query } else { &raw.body };
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(form).into_owned() {
        fields.entry(name).or_insert(value);
    }
    fields
}

struct Reader<'r> {
    fields: BTreeMap<String, String>,
    sender: &'r Sender,
    raw: &'r RawInbound,
}

impl Reader<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// One id by three names.
    fn sid(&self) -> Option<&str> {
        ["MessageSid", "SmsSid", "SmsMessageSid"].iter().find_map(|name| self.field(name)).filter(|sid| sid.len() <= 64)
    }

    fn read(&self, sid: &str) -> Vec<Inbound> {
        let ends = [self.field("From"), self.field("To")];
        if ends.iter().flatten().any(|end| phone::is_other_channel(end)) {
            // Twilio carries other channels by the same interface; they are not this one.
            return vec![self.unsupported(sid, "a message of another channel", false)];
        }
        match (self.field("MessageStatus"), self.field("SmsStatus")) {
            (Some(status), _) => vec![self.status(sid, status)],
            (None, None | Some("received" | "receiving")) if self.fields.contains_key("Body") => self.message(sid),
            (None, Some("received" | "receiving")) => self.message(sid),
            (None, Some(status)) => vec![self.status(sid, status)],
            (None, None) => vec![self.unsupported(sid, "a call without a status and without a text", false)],
        }
    }

    fn message(&self, sid: &str) -> Vec<Inbound> {
        let (Some(from), Some(to)) = (self.field("From"), self.field("To")) else {
            return vec![self.unsupported(sid, "a message without a sender", true)];
        };
        let text = self.fields.get("Body").cloned().unwrap_or_default();
        let keyword = match self.field("OptOutType") {
            Some(word) => Keyword::named(word),
            None => Keyword::of(&text, to),
        };
        let message = InboundMessage::new(
            sid.to_owned(),
            Content { body: Body::Text { text, attachments: self.files() }, reply_to: None },
        );
        let (account, person) = (self.account(to), person(from));
        let key = format!("message:{sid}");
        let standing = match keyword {
            Some(Keyword::Stop) => Some(Standing::OptedOut(OptOutScope::All)),
            Some(Keyword::Start) => Some(Standing::OptedIn(OptOutScope::All)),
            Some(Keyword::Help) | None => None,
        };
        let opens = vec![Opening::of("message")];
        let mut items = vec![self.event(account, key.clone(), Some(person.clone()), opens, Item::Message(message))];
        items.extend(standing.map(|standing| {
            self.event(account, format!("{key}:standing"), Some(person), Vec::new(), Item::Standing(standing))
        }));
        items
    }

    fn status(&self, sid: &str, status: &str) -> Inbound {
        let state = match status {
            "accepted" | "scheduled" | "queued" | "sending" | "sent" => ReceiptState::Sent,
            "delivered" => ReceiptState::Delivered,
            "read" => ReceiptState::Read,
            "undelivered" | "failed" | "canceled" => ReceiptState::Failed(self.failure(status)),
            other => return self.unsupported(&format!("{sid}:{}", short(other)), &format!("status {other}"), false),
        };
        let account = self.account(self.field("From").unwrap_or_default());
        let of = ReceiptFor::Message { provider_id: sid.to_owned(), correlation: self.correlation() };
        let person = self.field("To").map(person);
        let key = format!("status:{sid}:{status}");
        self.event(account, key, person, Vec::new(), Item::Receipt { of, state })
    }

    fn failure(&self, status: &str) -> transom_channel::SendError {
        let code = self.field("ErrorCode").and_then(|code| code.parse().ok()).unwrap_or_default();
        error::of_code(code, None, self.field("ErrorMessage").unwrap_or(status))
    }

    /// Our own reference, from the address of the callback.
    fn correlation(&self) -> Option<String> {
        let query = self.raw.query.as_deref()?;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == PART)
            .map(|(_, value)| value.into_owned())
    }

    fn files(&self) -> Vec<Attachment> {
        let count = self.field("NumMedia").and_then(|count| count.parse::<usize>().ok());
        let count = count.unwrap_or(MOST_FILES).min(MOST_FILES);
        let file = |n: usize| {
            let url = self.field(&format!("MediaUrl{n}"))?.to_owned();
            let mime = self.field(&format!("MediaContentType{n}")).map(mime);
            let id = url.rsplit('/').next().unwrap_or_default().to_owned();
            Some(Attachment {
                kind: kind(mime.as_deref().unwrap_or_default()),
                source: MediaSource::Platform { id, url: Some(url), sha256: None },
                mime,
                file_name: None,
                size: None,
            })
        };
        (0..count).map_while(file).collect()
    }

    /// The account is the sender: the service where messages go by one, else our end of the message.
    fn account<'a>(&'a self, our_end: &'a str) -> &'a str {
        match self.sender {
            Sender::Service(service) => self.field("MessagingServiceSid").unwrap_or(service),
            Sender::Address(address) if our_end.is_empty() => address,
            Sender::Address(_) => our_end,
        }
    }

    /// Some events come as JSON; none is read yet.
    fn is_json(&self) -> bool {
        serde_json::from_slice::<serde::de::IgnoredAny>(&self.raw.body).is_ok()
    }

    fn json(&self) -> Inbound {
        self.unsupported(&hex::encode(Sha256::digest(&self.raw.body)), "an event in JSON", false)
    }

    fn unsupported(&self, key: &str, what: &str, from_customer: bool) -> Inbound {
        let item = Item::Unsupported { what: short(what), from_customer };
        let key = format!("unsupported:{key}");
        self.event(self.sender.as_str(), key, None, Vec::new(), item)
    }

    /// Webhooks state no times: things happen when they reach us.
    fn event(
        &self,
        account: &str,
        event_key: String,
        person: Option<Person>,
        openings: Vec<Opening>,
        item: Item,
    ) -> Inbound {
        let sent = self.raw.header(SENT).and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
        let at = sent.unwrap_or(self.raw.received_at);
        Inbound { account: account.to_owned(), event_key, at, person, openings, item }
    }
}

/// A number can be answered; a short code and a name can't.
fn person(end: &str) -> Person {
    let is_number = phone::is_e164(end);
    Person {
        addresses: vec![Address::new(if is_number { PHONE } else { SENDER_ID }, end)],
        profile: Profile { phone: is_number.then(|| end.to_owned()), ..Profile::default() },
    }
}

fn mime(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn kind(mime: &str) -> MediaKind {
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("video") => MediaKind::Video,
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::Document,
    }
}

/// A word from outside, cut.
fn short(word: &str) -> String {
    word.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
