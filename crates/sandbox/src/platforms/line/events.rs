//! What customers do, as webhook events.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::account::{Token, official};
use super::rules::is_friend;
use crate::Problem;
use crate::acts::{Act, Acted, Action, MediaAct};
use crate::chats::{Author, ChatKey, Entry, Happened};
use crate::media::Media;
use crate::names::mix;
use crate::people::Customer;
use crate::world::World;

/// The letters of a ULID.
const CROCKFORD: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// One act of one customer, on its way into the world.
struct Scene<'a> {
    world: &'a mut World,
    key: ChatKey,
    customer: Customer,
    group: Option<String>,
    at: OffsetDateTime,
    quoted: Option<String>,
    deliveries: Vec<u64>,
}

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    let customer = world.customer(&key.customer)?.clone();
    official(world, &key.account)?;
    let at = action.at.unwrap_or_else(|| world.now());
    let at = at.replace_millisecond(at.millisecond()).unwrap_or(at);
    let group = key.via.clone();
    let key = ChatKey::direct(&key.account, &key.customer);
    let (blocked, gone) =
        (world.chats.get(&key).is_some_and(|chat| chat.blocked), customer.unreachable_on.contains("line"));
    if gone || (blocked && !matches!(action.act, Act::Unblock | Act::Deactivate)) {
        let why = if gone { "has no account on LINE any more" } else { "blocks this account" };
        return Err(Problem::conflict(format!("customer `{}` {why}", customer.id)));
    }
    if let Some(quoted) = &action.reply_to
        && world.chats.get(&key).is_none_or(|chat| chat.entry(quoted).is_none())
    {
        return Err(Problem::not_found(format!("there is no message `{quoted}` to quote")));
    }
    let quoted = action.reply_to.clone();
    Scene { world, key, customer, group, at, quoted, deliveries: Vec::new() }.play(&action.act)
}

