//! A bot: its settings, and the numbers it counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::Problem;
use crate::names::mix;
use crate::platforms::kit;
use crate::world::World;

pub(super) const HOST: &str = "SN-CHAT-07_";

/// The settings of a bot. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViberSettings {
    /// The account's id, `pa:` and digits.
    pub id: String,
    /// What calls and signatures are made with.
    pub token: String,
    /// The name customers see.
    pub name: String,
    /// The optional events wanted; `None`: all of them.
    pub event_types: Option<Vec<String>>,
    /// It pays for messages beyond the free ones.
    pub billable: bool,
    /// How many paid messages its balance is good for; `None`: as many as it likes.
    pub balance: Option<u32>,
    /// Messages that it may start for free in a calendar month; none for a bot of 2024-02-05 or later.
    pub free_messages: u32,
    /// How many of the present month's were used before the sandbox began to count.
    pub used_before: u32,
    /// When a session ends.
    pub session: Session,
    /// Keeps the cap of 100 messages an hour without a reply.
    pub pacing: bool,
}

/// When a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Session {
    /// 24 hours after the message that opened it.
    Fixed,
    /// 24 hours after the last message.
    Sliding,
}

/// A bot at work.
#[derive(Debug)]
pub(super) struct Bot {
    pub(super) settings: ViberSettings,
    /// The month to which `used_before` belongs.
    pub(super) since: OffsetDateTime,
    last_token: u64,
    /// Calls of `get_user_details`, by the person asked for.
    pub(super) asked: BTreeMap<String, Vec<OffsetDateTime>>,
}

/// All bots of the sandbox, by their id.
#[derive(Debug, Default)]
pub(super) struct Bots(pub(super) BTreeMap<String, Bot>);

impl Bot {
    /// The next message's number: 64 bits, beyond what a float can tell apart.
    pub(super) fn next_token(&mut self) -> u64 {
        self.last_token += 1;
        self.last_token
    }

    /// Whether an event is wanted. Three always come.
    pub(super) fn wants(&self, event: &str) -> bool {
        let always = matches!(event, "message" | "subscribed" | "unsubscribed" | "webhook");
        let wanted = self.settings.event_types.as_ref();
        always || wanted.is_none_or(|wanted| wanted.iter().any(|one| one == event))
    }
}

/// A bot, by its account's id.
pub(super) fn bot<'a>(world: &'a mut World, account: &str) -> Result<&'a mut Bot, Problem> {
    let bot = world.shelves.of::<Bots>().0.get_mut(account);
    bot.ok_or_else(|| Problem::not_found(format!("there is no bot `{account}`")))
}

/// The account whose token this is.
pub(super) fn account_of(world: &mut World, token: &str) -> Option<String> {
    let bots = &world.shelves.of::<Bots>().0;
    bots.iter().find(|(_, bot)| bot.settings.token == token).map(|(id, _)| id.clone())
}

/// Makes a bot.
pub(super) fn open(world: &mut World, name: Option<&str>, given: &Value) -> Result<String, Problem> {
    let token = [(); 3].map(|()| world.names.token(16).to_ascii_lowercase()).join("-");
    let made_up = ViberSettings {
        id: format!("pa:{}", world.names.digits('7', 19)),
        token,
        name: name.unwrap_or("Sandbox Bot").to_owned(),
        event_types: None,
        billable: false,
        balance: None,
        free_messages: 10_000,
        used_before: 0,
        session: Session::Fixed,
        pacing: true,
    };
    let settings = checked(kit::merged(&made_up, given)?)?;
    if world.accounts.contains_key(&settings.id) {
        return Err(Problem::conflict(format!("there is an account `{}` already", settings.id)));
    }
    if account_of(world, &settings.token).is_some() {
        return Err(Problem::conflict("another bot has this token"));
    }
    let id = settings.id.clone();
    // A restarted sandbox repeats no number, and two bots do not share any.
    let place = mix(world.names.seed() ^ (world.names.number() << 32)) % 100_000_000_000;
    let (last_token, since) = (5_000_000_000_000_000_000 + place * 10_000_000, world.now());
    let bot = Bot { settings, since, last_token, asked: BTreeMap::new() };
    world.shelves.of::<Bots>().0.insert(id.clone(), bot);
    Ok(id)
}

/// Changes a bot's settings.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let now = world.now();
    let bot = bot(world, account)?;
    let changed = checked(kit::merged(&bot.settings, given)?)?;
    if changed.id != account {
        return Err(Problem::invalid("the id stays"));
    }
    if given.get("used_before").is_some() {
        bot.since = now;
    }
    bot.settings = changed;
    Ok(())
}

fn checked(settings: ViberSettings) -> Result<ViberSettings, Problem> {
    if settings.token.is_empty() || !settings.token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::invalid("token is a text without blanks"));
    }
    Ok(settings)
}
