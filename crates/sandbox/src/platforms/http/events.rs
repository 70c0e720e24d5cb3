//! What customers do, and what becomes of messages, as calls.

use std::time::Duration as Pause;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::account::{self, Rules};
use crate::Problem;
use crate::acts::{Act, Acted, Action, MediaAct};
use crate::chats::{Author, ChatKey, Entry, Happened, Progress};
use crate::media::Media;
use crate::people::Customer;
use crate::platforms::{ReceiptOrder, kit};
use crate::world::World;

/// Sends an event.
fn report(world: &mut World, account: &str, kind: &str, at: OffsetDateTime, fields: Map<String, Value>) -> Option<u64> {
    let id = format!("e-{}-{}", world.names.seed(), world.names.number());
    let mut body = json!({"type": kind, "id": id, "account": account, "timestamp": at.format(&Rfc3339).ok()});
    if let Value::Object(body) = &mut body {
        body.extend(fields);
    }
    world.report(account, kind, body.to_string())
}

/// Any event, as it is given; what is missing of the usual fields is added.
pub(super) fn any(world: &mut World, account: &str, mut fields: Map<String, Value>) -> Result<Option<u64>, Problem> {
    let kind = fields.remove("type").and_then(|kind| kind.as_str().map(str::to_owned));
    let kind = kind.ok_or_else(|| Problem::invalid("event: its name is needed as `type`"))?;
    let now = world.now();
    Ok(report(world, account, &kind, now, fields))
}

/// The person, by the addresses that this account goes by.
fn person(world: &mut World, account: &str, customer: &Customer) -> Value {
    let rules = account::settings(world, account).map_or(Rules::InHouse, |settings| settings.rules);
    let mut person = json!({"name": customer.name});
    if let Value::Object(person) = &mut person {
        if rules == Rules::InHouse {
            person.insert("user_id".to_owned(), json!(customer.address("http")));
        }
        if let Some(phone) = customer.phone.as_ref().filter(|_| !customer.hides_phone) {
            person.insert("phone".to_owned(), json!(phone));
        }
        if let Some(language) = &customer.language {
            person.insert("language".to_owned(), json!(language));
        }
    }
    person
}

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    let customer = world.customer(&key.customer)?.clone();
    if customer.unreachable_on.contains("http") {
        return Err(Problem::conflict(format!("customer `{}` is not there any more", customer.id)));
    }
    let speaks = matches!(
        action.act,
        Act::Text { .. }
            | Act::Media(_)
            | Act::Location { .. }
            | Act::Contact { .. }
            | Act::Button { .. }
            | Act::Choice { .. }
            | Act::Unsupported
    );
    if speaks && world.chat_mut(key).blocked {
        return Err(Problem::conflict(format!("customer `{}` blocks this account", customer.id)));
    }
    let at = action.at.unwrap_or_else(|| world.now());
    let mut scene = Scene { world, key, customer, at, reply_to: action.reply_to.clone() };
    match &action.act {
        Act::Text { text } => Ok(scene.says(json!({"type": "text", "text": text}), text, None, None)),
        Act::Media(file) => scene.sends_file(file),
        Act::Location { latitude, longitude, name, address } => {
            let place = json!({"type": "location", "latitude": latitude, "longitude": longitude, "name": name, "address": address});
            Ok(scene.says(place, &format!("{latitude}, {longitude}"), None, None))
        }
        Act::Contact { name, phone, .. } => {
            let cards = json!({"type": "contacts", "contacts": [{"name": name, "phones": [phone]}]});
            Ok(scene.says(cards, &format!("{name}, {phone}"), None, None))
        }
        Act::Button { data, text, .. } | Act::Choice { id: data, title: text, .. } => {
            let words = text.clone().unwrap_or_else(|| data.clone());
            Ok(scene.says(json!({"type": "text", "text": words}), &words, None, Some(data)))
        }
        Act::Reaction { message_id, emoji } => {
            let fields = [("message", json!({"id": message_id})), ("emoji", json!(emoji))];
            Ok(scene.tells("message.reaction", &fields))
        }
        Act::Edit { message_id, text } => {
            let message = json!({"id": message_id, "content": {"type": "text", "text": text}});
            Ok(scene.tells("message.edited", &[("message", message)]))
        }
        Act::Delete { message_id } => Ok(scene.tells("message.deleted", &[("message", json!({"id": message_id}))])),
        Act::Read => {
            let unread = scene.world.chat_mut(key).unread();
            let read = unread.iter().filter_map(|id| moves(scene.world, key, id, Progress::Read, None)).collect();
            Ok(Acted { message_id: None, deliveries: read, at })
        }
        Act::Block => Ok(scene.turns("blocked", |chat| chat.blocked = true)),
        Act::Unblock => Ok(scene.turns("unblocked", |chat| chat.blocked = false)),
        Act::OptOut => Ok(scene.turns("opted_out", |chat| chat.opted_out = true)),
        Act::OptIn => Ok(scene.turns("opted_in", |chat| chat.opted_out = false)),
        Act::Deactivate => {
            if let Some(customer) = scene.world.customers.get_mut(&key.customer) {
                customer.unreachable_on.insert("http".to_owned());
            }
            Ok(scene.turns("unreachable", |_| ()))
        }
        Act::Echo { text } => {
            let id = format!("m-{}", scene.world.names.number());
            let message = json!({"id": id, "content": {"type": "text", "text": text}});
            let entry = Entry::new(&id, Author::Elsewhere, at, "text", text);
            scene.world.chat_mut(key).entries.push(entry);
            Ok(scene.tells("message.echoed", &[("message", message)]))
        }
        Act::Unsupported => Ok(scene.says(json!({"type": "hologram"}), "(hologram)", None, None)),
        Act::Other { kind, data } => {
            let fields: Vec<(&str, Value)> = match data {
                Value::Object(fields) => fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect(),
                _ => Vec::new(),
            };
            Ok(scene.tells(kind, &fields))
        }
        Act::Call | Act::Ad { .. } | Act::Start { .. } | Act::NumberChange { .. } => {
            Err(Problem::invalid("this channel tells nothing of this kind"))
        }
    }
}

