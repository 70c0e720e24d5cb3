//! What customers do, as updates.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::bot::{Connection, Group, bot, next_message, private_chat, user, user_id};
use super::files;
use crate::Problem;
use crate::acts::{Act, Acted, Action, MediaAct};
use crate::chats::{Author, ChatKey, Entry, Happened};
use crate::people::Customer;
use crate::world::World;

/// Sends an update, if the bot wants its kind.
pub(super) fn report(world: &mut World, account: &str, kind: &str, content: &Value) -> Option<u64> {
    let bot = bot(world, account).ok()?;
    if !bot.wants(kind) {
        return None;
    }
    let update = json!({"update_id": bot.next_update(), kind: content});
    world.report(account, kind, update.to_string())
}

/// One act of one customer, on its way into the world.
struct Scene<'a> {
    world: &'a mut World,
    key: ChatKey,
    customer: Customer,
    /// The business account's connection, if the customer writes to its owner.
    connection: Option<Connection>,
    group: Option<Group>,
    at: OffsetDateTime,
    reply_to: Option<String>,
}

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    let customer = world.customer(&key.customer)?.clone();
    let at = action.at.unwrap_or_else(|| world.now());
    let at = at.replace_nanosecond(0).unwrap_or(at);
    let found = bot(world, &key.account)?;
    let (connection, group) = match &key.via {
        None => (None, None),
        Some(via) => {
            let group = via.parse::<i64>().ok().and_then(|id| found.groups.get(&id).cloned());
            (found.connections.get(via).cloned(), group)
        }
    };
    if let Some(via) = key.via.as_ref().filter(|_| connection.is_none() && group.is_none()) {
        return Err(Problem::not_found(format!("the bot has no business connection and no group `{via}`")));
    }
    let gone = customer.unreachable_on.contains("telegram");
    let blocked = world.chats.get(key).is_some_and(|chat| chat.blocked);
    if gone || (blocked && !matches!(action.act, Act::Unblock | Act::Deactivate)) {
        let why = if gone { "has deleted the account" } else { "blocks this bot" };
        return Err(Problem::conflict(format!("customer `{}` {why}", customer.id)));
    }
    // In a group everybody writes into the same chat.
    let key = ChatKey { customer: if group.is_some() { String::new() } else { key.customer.clone() }, ..key.clone() };
    let mut scene = Scene { world, key, customer, connection, group, at, reply_to: None };
    scene.reply_to = action.reply_to.as_ref().map(|id| scene.full_id(id));
    if let Some(quoted) = &scene.reply_to {
        scene.entry(quoted)?;
    }
    scene.play(&action.act)
}

