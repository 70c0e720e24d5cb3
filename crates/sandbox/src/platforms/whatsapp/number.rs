//! A business phone number: its settings and its pace.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::Problem;
use crate::names::Names;
use crate::pacing::Bucket;
use crate::people::digits;
use crate::platforms::kit::merged;
use crate::world::World;

/// The settings of a business phone number. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhatsAppSettings {
    /// The number's node id, which is also the account's id.
    pub phone_number_id: String,
    /// The WhatsApp Business Account that holds the number and its templates.
    pub waba_id: String,
    /// The number itself, digits only.
    pub display_phone_number: String,
    /// The name customers see.
    pub verified_name: String,
    /// The bearer token of the API.
    pub access_token: String,
    /// Signs the webhooks.
    pub app_secret: String,
    /// Shown at the webhook's handshake.
    pub verify_token: String,
    /// The business portfolio: its numbers share one messaging limit.
    pub portfolio: String,
    /// Unique users outside a window per moving 24 hours, over the portfolio; `None`: unlimited.
    pub messaging_limit: Option<u32>,
    /// How refusals arrive that the platform mostly reports later (131047, 131026, 131049, 131050, …).
    pub refusals: Refusals,
    /// Keeps the pair rate (131056) and the throughput (130429).
    pub pacing: bool,
    /// Whether templates made over the API are approved by themselves.
    pub template_review: Review,
}

/// How the refusals arrive that concern the recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusals {
    /// Answered by 200, failed by a status webhook: what the platform mostly does.
    #[default]
    Async,
    /// Answered by the error.
    Sync,
}

/// What happens to a template made over the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// Approved a moment later, with a webhook.
    #[default]
    Auto,
    /// Pending until the control API says more.
    Manual,
}

/// A number at work.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) settings: WhatsAppSettings,
    throughput: Option<Bucket>,
    pairs: BTreeMap<String, Bucket>,
}

/// All numbers of the sandbox, by their id.
#[derive(Debug, Default)]
pub(super) struct Numbers(pub(super) BTreeMap<String, Number>);

/// Which pace a send would pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooFast {
    Throughput,
    Pair,
}

impl Number {
    /// 80 messages a second in all; one in 6 seconds to the same user, with a burst of 45.
    pub(super) fn pace(&mut self, customer: &str, now: OffsetDateTime) -> Result<(), TooFast> {
        if !self.settings.pacing {
            return Ok(());
        }
        let throughput = self.throughput.get_or_insert_with(|| Bucket::full(80, Duration::from_micros(12_500), now));
        throughput.take(now).map_err(|_| TooFast::Throughput)?;
        let pair =
            self.pairs.entry(customer.to_owned()).or_insert_with(|| Bucket::full(45, Duration::from_secs(6), now));
        pair.take(now).map_err(|_| TooFast::Pair)
    }
}

/// The settings of a number, if there is one.
pub(super) fn settings(world: &mut World, account: &str) -> Result<WhatsAppSettings, Problem> {
    let number = world.shelves.of::<Numbers>().0.get(account);
    number
        .map(|number| number.settings.clone())
        .ok_or_else(|| Problem::not_found(format!("there is no number `{account}`")))
}

/// Makes a number.
pub(super) fn open(world: &mut World, name: Option<&str>, given: &Value) -> Result<String, Problem> {
    let mut made = made_up(&mut world.names, name);
    if given.get("messaging_limit").is_none()
        && let Some(portfolio) = given.get("portfolio").and_then(Value::as_str)
    {
        made.messaging_limit = limit_of(world, portfolio);
    }
    let mut settings = merged(&made, given)?;
    settings.display_phone_number = digits(&settings.display_phone_number);
    let id = settings.phone_number_id.clone();
    if world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("there is an account `{id}` already")));
    }
    spread_limit(world, &settings);
    let number = Number { settings, throughput: None, pairs: BTreeMap::new() };
    world.shelves.of::<Numbers>().0.insert(id.clone(), number);
    Ok(id)
}

/// Changes a number's settings.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let changed = merged(&settings(world, account)?, given)?;
    if changed.phone_number_id != account {
        return Err(Problem::invalid("phone_number_id is the account's id and stays"));
    }
    if given.get("messaging_limit").is_some() {
        spread_limit(world, &changed);
    }
    if let Some(number) = world.shelves.of::<Numbers>().0.get_mut(account) {
        number.settings = changed;
    }
    Ok(())
}

/// The numbers of a portfolio.
pub(super) fn in_portfolio(world: &mut World, portfolio: &str) -> Vec<String> {
    let numbers = world.shelves.of::<Numbers>().0.values();
    numbers.filter(|one| one.settings.portfolio == portfolio).map(|one| one.settings.phone_number_id.clone()).collect()
}

/// The limit belongs to the portfolio: all its numbers show the same.
fn spread_limit(world: &mut World, from: &WhatsAppSettings) {
    for number in world.shelves.of::<Numbers>().0.values_mut() {
        if number.settings.portfolio == from.portfolio {
            number.settings.messaging_limit = from.messaging_limit;
        }
    }
}

fn limit_of(world: &mut World, portfolio: &str) -> Option<u32> {
    let mut numbers = world.shelves.of::<Numbers>().0.values();
    numbers.find(|one| one.settings.portfolio == portfolio).and_then(|one| one.settings.messaging_limit)
}

fn made_up(names: &mut Names, name: Option<&str>) -> WhatsAppSettings {
    WhatsAppSettings {
        phone_number_id: names.digits('7', 15),
        waba_id: names.digits('5', 15),
        display_phone_number: names.digits('4', 11),
        verified_name: name.unwrap_or("Sandbox Shop").to_owned(),
        access_token: format!("EAAB{}", names.token(40)),
        app_secret: names.token(32),
        verify_token: names.token(16),
        portfolio: names.digits('3', 15),
        messaging_limit: None,
        refusals: Refusals::default(),
        pacing: true,
        template_review: Review::default(),
    }
}
