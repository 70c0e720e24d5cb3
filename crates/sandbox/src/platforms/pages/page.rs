//! Accounts: their settings, their pace, and the comments that wait for an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::Side;
use crate::Problem;
use crate::chats::ChatKey;
use crate::pacing::Bucket;
use crate::platforms::kit::merged;
use crate::world::World;

/// The settings of a Page, or of a professional Instagram account. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageSettings {
    /// The Page's node id; on Messenger also the account's id.
    pub page_id: String,
    /// The Instagram account's node id, and the account's id there; none on Messenger.
    pub instagram_id: Option<String>,
    /// The name that people see; on Instagram the user name.
    pub name: String,
    /// The bearer token of the API.
    pub access_token: String,
    /// Signs the webhooks.
    pub app_secret: String,
    /// Shown at the webhook's handshake.
    pub verify_token: String,
    /// The app that sends, as echoes name it.
    pub app_id: u64,
    /// The app was granted the feature Human Agent.
    pub human_agent: bool,
    /// Echoes of what the API sends come too.
    pub echoes: bool,
    /// This app has the threads; otherwise sends fail until it takes control, and events come as `standby`.
    pub thread_owner: bool,
    /// Keeps 300 sends a second.
    pub pacing: bool,
}

/// An account at work.
#[derive(Debug)]
pub(in crate::platforms) struct Page {
    pub(in crate::platforms) settings: PageSettings,
    side: &'static str,
    pace: Option<Bucket>,
    /// The milliseconds of the last entry: each has its own, also under a clock that stands.
    last_entry: i128,
}

/// All of them, by account.
#[derive(Debug, Default)]
pub(in crate::platforms) struct Pages(BTreeMap<String, Page>);

impl Pages {
    /// Those of one platform with this token.
    pub(super) fn of_token<'p>(
        &'p self,
        side: &'p Side,
        token: &'p str,
    ) -> impl Iterator<Item = (&'p String, &'p Page)> {
        let fits = move |(_, page): &(&String, &Page)| page.side == side.name && page.settings.access_token == token;
        self.0.iter().filter(fits)
    }

    pub(super) fn remove(&mut self, account: &str) {
        self.0.remove(account);
    }
}

/// A comment or post that may be answered once in private.
#[derive(Debug, Clone)]
pub(in crate::platforms) struct Comment {
    pub(in crate::platforms) customer: String,
    pub(in crate::platforms) at: OffsetDateTime,
    pub(in crate::platforms) answered: bool,
    pub(in crate::platforms) is_post: bool,
}

/// All comments, by account and id.
#[derive(Debug, Default)]
pub(in crate::platforms) struct Comments(pub(in crate::platforms) BTreeMap<(String, String), Comment>);

/// The tag of an answer to a comment, as it is asked for here; Meta has no word for it.
pub(in crate::platforms) const PRIVATE_REPLY: &str = "private_reply";

/// When the newest comment or post was written that had no answer in private.
pub(in crate::platforms) fn waiting_comment(world: &mut World, key: &ChatKey) -> Option<OffsetDateTime> {
    let comments = world.shelves.of::<Comments>().0.iter();
    let theirs = comments.filter(|((account, _), one)| *account == key.account && one.customer == key.customer);
    theirs.filter(|(_, one)| !one.answered).map(|(_, one)| one.at).max()
}

pub(in crate::platforms) fn settings(world: &mut World, account: &str) -> Result<PageSettings, Problem> {
    let page = world.shelves.of::<Pages>().0.get(account);
    page.map(|page| page.settings.clone()).ok_or_else(|| Problem::not_found(format!("there is no account `{account}`")))
}

pub(super) fn open(
    world: &mut World,
    side: &'static Side,
    name: Option<&str>,
    given: &Value,
) -> Result<String, Problem> {
    let names = &mut world.names;
    let made = PageSettings {
        page_id: names.digits('3', 15),
        instagram_id: side.is_instagram.then(|| names.digits('1', 17)),
        name: name.unwrap_or("Sandbox Shop").to_owned(),
        access_token: format!("EAAP{}", names.token(40)),
        app_secret: names.token(32),
        verify_token: names.token(16),
        app_id: 880_000_000_000_001,
        human_agent: false,
        echoes: true,
        thread_owner: true,
        pacing: true,
    };
    let settings = merged(&made, given)?;
    let id = side.id_of(&settings)?;
    if world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("there is an account `{id}` already")));
    }
    let page = Page { settings, side: side.name, pace: None, last_entry: 0 };
    world.shelves.of::<Pages>().0.insert(id.clone(), page);
    Ok(id)
}

pub(super) fn patch(world: &mut World, side: &Side, account: &str, given: &Value) -> Result<(), Problem> {
    let changed = merged(&settings(world, account)?, given)?;
    if side.id_of(&changed)? != account {
        return Err(Problem::invalid("the account's id stays"));
    }
    if let Some(page) = world.shelves.of::<Pages>().0.get_mut(account) {
        page.settings = changed;
    }
    Ok(())
}

/// Takes the threads over.
pub(super) fn take_control(world: &mut World, account: &str) {
    if let Some(page) = world.shelves.of::<Pages>().0.get_mut(account) {
        page.settings.thread_owner = true;
    }
}

/// 300 a second and account.
pub(super) fn is_too_fast(world: &mut World, account: &str, now: OffsetDateTime) -> bool {
    let Some(page) = world.shelves.of::<Pages>().0.get_mut(account).filter(|page| page.settings.pacing) else {
        return false;
    };
    page.pace.get_or_insert_with(|| Bucket::full(300, Duration::from_micros(3_334), now)).take(now).is_err()
}

/// The time of a new entry in milliseconds, unlike any before it.
pub(super) fn entry_time(world: &mut World, account: &str) -> i128 {
    let now = millis(world.now());
    let Some(page) = world.shelves.of::<Pages>().0.get_mut(account) else { return now };
    page.last_entry = now.max(page.last_entry + 1);
    page.last_entry
}

pub(super) fn millis(at: OffsetDateTime) -> i128 {
    at.unix_timestamp_nanos() / 1_000_000
}
