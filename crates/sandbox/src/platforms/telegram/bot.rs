//! A bot: its settings, its connections and groups, its pace.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::errors::BotError;
use crate::Problem;
use crate::chats::{Chat, ChatKey};
use crate::pacing::Bucket;
use crate::people::Customer;
use crate::platforms::kit::merged;
use crate::world::World;

/// The settings of a bot. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelegramSettings {
    /// `<bot id>:<secret>`; the id is the account's id.
    pub token: String,
    /// Without an at sign.
    pub username: String,
    /// The name customers see.
    pub first_name: String,
    /// Comes back in each webhook's header. `setWebhook` changes it.
    pub secret_token: Option<String>,
    /// The kinds of update wanted; `None` or empty: all but `chat_member`, `message_reaction` and `message_reaction_count`.
    pub allowed_updates: Option<Vec<String>>,
    /// Keeps the rates: 30 a second, 1 a second in a chat, 20 a minute in a group.
    pub pacing: bool,
    /// In groups the bot sees only commands, answers to it and mentions.
    pub privacy_mode: bool,
}

/// A bot at work.
#[derive(Debug)]
pub(super) struct Bot {
    pub(super) settings: TelegramSettings,
    last_update: i64,
    all: Option<Bucket>,
    chats: BTreeMap<i64, Bucket>,
    /// Callback queries that wait for an answer, and since when.
    pub(super) callbacks: BTreeMap<String, OffsetDateTime>,
    pub(super) connections: BTreeMap<String, Connection>,
    pub(super) groups: BTreeMap<i64, Group>,
    /// Download paths, with the file and the end of their life.
    pub(super) paths: BTreeMap<String, (String, OffsetDateTime)>,
    /// Counts pollers: a new one ends the old one's call.
    pub(super) pollers: u64,
}

/// A business account that the bot answers for.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) can_reply: bool,
    pub(super) is_enabled: bool,
    /// Customers whose chats the owner keeps to himself.
    pub(super) excluded: BTreeSet<String>,
    pub(super) date: OffsetDateTime,
}

/// A group that the bot is in.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) kind: String,
    /// The bot was thrown out.
    pub(super) kicked: bool,
    /// It became this supergroup.
    pub(super) migrated_to: Option<i64>,
}

/// All bots of the sandbox, by their id.
#[derive(Debug, Default)]
pub(super) struct Bots(pub(super) BTreeMap<String, Bot>);

impl Bot {
    /// 30 messages a second in all, one a second in a chat (short bursts are tolerated), 20 a minute in a group.
    pub(super) fn pace(&mut self, chat: i64, now: OffsetDateTime) -> Result<(), BotError> {
        if !self.settings.pacing {
            return Ok(());
        }
        let every = Duration::from_secs(if chat < 0 { 3 } else { 1 });
        let all = self.all.get_or_insert_with(|| Bucket::full(30, Duration::from_micros(33_333), now));
        let waited = all
            .take(now)
            .and_then(|()| self.chats.entry(chat).or_insert_with(|| Bucket::full(20, every, now)).take(now));
        waited.map_err(|pause| BotError::too_fast(pause.as_secs().saturating_add(1)))
    }

    /// Whether updates of this kind are wanted.
    pub(super) fn wants(&self, kind: &str) -> bool {
        match self.settings.allowed_updates.as_deref() {
            None | Some([]) => !matches!(kind, "chat_member" | "message_reaction" | "message_reaction_count"),
            Some(wanted) => wanted.iter().any(|one| one == kind),
        }
    }

    pub(super) fn next_update(&mut self) -> i64 {
        self.last_update += 1;
        self.last_update
    }

    /// The bot as a user.
    pub(super) fn user(&self) -> Value {
        let TelegramSettings { token, first_name, username, .. } = &self.settings;
        json!({"id": id_of(token), "is_bot": true, "first_name": first_name, "username": username})
    }
}

/// The bot's id: what stands before the colon of its token.
pub(super) fn id_of(token: &str) -> i64 {
    token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or_default()
}

/// A bot, by its account's id.
pub(super) fn bot<'a>(world: &'a mut World, account: &str) -> Result<&'a mut Bot, Problem> {
    let bot = world.shelves.of::<Bots>().0.get_mut(account);
    bot.ok_or_else(|| Problem::not_found(format!("there is no bot `{account}`")))
}

