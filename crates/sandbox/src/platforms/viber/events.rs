//! What customers and devices do, as events.

use std::time::Duration as Pause;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::bot::{HOST, bot};
use crate::Problem;
use crate::acts::{Act, Acted, Action, MediaAct};
use crate::chats::{Author, ChatKey, Entry, Happened, Progress};
use crate::media::Media;
use crate::people::Customer;
use crate::platforms::{ReceiptOrder, kit};
use crate::world::{Receipts, World};

/// Unix milliseconds, as events carry them.
fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// The person, as events describe them.
pub(super) fn user(customer: &Customer) -> Map<String, Value> {
    Map::from_iter([
        ("id".to_owned(), json!(customer.address("viber"))),
        ("name".to_owned(), json!(customer.name)),
        ("avatar".to_owned(), json!("")),
        ("language".to_owned(), json!(customer.language.as_deref().unwrap_or("en"))),
        ("country".to_owned(), json!("DE")),
        ("api_version".to_owned(), json!(10)),
    ])
}

/// Sends an event, if the bot wants it. `token` is the message's that it is about; else it gets one of its own.
fn report(
    world: &mut World,
    account: &str,
    event: &str,
    token: Option<u64>,
    at: OffsetDateTime,
    fields: Map<String, Value>,
) -> Option<u64> {
    let bot = bot(world, account).ok()?;
    if !bot.wants(event) {
        return None;
    }
    let token = token.unwrap_or_else(|| bot.next_token());
    let mut body = json!({"event": event, "timestamp": millis(at), "chat_hostname": HOST, "message_token": token});
    if let Value::Object(body) = &mut body {
        body.extend(fields);
    }
    world.report(account, event, body.to_string())
}

/// Any event, as it is given; what is missing of the usual fields is added.
pub(super) fn any(world: &mut World, account: &str, mut fields: Map<String, Value>) -> Result<Option<u64>, Problem> {
    let event = fields.remove("event").and_then(|event| event.as_str().map(str::to_owned));
    let event = event.ok_or_else(|| Problem::invalid("event: its name is needed as `event`"))?;
    let now = world.now();
    Ok(report(world, account, &event, None, now, fields))
}

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    let customer = world.customer(&key.customer)?.clone();
    if key.via.is_some() || action.reply_to.is_some() {
        return Err(Problem::invalid("Viber's bots have neither groups nor quotes"));
    }
    if customer.unreachable_on.contains("viber") {
        return Err(Problem::conflict(format!("customer `{}` is not on Viber", customer.id)));
    }
    let at = action.at.unwrap_or_else(|| world.now());
    // What the event carries is what counts.
    let at = at.replace_nanosecond(u32::from(at.millisecond()) * 1_000_000).unwrap_or(at);
    let mut scene = Scene { world, key, customer, at };
    match &action.act {
        Act::Text { text } => Ok(scene.says(json!({"type": "text", "text": text}), text, None)),
        // The tap comes as a message with what the button carries (keyboards: action `reply`).
        Act::Button { data, .. } => Ok(scene.says(json!({"type": "text", "text": data}), data, None)),
        Act::Media(file) => scene.sends_file(file),
        Act::Location { latitude, longitude, .. } => {
            let place = json!({"lat": latitude, "lon": longitude});
            Ok(scene.says(json!({"type": "location", "location": place}), &format!("{latitude}, {longitude}"), None))
        }
        Act::Contact { name, phone, .. } => {
            let card = json!({"name": name, "phone_number": phone});
            Ok(scene.says(json!({"type": "contact", "contact": card}), &format!("{name}, {phone}"), None))
        }
        Act::Start { payload } => Ok(scene.starts(payload.as_deref())),
        Act::Read => {
            let read = scene.reads();
            Ok(scene.acted(None, read))
        }
        // There is no event for blocking: who wants no more unsubscribes.
        Act::Block | Act::OptOut => Ok(scene.turns("unsubscribed")),
        Act::Unblock | Act::OptIn => Ok(scene.turns("subscribed")),
        Act::Deactivate => {
            if let Some(customer) = scene.world.customers.get_mut(&key.customer) {
                customer.unreachable_on.insert("viber".to_owned());
            }
            Ok(scene.acted(None, None))
        }
        Act::Unsupported => Ok(scene.says(json!({"type": "hologram"}), "(hologram)", None)),
        Act::Other { kind, data } => {
            let mut message = json!({"type": kind});
            if let (Value::Object(message), Value::Object(data)) = (&mut message, data) {
                message.extend(data.clone());
            }
            Ok(scene.says(message, &format!("({kind})"), None))
        }
        Act::Reaction { .. }
        | Act::Choice { .. }
        | Act::Edit { .. }
        | Act::Delete { .. }
        | Act::Call
        | Act::Ad { .. }
        | Act::NumberChange { .. }
        | Act::Echo { .. } => Err(Problem::invalid("Viber tells bots nothing of this kind")),
    }
}

