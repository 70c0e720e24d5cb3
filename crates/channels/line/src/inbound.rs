//! From webhook calls to what happened.
//!
//! Only one-to-one chats are read: what happens in groups and rooms is kept as unsupported.

mod content;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};
use transom_channel::{
    AccountEffect, AccountNotice, Inbound, InboundMessage, Item, Opening, ParseError, Person, RawInbound, Standing,
    json,
};
use transom_domain::{Address, Content};

use self::content::read_body;
use crate::capabilities::USER_ID;
use crate::error::MONTHLY_MESSAGES;
use crate::month::{MONTHLY_LIMIT, MONTHLY_USAGE, Month};
use crate::wire::{Event, InMessage, Postback};

/// A reply token comes to life again with a redelivery, until this long after the event (line.md 1.1).
const TOKEN_REVIVES_FOR: Duration = Duration::minutes(20);

/// Reads one call: the events of one account, perhaps of several people.
pub(crate) fn parse(bot_user_id: Option<&str>, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
    let Value::Object(call) = json::read(&raw.body)? else {
        return Err(ParseError::new("not a webhook call: an object is expected"));
    };
    let destination = call.get("destination").and_then(Value::as_str).filter(|id| !id.is_empty());
    let account = destination.or(bot_user_id).ok_or_else(|| ParseError::new("it names no `destination`"))?;
    let events = call.get("events").and_then(Value::as_array);
    let events = events.ok_or_else(|| ParseError::new("not a webhook call: it has no list of `events`"))?;
    Ok(events.iter().enumerate().flat_map(|(n, event)| Reader::of(account, raw, n, event).read(event)).collect())
}

/// What all items of an event have in common.
struct Reader<'r> {
    account: &'r str,
    key: String,
    at: OffsetDateTime,
    received_at: OffsetDateTime,
}

impl<'r> Reader<'r> {
    fn of(account: &'r str, raw: &RawInbound, number: usize, event: &Value) -> Self {
        let text = |name: &str| event.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let at = event.get("timestamp").and_then(Value::as_i64).and_then(instant);
        let key = text("webhookEventId").map_or_else(
            // No event comes without an id; one that did would still be told from its neighbours.
            || {
                format!(
                    "{}:{}:{number}",
                    short(text("type").unwrap_or("none")),
                    at.map_or(0, OffsetDateTime::unix_timestamp)
                )
            },
            short,
        );
        Self { account, key, at: at.unwrap_or(raw.received_at), received_at: raw.received_at }
    }

