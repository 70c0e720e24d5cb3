//! What all of WhatsApp's webhooks have in common: the envelope, the number, the person.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::number::WhatsAppSettings;
use crate::http::ascii_json;
use crate::names::mix;
use crate::people::Customer;
use crate::world::World;

/// The id by which this portfolio knows the customer (BSUID): another portfolio knows another, and so does a new number.
pub(super) fn scoped_id(settings: &WhatsAppSettings, customer: &Customer) -> String {
    let seed = settings
        .portfolio
        .bytes()
        .chain(customer.id.bytes())
        .fold(u64::from(customer.generation), |seed, byte| mix(seed ^ u64::from(byte)));
    format!("{}.{:016}", country(customer), seed % 10_000_000_000_000_000)
}

/// The two letters at the front of a BSUID.
fn country(customer: &Customer) -> &'static str {
    const CODES: [(&str, &str); 22] = [
        ("1", "US"),
        ("7", "KZ"),
        ("20", "EG"),
        ("27", "ZA"),
        ("31", "NL"),
        ("33", "FR"),
        ("34", "ES"),
        ("39", "IT"),
        ("41", "CH"),
        ("43", "AT"),
        ("44", "GB"),
        ("48", "PL"),
        ("49", "DE"),
        ("52", "MX"),
        ("54", "AR"),
        ("55", "BR"),
        ("62", "ID"),
        ("81", "JP"),
        ("90", "TR"),
        ("91", "IN"),
        ("234", "NG"),
        ("380", "UA"),
    ];
    let number = customer.phone_digits().unwrap_or_default();
    CODES.iter().rev().find(|(code, _)| number.starts_with(code)).map_or("US", |(_, country)| country)
}

/// The id and phone by which webhooks name the customer; the phone is left out of those who hide it.
pub(super) fn contact(settings: &WhatsAppSettings, customer: &Customer) -> Value {
    let mut contact = Map::new();
    let mut profile = Map::from_iter([("name".to_owned(), json!(customer.name))]);
    if let Some(username) = customer.username.as_ref().filter(|_| customer.hides_phone) {
        profile.insert("username".to_owned(), json!(username));
    }
    contact.insert("profile".to_owned(), Value::Object(profile));
    if !customer.hides_phone {
        contact.insert("wa_id".to_owned(), json!(customer.address("whatsapp")));
    }
    contact.insert("user_id".to_owned(), json!(scoped_id(settings, customer)));
    Value::Object(contact)
}

/// When the last account-level notice of each business account was stamped.
#[derive(Debug, Default)]
struct Notices(BTreeMap<String, i64>);

/// The second of an account-level notice, by which a receiver tells two alike apart: each has its own, also under a clock
/// that stands.
fn notice_time(world: &mut World, waba: &str) -> i64 {
    let now = world.now().unix_timestamp();
    let last = world.shelves.of::<Notices>().0.entry(waba.to_owned()).or_insert(i64::MIN);
    *last = now.max(last.saturating_add(1));
    *last
}

/// Puts one change into the account's queue, in Meta's envelope. What concerns the account and no message carries a time.
pub(super) fn report(world: &mut World, account: &str, waba: &str, field: &str, value: &Value) -> Option<u64> {
    let change = json!({"value": value, "field": field});
    let mut entry = json!({"id": waba, "changes": [change]});
    if let (Value::Object(entry), true) = (&mut entry, field != "messages") {
        entry.insert("time".to_owned(), json!(notice_time(world, waba)));
    }
    let body = json!({"object": "whatsapp_business_account", "entry": [entry]});
    let event = match field {
        "messages" if value.get("statuses").is_some() => "statuses",
        field => field,
    };
    world.report(account, event, ascii_json(&body))
}

/// The part of `value` that names our number.
pub(super) fn metadata(settings: &WhatsAppSettings) -> Value {
    json!({"display_phone_number": settings.display_phone_number, "phone_number_id": settings.phone_number_id})
}
