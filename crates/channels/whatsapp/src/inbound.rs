//! Webhook calls to items. Pure, and without trust in any field: all of them may be missing.
//!
//! A call holds entries (accounts), an entry holds changes, a change holds messages, statuses, errors and more. Each of
//! them is read by itself, so that one that can't be read takes no neighbour with it.

mod account;
mod charges;
mod message;
mod status;

use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;
use transom_channel::{Inbound, Item, Opening, ParseError, Person, RawInbound};
use transom_domain::{Address, Profile};
use transom_meta::envelope::{self, Entry};

use crate::capabilities::{BSUID, PHONE};
use crate::config::Number;

pub(crate) use account::Tier;
pub use charges::{Charge, charges};

/// What every call of this platform is about.
const OBJECT: &str = "whatsapp_business_account";

/// Everything that a call tells.
pub(crate) fn parse(raw: &RawInbound, number: Option<&Number>) -> Result<Vec<Inbound>, ParseError> {
    let entries = envelope::read(&raw.body, OBJECT)?;
    let mut items = Vec::new();
    for entry in &entries {
        for change in entry.list("changes") {
            let scene = Scene::of(entry, change, number, raw.received_at);
            let before = items.len();
            scene.read(&mut items);
            if items.len() == before {
                // A known field with nothing in it that we know.
                items.push(scene.unsupported(scene.field));
            }
        }
    }
    Ok(items)
}

/// One change, and what its parts have in common.
struct Scene<'c> {
    entry: &'c Entry,
    field: &'c str,
    value: &'c Value,
    /// The number that it happened on.
    account: String,
    contacts: Vec<Contact>,
    received_at: OffsetDateTime,
}

impl<'c> Scene<'c> {
    fn of(entry: &'c Entry, change: &'c Value, number: Option<&Number>, received_at: OffsetDateTime) -> Self {
        let value = change.get("value").unwrap_or(&Value::Null);
        let named = value.get("metadata").and_then(|metadata| metadata.get("phone_number_id")).and_then(envelope::text);
        let account = named.filter(|id| !id.is_empty()).unwrap_or_else(|| account_of(entry, number));
        let contacts = list(value, "contacts").iter().filter_map(Contact::read).collect();
        Self {
            entry,
            field: text(change, "field").unwrap_or("a change without a field"),
            value,
            account,
            contacts,
            received_at,
        }
    }

    fn read(&self, items: &mut Vec<Inbound>) {
        match self.field {
            "messages" => {
                items.extend(self.list("messages").iter().map(|message| self.message(message)));
                items.extend(self.list("statuses").iter().map(|status| self.status(status)));
                items.extend(self.list("errors").iter().map(|error| self.account_error(error)));
            }
            "smb_message_echoes" => items.extend(self.list("message_echoes").iter().map(|echo| self.echo(echo))),
            "calls" => items.extend(self.list("calls").iter().map(|call| self.call(call))),
            "user_preferences" => {
                items.extend(self.list("user_preferences").iter().map(|preference| self.preference(preference)));
            }
            _ => items.extend(self.notice()),
        }
    }

