//! From updates to what happened.
//!
//! Bots serve private chats only: what happens in groups and channels is kept as unsupported. What stands in a business
//! connection's chat belongs to the account of that connection.

mod content;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use transom_channel::{
    AccountEffect, AccountNotice, Inbound, InboundMessage, Item, Opening, OptOutScope, ParseError, Person, RawInbound,
    Standing, json,
};
use transom_domain::{Address, Content, Profile};

use self::content::{Command, Service, command, own_phone, quoted, read_body, service, start_payload};
use crate::capabilities::USER_ID;
use crate::wire::{
    BusinessConnection, CallbackQuery, Chat, ChatJoinRequest, ChatMemberUpdated, ConnectionId, DeletedBusinessMessages,
    Message, MessageReaction, Names, TapUpdate, User,
};

/// The feature by which the policy `telegram_business` knows that the owner took the right to reply back.
const REVOKED: &str = "revoked";

/// The kinds of update that are read (4); also what is asked for, since reactions come only to who names them.
pub(crate) const KINDS: [&str; 10] = [
    "message",
    "edited_message",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "business_connection",
    "callback_query",
    "message_reaction",
    "my_chat_member",
    "chat_join_request",
];

/// Ids of taps are numbers of some twenty digits: what is far longer is none.
const MAX_TAP: usize = 128;

/// Reads one update.
pub(crate) fn parse(bot_id: &str, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
    let Value::Object(mut update) = json::read(&raw.body)? else {
        return Err(ParseError::new("not an update: an object is expected"));
    };
    let update_id = update.remove("update_id").and_then(|id| id.as_i64());
    let update_id = update_id.ok_or_else(|| ParseError::new("not an update: it has no whole number as `update_id`"))?;
    Ok(Reader { bot_id, update_id, received_at: raw.received_at }.read(&mut update))
}

/// The id of the tap that an update tells of, by which it is answered.
pub(crate) fn tap(update: &[u8]) -> Option<String> {
    let tapped: TapUpdate = serde_json::from_slice(update).ok()?;
    tapped.callback_query.map(|query| query.id).filter(|id| (1..=MAX_TAP).contains(&id.len()))
}

/// What all items of an update have in common.
struct Reader<'r> {
    bot_id: &'r str,
    update_id: i64,
    received_at: OffsetDateTime,
}

