//! One event of a webhook: an element of `messaging` or `standby` (messenger.md 4.5, instagram.md 4.5).
//!
//! No field is trusted to be there. What can't be read becomes an unsupported item, which takes no neighbour with it.

use serde_json::Value;
use time::OffsetDateTime;
use transom_channel::{Inbound, InboundMessage, Item, Opening, Person};
use transom_domain::{Address, Content, Profile};

use super::{content, correlation};
use crate::envelope::{self, Entry};

/// The longest word of the platform's that is kept.
const LONGEST_WORD: usize = 100;

/// One event, and where it happened.
#[derive(Debug, Clone, Copy)]
pub struct Happening<'c> {
    /// The entry that it came in.
    pub entry: &'c Entry,
    /// The event.
    pub event: &'c Value,
    /// The kind of the platform's ids of people.
    pub address: &'static str,
    /// How the account is named where the entry names none.
    pub account: &'c str,
    /// When the call reached us.
    pub received_at: OffsetDateTime,
}

impl Happening<'_> {
    /// What is told by messages, taps, reactions, edits and links, which are the same on both platforms; `None` for the others.
    pub fn read(&self) -> Option<Inbound> {
        let part = |name: &str| self.event.get(name).filter(|part| !part.is_null());
        if let Some(message) = part("message") {
            return Some(self.message(message));
        }
        if let Some(postback) = part("postback") {
            return Some(self.postback(postback));
        }
        if let Some(reaction) = part("reaction") {
            return Some(self.reaction(reaction));
        }
        if let Some(edit) = part("message_edit") {
            return Some(self.edit(edit));
        }
        part("referral").map(|referral| self.referral(referral))
    }

    /// When it happened: its own time, else the entry's, else when it reached us.
    pub fn at(&self) -> OffsetDateTime {
        let own = self.event.get("timestamp").and_then(envelope::instant);
        own.or(self.entry.at).unwrap_or(self.received_at)
    }

    /// Its own time, as it is written.
    fn stamp(&self) -> Option<String> {
        self.event.get("timestamp").and_then(envelope::text)
    }

    /// A key of what does not change when an event comes again, by whoever sent it.
    fn key(&self, what: &str, of: &[&str]) -> String {
        let sender = self.id_of("sender").unwrap_or_default();
        envelope::key_of(what, [self.entry.id.as_str(), &sender].into_iter().chain(of.iter().copied()))
    }

    /// The person on that side of the event.
    pub fn person(&self, side: &str) -> Option<Person> {
        self.id_of(side).map(|id| self.named(&id))
    }

    /// The id on that side of the event.
    pub fn id_of(&self, side: &str) -> Option<String> {
        let id = self.event.get(side)?.get("id").and_then(envelope::text)?;
        Some(id).filter(|id| !id.trim().is_empty())
    }

    /// The person with this id.
    pub fn named(&self, id: &str) -> Person {
        Person { addresses: vec![Address::new(self.address, id)], profile: Profile::default() }
    }

    /// Something that happened to nobody in particular, under a key made from its content.
    pub fn item(&self, what: &str, item: Item) -> Inbound {
        let account = if self.entry.id.is_empty() { self.account } else { &self.entry.id };
        Inbound {
            account: account.to_owned(),
            event_key: envelope::key(what, self.entry, self.event),
            at: self.at(),
            person: None,
            openings: Vec::new(),
            item,
        }
    }

    /// What can't be read, or is of no known sort.
    pub fn unread(&self, what: &str, from_customer: bool) -> Inbound {
        let person = if from_customer { self.person("sender") } else { None };
        let from_customer = person.is_some();
        Inbound { person, ..self.item(what, Item::Unsupported { what: short(what), from_customer }) }
    }

    fn message(&self, message: &Value) -> Inbound {
        let (id, is) = (word(message, "mid"), |flag: &str| message.get(flag).and_then(Value::as_bool) == Some(true));
        let Some(id) = id else { return self.unread("a message without an id", true) };
        match (is("is_echo"), is("is_deleted")) {
            // Written to itself: a test of the platform's (instagram.md 1.1).
            (true, _) if is("is_self") => return self.unread("a message to oneself", false),
            (true, true) => return self.unread("an echo of a message that was taken back", false),
            (true, false) => return self.echo(id, message),
            (false, true) => return self.unsent(id),
            (false, false) => {}
        }
        let Some(person) = self.person("sender") else { return self.unread("a message without a sender", true) };
        let item = if is("is_unsupported") {
            Item::Unsupported { what: "a message that the platform does not pass on".to_owned(), from_customer: true }
        } else {
            Item::Message(said(id, message))
        };
        Inbound {
            event_key: id.to_owned(),
            person: Some(person),
            openings: vec![Opening::of("message")],
            ..self.item("message", item)
        }
    }

    /// What somebody of the business wrote elsewhere, or our own coming back. Sender and recipient are swapped; it opens
    /// nothing.
    fn echo(&self, id: &str, message: &Value) -> Inbound {
        let Some(person) = self.person("recipient") else { return self.unread("an echo without a recipient", false) };
        let ours = word(message, "metadata").and_then(correlation).map(str::to_owned);
        let item = Item::Echo { message: said(id, message), correlation: ours };
        Inbound { event_key: id.to_owned(), person: Some(person), ..self.item("echo", item) }
    }

    fn unsent(&self, id: &str) -> Inbound {
        let key = format!("{id}:deleted");
        let item = Item::Unsend { of: id.to_owned() };
        Inbound { event_key: key, person: self.person("sender"), ..self.item("unsend", item) }
    }

    fn postback(&self, postback: &Value) -> Inbound {
        let Some(person) = self.person("sender") else { return self.unread("a postback without a sender", true) };
        let made = self.item("postback", Item::Opening { what: String::new() });
        let (title, payload) = (word(postback, "title"), word(postback, "payload"));
        // Whatever else it says when it comes again (messenger.md 4.5).
        let key = match (word(postback, "mid"), self.stamp()) {
            (Some(mid), _) => mid.to_owned(),
            (None, Some(stamp)) => self.key("postback", &[&stamp, payload.or(title).unwrap_or_default()]),
            (None, None) => made.event_key.clone(),
        };
        let message = InboundMessage {
            payload: payload.map(str::to_owned),
            ..InboundMessage::new(key.clone(), Content::text(title.or(payload).unwrap_or("(a button)")))
        };
        Inbound {
            event_key: key,
            person: Some(person),
            openings: vec![Opening::of("postback")],
            item: Item::Message(message),
            ..made
        }
    }

    fn reaction(&self, reaction: &Value) -> Inbound {
        let (Some(to), Some(person)) = (word(reaction, "mid"), self.person("sender")) else {
            return self.unread("a reaction without a message or a sender", false);
        };
        let (action, taken_back) = match word(reaction, "action") {
            Some(action @ "react") => (action, false),
            Some(action @ "unreact") => (action, true),
            _ => return self.unread("a reaction of another sort", false),
        };
        let emoji = word(reaction, "emoji").or_else(|| word(reaction, "reaction").map(pictured));
        let emoji = if taken_back { None } else { Some(emoji.unwrap_or("👍").to_owned()) };
        let made = self.item("reaction", Item::Reaction { to: to.to_owned(), emoji });
        let key = self.stamp().map(|stamp| self.key("reaction", &[to, action, &stamp]));
        Inbound {
            event_key: key.unwrap_or_else(|| made.event_key.clone()),
            person: Some(person),
            openings: if taken_back { Vec::new() } else { vec![Opening::of("reaction")] },
            ..made
        }
    }

    fn edit(&self, edit: &Value) -> Inbound {
        let (Some(of), Some(person)) = (word(edit, "mid"), self.person("sender")) else {
            return self.unread("an edit without a message or a sender", false);
        };
        let number = edit.get("num_edit").and_then(envelope::text);
        let text = edit.get("text").and_then(Value::as_str).unwrap_or_default();
        let made = self.item("edit", Item::Edit { of: of.to_owned(), content: Content::text(text) });
        let event_key = number.map_or_else(|| made.event_key.clone(), |number| format!("{of}:edit:{number}"));
        Inbound { event_key, person: Some(person), ..made }
    }

    /// A link to an existing conversation was followed. It opens like a message if it carries something; an advertisement does
    /// not until the customer writes (messenger.md 1.1).
    fn referral(&self, referral: &Value) -> Inbound {
        let Some(person) = self.person("sender") else { return self.unread("a referral without a sender", false) };
        let is_ad = word(referral, "source").is_some_and(|source| source.eq_ignore_ascii_case("ADS"));
        let opens = !is_ad && word(referral, "ref").is_some();
        let what =
            word(referral, "ref").map_or_else(|| "referral".to_owned(), |reference| format!("referral {reference}"));
        Inbound {
            person: Some(person),
            openings: if opens { vec![Opening::of("referral")] } else { Vec::new() },
            ..self.item("referral", Item::Opening { what: short(&what) })
        }
    }
}

/// What a message says, and what it quotes.
fn said(id: &str, message: &Value) -> InboundMessage {
    let (body, payload) = content::said(id, message);
    let reply_to = message.get("reply_to").and_then(|quoted| word(quoted, "mid")).map(str::to_owned);
    InboundMessage { payload, ..InboundMessage::new(id.to_owned(), Content { body, reply_to }) }
}

/// The picture behind a reaction's name (messenger.md 4.5).
fn pictured(name: &str) -> &str {
    match name {
        "smile" => "😆",
        "angry" => "😠",
        "sad" => "😢",
        "wow" => "😮",
        "love" => "❤",
        "like" => "👍",
        "dislike" => "👎",
        other => other,
    }
}

/// A text field that is there and not empty.
pub fn word<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The platform's words, in bounds.
pub(super) fn short(what: &str) -> String {
    what.chars().take(LONGEST_WORD).collect()
}
