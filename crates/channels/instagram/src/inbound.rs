//! Webhook calls to items (instagram.md 4). Pure, and without trust in any field: all of them may be missing.
//!
//! A call holds entries (accounts), an entry holds events under `messaging` or `standby`, `changes`, or one change itself.
//! Each of them is read by itself, so that one that can't be read takes no neighbour with it.

mod comment;

use serde_json::Value;
use transom_channel::{Inbound, Item, Opening, ParseError, RawInbound, ReceiptFor, ReceiptState};
use transom_meta::envelope;
use transom_meta::messaging::{Happening, word};

use crate::capabilities::IGSID;

/// What every call of this platform is about.
const OBJECT: &str = "instagram";
/// The lists of an entry that hold events of conversations. Under `standby` another app has the thread.
const LISTS: [&str; 2] = ["messaging", "standby"];

/// Everything that a call tells.
pub(crate) fn parse(raw: &RawInbound, account: &str) -> Result<Vec<Inbound>, ParseError> {
    let entries = envelope::read(&raw.body, OBJECT)?;
    let mut items = Vec::new();
    for entry in &entries {
        let scene = |event| Happening { entry, event, address: IGSID, account, received_at: raw.received_at };
        let before = items.len();
        for list in LISTS {
            items.extend(entry.list(list).iter().map(|event| happened(scene(event))));
        }
        items.extend(entry.list("changes").iter().map(|change| changed(scene(change))));
        if items.len() == before {
            // Under Instagram Login the change lies in the entry itself, or nothing that we know does.
            let all = Value::Object(entry.fields.clone());
            items.push(match entry.fields.contains_key("field") {
                true => changed(scene(&all)),
                false => scene(&all).unread(unknown_list(&all), false),
            });
        }
    }
    Ok(items)
}

/// The platform's word for an entry in which nothing is known.
fn unknown_list(entry: &Value) -> &str {
    let known = |name: &&String| !matches!(name.as_str(), "id" | "time");
    let fields = entry.as_object();
    fields.and_then(|fields| fields.keys().find(known)).map_or("an entry without events", String::as_str)
}

/// An element of `messaging` or `standby`.
fn happened(scene: Happening<'_>) -> Inbound {
    if let Some(item) = scene.read() {
        return as_mention(scene, item);
    }
    match scene.event.get("read") {
        Some(read) => seen(scene, read),
        // Opt-ins, thread control, and what does not exist yet.
        None => scene.unread(kind_of(scene.event), false),
    }
}

/// What an event is about, by the field that is not about where and when.
fn kind_of(event: &Value) -> &str {
    let frame = |name: &&String| !matches!(name.as_str(), "sender" | "recipient" | "timestamp");
    let fields = event.as_object();
    fields.and_then(|fields| fields.keys().find(frame)).map_or("an event without content", String::as_str)
}

/// A mention in a story arrives as a message and is a kind of its own to the policy (instagram.md 1.1).
fn as_mention(scene: Happening<'_>, item: Inbound) -> Inbound {
    let attachments = scene.event.get("message").and_then(|message| message.get("attachments"));
    // One of them may stand for itself (instagram.md 4.5).
    let is_mention = match attachments {
        Some(Value::Array(list)) => list.iter().any(is_story_mention),
        Some(one) => is_story_mention(one),
        None => false,
    };
    if is_mention && !item.openings.is_empty() {
        return Inbound { openings: vec![Opening::of("story_mention")], ..item };
    }
    item
}

fn is_story_mention(attachment: &Value) -> bool {
    word(attachment, "type") == Some("story_mention")
}

/// Seen: the message that is named is the latest one, the earlier ones are implied. There is no watermark (instagram.md 4.5).
fn seen(scene: Happening<'_>, read: &Value) -> Inbound {
    let (Some(mid), Some(person)) = (word(read, "mid"), scene.person("sender")) else {
        return scene.unread("a seen receipt without a person or a message", false);
    };
    let of = ReceiptFor::Through { provider_id: mid.to_owned() };
    let who = scene.id_of("sender").unwrap_or_default();
    let item = Item::Receipt { of, state: ReceiptState::Read };
    Inbound { event_key: format!("{mid}:read:{who}"), person: Some(person), ..scene.item("read", item) }
}

/// A change: of comments, or, as the dashboard's test button sends it, an event under the name of its field.
fn changed(scene: Happening<'_>) -> Inbound {
    let field = word(scene.event, "field").unwrap_or("a change without a field");
    let Some(value) = scene.event.get("value").filter(|value| value.is_object()) else {
        return scene.unread(field, false);
    };
    match field {
        "comments" => comment::read(scene, value, "comment"),
        "live_comments" => comment::read(scene, value, "live_comment"),
        _ => {
            let event = Happening { event: value, ..scene };
            match event.read() {
                Some(item) => as_mention(event, item),
                None => scene.unread(field, false),
            }
        }
    }
}

#[cfg(test)]
mod tests;