/// One act of one customer, on its way into the world.
struct Scene<'a> {
    world: &'a mut World,
    key: &'a ChatKey,
    customer: Customer,
    at: OffsetDateTime,
}

impl Scene<'_> {
    fn acted(&self, message_id: Option<String>, deliveries: impl IntoIterator<Item = u64>) -> Acted {
        Acted { message_id, deliveries: deliveries.into_iter().collect(), at: self.at }
    }

    fn happened(&mut self, kind: &str) {
        let happened = Happened { at: self.at, kind: kind.to_owned() };
        self.world.chat_mut(self.key).history.push(happened);
    }

    fn token(&mut self) -> u64 {
        bot(self.world, &self.key.account).map(super::bot::Bot::next_token).unwrap_or_default()
    }

    /// A message: it makes its sender a subscriber, and no event says so.
    fn says(&mut self, message: Value, shown: &str, media: Option<String>) -> Acted {
        let automatic = self.world.account(&self.key.account);
        let automatic = automatic.is_ok_and(|account| matches!(account.receipts, Receipts::Auto(_)));
        // Who writes has the chat open.
        let mut deliveries: Vec<u64> = if automatic { self.reads() } else { None }.into_iter().collect();
        let token = self.token();
        let kind = message.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.happened("message");
        let mut entry = Entry::new(token.to_string(), Author::Customer, self.at, &kind, shown);
        entry.media = media;
        self.world.chat_mut(self.key).entries.push(entry);
        let fields = Map::from_iter([
            ("sender".to_owned(), Value::Object(user(&self.customer))),
            ("message".to_owned(), message),
            ("silent".to_owned(), json!(false)),
        ]);
        deliveries.extend(report(self.world, &self.key.account, "message", Some(token), self.at, fields));
        self.acted(Some(token.to_string()), deliveries)
    }

    fn sends_file(&mut self, file: &MediaAct) -> Result<Acted, Problem> {
        let (mime, bytes) = file.content()?;
        let (kind, ending) = match file.media.as_str() {
            "image" => ("picture", if mime == "image/png" { "png" } else { "jpg" }),
            "video" | "animation" | "video_note" => ("video", "mp4"),
            "sticker" => {
                let message = json!({"type": "sticker", "sticker_id": 46105});
                return Ok(self.says(message, "(sticker)", None));
            }
            _ => ("file", "bin"),
        };
        let (id, size) = (self.world.names.digits('8', 16), bytes.len());
        let address = format!("{}/viber/media/{id}.{ending}", self.world.base_url);
        let mut message = json!({"type": kind, "media": address});
        if let Value::Object(message) = &mut message {
            match kind {
                "picture" => message.insert("thumbnail".to_owned(), json!(address)),
                "video" => message.insert("size".to_owned(), json!(size)),
                _ => message.insert("file_size".to_owned(), json!(size)),
            };
            if let Some(caption) = &file.caption {
                message.insert("text".to_owned(), json!(caption));
            }
            if let Some(name) = file.file_name.as_deref().or((kind == "file").then_some("file.bin")) {
                message.insert("file_name".to_owned(), json!(name));
            }
        }
        self.world.files.keep(Media {
            id: id.clone(),
            account: self.key.account.clone(),
            mime,
            file_name: file.file_name.clone(),
            bytes,
            at: self.at,
        });
        Ok(self.says(message, file.caption.as_deref().unwrap_or_default(), Some(id)))
    }

    /// Opens the chat: nothing may be sent for it but the answer to this event.
    fn starts(&mut self, context: Option<&str>) -> Acted {
        let subscribed = self.world.chats.get(self.key).is_some_and(|chat| {
            chat.history.iter().any(|happened| matches!(happened.kind.as_str(), "message" | "subscribed"))
        });
        self.happened("conversation_started");
        let mut fields = Map::from_iter([
            ("type".to_owned(), json!("open")),
            ("user".to_owned(), Value::Object(user(&self.customer))),
            ("subscribed".to_owned(), json!(subscribed)),
        ]);
        if let Some(context) = context {
            fields.insert("context".to_owned(), json!(context));
        }
        let token = self.token();
        let delivery = report(self.world, &self.key.account, "conversation_started", Some(token), self.at, fields);
        self.acted(Some(token.to_string()), delivery)
    }

    fn turns(&mut self, event: &str) -> Acted {
        self.happened(event);
        let fields = if event == "subscribed" {
            Map::from_iter([("user".to_owned(), Value::Object(user(&self.customer)))])
        } else {
            Map::from_iter([("user_id".to_owned(), json!(self.customer.address("viber")))])
        };
        let delivery = report(self.world, &self.key.account, event, None, self.at, fields);
        self.acted(None, delivery)
    }

    /// One event for all that is unread.
    fn reads(&mut self) -> Option<u64> {
        let unread = self.world.chat_mut(self.key).unread();
        for message in &unread {
            self.world.progress(self.key, message, Progress::Read, None);
        }
        let last = unread.last()?.parse().ok();
        let fields = user_id(self.world, self.key);
        report(self.world, &self.key.account, "seen", last, self.at, fields)
    }
}

