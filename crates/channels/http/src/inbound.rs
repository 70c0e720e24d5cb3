//! From calls to what happened (docs/channels/http.md, "Calls").

use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;
use transom_channel::{
    AccountEffect, AccountNotice, Inbound, InboundMessage, Item, Opening, ParseError, Person, RawInbound, ReceiptFor,
    ReceiptState, SendError, Standing, TemplateNotice, json,
};
use transom_domain::{Address, Attachment, Body, Content, MediaSource, Profile, TemplateStatus};

use crate::capabilities::{EMAIL, PHONE, USER_ID};
use crate::error;
use crate::wire::{
    self, AccountState, Envelope, MessageEvent, MessageId, NoticeEvent, StandingEvent, StandingOf, Status, StatusEvent,
    TemplateEvent,
};

/// The longest id of an event that is kept.
const MAX_ID: usize = 128;

/// Reads one call.
pub(crate) fn parse(account: &str, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
    let event: Value = json::read(&raw.body)?;
    let envelope: Envelope = typed(&event).ok_or_else(|| {
        ParseError::new("not an event: an object with texts as `type` and `id`, and RFC 3339 as `timestamp`")
    })?;
    if envelope.id.trim().is_empty() || envelope.id.len() > MAX_ID {
        return Err(ParseError::new("not an event: its `id` is empty or longer than 128 bytes"));
    }
    let person = envelope.person.as_ref().and_then(typed::<wire::Person>).and_then(person);
    let at = envelope.timestamp.unwrap_or(raw.received_at);
    Ok(vec![Reader { account, at, person, envelope, event }.read()])
}

/// An event with what all of them have.
struct Reader<'r> {
    account: &'r str,
    at: OffsetDateTime,
    person: Option<Person>,
    envelope: Envelope,
    event: Value,
}

impl Reader<'_> {
    fn read(self) -> Inbound {
        let (item, opens) = match self.envelope.kind.as_str() {
            "message.received" => (self.message(), Some("message")),
            "message.echoed" => (self.echo(), None),
            "message.edited" => (self.edit(), None),
            "message.deleted" => (self.about().map(|of| Item::Unsend { of }), None),
            "message.reaction" => (self.reaction(), None),
            "message.status" => (self.receipt(), None),
            "person.opening" => (self.opening(), None),
            "person.standing" => (self.standing(), None),
            "account.notice" => (self.notice(), None),
            "template.updated" => (self.template(), None),
            _ => (None, None),
        };
        let about_account = matches!(item, Some(Item::AccountNotice(_) | Item::TemplateNotice(_)));
        let from_customer = self.envelope.kind == "message.received";
        // Without a person there is nobody whom it could be about.
        let item = item.filter(|_| about_account || self.person.is_some());
        let item = item.unwrap_or_else(|| Item::Unsupported { what: short(&self.envelope.kind), from_customer });
        let right = match (&self.envelope.opening, opens) {
            _ if about_account || self.person.is_none() => None,
            (Some(stated), _) => {
                Some(Opening { kind: short(&stated.kind), reference: stated.reference.as_deref().map(short) })
            }
            (None, usual) => usual.map(Opening::of),
        };
        Inbound {
            account: self.envelope.account.clone().unwrap_or_else(|| self.account.to_owned()),
            event_key: self.envelope.id,
            at: self.at,
            person: self.person.filter(|_| !about_account),
            openings: right.into_iter().collect(),
            item,
        }
    }

    fn message(&self) -> Option<Item> {
        Some(Item::Message(self.said()?.0))
    }

    fn echo(&self) -> Option<Item> {
        let (message, correlation) = self.said()?;
        Some(Item::Echo { message, correlation })
    }

    fn edit(&self) -> Option<Item> {
        let (message, _) = self.said()?;
        Some(Item::Edit { of: message.provider_id, content: message.content })
    }

    fn said(&self) -> Option<(InboundMessage, Option<String>)> {
        let MessageEvent { message } = typed(&self.event)?;
        let body = body(message.content, &message.id)?;
        let said = InboundMessage {
            payload: message.payload,
            ..InboundMessage::new(message.id, Content { body, reply_to: message.reply_to })
        };
        Some((said, message.correlation))
    }

    fn about(&self) -> Option<String> {
        typed::<MessageId>(&self.event).map(|event| event.message.id)
    }

    fn reaction(&self) -> Option<Item> {
        let emoji = self.event.get("emoji").and_then(Value::as_str).map(str::to_owned);
        Some(Item::Reaction { to: self.about()?, emoji })
    }

    fn receipt(&self) -> Option<Item> {
        let event: StatusEvent = typed(&self.event)?;
        let state = match event.status {
            Status::Sent => ReceiptState::Sent,
            Status::Delivered => ReceiptState::Delivered,
            Status::Read => ReceiptState::Read,
            Status::Failed => ReceiptState::Failed(failure(event.error.as_ref())),
        };
        let of = match (event.message.id, event.message.correlation) {
            (None, None) => return None,
            (id, correlation) => ReceiptFor::Message { provider_id: id.unwrap_or_default(), correlation },
        };
        Some(Item::Receipt { of, state })
    }

    fn opening(&self) -> Option<Item> {
        let stated = self.envelope.opening.as_ref()?;
        let what = self.event.get("what").and_then(Value::as_str).unwrap_or(&stated.kind);
        Some(Item::Opening { what: short(what) })
    }

    fn standing(&self) -> Option<Item> {
        let event: StandingEvent = typed(&self.event)?;
        let scope = error::scope(event.scope.as_deref());
        Some(Item::Standing(match event.standing {
            StandingOf::Blocked => Standing::Blocked,
            StandingOf::Unblocked => Standing::Unblocked,
            StandingOf::Subscribed => Standing::Subscribed,
            StandingOf::Unsubscribed => Standing::Unsubscribed,
            StandingOf::OptedOut => Standing::OptedOut(scope),
            StandingOf::OptedIn => Standing::OptedIn(scope),
            StandingOf::Unreachable => {
                Standing::Unreachable { reason: short(event.reason.as_deref().unwrap_or("unreachable")) }
            }
        }))
    }

    fn notice(&self) -> Option<Item> {
        let event: NoticeEvent = typed(&self.event)?;
        let effect = match (event.state, event.quota) {
            (Some(AccountState::Suspended), _) => Some(AccountEffect::Suspended),
            (Some(AccountState::Restored), _) => Some(AccountEffect::Restored),
            (None, Some(quota)) => Some(AccountEffect::Limit { quota, limit: event.limit }),
            (None, None) => None,
        };
        let text = event.text.chars().take(500).collect();
        Some(Item::AccountNotice(AccountNotice { what: "account.notice".to_owned(), text, effect }))
    }

    fn template(&self) -> Option<Item> {
        let event: TemplateEvent = typed(&self.event)?;
        Some(Item::TemplateNotice(TemplateNotice {
            provider_id: None,
            name: event.name,
            language: event.language,
            status: TemplateStatus::parse(&event.status),
            provider_status: short(&event.status),
            category: None,
            reason: event.reason.as_deref().map(short),
        }))
    }
}

