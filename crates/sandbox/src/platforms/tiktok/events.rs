//! What customers do, and what the platform tells of it.

use std::time::Duration as Pause;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::account;
use crate::Problem;
use crate::acts::{Act, Acted, Action};
use crate::chats::{Author, ChatKey, Entry, Happened, Progress};
use crate::media::Media;
use crate::people::Customer;
use crate::platforms::ReceiptOrder;
use crate::world::{Receipts, World};

/// The kind of a comment's entry.
pub(super) const COMMENT: &str = "comment";

/// The conversation of an account with a customer, as both sides name it.
fn conversation_id(account: &str, customer: &Customer) -> String {
    format!("cnv+{account}/{}==", customer.address("tiktok"))
}

/// The conversation behind an id.
pub(super) fn chat_of(world: &World, account: &str, conversation: &str) -> Option<ChatKey> {
    let mut known = world.chats.keys().filter(|key| key.account == account);
    let is_it = |key: &&ChatKey| {
        world.customers.get(&key.customer).is_some_and(|customer| conversation_id(account, customer) == conversation)
    };
    known.find(is_it).cloned()
}

/// The chat of whoever wrote a comment.
pub(super) fn commented(world: &World, account: &str, comment: &str) -> Option<ChatKey> {
    let is_it = |entry: &Entry| entry.kind == COMMENT;
    let mut chats = world.chats.iter().filter(|(key, _)| key.account == account);
    chats.find(|(_, chat)| chat.entry(comment).is_some_and(is_it)).map(|(key, _)| key.clone())
}

/// An id for a message. Unique over restarts, since the seed comes from the clock.
pub(super) fn message_id(world: &mut World) -> String {
    let (seed, number) = (world.names.seed(), world.names.number());
    format!("msg+{seed:016x}{number:08x}==")
}

/// Puts an event into the account's queue: its content is JSON as a text.
pub(super) fn report(world: &mut World, account: &str, event: &str, content: &Value) -> Option<u64> {
    let app = account::settings(world, account).map(|settings| settings.app_id).unwrap_or_default();
    let body = json!({"client_key": app, "event": event, "create_time": world.now().unix_timestamp(), "user_openid": account,
        "content": content.to_string()});
    world.report(account, event, body.to_string())
}

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    let customer = world.customer(&key.customer)?.clone();
    if key.via.is_some() {
        return Err(Problem::invalid("TikTok has one conversation with each customer: leave `via` out"));
    }
    let at = milliseconds(action.at.unwrap_or_else(|| world.now()));
    let (blocked, gone) = (world.chat_mut(key).blocked, customer.unreachable_on.contains("tiktok"));
    let talks = !matches!(action.act, Act::Block | Act::Unblock | Act::Deactivate | Act::Echo { .. });
    if talks && (blocked || gone) {
        return Err(Problem::conflict(format!("customer `{}` blocks this account or is gone", customer.id)));
    }
    let id = message_id(world);
    Scene { world, key, customer, at, id, quoted: action.reply_to.clone() }.play(&action.act)
}

/// Cut to the millisecond, which is all that an event carries.
fn milliseconds(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(u32::from(at.millisecond()) * 1_000_000).unwrap_or(at)
}

struct Scene<'a> {
    world: &'a mut World,
    key: &'a ChatKey,
    customer: Customer,
    at: OffsetDateTime,
    id: String,
    quoted: Option<String>,
}