impl Scene<'_> {
    fn play(mut self, act: &Act) -> Result<Acted, Problem> {
        let speaks = matches!(
            act,
            Act::Text { .. } | Act::Media(_) | Act::Location { .. } | Act::Button { .. } | Act::Unsupported
        );
        // A chat begins by adding the account.
        let stranger = self.world.chats.get(&self.key).is_none_or(|chat| chat.history.iter().next().is_none());
        if speaks && stranger && self.group.is_none() {
            self.comes(false);
        }
        match act {
            Act::Text { text } => Ok(self.says("text", &json!({"text": text}), text, None)),
            Act::Media(file) => self.sends_file(file),
            Act::Location { latitude, longitude, name, address } => {
                let place = json!({"title": name, "address": address, "latitude": latitude, "longitude": longitude});
                let shown = name.clone().unwrap_or_else(|| format!("{latitude}, {longitude}"));
                Ok(self.says("location", &without_nulls(place), &shown, None))
            }
            Act::Button { message_id, data, .. } => self.taps(message_id, data),
            Act::Delete { message_id } => self.unsends(message_id),
            Act::Start { .. } => {
                self.comes(false);
                Ok(self.acted(None))
            }
            Act::Block => {
                self.world.chat_mut(&self.key).blocked = true;
                self.happened("unfollow");
                self.report("unfollow", Map::new(), false);
                Ok(self.acted(None))
            }
            Act::Unblock => {
                self.world.chat_mut(&self.key).blocked = false;
                self.comes(true);
                Ok(self.acted(None))
            }
            Act::Deactivate => {
                if let Some(customer) = self.world.customers.get_mut(&self.customer.id) {
                    customer.unreachable_on.insert("line".to_owned());
                }
                Ok(self.acted(None))
            }
            Act::Read => Ok(self.acted(None)),
            Act::Unsupported => Ok(self.says("hologram", &json!({}), "(hologram)", None)),
            Act::Other { kind, data } => {
                self.report(kind, Map::from_iter([(kind.clone(), data.clone())]), true);
                Ok(self.acted(None))
            }
            Act::Contact { .. }
            | Act::Reaction { .. }
            | Act::Choice { .. }
            | Act::Edit { .. }
            | Act::Call
            | Act::Ad { .. }
            | Act::OptOut
            | Act::OptIn
            | Act::NumberChange { .. }
            | Act::Echo { .. } => Err(Problem::invalid("LINE tells accounts of no such thing")),
        }
    }

    /// Adds the account, for the first time or again.
    fn comes(&mut self, unblocked: bool) {
        self.happened("follow");
        let follow = json!({"isUnblocked": unblocked});
        self.report("follow", Map::from_iter([("follow".to_owned(), follow)]), true);
    }

    fn says(mut self, kind: &str, content: &Value, shown: &str, media: Option<String>) -> Acted {
        let id = media.clone().unwrap_or_else(|| self.world.names.digits('5', 18));
        let mut message = content.as_object().cloned().unwrap_or_default();
        message.insert("type".to_owned(), json!(kind));
        message.insert("id".to_owned(), json!(id));
        message.insert("quoteToken".to_owned(), json!(format!("q-{id}")));
        if let Some(quoted) = &self.quoted {
            message.insert("quotedMessageId".to_owned(), json!(quoted));
        }
        let mut entry = Entry::new(&id, Author::Customer, self.at, kind, shown);
        (entry.media, entry.reply_to) = (media, self.quoted.clone());
        self.world.chat_mut(&self.key).entries.push(entry);
        self.happened("message");
        self.report("message", Map::from_iter([("message".to_owned(), Value::Object(message))]), true);
        self.acted(Some(id))
    }

    fn sends_file(self, file: &MediaAct) -> Result<Acted, Problem> {
        let (mime, bytes) = file.content()?;
        if file.media == "sticker" {
            let sticker = json!({"packageId": "446", "stickerId": "1988", "stickerResourceType": "STATIC",
                "keywords": ["hello", "wave"]});
            return Ok(self.says("sticker", &sticker, "(sticker)", None));
        }
        let id = self.world.names.digits('5', 18);
        let provider = json!({"type": "line"});
        let (kind, content) = match file.media.as_str() {
            "image" => {
                let set = file.album.as_ref().map(|album| json!({"id": album}));
                ("image", without_nulls(json!({"contentProvider": provider, "imageSet": set})))
            }
            "video" | "animation" | "video_note" => ("video", json!({"contentProvider": provider, "duration": 5_000})),
            "audio" | "voice" => ("audio", json!({"contentProvider": provider, "duration": 5_000})),
            _ => {
                let name = file.file_name.as_deref().unwrap_or("document.pdf");
                ("file", json!({"fileName": name, "fileSize": bytes.len()}))
            }
        };
        let (account, file_name) = (self.key.account.clone(), file.file_name.clone());
        self.world.files.keep(Media { id: id.clone(), account, mime, file_name, bytes, at: self.at });
        // LINE's files have no words: they are a message of their own.
        Ok(self.says(kind, &content, "", Some(id)))
    }

    fn taps(mut self, message_id: &str, data: &str) -> Result<Acted, Problem> {
        let entry = self.world.chats.get(&self.key).and_then(|chat| chat.entry(message_id));
        let entry = entry
            .ok_or_else(|| Problem::not_found(format!("there is no message `{message_id}` in this conversation")))?;
        if !entry.buttons.iter().any(|button| button.data == data) {
            let known: Vec<_> = entry.buttons.iter().map(|button| button.data.as_str()).collect();
            let known = known.join(", ");
            return Err(Problem::invalid(format!("message `{message_id}` has no button `{data}`; it has: {known}")));
        }
        self.happened("postback");
        self.report("postback", Map::from_iter([("postback".to_owned(), json!({"data": data}))]), true);
        Ok(self.acted(None))
    }

    fn unsends(mut self, message_id: &str) -> Result<Acted, Problem> {
        let entry = self.world.chat_mut(&self.key).entry_mut(message_id);
        let entry = entry.filter(|entry| entry.author == Author::Customer);
        entry.ok_or_else(|| Problem::not_found(format!("the customer wrote no message `{message_id}`")))?.deleted =
            true;
        self.world.files.remove(message_id);
        let unsend = json!({"messageId": message_id});
        self.report("unsend", Map::from_iter([("unsend".to_owned(), unsend)]), false);
        Ok(self.acted(Some(message_id.to_owned())))
    }

    /// In a group nothing counts for the chat with the account.
    fn happened(&mut self, kind: &str) {
        if self.group.is_none() {
            let (at, kind) = (self.at, kind.to_owned());
            self.world.chat_mut(&self.key).history.push(Happened { at, kind });
        }
    }

    fn report(&mut self, kind: &str, mut event: Map<String, Value>, answerable: bool) {
        let user = self.customer.address("line").to_owned();
        let source = match &self.group {
            None => json!({"type": "user", "userId": user}),
            Some(group) => json!({"type": "group", "groupId": group, "userId": user}),
        };
        event.insert("type".to_owned(), json!(kind));
        event.insert("mode".to_owned(), json!("active"));
        event.insert("timestamp".to_owned(), json!(self.at.unix_timestamp_nanos() / 1_000_000));
        event.insert("source".to_owned(), source);
        if answerable {
            let token = format!("{:016x}{:016x}", mix(self.world.names.seed() ^ 7), mix(self.world.names.number()));
            if let Ok(official) = official(self.world, &self.key.account)
                && self.group.is_none()
            {
                let known = Token { customer: self.key.customer.clone(), at: self.at, used: false };
                official.tokens.insert(token.clone(), known);
            }
            event.insert("replyToken".to_owned(), json!(token));
        }
        let delivery = report(self.world, &self.key.account, kind, event);
        self.deliveries.extend(delivery);
    }

    fn acted(self, message_id: Option<String>) -> Acted {
        Acted { message_id, deliveries: self.deliveries, at: self.at }
    }
}

/// Puts an event into the account's queue, in LINE's envelope.
pub(super) fn report(world: &mut World, account: &str, kind: &str, mut event: Map<String, Value>) -> Option<u64> {
    event.insert("webhookEventId".to_owned(), json!(ulid(world)));
    event.insert("deliveryContext".to_owned(), json!({"isRedelivery": false}));
    world.report(account, kind, json!({"destination": account, "events": [event]}).to_string())
}

fn ulid(world: &mut World) -> String {
    let millis = u64::try_from(world.now().unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    let (high, low) = (millis, mix(world.names.seed() ^ world.names.number()));
    let digit = |value: u64, place: u32| {
        let at = usize::try_from((value >> (5 * place)) & 31).unwrap_or_default();
        CROCKFORD.get(at).copied().map_or('0', char::from)
    };
    let time = (0..10).rev().map(|place| digit(high, place));
    let chance = (0..12).map(|place| digit(low, place));
    let count = (0..4).rev().map(|place| digit(low.rotate_left(17), place));
    time.chain(chance).chain(count).collect()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}

/// The profile of a friend who did not block the account; nobody else has one.
pub(super) fn profile(world: &World, account: &str, user: &str) -> Option<Value> {
    let customer = world.customer_at("line", user)?;
    let chat = world.chats.get(&ChatKey::direct(account, &customer.id))?;
    if chat.blocked || customer.unreachable_on.contains("line") || !is_friend(chat) {
        return None;
    }
    let picture = format!("https://profile.line-sandbox.example/{user}");
    let view =
        json!({"userId": user, "displayName": customer.name, "pictureUrl": picture, "language": customer.language});
    Some(without_nulls(view))
}