    fn list(&self, name: &str) -> &'c [Value] {
        list(self.value, name)
    }

    /// Something that happened now, as far as the call says, to nobody in particular.
    fn item(&self, item: Item) -> Inbound {
        Inbound {
            account: self.account.clone(),
            event_key: envelope::key(self.field, self.entry, self.value),
            at: self.entry.at.unwrap_or(self.received_at),
            person: None,
            openings: Vec::new(),
            item,
        }
    }

    fn unsupported(&self, what: &str) -> Inbound {
        self.item(Item::Unsupported { what: short(what), from_customer: false })
    }

    /// One element of a list that can't be read, or is of no known sort.
    fn unread(&self, what: &str, element: &Value, from_customer: bool) -> Inbound {
        Inbound {
            event_key: envelope::key(what, self.entry, element),
            at: self.time_of(element),
            ..self.item(Item::Unsupported { what: short(what), from_customer })
        }
    }

    /// When an element happened: its own time, else the entry's, else when it reached us.
    fn time_of(&self, element: &Value) -> OffsetDateTime {
        let own = element.get("timestamp").and_then(envelope::instant);
        own.or(self.entry.at).unwrap_or(self.received_at)
    }

    /// Who is meant by these ids, with what the call's contacts tell about them.
    fn person(&self, user_id: Option<&str>, wa_id: Option<&str>) -> Option<Person> {
        let is_them = |contact: &&Contact| match (user_id, contact.user_id.as_deref(), wa_id, contact.wa_id.as_deref())
        {
            (Some(one), Some(other), ..) | (_, _, Some(one), Some(other)) => one == other,
            // Nothing to compare by: a single contact is the one that is meant.
            _ => self.contacts.len() == 1,
        };
        let contact = self.contacts.iter().find(is_them);
        let user_id = user_id.or_else(|| contact?.user_id.as_deref());
        let wa_id = wa_id.or_else(|| contact?.wa_id.as_deref());
        let addresses = addresses(user_id, wa_id);
        if addresses.is_empty() {
            return None;
        }
        let phone = addresses.iter().find(|address| address.kind == PHONE).map(|address| address.value.clone());
        let profile = contact.and_then(|contact| contact.profile.clone()).unwrap_or_default();
        Some(Person {
            addresses,
            profile: Profile { name: profile.name, username: profile.username, phone, ..Profile::default() },
        })
    }

    /// Calls open the window like messages do, when it is the customer who calls (whatsapp.md 1.1).
    fn call(&self, call: &Value) -> Inbound {
        let ids = Ids::of(call, "from", "from_user_id");
        let person = self.person(ids.user_id.as_deref(), ids.wa_id.as_deref());
        let (id, event) = (text(call, "id"), text(call, "event").unwrap_or("call"));
        let by_customer =
            text(call, "direction").is_none_or(|direction| direction.eq_ignore_ascii_case("USER_INITIATED"));
        match (id, person) {
            (Some(id), Some(person)) if event == "connect" && by_customer => Inbound {
                event_key: format!("{id}:{event}"),
                at: self.time_of(call),
                person: Some(person),
                openings: vec![Opening::of("call")],
                ..self.item(Item::Opening { what: "call".to_owned() })
            },
            _ => self.unread(&format!("call {event}"), call, false),
        }
    }
}

/// The number that a change without a number belongs to: ours, if the change is about its account. Another account is
/// named by itself, so that nothing gets to the wrong number.
fn account_of(entry: &Entry, number: Option<&Number>) -> String {
    match number {
        Some(number) if entry.id == number.waba_id || entry.id.is_empty() => number.phone_number_id.clone(),
        _ => entry.id.clone(),
    }
}

/// A customer's names on this platform, best first.
///
/// The business-scoped id comes first, because the phone may be hidden, and changes hands.
pub(crate) fn addresses(user_id: Option<&str>, wa_id: Option<&str>) -> Vec<Address> {
    let user_id = user_id.filter(|id| !id.trim().is_empty()).map(|id| Address::new(BSUID, id));
    let phone = wa_id.and_then(crate::outbound::with_plus).map(|phone| Address::new(PHONE, phone));
    user_id.into_iter().chain(phone).collect()
}

/// Entry of `contacts`.
#[derive(Debug, Clone, Default)]
struct Contact {
    wa_id: Option<String>,
    user_id: Option<String>,
    profile: Option<Shown>,
}

#[derive(Debug, Clone, Default)]
struct Shown {
    name: Option<String>,
    username: Option<String>,
}

impl Contact {
    fn read(value: &Value) -> Option<Self> {
        let profile = value.get("profile").map(|profile| Shown {
            name: text(profile, "name").map(str::to_owned),
            username: text(profile, "username").map(|name| name.trim_start_matches('@').to_owned()),
        });
        let ids = Ids::of(value, "wa_id", "user_id");
        value.is_object().then_some(Self { wa_id: ids.wa_id, user_id: ids.user_id, profile })
    }
}

/// Phone and business-scoped id of somebody; empty texts are none.
struct Ids {
    wa_id: Option<String>,
    user_id: Option<String>,
}

impl Ids {
    fn of(value: &Value, wa_id: &str, user_id: &str) -> Self {
        let id = |name: &str| value.get(name).and_then(envelope::text).filter(|id| !id.trim().is_empty());
        Self { wa_id: id(wa_id), user_id: id(user_id) }
    }
}

/// A text field that is there and not empty.
fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A list field; empty if it is anything else.
fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// An object field as a type of ours, if it fits.
fn field<T: DeserializeOwned>(value: &Value, name: &str) -> Option<T> {
    value.get(name).and_then(|field| T::deserialize(field).ok())
}

/// The platform's words for something we don't know, in bounds.
fn short(what: &str) -> String {
    what.chars().take(100).collect()
}

#[cfg(test)]
mod tests;