fn user_id(world: &World, key: &ChatKey) -> Map<String, Value> {
    let id = world.customers.get(&key.customer).map(|customer| customer.address("viber")).unwrap_or_default();
    Map::from_iter([("user_id".to_owned(), json!(id))])
}

/// Delivered and, if so configured, read, each in its time.
pub(super) fn schedule_receipts(world: &mut World, key: &ChatKey, message: &str) {
    let steps = [Progress::Delivered, Progress::Read];
    kit::in_time(world, key, message, &steps, |world, key, message, progress| {
        moves(world, key, message, progress, None);
    });
}

/// The device refuses what was accepted.
pub(super) fn fails(world: &mut World, key: &ChatKey, message: &str, code: i64, words: &str) {
    let (key, message, words) = (key.clone(), message.to_owned(), words.to_owned());
    world.later(Pause::ZERO, move |world| {
        moves(world, &key, &message, Progress::Failed, Some((code, &words)));
    });
}

/// Moves a message on and tells the webhook. Nothing happens if it is that far already.
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
    words: Option<&str>,
    at: OffsetDateTime,
) -> Option<u64> {
    let event = match progress {
        Progress::Delivered => "delivered",
        Progress::Read => "seen",
        Progress::Failed => "failed",
        _ => return None,
    };
    let mut fields = user_id(world, key);
    if progress == Progress::Failed {
        fields.insert("desc".to_owned(), json!(words.unwrap_or("message validation failed")));
    }
    report(world, &key.account, event, message.parse().ok(), at, fields)
}

/// A receipt by hand. It may come twice, or late: receivers must cope.
pub(super) fn receipt(world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
    let key = world.chat_with(account, &order.message_id);
    let key = key
        .ok_or_else(|| Problem::not_found(format!("account `{account}` has sent no message `{}`", order.message_id)))?;
    if !matches!(order.status, Progress::Delivered | Progress::Read | Progress::Failed) {
        return Err(Problem::invalid("Viber tells delivered, read (seen) and failed"));
    }
    world.progress(&key, &order.message_id, order.status, order.code);
    let at = order.at.unwrap_or_else(|| world.now());
    Ok(tells(world, &key, &order.message_id, order.status, None, at))
}

/// The answer to `conversation_started`: a welcome message, if it is one.
pub(super) fn welcomed(world: &mut World, account: &str, event: &str, answer: &[u8]) {
    let (Ok(event), Ok(welcome)) = (serde_json::from_str::<Value>(event), serde_json::from_slice::<Value>(answer))
    else {
        return;
    };
    let person = event.pointer("/user/id").and_then(Value::as_str).unwrap_or_default();
    let (Some(text), Some(_)) = (
        welcome.get("text").and_then(Value::as_str).filter(|text| !text.is_empty()),
        welcome.pointer("/sender/name").and_then(Value::as_str),
    ) else {
        return;
    };
    let Some(customer) = world.customer_at("viber", person).map(|customer| customer.id.clone()) else { return };
    let key = ChatKey::direct(account, &customer);
    let id = format!("welcome:{}", event.get("message_token").map(Value::to_string).unwrap_or_default());
    let at = world.now();
    // A redelivered event shows it once.
    if world.chat_mut(&key).entry(&id).is_none() {
        let entry = Entry::new(id, Author::Business, at, "text", text);
        world.chat_mut(&key).entries.push(entry);
    }
}
