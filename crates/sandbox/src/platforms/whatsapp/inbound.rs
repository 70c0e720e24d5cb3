//! What customers do, as Meta's webhooks tell it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::envelope::{contact, metadata, report, scoped_id};
use super::number::{self, WhatsAppSettings};
use super::{send, statuses};
use crate::Problem;
use crate::acts::{Act, Acted, Action, MediaAct};
use crate::chats::{Author, Button, ChatKey, Entry, Happened, Progress};
use crate::media::Media;
use crate::people::{Customer, digits};
use crate::world::{Receipts, World};

/// One act of one customer on one number, on its way into the world.
struct Scene<'a> {
    world: &'a mut World,
    key: &'a ChatKey,
    settings: WhatsAppSettings,
    customer: Customer,
    at: OffsetDateTime,
    id: String,
    context: Option<Value>,
}

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    let settings = number::settings(world, &key.account)?;
    let customer = world.customer(&key.customer)?.clone();
    if key.via.is_some() {
        return Err(Problem::invalid("WhatsApp has neither business connections nor groups here: leave `via` out"));
    }
    let at = seconds(action.at.unwrap_or_else(|| world.now()));
    let chat = world.chat_mut(key);
    let talks = !matches!(action.act, Act::Block | Act::Unblock | Act::Deactivate | Act::Echo { .. });
    if talks && (chat.blocked || customer.unreachable_on.contains("whatsapp")) {
        let why = if chat.blocked { "blocks this account" } else { "is not on WhatsApp" };
        return Err(Problem::conflict(format!("customer `{}` {why}", customer.id)));
    }
    let context = match &action.reply_to {
        None => None,
        Some(quoted) => {
            let entry = chat
                .entry(quoted)
                .ok_or_else(|| Problem::not_found(format!("there is no message `{quoted}` to quote")))?;
            let from = if entry.author == Author::Customer {
                customer.address("whatsapp")
            } else {
                &settings.display_phone_number
            };
            Some(json!({"from": from, "id": quoted}))
        }
    };
    let id = send::wamid(world);
    let scene = Scene { world, key, settings, customer, at, id, context };
    scene.play(action)
}

