//! An account: its settings, its signatures, and what it has seen.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::templates::Template;
use crate::Problem;
use crate::http::{Call, Reply};
use crate::platforms::kit;
use crate::world::World;

/// The settings of an account. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// The account's id.
    pub account: String,
    /// Proves the channel's requests: `whsec_…`.
    pub signing_secret: String,
    /// Signs calls to the channel: `whsec_…`.
    pub webhook_secret: String,
    /// By which rules messages are taken.
    pub rules: Rules,
    /// How many messages it takes in a day (UTC); `None`: any number.
    pub daily_messages: Option<u32>,
    /// Messages without a reply in a session of Viber Business.
    pub unanswered: u32,
    /// Messages in a session of Viber Business.
    pub session_messages: u32,
    /// Nothing is paced here; the setting is there for those who set it on every platform.
    pub pacing: bool,
}

/// By which rules messages are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rules {
    /// Anything for 24 hours after the customer's last message or tap, templates at any time.
    InHouse,
    /// Viber Business Messages: sessions, and templates at any time; people go by their number.
    ViberBusiness,
}

/// What an account knows.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) settings: HttpSettings,
    /// Ids of requests that were seen within a day, and what they were answered with.
    pub(super) seen: BTreeMap<String, (OffsetDateTime, Reply)>,
    pub(super) templates: Vec<Template>,
}

/// All accounts, by their id.
#[derive(Debug, Default)]
pub(super) struct Accounts(pub(super) BTreeMap<String, Known>);

pub(super) fn known<'a>(world: &'a mut World, account: &str) -> Result<&'a mut Known, Problem> {
    let known = world.shelves.of::<Accounts>().0.get_mut(account);
    known.ok_or_else(|| Problem::not_found(format!("there is no account `{account}`")))
}

pub(super) fn settings(world: &mut World, account: &str) -> Result<HttpSettings, Problem> {
    known(world, account).map(|known| known.settings.clone())
}

/// Makes an account.
pub(super) fn open(world: &mut World, given: &Value) -> Result<String, Problem> {
    let mut secret = || format!("whsec_{}", BASE64.encode(world.names.token(32)));
    let (signing_secret, webhook_secret) = (secret(), secret());
    let made_up = HttpSettings {
        account: format!("shop-{}", world.names.number()),
        signing_secret,
        webhook_secret,
        rules: Rules::InHouse,
        daily_messages: None,
        unanswered: 5,
        session_messages: 60,
        pacing: true,
    };
    let settings: HttpSettings = kit::merged(&made_up, given)?;
    let id = settings.account.clone();
    if world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("there is an account `{id}` already")));
    }
    let known = Known { settings, seen: BTreeMap::new(), templates: Vec::new() };
    world.shelves.of::<Accounts>().0.insert(id.clone(), known);
    Ok(id)
}

/// Changes an account's settings.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let known = known(world, account)?;
    let changed: HttpSettings = kit::merged(&known.settings, given)?;
    if changed.account != account {
        return Err(Problem::invalid("the account's id stays"));
    }
    known.settings = changed;
    Ok(())
}

/// `v1,` and the HMAC-SHA256 over id, timestamp and body (Standard Webhooks).
fn signature(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = secret.strip_prefix("whsec_").and_then(|secret| BASE64.decode(secret).ok()).unwrap_or_default();
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    format!("v1,{}", BASE64.encode(kit::hmac_sha256(&key, &signed)))
}

/// Whether a request proves that it comes from the channel, at about this time.
pub(super) fn is_genuine(world: &mut World, account: &str, call: &Call) -> bool {
    let now = world.now().unix_timestamp();
    let Ok(settings) = settings(world, account) else { return false };
    let header = |name: &str| call.header(name).unwrap_or_default();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let fresh = timestamp.parse::<i64>().is_ok_and(|at| (at - now).abs() <= 300);
    fresh && signature(&settings.signing_secret, id, timestamp, &call.body) == header("webhook-signature")
}

/// The headers that prove a call.
pub(super) fn signed(world: &mut World, account: &str, body: &[u8], badly: bool) -> Vec<(&'static str, String)> {
    let timestamp = world.now().unix_timestamp().to_string();
    let secret = settings(world, account).map(|settings| settings.webhook_secret).unwrap_or_default();
    let id = serde_json::from_slice::<Value>(body).ok().and_then(|body| Some(body.get("id")?.as_str()?.to_owned()));
    let id = id.unwrap_or_default();
    let proof = signature(if badly { "whsec_bm90IHRoZSBzZWNyZXQ=" } else { &secret }, &id, &timestamp, body);
    vec![("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", proof)]
}
