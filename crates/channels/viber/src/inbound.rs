//! From events to what happened (4.3).

use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;
use transom_channel::{
    AccountNotice, Inbound, InboundMessage, Item, Opening, ParseError, Person, RawInbound, ReceiptFor, ReceiptState,
    Standing, json,
};
use transom_domain::{Address, Attachment, Body, ContactCard, Content, Location, MediaKind, MediaSource, Profile};

use crate::capabilities::USER_ID;
use crate::config::Config;
use crate::error;
use crate::wire::{Envelope, Message, MessageEvent, User, UserEvent, UserIdEvent};

/// The event that is answered with a welcome message.
pub(crate) const CONVERSATION_STARTED: &str = "conversation_started";

/// Reads one event.
pub(crate) fn parse(config: &Config, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
    let event: Value = json::read(&raw.body)?;
    let envelope: Envelope =
        typed(&event).ok_or_else(|| ParseError::new("not an event: an object with a text as `event` is expected"))?;
    let millis = envelope.timestamp.map(i128::from);
    let at = millis.and_then(|millis| OffsetDateTime::from_unix_timestamp_nanos(millis.checked_mul(1_000_000)?).ok());
    Ok(Reader { config, at: at.unwrap_or(raw.received_at), envelope, event }.read())
}

/// An event with what all of them have.
struct Reader<'r> {
    config: &'r Config,
    at: OffsetDateTime,
    envelope: Envelope,
    event: Value,
}

impl Reader<'_> {
    fn read(&self) -> Vec<Inbound> {
        let items = match self.envelope.event.as_str() {
            "message" => self.message(),
            "subscribed" => self.user(|_, person| {
                // The first event that makes a person writable; it opens no session (1.2).
                vec![self.item("", Some(person), vec![Opening::of("follow")], Item::Standing(Standing::Subscribed))]
            }),
            "unsubscribed" => self.user_id(|_, person| {
                vec![self.item("", Some(person), Vec::new(), Item::Standing(Standing::Unsubscribed))]
            }),
            CONVERSATION_STARTED => self.user(|event, person| self.started(event, person)),
            "delivered" => self.user_id(|_, person| self.receipt(person, ReceiptState::Delivered)),
            "seen" => self.user_id(|_, person| self.seen(person)),
            "failed" => self.user_id(|event, person| {
                self.receipt(person, ReceiptState::Failed(error::failed(event.desc.as_deref())))
            }),
            // The call that Viber makes while the webhook is registered (4.1).
            "webhook" => Some(vec![self.item("", None, Vec::new(), registered())]),
            _ => None,
        };
        items.unwrap_or_else(|| vec![self.unknown()])
    }

    /// Of whatever type: it opens a session, and its sender is a subscriber from now on (1.2, 1.5).
    fn message(&self) -> Option<Vec<Inbound>> {
        let sender: User = typed(self.event.get("sender")?)?;
        let person = person(&sender);
        // In another chat than the bot's own nothing is opened.
        let elsewhere = self.event.get("chat_id").is_some_and(|chat| !chat.is_null());
        let openings = if elsewhere { Vec::new() } else { vec![Opening::of("message")] };
        let item = match self.said() {
            Ok(message) => Item::Message(message),
            Err(what) => Item::Unsupported { what, from_customer: true },
        };
        Some(vec![self.item("", Some(person), openings, item)])
    }

    /// What the customer sent; else the name of what we do not know.
    fn said(&self) -> Result<InboundMessage, String> {
        let unknown = || {
            let kind = self.event.pointer("/message/type").and_then(Value::as_str).unwrap_or("no type");
            short(&format!("message: {kind}"))
        };
        let event: MessageEvent = typed(&self.event).ok_or_else(unknown)?;
        let id = self.envelope.message_token.as_ref().ok_or_else(unknown)?;
        let body = body(&event.message, &id.0).ok_or_else(unknown)?;
        Ok(InboundMessage::new(id.0.clone(), Content { body, reply_to: None }))
    }

    /// Somebody opened the chat. What they were shown in the answer stands in the conversation, said by nobody of ours.
    fn started(&self, event: UserEvent, person: Person) -> Vec<Inbound> {
        let reference = self.envelope.message_token.as_ref().map(|token| token.0.clone());
        let opening = reference.map(|token| Opening { kind: CONVERSATION_STARTED.to_owned(), reference: Some(token) });
        let what = match event.context.as_deref().filter(|context| !context.is_empty()) {
            Some(context) => short(&format!("{CONVERSATION_STARTED}: {context}")),
            None => CONVERSATION_STARTED.to_owned(),
        };
        let item = self.item("", Some(person.clone()), opening.into_iter().collect(), Item::Opening { what });
        let Some(welcome) = &self.config.welcome else { return vec![item] };
        let message = InboundMessage::new(format!("welcome:{}", self.token()), Content::text(welcome.clone()));
        let echo = Item::Echo { message, correlation: None };
        vec![item, self.item(":welcome", Some(person), Vec::new(), echo)]
    }

    /// Comes once for each device, and for messages of the customer's own, whose tokens nobody here knows (4.3).
    fn receipt(&self, person: Person, state: ReceiptState) -> Vec<Inbound> {
        let Some(token) = &self.envelope.message_token else { return vec![self.unknown()] };
        let of = ReceiptFor::Message { provider_id: token.0.clone(), correlation: None };
        vec![self.item("", Some(person), Vec::new(), Item::Receipt { of, state })]
    }

    /// Comes once, however many messages were read: all before are seen as well (4.3).
    fn seen(&self, person: Person) -> Vec<Inbound> {
        let mut items = self.receipt(person.clone(), ReceiptState::Read);
        let before = Item::Receipt { of: ReceiptFor::UpTo(self.at), state: ReceiptState::Read };
        items.push(self.item(":before", Some(person), Vec::new(), before));
        items
    }

    fn user(&self, read: impl FnOnce(UserEvent, Person) -> Vec<Inbound>) -> Option<Vec<Inbound>> {
        let event: UserEvent = typed(&self.event)?;
        let person = person(&event.user);
        Some(read(event, person))
    }

    fn user_id(&self, read: impl FnOnce(UserIdEvent, Person) -> Vec<Inbound>) -> Option<Vec<Inbound>> {
        let event: UserIdEvent = typed(&self.event)?;
        let person = person(&User { id: event.user_id.clone(), ..User::default() });
        Some(read(event, person))
    }

    /// Kept, and shown to nobody.
    fn unknown(&self) -> Inbound {
        let what = short(&self.envelope.event);
        self.item("", None, Vec::new(), Item::Unsupported { what, from_customer: false })
    }

    fn item(&self, part: &str, person: Option<Person>, openings: Vec<Opening>, item: Item) -> Inbound {
        let event_key = format!("{}:{}:{}{part}", short(&self.envelope.event), self.token(), self.whom());
        Inbound { account: self.config.bot_id.clone(), event_key, at: self.at, person, openings, item }
    }

    /// Deliveries are told apart by event, token and person (4.4); without a token, by the time.
    fn token(&self) -> String {
        let time = || format!("at{}", self.envelope.timestamp.unwrap_or_default());
        self.envelope.message_token.as_ref().map_or_else(time, |token| token.0.clone())
    }

    fn whom(&self) -> &str {
        let places = ["/user_id", "/user/id", "/sender/id"];
        places.iter().find_map(|place| self.event.pointer(place)?.as_str()).unwrap_or_default()
    }
}