impl Reader<'_> {
    /// An update has exactly one kind (4); what comes besides is not known yet, and not missed.
    fn read(&self, update: &mut Map<String, Value>) -> Vec<Inbound> {
        let known = KINDS.iter().find_map(|kind| Some((*kind, update.remove(*kind).filter(|value| !value.is_null())?)));
        let Some((kind, value)) = known else {
            let kind = update.keys().next().map_or("an update of no kind", String::as_str);
            return vec![self.unsupported(kind, kind)];
        };
        let items = match kind {
            "message" | "business_message" => self.message(kind, value),
            "edited_message" | "edited_business_message" => self.edit(kind, value),
            "deleted_business_messages" => self.deleted(kind, value),
            "business_connection" => self.connection(kind, value),
            "callback_query" => self.tap(kind, value),
            "message_reaction" => self.reaction(kind, value),
            "my_chat_member" => self.member(kind, value),
            "chat_join_request" => self.join_request(kind, value),
            _ => None,
        };
        items.unwrap_or_else(|| vec![self.unsupported(kind, kind)])
    }

    fn message(&self, kind: &str, value: Value) -> Option<Vec<Inbound>> {
        let message: Message = typed(value)?;
        if !message.chat.is_private() {
            return Some(vec![self.unsupported(kind, &format!("{kind} in a {}", message.chat.kind))]);
        }
        let (account, business) = (message.business_connection_id.clone(), message.business_connection_id.is_some());
        let at = self.instant(message.date);
        let from_customer = message.from.as_ref().is_some_and(|from| from.id == message.chat.id && !from.is_bot);
        let key = message_key(kind, &message);
        let person = person_of(&message);
        // Who writes to an owner writes to a person, and gives a bot no orders.
        let standing = command(&message).filter(|_| from_customer && !business).map(|command| match command {
            Command::Stop => Standing::OptedOut(OptOutScope::All),
            Command::Start => Standing::OptedIn(OptOutScope::All),
        });
        let opens = |kind: &str| if from_customer { vec![Opening::of(kind)] } else { Vec::new() };
        let (item, openings) = match (read_body(&message), service(&message)) {
            (Some(body), _) => {
                let content = Content { body, reply_to: quoted(&message) };
                let message = InboundMessage {
                    payload: start_payload(&message),
                    group: message.media_group_id,
                    ..InboundMessage::new(provider_id(message.chat.id, message.message_id), content)
                };
                if from_customer {
                    (Item::Message(message), opens("message"))
                } else {
                    // The owner typed it, or it is ours on its way back.
                    (Item::Echo { message, correlation: None }, Vec::new())
                }
            }
            (None, Service::WriteAccess) if !business => {
                (Item::Opening { what: "write_access_allowed".to_owned() }, opens("write_access"))
            }
            (None, Service::WriteAccess) => (not_known("write_access_allowed", false), Vec::new()),
            (None, Service::Notice(what)) => (not_known(&what, false), Vec::new()),
            (None, Service::Content(what)) => (not_known(&what, from_customer), opens("message")),
        };
        let account = account.as_ref().map_or(self.bot_id, ConnectionId::as_str);
        let told = standing.map(|standing| {
            event(account, format!("{key}:standing"), at, Some(person.clone()), Vec::new(), Item::Standing(standing))
        });
        let mut items = vec![event(account, key.clone(), at, Some(person), openings, item)];
        items.extend(told);
        Some(items)
    }

    /// Changes the stored message, and opens nothing (4, notes).
    fn edit(&self, kind: &str, value: Value) -> Option<Vec<Inbound>> {
        let message: Message = typed(value)?;
        if !message.chat.is_private() {
            return Some(vec![self.unsupported(kind, &format!("{kind} in a {}", message.chat.kind))]);
        }
        let at = self.instant(message.edit_date.unwrap_or(message.date));
        let from_customer = message.from.as_ref().is_some_and(|from| from.id == message.chat.id);
        let item = match read_body(&message) {
            Some(body) if from_customer => Item::Edit {
                of: provider_id(message.chat.id, message.message_id),
                content: Content { body, reply_to: quoted(&message) },
            },
            _ => not_known(kind, from_customer),
        };
        let account = message.business_connection_id.as_ref().map_or(self.bot_id, ConnectionId::as_str);
        Some(vec![event(account, self.key(kind), at, Some(person_of(&message)), Vec::new(), item)])
    }

    fn deleted(&self, kind: &str, value: Value) -> Option<Vec<Inbound>> {
        let deleted: DeletedBusinessMessages = typed(value)?;
        let person = person(deleted.chat.id, &deleted.chat.names, None);
        let account = deleted.business_connection_id.as_str();
        let unsend = |number: &i64| {
            let of = provider_id(deleted.chat.id, *number);
            let key = format!("{kind}:{account}:{of}");
            event(account, key, self.received_at, Some(person.clone()), Vec::new(), Item::Unsend { of })
        };
        let items: Vec<Inbound> = deleted.message_ids.iter().map(unsend).collect();
        (!items.is_empty()).then_some(items)
    }

    /// Its `date` is when the connection was made, not when it changed: the change counts from when we hear of it.
    fn connection(&self, kind: &str, value: Value) -> Option<Vec<Inbound>> {
        let connection: BusinessConnection = typed(value)?;
        let may_reply = connection.may_reply();
        let owner = full_name(&connection.user.names).unwrap_or_else(|| "the owner".to_owned());
        let text = match (connection.is_enabled, may_reply) {
            (true, true) => format!("{owner} lets the bot answer customers"),
            (true, false) => format!("{owner} took back the right to answer customers"),
            (false, _) => format!("{owner} disconnected the bot"),
        };
        let effect = Some(AccountEffect::Feature { name: REVOKED.to_owned(), granted: !may_reply });
        let notice = Item::AccountNotice(AccountNotice { what: kind.to_owned(), text, effect });
        Some(vec![event(connection.id.as_str(), self.key(kind), self.received_at, None, Vec::new(), notice)])
    }

    /// A tap on an inline button. The query states no time.
    fn tap(&self, kind: &str, value: Value) -> Option<Vec<Inbound>> {
        let query: CallbackQuery = typed(value)?;
        let message = query.message.as_ref();
        if let Some(message) = message.filter(|message| !message.chat.is_private()) {
            return Some(vec![self.unsupported(kind, &format!("{kind} in a {}", message.chat.kind))]);
        }
        let Some(data) = query.data else { return Some(vec![self.unsupported(kind, "game")]) };
        let buttons =
            message.and_then(|message| message.reply_markup.as_ref()).map(|keyboard| &keyboard.inline_keyboard);
        let tapped = |button: &&crate::wire::Button| button.callback_data.as_deref() == Some(data.as_str());
        let label = buttons.and_then(|rows| rows.iter().flatten().find(tapped)).map(|button| button.text.clone());
        let connection = message.and_then(|message| message.business_connection_id.as_ref().map(ConnectionId::as_str));
        // Taps below a message that was sent through inline mode come from anywhere, perhaps from a stranger; and an owner's
        // customers open by writing alone.
        let opens = message.is_some() && connection.is_none();
        let item = Item::Message(InboundMessage {
            payload: Some(data.clone()),
            ..InboundMessage::new(
                query.id.clone(),
                Content {
                    reply_to: message.map(|message| provider_id(message.chat.id, message.message_id)),
                    ..Content::text(label.unwrap_or(data))
                },
            )
        });
        let openings = if opens { vec![Opening::of("callback")] } else { Vec::new() };
        let person = person_of_user(&query.from);
        let account = connection.unwrap_or(self.bot_id);
        let key = format!("{kind}:{}", query.id);
        Some(vec![event(account, key, self.received_at, Some(person), openings, item)])
    }

    fn reaction(&self, kind: &str, value: Value) -> Option<Vec<Inbound>> {
        let reaction: MessageReaction = typed(value)?;
        let Some(user) = reaction.user.filter(|_| reaction.chat.is_private()) else {
            return Some(vec![self.unsupported(kind, &format!("{kind} in a {}", reaction.chat.kind))]);
        };
        let emoji = reaction.new_reaction.iter().find_map(|one| one.emoji.clone());
        let item = if emoji.is_none() && !reaction.new_reaction.is_empty() {
            not_known("a reaction that is no emoji", true)
        } else {
            Item::Reaction { to: provider_id(reaction.chat.id, reaction.message_id), emoji }
        };
        let person = Some(person_of_user(&user));
        Some(vec![event(self.bot_id, self.key(kind), self.instant(reaction.date), person, Vec::new(), item)])
    }

    /// The user blocked the bot, or unblocked or started it.
    fn member(&self, kind: &str, value: Value) -> Option<Vec<Inbound>> {
        let update: ChatMemberUpdated = typed(value)?;
        if !update.chat.is_private() {
            return Some(vec![self.unsupported(kind, &format!("{kind} in a {}", update.chat.kind))]);
        }
        let (item, openings) = match update.new_chat_member.status.as_str() {
            "kicked" | "left" => (Item::Standing(Standing::Blocked), Vec::new()),
            "member" => (Item::Standing(Standing::Unblocked), vec![Opening::of("follow")]),
            other => (not_known(&format!("{kind}: {other}"), false), Vec::new()),
        };
        let person = Some(person_of_user(&update.from));
        Some(vec![event(self.bot_id, self.key(kind), self.instant(update.date), person, openings, item)])
    }

    /// For five minutes the bot may write to who wants to join, under the id that the request names (1).
    fn join_request(&self, kind: &str, value: Value) -> Option<Vec<Inbound>> {
        let asked: ChatJoinRequest = typed(value)?;
        let opening = Opening { kind: "join_request".to_owned(), reference: Some(asked.user_chat_id.to_string()) };
        let item = Item::Opening { what: kind.to_owned() };
        let person = Some(person_of_user(&asked.from));
        Some(vec![event(self.bot_id, self.key(kind), self.instant(asked.date), person, vec![opening], item)])
    }

    /// Kept, and shown to nobody.
    fn unsupported(&self, kind: &str, what: &str) -> Inbound {
        event(self.bot_id, self.key(kind), self.received_at, None, Vec::new(), not_known(what, false))
    }

    /// Update ids repeat with a redelivery, and after a quiet week they start anew anywhere (4): the kind goes along.
    fn key(&self, kind: &str) -> String {
        format!("{}:{}", short(kind), self.update_id)
    }

    fn instant(&self, seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(self.received_at)
    }
}