impl Scene<'_> {
    fn play(self, act: &Act) -> Result<Acted, Problem> {
        match act {
            Act::Text { text } => Ok(self.says("text", text_fields(text), text, None)),
            Act::Start { payload } => {
                let text = payload.as_ref().map_or_else(|| "/start".to_owned(), |payload| format!("/start {payload}"));
                Ok(self.says("text", text_fields(&text), &text, None))
            }
            Act::Media(file) => self.sends_file(file),
            Act::Location { latitude, longitude, name, address } => {
                let place = json!({"latitude": latitude, "longitude": longitude});
                let mut fields = Map::from_iter([("location".to_owned(), place.clone())]);
                if let (Some(title), Some(address)) = (name, address) {
                    fields.insert("venue".to_owned(), json!({"location": place, "title": title, "address": address}));
                }
                let shown = name.clone().unwrap_or_else(|| format!("{latitude}, {longitude}"));
                Ok(self.says("location", fields, &shown, None))
            }
            Act::Contact { name, phone, own } => {
                let mut card = json!({"phone_number": phone, "first_name": name});
                if let (Value::Object(card), true) = (&mut card, own) {
                    card.insert("user_id".to_owned(), json!(user_id(&self.customer)));
                }
                Ok(self.says(
                    "contact",
                    Map::from_iter([("contact".to_owned(), card)]),
                    &format!("{name}, {phone}"),
                    None,
                ))
            }
            Act::Reaction { message_id, emoji } => self.reacts(message_id, emoji.as_deref()),
            Act::Button { message_id, data, .. } => self.taps(message_id, data),
            Act::Edit { message_id, text } => self.edits(message_id, text),
            Act::Delete { message_id } => self.deletes(message_id),
            Act::Read => Ok(self.acted(None, None)),
            Act::Block => self.turns(true),
            Act::Unblock => self.turns(false),
            Act::Deactivate => {
                if let Some(customer) = self.world.customers.get_mut(&self.customer.id) {
                    customer.unreachable_on.insert("telegram".to_owned());
                }
                Ok(self.acted(None, None))
            }
            Act::Echo { text } => self.owner_writes(text),
            Act::Unsupported => {
                Ok(self.says("story", Map::from_iter([("story".to_owned(), json!({"id": 1}))]), "(story)", None))
            }
            Act::Other { kind, data } if kind == "chat_join_request" => Ok(self.asks_to_join(data)),
            Act::Other { kind, data } => {
                let fields = Map::from_iter([(kind.clone(), data.clone())]);
                Ok(self.says(kind, fields, &format!("({kind})"), None))
            }
            Act::Call | Act::Ad { .. } | Act::Choice { .. } | Act::OptOut | Act::OptIn | Act::NumberChange { .. } => {
                Err(Problem::invalid("Telegram tells bots nothing of this kind"))
            }
        }
    }

    fn chat_id(&self) -> i64 {
        self.group.as_ref().map_or_else(|| user_id(&self.customer), |group| group.id)
    }

    fn chat(&self) -> Value {
        self.group.as_ref().map_or_else(|| private_chat(&self.customer), Group::chat)
    }

    /// Message ids may be given as the platform counts them, or with their chat.
    fn full_id(&self, id: &str) -> String {
        if id.contains(':') { id.to_owned() } else { format!("{}:{id}", self.chat_id()) }
    }

    fn entry(&self, id: &str) -> Result<&Entry, Problem> {
        let entry = self.world.chats.get(&self.key).and_then(|chat| chat.entry(id));
        entry.ok_or_else(|| Problem::not_found(format!("there is no message `{id}` in this chat")))
    }

    fn acted(self, message_id: Option<String>, delivery: Option<u64>) -> Acted {
        Acted { message_id, deliveries: delivery.into_iter().collect(), at: self.at }
    }

    fn happened(&mut self, kind: &str) {
        let happened = Happened { at: self.at, kind: kind.to_owned() };
        self.world.chat_mut(&self.key).history.push(happened);
    }

    /// A message with its usual fields.
    fn message(&self, number: i64, from: Value) -> Map<String, Value> {
        let mut message = Map::from_iter([
            ("message_id".to_owned(), json!(number)),
            ("from".to_owned(), from),
            ("chat".to_owned(), self.chat()),
            ("date".to_owned(), json!(self.at.unix_timestamp())),
        ]);
        if let Some(connection) = &self.connection {
            message.insert("business_connection_id".to_owned(), json!(connection.id));
        }
        if let Some(quoted) = self.reply_to.as_ref().and_then(|id| self.entry(id).ok()) {
            let from = match (quoted.author, &self.connection) {
                (Author::Customer, _) => Some(user(&self.customer)),
                _ => None,
            };
            let (number, date) = (number_of(&quoted.id), quoted.at.unix_timestamp());
            let mut stub = json!({"message_id": number, "chat": self.chat(), "date": date, "text": quoted.text});
            if let (Value::Object(stub), Some(from)) = (&mut stub, from) {
                stub.insert("from".to_owned(), from);
            }
            message.insert("reply_to_message".to_owned(), stub);
        }
        message
    }

    fn says(mut self, kind: &str, fields: Map<String, Value>, shown: &str, media: Option<String>) -> Acted {
        let number = next_message(self.world, &self.key);
        let id = format!("{}:{number}", self.chat_id());
        let update = if self.connection.is_some() { "business_message" } else { "message" };
        let mut message = self.message(number, user(&self.customer));
        if self.reply_to.is_some()
            && let Some(Value::Object(quoted)) = message.get_mut("reply_to_message")
            && !quoted.contains_key("from")
            && let Ok(bot) = bot(self.world, &self.key.account)
        {
            quoted.insert("from".to_owned(), bot.user());
        }
        message.extend(fields);
        self.happened(update);
        let mut entry = Entry::new(&id, Author::Customer, self.at, kind, shown);
        (entry.media, entry.reply_to) = (media, self.reply_to.clone());
        self.world.chat_mut(&self.key).entries.push(entry);
        let delivery = if self.is_seen(shown) {
            report(self.world, &self.key.account, update, &Value::Object(message))
        } else {
            None
        };
        self.acted(Some(id), delivery)
    }

    /// In a group a bot in privacy mode sees commands, answers to it and mentions only.
    fn is_seen(&mut self, text: &str) -> bool {
        if self.group.is_none() {
            return true;
        }
        let answers_us =
            self.reply_to.as_ref().is_some_and(|id| self.entry(id).is_ok_and(|entry| entry.author == Author::Business));
        let Ok(bot) = bot(self.world, &self.key.account) else { return false };
        !bot.settings.privacy_mode
            || answers_us
            || text.starts_with('/')
            || text.contains(&format!("@{}", bot.settings.username))
    }

    fn sends_file(self, file: &MediaAct) -> Result<Acted, Problem> {
        let name = if file.media == "image" { "photo" } else { &file.media };
        let kind = files::kind(name)
            .ok_or_else(|| Problem::invalid(format!("Telegram has no media of kind `{}`", file.media)))?;
        let (mime, bytes) = file.content()?;
        let id = files::store(self.world, &self.key.account, kind, mime, file.file_name.clone(), bytes);
        let described = self.world.files.get(&id).map(|kept| files::described(kind, kept, &id)).unwrap_or_default();
        let mut fields = Map::from_iter([(kind.name.to_owned(), described.clone())]);
        if kind.name == "animation" {
            fields.insert("document".to_owned(), described);
        }
        if let Some(caption) = &file.caption {
            fields.insert("caption".to_owned(), json!(caption));
        }
        if let Some(album) = &file.album {
            fields.insert("media_group_id".to_owned(), json!(album));
        }
        let shown = file.caption.clone().unwrap_or_default();
        Ok(self.says(kind.name, fields, &shown, Some(id)))
    }

    fn reacts(self, message_id: &str, emoji: Option<&str>) -> Result<Acted, Problem> {
        let id = self.full_id(message_id);
        let who = self.customer.id.clone();
        let old = self.entry(&id)?.reactions.get(&who).cloned();
        if let Some(entry) = self.world.chat_mut(&self.key).entry_mut(&id) {
            match emoji {
                Some(emoji) => entry.reactions.insert(who, emoji.to_owned()),
                None => entry.reactions.remove(&who),
            };
        }
        let list = |emoji: Option<&str>| {
            emoji.map(|emoji| json!({"type": "emoji", "emoji": emoji})).into_iter().collect::<Vec<_>>()
        };
        let reaction = json!({
            "chat": self.chat(),
            "message_id": number_of(&id),
            "user": user(&self.customer),
            "date": self.at.unix_timestamp(),
            "old_reaction": list(old.as_deref()),
            "new_reaction": list(emoji),
        });
        let delivery = report(self.world, &self.key.account, "message_reaction", &reaction);
        Ok(self.acted(Some(id), delivery))
    }

    fn taps(mut self, message_id: &str, data: &str) -> Result<Acted, Problem> {
        let id = self.full_id(message_id);
        let entry = self.entry(&id)?.clone();
        if !entry.buttons.iter().any(|button| button.data == data) {
            let known: Vec<_> = entry.buttons.iter().map(|button| button.data.as_str()).collect();
            return Err(Problem::invalid(format!(
                "message `{id}` has no button `{data}`; it has: {}",
                known.join(", ")
            )));
        }
        let query = format!("{}{:010}", self.world.names.seed() % 1_000_000_000, self.world.names.number());
        let bot = bot(self.world, &self.key.account)?;
        let me = bot.user();
        bot.callbacks.insert(query.clone(), self.at);
        while bot.callbacks.len() > 10_000 {
            bot.callbacks.pop_first();
        }
        self.happened("callback_query");
        let row: Vec<_> =
            entry.buttons.iter().map(|button| json!({"text": button.text, "callback_data": button.data})).collect();
        let mut message = json!({
            "message_id": number_of(&id),
            "from": me,
            "chat": self.chat(),
            "date": entry.at.unix_timestamp(),
            "text": entry.text,
            "reply_markup": {"inline_keyboard": [row]},
        });
        if let (Value::Object(message), Some(connection)) = (&mut message, &self.connection) {
            message.insert("business_connection_id".to_owned(), json!(connection.id));
        }
        let content = json!({
            "id": query,
            "from": user(&self.customer),
            "message": message,
            "chat_instance": format!("-{}", self.chat_id()),
            "data": data,
        });
        let delivery = report(self.world, &self.key.account, "callback_query", &content);
        Ok(self.acted(Some(id), delivery))
    }

    fn edits(mut self, message_id: &str, text: &str) -> Result<Acted, Problem> {
        let id = self.full_id(message_id);
        let entry = self.entry(&id)?;
        if entry.author != Author::Customer {
            return Err(Problem::invalid("customers edit their own messages only"));
        }
        let sent_at = entry.at;
        if let Some(entry) = self.world.chat_mut(&self.key).entry_mut(&id) {
            (entry.text, entry.edited) = (text.to_owned(), true);
        }
        let update = if self.connection.is_some() { "edited_business_message" } else { "edited_message" };
        self.happened(update);
        let mut message = self.message(number_of(&id), user(&self.customer));
        message.insert("date".to_owned(), json!(sent_at.unix_timestamp()));
        message.insert("edit_date".to_owned(), json!(self.at.unix_timestamp()));
        message.insert("text".to_owned(), json!(text));
        let delivery = report(self.world, &self.key.account, update, &Value::Object(message));
        Ok(self.acted(Some(id), delivery))
    }

    /// Deletions are told for business chats only.
    fn deletes(mut self, message_id: &str) -> Result<Acted, Problem> {
        let id = self.full_id(message_id);
        self.entry(&id)?;
        if let Some(entry) = self.world.chat_mut(&self.key).entry_mut(&id) {
            entry.deleted = true;
        }
        let Some(connection) = self.connection.clone() else { return Ok(self.acted(Some(id), None)) };
        self.happened("deleted_business_messages");
        let content =
            json!({"business_connection_id": connection.id, "chat": self.chat(), "message_ids": [number_of(&id)]});
        let delivery = report(self.world, &self.key.account, "deleted_business_messages", &content);
        Ok(self.acted(Some(id), delivery))
    }

    fn turns(mut self, blocks: bool) -> Result<Acted, Problem> {
        if self.key.via.is_some() {
            return Err(Problem::invalid("a block concerns the bot itself: leave `via` out"));
        }
        let chat = self.world.chat_mut(&self.key);
        if chat.blocked == blocks {
            return Ok(self.acted(None, None));
        }
        chat.blocked = blocks;
        self.happened("my_chat_member");
        let me = bot(self.world, &self.key.account)?.user();
        let member = |status: &str| match status {
            "kicked" => json!({"status": "kicked", "until_date": 0, "user": me}),
            _ => json!({"status": "member", "user": me}),
        };
        let (old, new) = if blocks { ("member", "kicked") } else { ("kicked", "member") };
        let content = json!({
            "chat": self.chat(),
            "from": user(&self.customer),
            "date": self.at.unix_timestamp(),
            "old_chat_member": member(old),
            "new_chat_member": member(new),
        });
        let delivery = report(self.world, &self.key.account, "my_chat_member", &content);
        Ok(self.acted(None, delivery))
    }

    /// The owner of a business account types an answer: it comes as a business message too, from the owner.
    fn owner_writes(self, text: &str) -> Result<Acted, Problem> {
        let needs = || {
            Problem::invalid(
                "on Telegram only the owner of a business account writes elsewhere: `via` names the connection",
            )
        };
        let connection = self.connection.clone().ok_or_else(needs)?;
        let owner = self.world.customer(&connection.owner)?.clone();
        let number = next_message(self.world, &self.key);
        let id = format!("{}:{number}", self.chat_id());
        let mut message = self.message(number, user(&owner));
        message.extend(text_fields(text));
        let entry = Entry::new(&id, Author::Elsewhere, self.at, "text", text);
        self.world.chat_mut(&self.key).entries.push(entry);
        let delivery = report(self.world, &self.key.account, "business_message", &Value::Object(message));
        Ok(self.acted(Some(id), delivery))
    }

    fn asks_to_join(mut self, data: &Value) -> Acted {
        self.happened("chat_join_request");
        let title = data.get("title").and_then(Value::as_str).unwrap_or("News");
        let content = json!({
            "chat": {"id": -1_001_000_000_001_i64, "type": "channel", "title": title},
            "from": user(&self.customer),
            "user_chat_id": user_id(&self.customer),
            "date": self.at.unix_timestamp(),
        });
        let delivery = report(self.world, &self.key.account, "chat_join_request", &content);
        self.acted(None, delivery)
    }
}

fn number_of(id: &str) -> i64 {
    id.rsplit(':').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn text_fields(text: &str) -> Map<String, Value> {
    let mut fields = Map::from_iter([("text".to_owned(), json!(text))]);
    if let Some(command) = text.strip_prefix('/') {
        let length = 1 + command.split_whitespace().next().unwrap_or_default().encode_utf16().count();
        fields.insert("entities".to_owned(), json!([{"type": "bot_command", "offset": 0, "length": length}]));
    }
    fields
}
