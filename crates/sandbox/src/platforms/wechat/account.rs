//! An Official Account: its settings and its access token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::crypto;
use super::rules::Bucket;
use super::templates::Templates;
use crate::Problem;
use crate::chats::ChatKey;
use crate::platforms::kit::merged;
use crate::world::World;

/// Access tokens live two hours.
const TOKEN_LIFE: Duration = Duration::seconds(7_200);

/// The settings of an Official Account. What is left out when it is made is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeChatSettings {
    /// `gh_…`: the account's id.
    pub original_id: String,
    /// `wx…`.
    pub app_id: String,
    /// Gives access tokens.
    pub app_secret: String,
    /// Signs webhooks.
    pub token: String,
    /// Encrypts webhooks (secure mode); without it they are plain.
    pub encoding_aes_key: Option<String>,
    /// The present access token.
    pub access_token: String,
    /// Messages after each message of a customer: Tencent's older table says 20, the newer one 5.
    pub message_limit: u32,
    /// Messages after a tap, a follow or a scan.
    pub interaction_limit: u32,
    /// A verified service account: only those send template messages.
    pub service_account: bool,
    /// Template messages in a day of China's time.
    pub template_limit: u32,
    /// Keeps the rates; the platform states none, so this changes nothing.
    pub pacing: bool,
}

/// An account with what the platform remembers about it.
#[derive(Debug)]
pub(super) struct Official {
    pub(super) settings: WeChatSettings,
    token_ends: OffsetDateTime,
    /// Which count each message was taken from.
    pub(super) spent: Vec<(ChatKey, OffsetDateTime, Bucket)>,
    pub(super) templates: Templates,
}

#[derive(Debug, Default)]
struct Officials(BTreeMap<String, Official>);

/// Makes an account.
pub(super) fn open(world: &mut World, given: &Value) -> Result<String, Problem> {
    let made_up = WeChatSettings {
        original_id: format!("gh_{}", world.names.digits('1', 12)),
        app_id: format!("wx{}", world.names.digits('1', 16)),
        app_secret: world.names.token(32),
        token: format!("t{}", world.names.digits('1', 12)),
        encoding_aes_key: None,
        access_token: world.names.token(64),
        message_limit: 20,
        interaction_limit: 3,
        service_account: false,
        template_limit: 100_000,
        pacing: true,
    };
    let settings = checked(merged(&made_up, given)?)?;
    let id = settings.original_id.clone();
    if id.is_empty() || world.accounts.contains_key(&id) {
        return Err(Problem::conflict(format!("original_id is empty, or there is an account `{id}` already")));
    }
    let token_ends = world.now() + TOKEN_LIFE;
    let official = Official { settings, token_ends, spent: Vec::new(), templates: Templates::default() };
    world.shelves.of::<Officials>().0.insert(id.clone(), official);
    Ok(id)
}

fn checked(settings: WeChatSettings) -> Result<WeChatSettings, Problem> {
    match settings.encoding_aes_key.as_deref().map(crypto::key) {
        Some(None) => Err(Problem::invalid("encoding_aes_key is 43 characters of base64")),
        Some(Some(_)) | None => Ok(settings),
    }
}

/// An account.
pub(super) fn official<'w>(world: &'w mut World, account: &str) -> Result<&'w mut Official, Problem> {
    let found = world.shelves.of::<Officials>().0.get_mut(account);
    found.ok_or_else(|| Problem::not_found(format!("there is no Official Account `{account}`")))
}

/// Changes an account's settings.
pub(super) fn patch(world: &mut World, account: &str, given: &Value) -> Result<(), Problem> {
    let changed: WeChatSettings = checked(merged(&official(world, account)?.settings, given)?)?;
    if changed.original_id != account {
        return Err(Problem::invalid("original_id is the account's id and stays"));
    }
    official(world, account)?.settings = changed;
    Ok(())
}

/// Closes an account.
pub(super) fn close(world: &mut World, account: &str) {
    world.shelves.of::<Officials>().0.remove(account);
}

/// The account whose access token this is, and whether it has ended.
pub(super) fn by_token(world: &mut World, token: &str) -> Option<(String, bool)> {
    let now = world.now();
    let all = &world.shelves.of::<Officials>().0;
    let mut found = all.iter().filter(|(_, one)| one.settings.access_token == token);
    found.next().map(|(id, one)| (id.clone(), now >= one.token_ends))
}

/// The account of an app.
pub(super) fn by_app(world: &mut World, app_id: &str) -> Option<String> {
    let all = &world.shelves.of::<Officials>().0;
    all.iter().find(|(_, one)| one.settings.app_id == app_id).map(|(id, _)| id.clone())
}

/// The present token while it lasts, else the next one; `force`: the next one anyway. With what is left of it.
pub(super) fn stable_token(world: &mut World, account: &str, force: bool) -> Option<(String, i64)> {
    let (now, next) = (world.now(), world.names.token(64));
    let official = official(world, account).ok()?;
    if force || now >= official.token_ends {
        official.settings.access_token = next;
        official.token_ends = now + TOKEN_LIFE;
    }
    Some((official.settings.access_token.clone(), (official.token_ends - now).whole_seconds()))
}