/// One act of one customer, on its way into the world.
struct Scene<'a> {
    world: &'a mut World,
    key: &'a ChatKey,
    customer: Customer,
    at: OffsetDateTime,
    reply_to: Option<String>,
}

impl Scene<'_> {
    fn tells(&mut self, kind: &str, fields: &[(&str, Value)]) -> Acted {
        let person = person(self.world, &self.key.account, &self.customer);
        let mut all = Map::from_iter([("person".to_owned(), person)]);
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let delivery = report(self.world, &self.key.account, kind, self.at, all);
        Acted { message_id: None, deliveries: delivery.into_iter().collect(), at: self.at }
    }

    fn turns(&mut self, standing: &str, turn: impl FnOnce(&mut crate::chats::Chat)) -> Acted {
        turn(self.world.chat_mut(self.key));
        self.tells("person.standing", &[("standing", json!(standing)), ("scope", json!("all"))])
    }

    fn says(&mut self, content: Value, shown: &str, media: Option<String>, payload: Option<&str>) -> Acted {
        let id = format!("m-{}", self.world.names.number());
        let kind = content.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let rules = account::settings(self.world, &self.key.account).map_or(Rules::InHouse, |settings| settings.rules);
        // Viber Business knows messages only.
        let tapped = payload.is_some() && rules == Rules::InHouse;
        let opening = if tapped { "postback" } else { "message" };
        let happened = Happened { at: self.at, kind: opening.to_owned() };
        let mut entry = Entry::new(&id, Author::Customer, self.at, &kind, shown);
        (entry.media, entry.reply_to) = (media, self.reply_to.clone());
        let chat = self.world.chat_mut(self.key);
        chat.history.push(happened);
        chat.entries.push(entry);
        let mut message = json!({"id": id, "content": content});
        if let Value::Object(message) = &mut message {
            message.extend(payload.map(|payload| ("payload".to_owned(), json!(payload))));
            message.extend(self.reply_to.clone().map(|quoted| ("reply_to".to_owned(), json!(quoted))));
        }
        let mut fields = vec![("message", message)];
        if tapped {
            fields.push(("opening", json!({"kind": "postback"})));
        }
        Acted { message_id: Some(id), ..self.tells("message.received", &fields) }
    }

    fn sends_file(&mut self, file: &MediaAct) -> Result<Acted, Problem> {
        let (mime, bytes) = file.content()?;
        let (id, size) = (self.world.names.digits('8', 16), bytes.len());
        let kind = if file.media == "video_note" { "video" } else { file.media.as_str() };
        let name = file.file_name.clone().unwrap_or_else(|| "file".to_owned());
        let url = format!("{}/http/media/{id}/file", self.world.base_url);
        let content = json!({"type": "media", "kind": kind, "url": url, "mime": mime, "file_name": name, "size": size,
            "caption": file.caption});
        self.world.files.keep(Media {
            id: id.clone(),
            account: self.key.account.clone(),
            mime,
            file_name: file.file_name.clone(),
            bytes,
            at: self.at,
        });
        Ok(self.says(content, file.caption.as_deref().unwrap_or_default(), Some(id), None))
    }
}

