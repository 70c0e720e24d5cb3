//! Webhook calls to items (messenger.md 4). Pure, and without trust in any field: all of them may be missing.
//!
//! A call holds entries (Pages), an entry holds events under `messaging` or `standby`, or `changes`. Each of them is read by
//! itself, so that one that can't be read takes no neighbour with it.

mod feed;

use serde_json::Value;
use transom_channel::{
    AccountEffect, AccountNotice, Inbound, Item, Opening, ParseError, RawInbound, ReceiptFor, ReceiptState,
};
use transom_meta::envelope::{self, Entry};
use transom_meta::messaging::{Happening, word};

use crate::capabilities::PSID;

/// What every call of this platform is about.
const OBJECT: &str = "page";
/// The lists of an entry that hold events of conversations. Under `standby` another app has the thread.
const LISTS: [&str; 2] = ["messaging", "standby"];

/// Everything that a call tells.
pub(crate) fn parse(raw: &RawInbound, page: &str) -> Result<Vec<Inbound>, ParseError> {
    let entries = envelope::read(&raw.body, OBJECT)?;
    let mut items = Vec::new();
    for entry in &entries {
        let scene = |event| Happening { entry, event, address: PSID, account: page, received_at: raw.received_at };
        let before = items.len();
        for list in LISTS {
            items.extend(entry.list(list).iter().flat_map(|event| happened(scene(event))));
        }
        items.extend(entry.list("changes").iter().map(|change| changed(scene(change))));
        if items.len() == before {
            let all = Value::Object(entry.fields.clone());
            items.push(scene(&all).unread(unknown_list(entry), false));
        }
    }
    Ok(items)
}

/// The platform's word for an entry in which nothing is known.
fn unknown_list(entry: &Entry) -> &str {
    let known = |name: &&String| !matches!(name.as_str(), "id" | "time");
    entry.fields.keys().find(known).map_or("an entry without events", String::as_str)
}

/// An element of `messaging` or `standby`.
fn happened(scene: Happening<'_>) -> Vec<Inbound> {
    if let Some(item) = scene.read() {
        return vec![item];
    }
    let part = |name: &str| scene.event.get(name).filter(|part| part.is_object());
    if let Some(delivery) = part("delivery") {
        return delivered(scene, delivery);
    }
    vec![match (part("read"), part("optin"), part("policy_enforcement")) {
        (Some(read), ..) => seen(scene, read),
        (_, Some(optin), _) => opted_in(scene, optin),
        (.., Some(policy)) => enforced(scene, policy),
        // Thread control, account linking, and what does not exist yet.
        _ => scene.unread(kind_of(scene.event), false),
    }]
}

/// What an event is about, by the field that is not about where and when.
fn kind_of(event: &Value) -> &str {
    let frame = |name: &&String| !matches!(name.as_str(), "sender" | "recipient" | "timestamp");
    let fields = event.as_object();
    fields.and_then(|fields| fields.keys().find(frame)).map_or("an event without content", String::as_str)
}

/// Delivered: each message that is named, and everything up to the watermark. The time may be missing (4.5).
fn delivered(scene: Happening<'_>, delivery: &Value) -> Vec<Inbound> {
    let Some(person) = scene.person("sender") else { return vec![scene.unread("a delivery to nobody", false)] };
    let watermark = delivery.get("watermark").and_then(envelope::instant);
    let at = scene.event.get("timestamp").and_then(envelope::instant).or(watermark).unwrap_or_else(|| scene.at());
    let mids = delivery.get("mids").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let receipt = |key: String, of: ReceiptFor| Inbound {
        event_key: key,
        at,
        person: Some(person.clone()),
        ..scene.item("delivery", Item::Receipt { of, state: ReceiptState::Delivered })
    };
    let mut items: Vec<Inbound> = mids
        .filter(|mid| !mid.is_empty())
        .map(|mid| {
            let of = ReceiptFor::Message { provider_id: mid.to_owned(), correlation: None };
            receipt(format!("{mid}:delivered"), of)
        })
        .collect();
    let who = scene.id_of("sender").unwrap_or_default();
    items.extend(watermark.map(|watermark| {
        let millis = watermark.unix_timestamp_nanos() / 1_000_000;
        receipt(format!("delivered:{who}:{millis}"), ReceiptFor::UpTo(watermark))
    }));
    if items.is_empty() {
        items.push(scene.unread("a delivery of nothing", false));
    }
    items
}

/// Seen: everything up to the watermark.
fn seen(scene: Happening<'_>, read: &Value) -> Inbound {
    let watermark = read.get("watermark").and_then(envelope::instant);
    let (Some(person), Some(watermark)) = (scene.person("sender"), watermark) else {
        return scene.unread("a read receipt without a person or a watermark", false);
    };
    let who = scene.id_of("sender").unwrap_or_default();
    let millis = watermark.unix_timestamp_nanos() / 1_000_000;
    let item = Item::Receipt { of: ReceiptFor::UpTo(watermark), state: ReceiptState::Read };
    Inbound { event_key: format!("read:{who}:{millis}"), person: Some(person), ..scene.item("read", item) }
}

/// The Send-to-Messenger plugin opens; the Checkbox plugin names nobody yet, and what is for marketing opens nothing (1.1).
fn opted_in(scene: Happening<'_>, optin: &Value) -> Inbound {
    match (scene.person("sender"), word(optin, "type")) {
        (Some(person), None) => Inbound {
            person: Some(person),
            openings: vec![Opening::of("optin")],
            ..scene.item("optin", Item::Opening { what: "opt-in by the Send-to-Messenger plugin".to_owned() })
        },
        (_, Some(kind)) => scene.unread(&format!("opt-in {kind}"), false),
        (None, None) => scene.unread("opt-in by the Checkbox plugin", false),
    }
}

/// The Page is stopped, or no longer.
fn enforced(scene: Happening<'_>, policy: &Value) -> Inbound {
    let effect = match word(policy, "action") {
        Some("block") => AccountEffect::Suspended,
        Some("unblock") => AccountEffect::Restored,
        _ => return scene.unread("policy_enforcement of another sort", false),
    };
    let what = format!("policy_enforcement: {}", word(policy, "action").unwrap_or_default());
    let text = word(policy, "reason").unwrap_or_default().chars().take(500).collect();
    let notice = AccountNotice { what, text, effect: Some(effect) };
    scene.item("policy_enforcement", Item::AccountNotice(notice))
}

/// An element of `changes`.
fn changed(scene: Happening<'_>) -> Inbound {
    let field = word(scene.event, "field").unwrap_or("a change without a field");
    let value = scene.event.get("value").unwrap_or(&Value::Null);
    if field == "feed" {
        return feed::read(scene, value);
    }
    match transom_meta::template::notice(field, value) {
        Some(notice) => scene.item(field, Item::TemplateNotice(notice)),
        None => scene.unread(field, false),
    }
}

#[cfg(test)]
mod tests;