    fn read(&self, value: &Value) -> Vec<Inbound> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or("an event of no type");
        let Some(event) = typed::<Event>(value.clone()) else { return vec![self.unsupported(kind, false)] };
        let person = event.source.as_ref().and_then(|source| match (source.kind.as_str(), &source.user_id) {
            ("user", Some(id)) if !id.is_empty() => Some(person(id)),
            _ => None,
        });
        match (self.about_the_account(&event), person) {
            (Some(notice), _) => vec![notice],
            (None, Some(person)) => {
                self.of_a_person(event, person).unwrap_or_else(|| vec![self.unsupported(kind, false)])
            }
            (None, None) => {
                let place = event.source.map_or_else(|| "nowhere".to_owned(), |source| format!("a {}", source.kind));
                vec![self.unsupported(&format!("{kind} in {place}"), false)]
            }
        }
    }

    fn of_a_person(&self, mut event: Event, person: Person) -> Option<Vec<Inbound>> {
        // Another module of the channel has the conversation (0): its events tell, and give no right.
        let standby = event.mode.as_deref() == Some("standby");
        let token = event.reply_token.take().filter(|token| !token.is_empty() && !standby);
        let kind = event.kind.clone();
        let (item, opens) = match kind.as_str() {
            "message" => message(event.message?),
            "messageEdited" => (edit(event.message?)?, None),
            "unsend" => (Item::Unsend { of: event.unsend?.message_id }, None),
            "postback" => (self.tap(event.postback?), Some("postback")),
            "follow" => {
                let unblocked = event.follow.is_some_and(|follow| follow.is_unblocked);
                let standing = if unblocked { Standing::Unblocked } else { Standing::Subscribed };
                (Item::Standing(standing), Some("follow"))
            }
            "unfollow" => return Some(self.left(&person)),
            // Nothing to read, and yet they may be answered.
            "accountLink" | "videoPlayComplete" | "beacon" | "membership" if token.is_some() => {
                (Item::Opening { what: kind.clone() }, None)
            }
            _ => (not_known(&kind, false), None),
        };
        let redelivered = event.delivery_context.is_some_and(|context| context.is_redelivery);
        let revived = redelivered && self.received_at < self.at.saturating_add(TOKEN_REVIVES_FOR);
        let mut openings: Vec<Opening> = opens.filter(|_| !standby).map(Opening::of).into_iter().collect();
        let right = token.map(|token| Opening { kind: "reply_token".to_owned(), reference: Some(token) });
        let anew = match right {
            Some(right) if revived => Some(right),
            right => {
                openings.extend(right);
                None
            }
        };
        let mut items = vec![self.event(self.key.clone(), self.at, Some(person.clone()), openings, item)];
        // The token of a redelivered event counts from the redelivery (1.1), and the event from its own time.
        items.extend(anew.map(|right| {
            let item = Item::Opening { what: format!("{kind}, delivered again") };
            self.event(format!("{}:token", self.key), self.received_at, Some(person), vec![right], item)
        }));
        Some(items)
    }

    /// A tap has no id of a message: the event's own stands for it.
    fn tap(&self, postback: Postback) -> Item {
        let picked = postback.params.and_then(|params| params.into_values().next());
        Item::Message(InboundMessage {
            payload: Some(postback.data.clone()),
            ..InboundMessage::new(self.key.clone(), Content::text(picked.unwrap_or(postback.data)))
        })
    }

    /// Blocked, or no longer a friend: LINE tells both by the same event.
    fn left(&self, person: &Person) -> Vec<Inbound> {
        let item = |suffix: &str, standing| {
            let key = format!("{}{suffix}", self.key);
            self.event(key, self.at, Some(person.clone()), Vec::new(), Item::Standing(standing))
        };
        vec![item("", Standing::Blocked), item(":unsubscribed", Standing::Unsubscribed)]
    }

    fn about_the_account(&self, event: &Event) -> Option<Inbound> {
        let (text, effect) = match event.kind.as_str() {
            "botSuspended" => ("LINE suspended the account: nothing can be sent", Some(AccountEffect::Suspended)),
            "botResumed" => ("LINE lifted the account's suspension", Some(AccountEffect::Restored)),
            "module" => ("a module channel was attached or detached", None),
            "activated" => ("this channel has a conversation again", None),
            "deactivated" => ("another module took a conversation over", None),
            MONTHLY_LIMIT => {
                let limit = AccountEffect::Limit { quota: MONTHLY_MESSAGES.to_owned(), limit: event.limit };
                ("the account's plan has another monthly limit", Some(limit))
            }
            MONTHLY_USAGE => {
                let month = Month { limit: event.limit, used: event.used.unwrap_or_default() };
                let used = AccountEffect::Used { quota: MONTHLY_MESSAGES.to_owned(), used: month.used };
                return Some(self.notice(event, month.to_string(), Some(used)));
            }
            _ => return None,
        };
        Some(self.notice(event, text.to_owned(), effect))
    }

    fn notice(&self, event: &Event, text: String, effect: Option<AccountEffect>) -> Inbound {
        let notice = AccountNotice { what: event.kind.clone(), text, effect };
        self.event(self.key.clone(), self.at, None, Vec::new(), Item::AccountNotice(notice))
    }

    /// Kept, and shown to nobody unless it came from a customer.
    fn unsupported(&self, what: &str, from_customer: bool) -> Inbound {
        self.event(self.key.clone(), self.at, None, Vec::new(), not_known(what, from_customer))
    }

    fn event(
        &self,
        event_key: String,
        at: OffsetDateTime,
        person: Option<Person>,
        openings: Vec<Opening>,
        item: Item,
    ) -> Inbound {
        Inbound { account: self.account.to_owned(), event_key, at, person, openings, item }
    }
}

/// What the customer wrote, and that it opens; also where it is of a type that is not known yet.
fn message(message: InMessage) -> (Item, Option<&'static str>) {
    let Some(body) = read_body(&message) else {
        return (not_known(&message.kind, true), Some("message"));
    };
    let item = Item::Message(InboundMessage {
        group: message.image_set.map(|set| set.id),
        ..InboundMessage::new(message.id, Content { body, reply_to: message.quoted_message_id })
    });
    (item, Some("message"))
}

fn edit(message: InMessage) -> Option<Item> {
    let body = read_body(&message)?;
    Some(Item::Edit { of: message.id, content: Content { body, reply_to: message.quoted_message_id } })
}

fn not_known(what: &str, from_customer: bool) -> Item {
    Item::Unsupported { what: short(what), from_customer }
}

/// The instant of milliseconds since 1970.
fn instant(ms: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()
}

/// Reads an object; one of another shape than known is none. Why not is no matter: serde's words would quote it.
fn typed<T: DeserializeOwned>(value: Value) -> Option<T> {
    // A field that is null is one that is not there.
    let value = match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    };
    serde_json::from_value(value).ok()
}

/// A name from outside, cut.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

fn person(id: &str) -> Person {
    Person { addresses: vec![Address::new(USER_ID, id)], ..Person::default() }
}

#[cfg(test)]
mod tests;
