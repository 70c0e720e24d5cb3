//! A business account: its settings and its tokens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::Problem;
use crate::platforms::kit::merged;
use crate::world::World;

/// Access tokens live a day.
pub(super) const TOKEN_LIFE: Duration = Duration::seconds(86_400);

/// Which of the sources is right about the count of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// It holds after each message of the customer.
    A,
    /// It holds until the customer has answered the business.
    B,
}

/// The settings of a business account. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TikTokSettings {
    /// The account's id.
    pub business_id: String,
    /// Without an at sign.
    pub username: String,
    /// The app that the account authorised, and its secret.
    pub app_id: String,
    /// Signs webhooks.
    pub app_secret: String,
    /// The present access token. An exchange makes the next one.
    pub access_token: String,
    /// The present refresh token. An exchange makes the next one, and this one is spent.
    pub refresh_token: String,
    /// Comments may get a private reply: switched on over the API.
    pub direct_reply: bool,
    /// Messages of the business after each message of the customer.
    pub reply_limit: u32,
    /// Whether that goes on once both have written.
    pub reading: Reading,
    /// Keeps the rates; the platform states none, so this changes nothing.
    pub pacing: bool,
}

#[derive(Debug)]
struct Business {
    settings: TikTokSettings,
    token_ends: OffsetDateTime,
}

#[derive(Debug, Default)]
struct Businesses(BTreeMap<String, Business>);

/// Makes an account.
pub(super) fn open(world: &mut World, name: Option<&str>, given: &Value) -> Result<String, Problem> {
    let number = world.names.number();
    let made_up = TikTokSettings {
        business_id: format!("biz-open-{}", world.names.digits('1', 10)),
        username: name.map_or_else(|| format!("sandbox{number}"), |name| name.to_lowercase().replace(' ', "_")),
        app_id: world.names.digits('7', 19),
        app_secret: world.names.token(32),
        access_token: format!("act.{}", world.names.token(40)),
        refresh_token: format!("rft.{}", world.names.token(40)),
        direct_reply: false,
        reply_limit: 10,
        reading: Reading::A,
        pacing: true,
    };
    let settings: TikTokSettings = merged(&made_up, given)?;
    let id = settings.business_id.clone();
    if id.is_empty() || world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("business_id is empty, or there is an account `{id}` already")));
    }
    let token_ends = world.now() + TOKEN_LIFE;
    world.shelves.of::<Businesses>().0.insert(id.clone(), Business { settings, token_ends });
    Ok(id)
}

/// An account's settings.
pub(super) fn settings(world: &mut World, account: &str) -> Result<TikTokSettings, Problem> {
    let found = world.shelves.of::<Businesses>().0.get(account).map(|business| business.settings.clone());
    found.ok_or_else(|| Problem::not_found(format!("there is no business account `{account}`")))
}

/// Changes an account's settings.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let changed: TikTokSettings = merged(&settings(world, account)?, given)?;
    if changed.business_id != account {
        return Err(Problem::invalid("business_id is the account's id and stays"));
    }
    if let Some(business) = world.shelves.of::<Businesses>().0.get_mut(account) {
        business.settings = changed;
    }
    Ok(())
}

/// Switches private replies to comments on or off.
pub(super) fn turn_direct_reply(world: &mut World, account: &str, on: bool) {
    if let Some(business) = world.shelves.of::<Businesses>().0.get_mut(account) {
        business.settings.direct_reply = on;
    }
}

/// Closes an account.
pub(super) fn close(world: &mut World, account: &str) {
    world.shelves.of::<Businesses>().0.remove(account);
}

/// The account whose access token this is, while it lasts.
pub(super) fn by_token(world: &mut World, token: &str) -> Option<String> {
    let now = world.now();
    let all = &world.shelves.of::<Businesses>().0;
    let mut found = all.iter().filter(|(_, one)| one.settings.access_token == token && now < one.token_ends);
    found.next().map(|(id, _)| id.clone())
}

/// The account whose refresh token this is.
pub(super) fn by_refresh_token(world: &mut World, token: &str) -> Option<String> {
    let all = &world.shelves.of::<Businesses>().0;
    all.iter().find(|(_, one)| one.settings.refresh_token == token).map(|(id, _)| id.clone())
}

/// Makes the next pair of tokens; the old ones are spent.
pub(super) fn exchange(world: &mut World, account: &str) -> Option<TikTokSettings> {
    let (access, refresh) = (world.names.token(40), world.names.token(40));
    let token_ends = world.now() + TOKEN_LIFE;
    let business = world.shelves.of::<Businesses>().0.get_mut(account)?;
    business.settings.access_token = format!("act.{access}");
    business.settings.refresh_token = format!("rft.{refresh}");
    business.token_ends = token_ends;
    Some(business.settings.clone())
}