/// Makes a bot.
pub(super) fn open(world: &mut World, name: Option<&str>, given: &Value) -> Result<String, Problem> {
    let (id, secret, number) = (world.names.digits('5', 10), world.names.token(35), world.names.number());
    let made_up = TelegramSettings {
        token: format!("{id}:{secret}"),
        username: format!("sandbox{number}_bot"),
        first_name: name.unwrap_or("Sandbox Bot").to_owned(),
        secret_token: None,
        allowed_updates: None,
        pacing: true,
        privacy_mode: true,
    };
    let settings = checked(merged(&made_up, given)?)?;
    let id = id_of(&settings.token).to_string();
    if world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("there is an account `{id}` already")));
    }
    let last_update = numbering_base(world) * 8;
    let bot = Bot {
        settings,
        last_update,
        all: None,
        chats: BTreeMap::new(),
        callbacks: BTreeMap::new(),
        connections: BTreeMap::new(),
        groups: BTreeMap::new(),
        paths: BTreeMap::new(),
        pollers: 0,
    };
    world.shelves.of::<Bots>().0.insert(id.clone(), bot);
    Ok(id)
}

/// Where counted ids begin: by the second of the sandbox's start, so that a restarted one repeats none.
fn numbering_base(world: &World) -> i64 {
    i64::try_from(world.names.seed() / 1_000).unwrap_or_default().saturating_sub(1_700_000_000).max(0)
}

/// Changes a bot's settings. A new secret behind the same id revokes the old token.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let bot = bot(world, account)?;
    let changed = checked(merged(&bot.settings, given)?)?;
    if id_of(&changed.token).to_string() != account {
        return Err(Problem::invalid("the token's number is the account's id and stays"));
    }
    bot.settings = changed;
    Ok(())
}

fn checked(settings: TelegramSettings) -> Result<TelegramSettings, Problem> {
    let well_formed = settings.token.split_once(':').is_some_and(|(id, secret)| {
        id.parse::<i64>().is_ok_and(|id| id > 0)
            && !secret.is_empty()
            && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    });
    if !well_formed {
        return Err(Problem::invalid("token is `<bot id>:<secret>`, the secret of letters, digits, _ and -"));
    }
    if settings.secret_token.as_deref().is_some_and(|secret| !is_secret(secret)) {
        return Err(Problem::invalid("secret_token is 1 to 256 of A-Z, a-z, 0-9, _ and -"));
    }
    Ok(settings)
}

/// What may be a secret token.
pub(super) fn is_secret(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// The next message id of a chat. Ids count by chat, so they are the same in several: a client must not mix them up.
pub(super) fn next_message(world: &mut World, key: &ChatKey) -> i64 {
    let base = numbering_base(world);
    let chat: &mut Chat = world.chat_mut(key);
    chat.last_number = chat.last_number.max(base) + 1;
    chat.last_number
}

/// The customer's id on Telegram, which is also the id of the private chat.
pub(super) fn user_id(customer: &Customer) -> i64 {
    customer.address("telegram").parse().unwrap_or_default()
}

/// The customer as a user.
pub(super) fn user(customer: &Customer) -> Value {
    let mut user = names(customer);
    user.insert("id".to_owned(), json!(user_id(customer)));
    user.insert("is_bot".to_owned(), json!(false));
    if let Some(language) = &customer.language {
        user.insert("language_code".to_owned(), json!(language));
    }
    Value::Object(user)
}

/// The customer's private chat.
pub(super) fn private_chat(customer: &Customer) -> Value {
    let mut chat = names(customer);
    chat.insert("id".to_owned(), json!(user_id(customer)));
    chat.insert("type".to_owned(), json!("private"));
    Value::Object(chat)
}

fn names(customer: &Customer) -> serde_json::Map<String, Value> {
    let (first, last) = match customer.name.split_once(' ') {
        Some((first, last)) => (first, Some(last)),
        None => (customer.name.as_str(), None),
    };
    let pairs = [("first_name", Some(first)), ("last_name", last), ("username", customer.username.as_deref())];
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect()
}

impl Group {
    pub(super) fn chat(&self) -> Value {
        json!({"id": self.id, "type": self.kind, "title": self.title})
    }
}