/// A failure after acceptance. It is final, also where the code says that the answer was not: that was asked of a send.
fn failure(why: Option<&wire::Error>) -> SendError {
    let unnamed = wire::Error { code: "content_refused".to_owned(), ..wire::Error::default() };
    match error::refusal(None, why.unwrap_or(&unnamed)) {
        SendError::OutcomeUnknown { .. } => error::refusal(None, &unnamed),
        named => named,
    }
}

fn body(content: wire::Content, id: &str) -> Option<Body> {
    Some(match content {
        wire::Content::Text { text } => Body::Text { text, attachments: Vec::new() },
        wire::Content::Media(media) => {
            let file = Attachment {
                kind: media.kind,
                source: MediaSource::Platform { id: id.to_owned(), url: Some(media.url), sha256: None },
                mime: media.mime,
                file_name: media.file_name,
                size: media.size,
            };
            Body::Text { text: media.caption.unwrap_or_default(), attachments: vec![file] }
        }
        wire::Content::Choices(choices) => Body::Choices(choices),
        wire::Content::Location(place) => Body::Location(place),
        wire::Content::Contacts { contacts } => Body::Contacts { contacts },
        wire::Content::Template(_) | wire::Content::Reaction(_) => return None,
    })
}

fn person(known: wire::Person) -> Option<Person> {
    let filled = |value: Option<String>| value.filter(|value| !value.trim().is_empty());
    let (user_id, phone, email) = (filled(known.user_id), filled(known.phone), filled(known.email));
    let kinds = [(USER_ID, user_id), (PHONE, phone.clone()), (EMAIL, email.clone())];
    let addresses: Vec<Address> =
        kinds.into_iter().filter_map(|(kind, value)| value.map(|value| Address::new(kind, value))).collect();
    let (name, language) = (filled(known.name), filled(known.language));
    let profile = Profile { name, phone, email, language, ..Profile::default() };
    (!addresses.is_empty()).then_some(Person { addresses, profile })
}

/// Reads an object; one of another shape than known is none. Why not is no matter: serde's words would quote it.
fn typed<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// A name from outside, cut.
fn short(name: &str) -> String {
    name.chars().take(128).collect()
}

#[cfg(test)]
mod tests;