/// Sent, delivered and, if so configured, read, each in its time.
pub(super) fn schedule_receipts(world: &mut World, key: &ChatKey, message: &str) {
    let steps = [Progress::Sent, Progress::Delivered, Progress::Read];
    kit::in_time(world, key, message, &steps, |world, key, message, progress| {
        moves(world, key, message, progress, None);
    });
}

/// A message is given up after it was taken; the words are the protocol's code.
pub(super) fn fails(world: &mut World, key: &ChatKey, message: &str, code: i64, words: &str) {
    let (key, message, words) = (key.clone(), message.to_owned(), words.to_owned());
    world.later(Pause::ZERO, move |world| {
        moves(world, &key, &message, Progress::Failed, Some((code, &words)));
    });
}

fn moves(world: &mut World, key: &ChatKey, message: &str, to: Progress, failure: Option<(i64, &str)>) -> Option<u64> {
    if !world.progress(key, message, to, failure.map(|(code, _)| code)) {
        return None;
    }
    let at = world.now();
    tells(world, key, message, to, failure.map(|(_, words)| words), at)
}

fn tells(
    world: &mut World,
    key: &ChatKey,
    message: &str,
    progress: Progress,
    why: Option<&str>,
    at: OffsetDateTime,
) -> Option<u64> {
    let status = match progress {
        Progress::Sent => "sent",
        Progress::Delivered => "delivered",
        Progress::Read => "read",
        Progress::Failed => "failed",
        Progress::Accepted | Progress::Played => return None,
    };
    let ours = world.ledger.by_provider_id(&key.account, message)?.body.get("id").cloned();
    let customer = world.customers.get(&key.customer)?.clone();
    let person = person(world, &key.account, &customer);
    let mut fields = Map::from_iter([
        ("person".to_owned(), person),
        ("message".to_owned(), json!({"id": message, "correlation": ours})),
        ("status".to_owned(), json!(status)),
    ]);
    if progress == Progress::Failed {
        fields.insert("error".to_owned(), json!({"code": why.unwrap_or("content_refused"), "message": "given up"}));
    }
    report(world, &key.account, "message.status", at, fields)
}

/// A receipt by hand. It may come twice, or late: receivers must cope.
pub(super) fn receipt(world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
    let key = world.chat_with(account, &order.message_id);
    let key = key
        .ok_or_else(|| Problem::not_found(format!("account `{account}` has sent no message `{}`", order.message_id)))?;
    world.progress(&key, &order.message_id, order.status, order.code);
    let at = order.at.unwrap_or_else(|| world.now());
    Ok(tells(world, &key, &order.message_id, order.status, None, at))
}