impl Scene<'_> {
    fn play(self, act: &Act) -> Result<Acted, Problem> {
        match act {
            Act::Text { text } => Ok(self.says("text", json!({"text": {"body": text}}), text, None)),
            Act::Start { payload } => {
                let text = payload.as_deref().unwrap_or("Hello");
                Ok(self.says("text", json!({"text": {"body": text}}), text, None))
            }
            Act::Media(file) => {
                let (mime, bytes) = file.content()?;
                let kind = match file.media.as_str() {
                    kind @ ("image" | "video") => kind.to_owned(),
                    other => return Ok(self.says(other, json!({}), &format!("({other})"), None)),
                };
                let media = format!("media-in-{}", self.world.names.digits('1', 10));
                let (account, file_name) = (self.key.account.clone(), file.file_name.clone());
                self.world.files.keep(Media { id: media.clone(), account, mime, file_name, bytes, at: self.at });
                let content = json!({kind.as_str(): {"media_id": media}});
                Ok(self.says(&kind, content, "", Some(media)))
            }
            Act::Button { message_id, data, text } => self.taps(message_id, data, text.as_deref()),
            Act::Ad { text, headline } => {
                let ad = json!({"source": "ad", "ad": {"ad_id": "900001", "ad_name": headline.as_deref().unwrap_or("Spring")}});
                let content = self.content(json!({"referral": ad}), false);
                report(self.world, &self.key.account, "im_referral_msg", &content);
                Ok(self.says("text", json!({"text": {"body": text}}), text, None))
            }
            Act::Read => Ok(self.reads()),
            Act::Echo { text } => Ok(self.answered_in_the_app(text)),
            Act::Block => Ok(self.turns(true)),
            Act::Unblock => Ok(self.turns(false)),
            Act::Deactivate => {
                if let Some(customer) = self.world.customers.get_mut(&self.key.customer) {
                    customer.unreachable_on.insert("tiktok".to_owned());
                }
                Ok(self.turns(false))
            }
            Act::Unsupported => Ok(self.says("sticker", json!({}), "(sticker)", None)),
            Act::Other { kind, data } if kind == "comment" => Ok(self.comments(data)),
            Act::Other { kind, data } => Ok(self.says(kind, data.clone(), &format!("({kind})"), None)),
            _ => Err(Problem::invalid("TikTok tells businesses nothing of this kind")),
        }
    }

    /// An event's content with its usual fields; `message`: with those of a message.
    fn content(&self, more: Value, message: bool) -> Value {
        let user = self.customer.address("tiktok");
        let name = self.customer.username.clone().unwrap_or_else(|| self.customer.name.clone());
        let mut content = json!({
            "timestamp": unix_ms(self.at), "conversation_id": conversation_id(&self.key.account, &self.customer),
            "from": name, "from_user": {"id": user, "role": "personal_account"},
        });
        let message = if message {
            json!({"message_id": self.id, "to": "business", "to_user": {"id": self.key.account, "role": "business_account"},
                "unique_identifier": user, "is_follower": true})
        } else {
            json!({})
        };
        for fields in [message, more] {
            if let (Value::Object(content), Value::Object(fields)) = (&mut content, fields) {
                content.extend(fields);
            }
        }
        content
    }

    /// The customer says something that stands on the phone.
    fn says(self, kind: &str, fields: Value, shown: &str, media: Option<String>) -> Acted {
        let mut content = self.content(fields, true);
        if let Value::Object(content) = &mut content {
            content.insert("type".to_owned(), json!(kind));
            if let Some(quoted) = &self.quoted {
                content.insert("referenced_message_info".to_owned(), json!({"referenced_message_id": quoted}));
            }
        }
        let mut entry = Entry::new(&self.id, Author::Customer, self.at, kind, shown);
        (entry.media, entry.reply_to) = (media, self.quoted.clone());
        let chat = self.world.chat_mut(self.key);
        chat.entries.push(entry);
        chat.history.push(Happened { at: self.at, kind: "message".to_owned() });
        let delivery = report(self.world, &self.key.account, "im_receive_msg", &content);
        self.acted(true, delivery)
    }

    /// A comment under a video, which is no direct message.
    fn comments(self, data: &Value) -> Acted {
        let id = self.world.names.digits('7', 19);
        let text = data.get("text").and_then(Value::as_str).unwrap_or("How much?");
        let entry = Entry::new(&id, Author::Customer, self.at, COMMENT, text);
        self.world.chat_mut(self.key).entries.push(entry);
        let content = json!({
            "timestamp": unix_ms(self.at), "comment_id": id, "video_id": "7000000000000000123",
            "unique_identifier": self.customer.address("tiktok"), "comment_text": text,
        });
        let delivery = report(self.world, &self.key.account, "im_receive_high_intent_comment", &content);
        Acted { message_id: Some(id), deliveries: delivery.into_iter().collect(), at: self.at }
    }

    fn taps(self, message: &str, data: &str, text: Option<&str>) -> Result<Acted, Problem> {
        let entry = self.world.chats.get(self.key).and_then(|chat| chat.entry(message));
        let entry = entry.ok_or_else(|| Problem::not_found(format!("there is no message `{message}` in this chat")))?;
        let label = entry.buttons.iter().find(|button| button.data == data).map(|button| button.text.clone());
        let label = text.map(str::to_owned).or(label).ok_or_else(|| Problem::not_found("there is no such button"))?;
        let tapped = json!({"text": {"body": label}, "reply_source_payload": {"reply_source_unique_id": data}});
        Ok(self.says("text", tapped, &label, None))
    }

    fn reads(self) -> Acted {
        let last = self.world.now();
        let chat = self.world.chat_mut(self.key);
        let ours = |entry: &&mut Entry| entry.author == Author::Business && entry.progress < Progress::Read;
        let read: Vec<String> = chat.entries.iter_mut().filter(ours).map(|entry| entry.id.clone()).collect();
        for id in read {
            self.world.progress(self.key, &id, Progress::Read, None);
        }
        let delivery = report_read(self.world, self.key, last, self.at);
        self.acted(false, delivery)
    }

    fn answered_in_the_app(self, text: &str) -> Acted {
        let entry = Entry::new(&self.id, Author::Elsewhere, self.at, "text", text);
        self.world.chat_mut(self.key).entries.push(entry);
        let delivery = report_echo(self.world, self.key, &self.id, "APP");
        self.acted(true, delivery)
    }

    fn turns(self, blocked: bool) -> Acted {
        self.world.chat_mut(self.key).blocked = blocked;
        self.acted(false, None)
    }

    fn acted(self, written: bool, delivery: Option<u64>) -> Acted {
        Acted { message_id: written.then_some(self.id), deliveries: delivery.into_iter().collect(), at: self.at }
    }
}