fn registered() -> Item {
    Item::AccountNotice(AccountNotice {
        what: "webhook".to_owned(),
        text: "Viber calls this address from now on".to_owned(),
        effect: None,
    })
}

fn body(message: &Message, id: &str) -> Option<Body> {
    let text = message.text.clone().unwrap_or_default();
    match message.kind.as_str() {
        "text" => message.text.clone().map(|text| Body::Text { text, attachments: Vec::new() }),
        "picture" => file(MediaKind::Image, message, id, text),
        "video" => file(MediaKind::Video, message, id, text),
        "file" => file(MediaKind::Document, message, id, text),
        "sticker" => sticker(message),
        "url" => message.media.clone().map(|link| Body::Text { text: link, attachments: Vec::new() }),
        "contact" => {
            let card = message.contact.as_ref()?;
            let phones = Some(card.phone_number.clone()).filter(|phone| !phone.is_empty()).into_iter().collect();
            Some(Body::Contacts { contacts: vec![ContactCard { name: card.name.clone(), phones, emails: Vec::new() }] })
        }
        "location" => {
            let place = message.location.as_ref()?;
            Some(Body::Location(Location { latitude: place.lat, longitude: place.lon, name: None, address: None }))
        }
        _ => None,
    }
}

/// The address works for about an hour (6): it is fetched on receipt.
fn file(kind: MediaKind, message: &Message, id: &str, text: String) -> Option<Body> {
    let url = message.media.clone().filter(|url| !url.is_empty())?;
    let attachment = Attachment {
        kind,
        source: MediaSource::Platform { id: id.to_owned(), url: Some(url), sha256: None },
        mime: None,
        file_name: message.file_name.clone().filter(|name| !name.is_empty()),
        size: message.size.or(message.file_size),
    };
    Some(Body::Text { text, attachments: vec![attachment] })
}

/// By its number in Viber's own shop; some come with a picture of it.
fn sticker(message: &Message) -> Option<Body> {
    let id = message.sticker_id.as_ref()?;
    let attachment = Attachment {
        kind: MediaKind::Sticker,
        source: MediaSource::Platform { id: format!("sticker:{}", id.0), url: message.media.clone(), sha256: None },
        mime: None,
        file_name: None,
        size: None,
    };
    Some(Body::Text { text: String::new(), attachments: vec![attachment] })
}

fn person(user: &User) -> Person {
    Person { addresses: vec![Address::new(USER_ID, user.id.clone())], profile: profile(user) }
}

/// What Viber tells of a person; placeholders where they allow no personal content (4.1).
pub(crate) fn profile(user: &User) -> Profile {
    let filled = |value: &Option<String>| value.clone().filter(|value| !value.trim().is_empty());
    Profile {
        name: filled(&user.name),
        language: filled(&user.language),
        picture_url: filled(&user.avatar),
        ..Profile::default()
    }
}

/// Reads an object; one of another shape than known is none. Why not is no matter: serde's words would quote it.
fn typed<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// A name from outside, cut.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