fn event(
    account: &str,
    event_key: String,
    at: OffsetDateTime,
    person: Option<Person>,
    openings: Vec<Opening>,
    item: Item,
) -> Inbound {
    Inbound { account: account.to_owned(), event_key, at, person, openings, item }
}

/// A message is the same one however it comes.
fn message_key(kind: &str, message: &Message) -> String {
    let id = provider_id(message.chat.id, message.message_id);
    match &message.business_connection_id {
        Some(connection) => format!("{kind}:{}:{id}", connection.as_str()),
        None => format!("{kind}:{id}"),
    }
}

/// How messages are named everywhere: numbers count by chat.
pub(crate) fn provider_id(chat: i64, number: i64) -> String {
    format!("{chat}:{number}")
}

/// Reads an object; one of another shape than known is none. Why not is no matter: serde's words would quote it.
fn typed<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

fn not_known(what: &str, from_customer: bool) -> Item {
    Item::Unsupported { what: short(what), from_customer }
}

/// A name from outside, cut.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

/// The customer of a private chat, also where the owner or the bot speaks.
fn person_of(message: &Message) -> Person {
    let customer = message.from.as_ref().filter(|from| from.id == message.chat.id);
    let mut person = customer.map_or_else(|| person_of_chat(&message.chat), person_of_user);
    if let Some(phone) = own_phone(message) {
        person.profile.phone = Some(phone);
    }
    person
}

fn person_of_user(user: &User) -> Person {
    person(user.id, &user.names, user.language_code.as_deref())
}

fn person_of_chat(chat: &Chat) -> Person {
    person(chat.id, &chat.names, None)
}

fn person(id: i64, names: &Names, language: Option<&str>) -> Person {
    let profile = Profile { language: language.map(str::to_owned), ..profile(names) };
    Person { addresses: vec![Address::new(USER_ID, id.to_string())], profile }
}

/// What people and private chats tell by their names.
pub(crate) fn profile(names: &Names) -> Profile {
    Profile {
        name: full_name(names),
        first_name: filled(names.first_name.as_deref()),
        last_name: filled(names.last_name.as_deref()),
        username: filled(names.username.as_deref()),
        ..Profile::default()
    }
}

pub(crate) fn full_name(names: &Names) -> Option<String> {
    let parts = [names.first_name.as_deref(), names.last_name.as_deref()];
    filled(Some(&parts.into_iter().flatten().collect::<Vec<_>>().join(" ")))
}

fn filled(name: Option<&str>) -> Option<String> {
    name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