/// The echo of what was sent, and, if wanted, the reading of it.
pub(super) fn after_a_send(world: &mut World, key: &ChatKey, message: &str) {
    let Ok(Receipts::Auto(pauses)) = world.account(&key.account).map(|account| account.receipts) else { return };
    let (echo_key, echo_id) = (key.clone(), message.to_owned());
    world.later(Pause::from_millis(pauses.sent_ms), move |world| {
        world.progress(&echo_key, &echo_id, Progress::Sent, None);
        report_echo(world, &echo_key, &echo_id, "API");
    });
    if let Some(pause) = pauses.read_ms {
        let (key, id) = (key.clone(), message.to_owned());
        world.later(Pause::from_millis(pause), move |world| {
            let now = world.now();
            if world.progress(&key, &id, Progress::Read, None) {
                report_read(world, &key, now, now);
            }
        });
    }
}

/// A receipt by hand: the echo, or the customer's reading up to that message.
pub(super) fn receipt(world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
    let key = world.chat_with(account, &order.message_id);
    let key = key.ok_or_else(|| Problem::not_found(format!("there is no message `{}`", order.message_id)))?;
    let at = order.at.unwrap_or_else(|| world.now());
    world.progress(&key, &order.message_id, order.status, order.code);
    match order.status {
        Progress::Sent => Ok(report_echo(world, &key, &order.message_id, "API")),
        Progress::Read => Ok(report_read(world, &key, at, at)),
        _ => Err(Problem::invalid("TikTok tells of acceptance (sent) and reading (read) only")),
    }
}

fn report_read(world: &mut World, key: &ChatKey, last: OffsetDateTime, at: OffsetDateTime) -> Option<u64> {
    let customer = world.customers.get(&key.customer)?.clone();
    let content = json!({
        "timestamp": unix_ms(at), "conversation_id": conversation_id(&key.account, &customer),
        "read": {"last_read_timestamp": unix_ms(last)},
        "from_user": {"id": customer.address("tiktok"), "role": "personal_account"},
    });
    report(world, &key.account, "im_mark_read_msg", &content)
}

fn report_echo(world: &mut World, key: &ChatKey, message: &str, source: &str) -> Option<u64> {
    let customer = world.customers.get(&key.customer)?.clone();
    let entry = world.chats.get(key)?.entry(message)?.clone();
    let fields = match entry.kind.as_str() {
        "image" => json!({"image": {"media_id": entry.media}}),
        "text" => json!({"text": {"body": entry.text}}),
        _ => json!({"template": {"elements": [{"title": entry.text}]}}),
    };
    let mut content = Map::from_iter([
        ("timestamp".to_owned(), json!(unix_ms(entry.at))),
        ("conversation_id".to_owned(), json!(conversation_id(&key.account, &customer))),
        ("message_id".to_owned(), json!(message)),
        ("type".to_owned(), json!(entry.kind)),
        ("message_tag".to_owned(), json!({"source": source})),
        ("from".to_owned(), json!("business")),
        ("from_user".to_owned(), json!({"id": key.account, "role": "business_account"})),
        ("to".to_owned(), json!(customer.username)),
        ("to_user".to_owned(), json!({"id": customer.address("tiktok"), "role": "personal_account"})),
    ]);
    if let Value::Object(fields) = fields {
        content.extend(fields);
    }
    report(world, &key.account, "im_send_msg", &Value::Object(content))
}

fn unix_ms(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}
