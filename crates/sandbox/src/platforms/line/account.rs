//! An Official Account: its settings, its reply tokens, its retry keys, its pace.

use std::collections::BTreeMap;
use std::time::Duration as Pause;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::errors::LineError;
use crate::Problem;
use crate::names::mix;
use crate::pacing::Bucket;
use crate::platforms::kit::merged;
use crate::world::World;

/// The settings of an Official Account. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineSettings {
    /// `U` and 32 hexadecimal digits: the account's id, and `destination` in webhooks.
    pub bot_user_id: String,
    /// `@` and a name, as customers search for it.
    pub basic_id: String,
    /// The name customers see.
    pub display_name: String,
    /// Signs the webhooks.
    pub channel_secret: String,
    /// The bearer token of the API.
    pub access_token: String,
    /// Messages of a month; `None`: no limit.
    pub monthly_limit: Option<u32>,
    /// Messages that others used this month: broadcasts from the Official Account Manager.
    pub used_elsewhere: u32,
    /// Messages that a large delivery holds back at present: not used, and not free either.
    pub reserved: u32,
    /// How long a reply token lives, in seconds; the documents say "about a minute".
    pub reply_token_seconds: u32,
    /// Keeps the rate of 2,000 a second.
    pub pacing: bool,
}

/// A reply token that was given out.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) customer: String,
    /// The time of its event.
    pub(super) at: OffsetDateTime,
    pub(super) used: bool,
}

/// A request that came with a retry key and was accepted.
#[derive(Debug, Clone)]
pub(super) struct Accepted {
    pub(super) at: OffsetDateTime,
    pub(super) request_id: String,
    pub(super) sent: Value,
}

/// An account at work.
#[derive(Debug)]
pub(super) struct Official {
    pub(super) settings: LineSettings,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) accepted: BTreeMap<String, Accepted>,
    rate: Option<Bucket>,
}

/// All accounts of the sandbox, by their id.
#[derive(Debug, Default)]
pub(super) struct Officials(pub(super) BTreeMap<String, Official>);

impl Official {
    /// 2,000 calls a second for each endpoint.
    pub(super) fn pace(&mut self, now: OffsetDateTime) -> Result<(), LineError> {
        if !self.settings.pacing {
            return Ok(());
        }
        let rate = self.rate.get_or_insert_with(|| Bucket::full(2_000, Pause::from_micros(500), now));
        rate.take(now).map_err(|_| LineError::too_fast())
    }

    /// How long a reply token lives.
    pub(super) fn token_life(&self) -> Duration {
        Duration::seconds(i64::from(self.settings.reply_token_seconds))
    }
}

/// An account, by its id.
pub(super) fn official<'a>(world: &'a mut World, account: &str) -> Result<&'a mut Official, Problem> {
    let found = world.shelves.of::<Officials>().0.get_mut(account);
    found.ok_or_else(|| Problem::not_found(format!("there is no Official Account `{account}`")))
}

/// Makes an account.
pub(super) fn open(world: &mut World, name: Option<&str>, given: &Value) -> Result<String, Problem> {
    let (number, secret, token) = (world.names.number(), world.names.number(), world.names.token(120));
    let made_up = LineSettings {
        bot_user_id: user_id(world.names.seed(), number),
        basic_id: format!("@{:03}sandbox", number % 1_000),
        display_name: name.unwrap_or("Sandbox Shop").to_owned(),
        channel_secret: format!("{:016x}{:016x}", mix(world.names.seed() ^ secret), mix(secret)),
        access_token: token,
        monthly_limit: None,
        used_elsewhere: 0,
        reserved: 0,
        reply_token_seconds: 60,
        pacing: true,
    };
    let settings = checked(&made_up, given)?;
    let id = settings.bot_user_id.clone();
    if world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("there is an account `{id}` already")));
    }
    let official = Official { settings, tokens: BTreeMap::new(), accepted: BTreeMap::new(), rate: None };
    world.shelves.of::<Officials>().0.insert(id.clone(), official);
    Ok(id)
}

/// Changes an account's settings.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let found = official(world, account)?;
    let changed = checked(&found.settings, given)?;
    if changed.bot_user_id != account {
        return Err(Problem::invalid("bot_user_id is the account's id and stays"));
    }
    found.settings = changed;
    Ok(())
}

fn checked(base: &LineSettings, changes: &Value) -> Result<LineSettings, Problem> {
    let settings = merged(base, changes)?;
    if !is_id(&settings.bot_user_id, 'U') {
        return Err(Problem::invalid("bot_user_id is U and 32 hexadecimal digits"));
    }
    if settings.channel_secret.is_empty() || settings.access_token.is_empty() {
        return Err(Problem::invalid("channel_secret and access_token must not be empty"));
    }
    Ok(settings)
}

/// An id of a user, group or room: a letter and 32 hexadecimal digits.
pub(super) fn is_id(text: &str, first: char) -> bool {
    text.strip_prefix(first).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// An id of a user, made up.
pub(super) fn user_id(seed: u64, number: u64) -> String {
    format!("U{:016x}{:016x}", mix(seed), mix(seed ^ number))
}