/// Cut to the whole second, which is all that a webhook carries.
fn seconds(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

impl Scene<'_> {
    fn play(self, action: &Action) -> Result<Acted, Problem> {
        match &action.act {
            Act::Text { text } => Ok(self.says("text", &json!({"body": text}), text, None)),
            Act::Start { payload } => {
                let text = payload.as_deref().unwrap_or("Hello");
                Ok(self.says("text", &json!({"body": text}), text, None))
            }
            Act::Ad { text, headline } => Ok(self.answers_ad(text, headline.as_deref())),
            Act::Media(file) => self.sends_file(file),
            Act::Location { latitude, longitude, name, address } => {
                let place = json!({"latitude": latitude, "longitude": longitude, "name": name, "address": address});
                let shown = name.clone().unwrap_or_else(|| format!("{latitude}, {longitude}"));
                Ok(self.says("location", &without_nulls(place), &shown, None))
            }
            Act::Contact { name, phone, .. } => {
                let card = json!([{
                    "name": {"formatted_name": name, "first_name": name},
                    "phones": [{"phone": phone, "wa_id": digits(phone), "type": "CELL"}],
                }]);
                Ok(self.says("contacts", &card, &format!("{name}, {phone}"), None))
            }
            Act::Reaction { message_id, emoji } => self.reacts(message_id, emoji.as_deref()),
            Act::Button { message_id, data, text } => self.taps(message_id, data, text.as_deref(), false),
            Act::Choice { message_id, id, title } => self.taps(message_id, id, title.as_deref(), true),
            Act::Edit { message_id, text } => self.edits(message_id, text),
            Act::Delete { message_id } => self.deletes(message_id),
            Act::Read => Ok(self.reads()),
            Act::Call => Ok(self.calls()),
            Act::Block => Ok(self.turns(|chat| chat.blocked = true)),
            Act::Unblock => Ok(self.turns(|chat| chat.blocked = false)),
            Act::Deactivate => {
                if let Some(customer) = self.world.customers.get_mut(&self.key.customer) {
                    customer.unreachable_on.insert("whatsapp".to_owned());
                }
                Ok(self.turns(|_| ()))
            }
            Act::OptOut => Ok(self.prefers("stop")),
            Act::OptIn => Ok(self.prefers("resume")),
            Act::NumberChange { phone } => self.changes_number(phone),
            Act::Echo { text } => Ok(self.answered_elsewhere(text)),
            Act::Unsupported => {
                let error = json!({"code": 131_051, "title": "Message type unknown", "message": "Message type unknown",
                    "error_data": {"details": "Message type is currently not supported."}});
                let message = self.message("unsupported", &[("errors", json!([error]))]);
                Ok(self.arrives("unsupported", &message, Some("(not supported)")))
            }
            Act::Other { kind, data } => Ok(self.says(kind, data, &format!("({kind})"), None)),
        }
    }

    /// A message object with its usual fields and `fields`.
    fn message(&self, kind: &str, fields: &[(&str, Value)]) -> Map<String, Value> {
        let mut message = Map::new();
        if !self.customer.hides_phone {
            message.insert("from".to_owned(), json!(self.customer.address("whatsapp")));
        }
        message.insert("from_user_id".to_owned(), json!(scoped_id(&self.settings, &self.customer)));
        message.insert("id".to_owned(), json!(self.id));
        message.insert("timestamp".to_owned(), json!(self.at.unix_timestamp().to_string()));
        message.insert("type".to_owned(), json!(kind));
        if let Some(context) = &self.context {
            message.insert("context".to_owned(), context.clone());
        }
        message.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        message
    }

    /// The customer says something that stands on the phone.
    fn says(mut self, kind: &str, content: &Value, shown: &str, media: Option<String>) -> Acted {
        let message = self.message(kind, &[(kind, content.clone())]);
        let before = self.reads_first();
        let mut entry = Entry::new(&self.id, Author::Customer, self.at, kind, shown);
        entry.media = media;
        entry.reply_to = self.context.as_ref().and_then(|context| context.get("id")?.as_str().map(str::to_owned));
        self.world.chat_mut(self.key).entries.push(entry);
        let mut acted = self.arrives(kind, &message, None);
        acted.deliveries.splice(0..0, before);
        acted
    }

    /// A message object reaches the webhook, and the history.
    fn arrives(self, kind: &str, message: &Map<String, Value>, shown: Option<&str>) -> Acted {
        let happened = Happened { at: self.at, kind: kind.to_owned() };
        let chat = self.world.chat_mut(self.key);
        chat.history.push(happened);
        if let Some(shown) = shown {
            chat.entries.push(Entry::new(&self.id, Author::Customer, self.at, kind, shown));
        }
        let value = json!({
            "messaging_product": "whatsapp",
            "metadata": metadata(&self.settings),
            "contacts": [contact(&self.settings, &self.customer)],
            "messages": [message],
        });
        let delivery = report(self.world, &self.key.account, &self.settings.waba_id, "messages", &value);
        self.acted(delivery)
    }

    fn acted(self, deliveries: impl IntoIterator<Item = u64>) -> Acted {
        Acted { message_id: Some(self.id), deliveries: deliveries.into_iter().collect(), at: self.at }
    }

    /// Who writes has the conversation open, and with automatic receipts has thereby read it.
    fn reads_first(&mut self) -> Vec<u64> {
        let automatic =
            self.world.account(&self.key.account).is_ok_and(|account| matches!(account.receipts, Receipts::Auto(_)));
        if automatic { self.read_receipts() } else { Vec::new() }
    }

    fn read_receipts(&mut self) -> Vec<u64> {
        let unread = self.world.chat_mut(self.key).unread();
        unread.iter().filter_map(|id| statuses::status(self.world, self.key, id, Progress::Read, None, None)).collect()
    }

    fn reads(mut self) -> Acted {
        let deliveries = self.read_receipts();
        Acted { message_id: None, deliveries, at: self.at }
    }

    fn turns(self, turn: impl FnOnce(&mut crate::chats::Chat)) -> Acted {
        turn(self.world.chat_mut(self.key));
        Acted { message_id: None, deliveries: Vec::new(), at: self.at }
    }

    fn sends_file(self, file: &MediaAct) -> Result<Acted, Problem> {
        let kind = match file.media.as_str() {
            "voice" => "audio",
            "animation" | "video_note" => "video",
            other => other,
        };
        let (mime, bytes) = file.content()?;
        let id = self.world.names.digits('8', 16);
        let mut content = Map::from_iter([
            ("mime_type".to_owned(), json!(mime)),
            ("sha256".to_owned(), json!(BASE64.encode(Sha256::digest(&bytes)))),
            ("id".to_owned(), json!(id)),
        ]);
        match kind {
            "audio" => content.insert("voice".to_owned(), json!(file.media == "voice")),
            "sticker" => content.insert("animated".to_owned(), json!(false)),
            "document" => {
                content.insert("filename".to_owned(), json!(file.file_name.as_deref().unwrap_or("document.pdf")))
            }
            _ => None,
        };
        if let Some(caption) = &file.caption {
            content.insert("caption".to_owned(), json!(caption));
        }
        let (account, file_name) = (self.key.account.clone(), file.file_name.clone());
        self.world.files.keep(Media { id: id.clone(), account, mime, file_name, bytes, at: self.at });
        let shown = file.caption.clone().unwrap_or_default();
        Ok(self.says(kind, &Value::Object(content), &shown, Some(id)))
    }

    fn answers_ad(self, text: &str, headline: Option<&str>) -> Acted {
        statuses::entered_by_ad(self.world, self.key, self.at);
        let referral = json!({
            "source_url": "https://fb.example/ad", "source_id": "120000000000001", "source_type": "ad",
            "headline": headline.unwrap_or("Chat with us"), "body": "Autumn sale", "media_type": "image",
            "image_url": "https://fb.example/ad.jpg", "ctwa_clid": "Ainvented",
        });
        let message = self.message("text", &[("text", json!({"body": text})), ("referral", referral)]);
        self.arrives("text", &message, Some(text))
    }

    fn known(&self, message_id: &str) -> Result<&Entry, Problem> {
        let entry = self.world.chats.get(self.key).and_then(|chat| chat.entry(message_id));
        entry.ok_or_else(|| Problem::not_found(format!("there is no message `{message_id}` in this conversation")))
    }

    fn reacts(self, message_id: &str, emoji: Option<&str>) -> Result<Acted, Problem> {
        self.known(message_id)?;
        let who = self.customer.id.clone();
        if let Some(entry) = self.world.chat_mut(self.key).entry_mut(message_id) {
            match emoji {
                Some(emoji) => entry.reactions.insert(who, emoji.to_owned()),
                None => entry.reactions.remove(&who),
            };
        }
        let reaction = without_nulls(json!({"message_id": message_id, "emoji": emoji}));
        let message = self.message("reaction", &[("reaction", reaction)]);
        Ok(self.arrives("reaction", &message, None))
    }

    fn taps(mut self, message_id: &str, data: &str, text: Option<&str>, choice: bool) -> Result<Acted, Problem> {
        let entry = self.known(message_id)?;
        let from_template = entry.kind == "template";
        let button = entry.buttons.iter().find(|button| button.data == data && button.choice == choice).cloned();
        let button = button.ok_or_else(|| {
            let known: Vec<_> =
                entry.buttons.iter().map(|Button { data, text, .. }| format!("{data} ({text})")).collect();
            Problem::invalid(format!("message `{message_id}` has no button `{data}`; it has: {}", known.join(", ")))
        })?;
        let title = text.unwrap_or(&button.text).to_owned();
        self.context = Some(json!({"from": self.settings.display_phone_number, "id": message_id}));
        if from_template {
            return Ok(self.says("button", &json!({"payload": data, "text": title}), &title, None));
        }
        let kind = if choice { "list_reply" } else { "button_reply" };
        let content = json!({"type": kind, kind: {"id": data, "title": title}});
        Ok(self.says("interactive", &content, &title, None))
    }

    fn edits(self, message_id: &str, text: &str) -> Result<Acted, Problem> {
        self.known(message_id)?;
        if let Some(entry) = self.world.chat_mut(self.key).entry_mut(message_id) {
            (entry.text, entry.edited) = (text.to_owned(), true);
        }
        let edit = json!({"original_message_id": message_id, "message": {"type": "text", "text": {"body": text}}});
        let message = self.message("edit", &[("edit", edit)]);
        Ok(self.arrives("edit", &message, None))
    }

    fn deletes(self, message_id: &str) -> Result<Acted, Problem> {
        self.known(message_id)?;
        if let Some(entry) = self.world.chat_mut(self.key).entry_mut(message_id) {
            entry.deleted = true;
        }
        let message = self.message("revoke", &[("revoke", json!({"original_message_id": message_id}))]);
        Ok(self.arrives("revoke", &message, None))
    }

    fn calls(mut self) -> Acted {
        self.id = self.id.replacen("wamid.", "wacid.", 1);
        let (at, id) = (self.at, self.id.clone());
        let chat = self.world.chat_mut(self.key);
        chat.history.push(Happened { at, kind: "call".to_owned() });
        chat.entries.push(Entry::new(&id, Author::Customer, at, "call", "(call)"));
        let mut call = Map::from_iter([
            ("id".to_owned(), json!(id)),
            ("to".to_owned(), json!(self.settings.display_phone_number)),
            ("event".to_owned(), json!("connect")),
            ("timestamp".to_owned(), json!(at.unix_timestamp().to_string())),
            ("direction".to_owned(), json!("USER_INITIATED")),
            ("from_user_id".to_owned(), json!(scoped_id(&self.settings, &self.customer))),
        ]);
        if !self.customer.hides_phone {
            call.insert("from".to_owned(), json!(self.customer.address("whatsapp")));
        }
        let value = json!({
            "messaging_product": "whatsapp",
            "metadata": metadata(&self.settings),
            "contacts": [contact(&self.settings, &self.customer)],
            "calls": [call],
        });
        let delivery = report(self.world, &self.key.account, &self.settings.waba_id, "calls", &value);
        self.acted(delivery)
    }

    fn prefers(self, wish: &str) -> Acted {
        self.world.chat_mut(self.key).opted_out = wish == "stop";
        let preference = json!({
            "wa_id": self.customer.address("whatsapp"),
            "user_id": scoped_id(&self.settings, &self.customer),
            "category": "marketing_messages",
            "value": wish,
            "detail": format!("User requested to {wish} marketing messages"),
            "timestamp": self.at.unix_timestamp(),
        });
        let value = json!({
            "messaging_product": "whatsapp",
            "metadata": metadata(&self.settings),
            "contacts": [contact(&self.settings, &self.customer)],
            "user_preferences": [preference],
        });
        let delivery = report(self.world, &self.key.account, &self.settings.waba_id, "user_preferences", &value);
        Acted { message_id: None, deliveries: delivery.into_iter().collect(), at: self.at }
    }

    fn changes_number(self, phone: &str) -> Result<Acted, Problem> {
        let number = digits(phone);
        if number.is_empty() || self.world.customer_at("whatsapp", &number).is_some() {
            return Err(Problem::conflict(format!("`{phone}` is no free phone number")));
        }
        let changed = self.world.customers.get_mut(&self.key.customer).map(|customer| {
            customer.phone = Some(format!("+{number}"));
            customer.addresses.insert("whatsapp".to_owned(), number.clone());
            customer.generation += 1;
            scoped_id(&self.settings, customer)
        });
        let system = json!({
            "body": format!("User {} changed from {} to {number}", self.customer.name, self.customer.address("whatsapp")),
            "wa_id": number,
            "user_id": changed,
            "type": "user_changed_number",
        });
        let message = self.message("system", &[("system", system)]);
        Ok(self.arrives("system", &message, None))
    }

    /// Somebody of the business answers in the WhatsApp Business app (coexistence).
    fn answered_elsewhere(self, text: &str) -> Acted {
        let entry = Entry::new(&self.id, Author::Elsewhere, self.at, "text", text);
        self.world.chat_mut(self.key).entries.push(entry);
        let echo = json!({
            "from": self.settings.display_phone_number,
            "to": self.customer.address("whatsapp"),
            "to_user_id": scoped_id(&self.settings, &self.customer),
            "id": self.id,
            "timestamp": self.at.unix_timestamp().to_string(),
            "type": "text",
            "text": {"body": text},
        });
        let value = json!({
            "messaging_product": "whatsapp",
            "metadata": metadata(&self.settings),
            "contacts": [contact(&self.settings, &self.customer)],
            "message_echoes": [echo],
        });
        let delivery = report(self.world, &self.key.account, &self.settings.waba_id, "smb_message_echoes", &value);
        self.acted(delivery)
    }
}

fn without_nulls(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.retain(|_, value| !value.is_null());
    }
    object
}
