//! A sender: its settings and its pace.

use std::collections::BTreeMap;
use std::time::Duration as Pause;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::errors::TwilioError;
use crate::Problem;
use crate::names::mix;
use crate::pacing::Bucket;
use crate::platforms::kit::merged;
use crate::world::World;

/// The settings of a sender. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmsSettings {
    /// A number in E.164, or a Messaging Service (`MG…`): the account's id.
    pub sender: String,
    /// The number that a Messaging Service writes from; the sender itself otherwise.
    pub number: String,
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// Opens the API and signs the webhooks.
    pub auth_token: String,
    /// A key that opens the API as well.
    pub api_key_sid: Option<String>,
    /// Its secret.
    pub api_key_secret: Option<String>,
    /// What the account is called.
    pub friendly_name: String,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// Segments that the account may send in a day (UTC); `None`: no cap (63038).
    pub daily_limit: Option<u32>,
    /// A service that recognises keywords itself: webhooks say `OptOutType`.
    pub advanced_opt_out: bool,
    /// Prefixes of numbers that are enabled (21408); `None`: all.
    pub regions: Option<Vec<String>>,
    /// A trial account: only these numbers may be written to (21608).
    pub verified_only: Option<Vec<String>>,
    /// Numbers of landlines (21614).
    pub landlines: Vec<String>,
    /// Keeps the rate of calls (20429).
    pub pacing: bool,
    /// So many messages stand on a page of the list at most.
    pub longest_page: usize,
}

impl SmsSettings {
    /// Whether a name and password open the API.
    pub(super) fn is_authentic(&self, user: &str, password: &str) -> bool {
        let by_key = self.api_key_sid.as_deref() == Some(user) && self.api_key_secret.as_deref() == Some(password);
        by_key || (self.account_sid == user && self.auth_token == password)
    }

    pub(super) fn is_service(&self) -> bool {
        self.sender.starts_with("MG")
    }
}

/// A sender at work.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) settings: SmsSettings,
    rate: Option<Bucket>,
}

impl Sender {
    /// A hundred calls at once; the documents give no number.
    pub(super) fn pace(&mut self, now: OffsetDateTime) -> Result<(), TwilioError> {
        if !self.settings.pacing {
            return Ok(());
        }
        let rate = self.rate.get_or_insert_with(|| Bucket::full(100, Pause::from_millis(10), now));
        rate.take(now).map_err(|_| TwilioError::of(20_429))
    }
}

/// All senders of the sandbox, by their id.
#[derive(Debug, Default)]
pub(super) struct Senders(pub(super) BTreeMap<String, Sender>);

/// A sender, by its id.
pub(super) fn sender<'a>(world: &'a mut World, account: &str) -> Result<&'a mut Sender, Problem> {
    let found = world.shelves.of::<Senders>().0.get_mut(account);
    found.ok_or_else(|| Problem::not_found(format!("there is no sender `{account}`")))
}

/// Makes a sender.
pub(super) fn open(world: &mut World, name: Option<&str>, given: &Value) -> Result<String, Problem> {
    let number = format!("+1202555{:04}", 100 + world.names.number() % 100);
    let account_sid = sid(world, "AC");
    let (token, secret) = (sid(world, ""), world.names.token(32));
    let made_up = SmsSettings {
        sender: number.clone(),
        number,
        account_sid,
        auth_token: token,
        api_key_sid: Some(sid(world, "SK")),
        api_key_secret: Some(secret),
        friendly_name: name.unwrap_or("Sandbox account").to_owned(),
        status: "active".to_owned(),
        daily_limit: None,
        advanced_opt_out: false,
        regions: None,
        verified_only: None,
        landlines: Vec::new(),
        pacing: true,
        longest_page: 1_000,
    };
    let mut settings: SmsSettings = merged(&made_up, given)?;
    if !settings.is_service() {
        settings.number.clone_from(&settings.sender);
    }
    let id = settings.sender.clone();
    if world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("there is an account `{id}` already")));
    }
    if !is_number(&settings.number) || settings.auth_token.is_empty() {
        return Err(Problem::invalid("sender (or number, for a service) is E.164, and auth_token is not empty"));
    }
    world.shelves.of::<Senders>().0.insert(id.clone(), Sender { settings, rate: None });
    Ok(id)
}

/// Changes a sender's settings.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let found = sender(world, account)?;
    let changed: SmsSettings = merged(&found.settings, given)?;
    if changed.sender != account {
        return Err(Problem::invalid("sender is the account's id and stays"));
    }
    found.settings = changed;
    Ok(())
}

/// E.164, by Twilio's own expression: `^\+[1-9]\d{1,14}$`.
pub(super) fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// An id as Twilio makes them: two letters and 32 hexadecimal digits.
pub(super) fn sid(world: &mut World, kind: &str) -> String {
    let (seed, number) = (world.names.seed(), world.names.number());
    format!("{kind}{:016x}{:016x}", mix(seed), mix(seed ^ number))
}
