//! Connected accounts and their templates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;
use time::OffsetDateTime;
use transom_channel::{Platform, Ports, SettingValues};
use transom_domain::{ChannelAccount, ChannelAccountId, Connection, ConnectionId, SenderAddress, Template};
use transom_storage::{SyncCounts, Tx};
use transom_windows::{Policy, Quota};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::tell;
use crate::channel_settings::{Given, external_key, still_works, with_shared};
use crate::idempotency::{Once, only_once};
use crate::ports::NewTokens;
use crate::queries::{self, ChannelDetail, present_account};
use crate::{Desk, DeskError, fallback, templates};

/// How many parts of messages over a removed channel are withheld in one transaction.
const WITHHELD_AT_ONCE: u32 = 200;

/// An account to connect.
#[derive(Debug, Clone, Default)]
pub struct NewChannel {
    /// The platform's name.
    pub platform: String,
    /// A name for people.
    pub name: String,
    /// A policy other than the platform's own.
    pub policy: Option<String>,
    /// The connection it shares; `None` makes one.
    pub connection: Option<ConnectionId>,
    /// The platform's settings; for a shared connection, the account's own only.
    pub settings: BTreeMap<String, SecretString>,
    /// Features the platform granted.
    pub features: BTreeSet<String>,
    /// Limits that differ from the policy's.
    pub limits: BTreeMap<String, Option<u32>>,
    /// Accounts of one group share quotas of scope `group`.
    pub quota_group: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Whether to ask the platform if the credentials work.
    pub check: bool,
}

/// What may change about an account; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct ChannelPatch {
    /// A name for people.
    pub name: Option<String>,
    /// The policy it goes by.
    pub policy: Option<String>,
    /// Settings, merged by name.
    pub settings: BTreeMap<String, SecretString>,
    /// Features, replaced as a whole.
    pub features: Option<BTreeSet<String>>,
    /// Limits, replaced as a whole.
    pub limits: Option<BTreeMap<String, Option<u32>>>,
    /// Whether anything is sent.
    pub enabled: Option<bool>,
}

/// Connects an account: settings are checked, and the platform is asked if that is wished.
///
/// # Errors
/// [`DeskError::Invalid`] names the setting that is wrong, [`DeskError::Platform`] what the platform said.
pub async fn connect(
    desk: &Desk,
    caller: &Caller,
    new: NewChannel,
    once: Option<Once<ChannelDetail>>,
) -> Result<ChannelDetail, DeskError> {
    authorise(caller, Action::ManageChannels)?;
    if let Some(once) = &once {
        once.look(&desk.reader(&caller.scope)).await?;
    }
    let platform = desk.registry().require(&new.platform)?.clone();
    let policy = known_policy(desk, &platform, new.policy.as_deref())?;
    check_names(desk, &policy, &new.features, &new.limits)?;
    let connection = shared_connection(desk, caller, new.connection, &new.platform).await?;
    let all = with_shared(desk, caller, connection, None, new.settings.clone()).await?;
    let values = SettingValues::checked(platform.settings(), all, true)?;
    let tokens = NewTokens::default();
    let ports = match connection {
        Some(id) => desk.channels().ports_of(&caller.scope, id),
        None => Ports { tokens: Arc::new(tokens.clone()), ..desk.ports().clone() },
    };
    let channel = platform.connect(&values, &ports)?;
    fallback::check(desk, &caller.scope, channel.fallback()).await?;
    let (mut limits, mut name) = (new.limits.clone(), new.name.clone());
    let mut external_key = external_key(&platform, &values, channel.as_ref());
    if new.check {
        let info = channel.check().await?;
        for (quota, limit) in info.limits {
            limits.entry(quota).or_insert(limit);
        }
        if name.trim().is_empty() {
            name = info.name.unwrap_or_default();
        }
        external_key = info.external_key.or(external_key);
    }
    let account = ChannelAccount {
        id: ChannelAccountId::new(desk.ids()),
        connection: connection.unwrap_or_else(|| ConnectionId::new(desk.ids())),
        platform: platform.name().to_owned(),
        policy,
        name: if name.trim().is_empty() { platform.label().to_owned() } else { name },
        external_key: external_key.ok_or_else(|| {
            DeskError::invalid("settings_invalid", "settings", "the platform's key of this account is missing")
        })?,
        features: new.features,
        limits,
        quota_group: new.quota_group,
        country: new.country,
        enabled: true,
        suspended: None,
        removed_at: None,
    };
    let made = connection.is_none().then(|| {
        (Connection { id: account.connection, platform: account.platform.clone(), name: account.name.clone() }, tokens)
    });
    let given = Arc::new(Given::of(platform.settings(), new.settings));
    let (desk_in, caller_in, now) = (desk.clone(), caller.clone(), desk.now());
    let (account, once) = (Arc::new(account), once.map(Arc::new));
    let connected = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller, once) = (desk_in.clone(), caller_in.clone(), once.clone());
            let (given, account, made) = (given.clone(), account.clone(), made.clone());
            Box::pin(async move {
                let connected = async {
                    match &made {
                        Some((made, tokens)) => {
                            given.with_new_connection(tx, made, now).await?;
                            tokens.store(tx, made.id, now).await?;
                        }
                        None => given.onto_connection(tx, account.connection, None, now).await?,
                    }
                    stored(&desk, &caller, tx, &given, (*account).clone(), now).await
                };
                only_once(once.as_deref(), tx, now, connected).await
            })
        })
        .await;
    desk.channels().forget(&caller.scope);
    connected
}

/// Stores an account, and tells of it.
async fn stored(
    desk: &Desk,
    caller: &Caller,
    tx: &Tx,
    given: &Given,
    account: ChannelAccount,
    now: OffsetDateTime,
) -> Result<ChannelDetail, DeskError> {
    tx.put_account(&account, now).await?;
    given.onto_account(tx, (account.id, account.connection), now).await?;
    let data = json!({ "account": account.id, "enabled": account.enabled });
    tell(tx, desk.ids(), None, "channel.changed", data, now).await?;
    queries::detail(desk, caller, tx, account).await
}

/// Changes an account.
///
/// # Errors
/// As [`connect`]; [`DeskError::Invalid`] for settings that are another account's.
pub async fn change(
    desk: &Desk,
    caller: &Caller,
    id: ChannelAccountId,
    patch: ChannelPatch,
) -> Result<ChannelDetail, DeskError> {
    authorise(caller, Action::ManageChannels)?;
    let reader = desk.reader(&caller.scope);
    let known = present_account(&reader, id).await?;
    let platform = desk.registry().require(&known.platform)?.clone();
    if let Some(policy) = &patch.policy {
        known_policy(desk, &platform, Some(policy))?;
    }
    let after = patch.onto(known);
    check_names(desk, &after.policy, &after.features, &after.limits)?;
    if !patch.settings.is_empty() {
        still_works(desk, caller, &platform, &after, &patch.settings).await?;
    }
    let given = Arc::new(Given::of(platform.settings(), patch.settings.clone()));
    let (desk_in, caller_in, now, patch) = (desk.clone(), caller.clone(), desk.now(), Arc::new(patch));
    let changed = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller) = (desk_in.clone(), caller_in.clone());
            let (given, patch) = (given.clone(), patch.clone());
            Box::pin(async move {
                // As it stands now: a notice of the platform may have changed it meanwhile.
                let known = tx.lock_account(id).await?.filter(|account| account.removed_at.is_none());
                let account = patch.onto(known.ok_or(DeskError::NotFound { what: "channel" })?);
                given.onto_connection(tx, account.connection, None, now).await?;
                if patch.limits.is_some() {
                    // A person's word counts from here on, also where it takes a limit away.
                    let quotas = desk.policies().get(&account.policy).map(Policy::quotas).unwrap_or_default();
                    tx.forget_limit_evidence(id, quotas.iter().map(Quota::name)).await?;
                }
                stored(&desk, &caller, tx, &given, account, now).await
            })
        })
        .await;
    desk.channels().forget(&caller.scope);
    changed
}

impl ChannelPatch {
    fn onto(&self, account: ChannelAccount) -> ChannelAccount {
        let ChannelPatch { name, policy, features, limits, enabled, settings: _ } = self.clone();
        ChannelAccount {
            name: name.unwrap_or(account.name),
            policy: policy.unwrap_or(account.policy),
            features: features.unwrap_or(account.features),
            limits: limits.unwrap_or(account.limits),
            enabled: enabled.unwrap_or(account.enabled),
            ..account
        }
    }
}

/// Removes a channel: conversations stay readable, what waits to be sent is shown as not sent, its settings go. With the last
/// channel of a connection go the connection's secrets and its webhook address. The number of messages' parts that were
/// withheld.
///
/// # Errors
/// [`DeskError::NotFound`], also the second time.
pub async fn remove(desk: &Desk, caller: &Caller, id: ChannelAccountId) -> Result<usize, DeskError> {
    authorise(caller, Action::ManageChannels)?;
    let (desk_in, now) = (desk.clone(), desk.now());
    let removed = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let desk = desk_in.clone();
            Box::pin(async move { remove_in(&desk, tx, id, now).await })
        })
        .await;
    desk.channels().forget(&caller.scope);
    removed?;
    withhold_over(desk, caller, id).await
}

/// Shows what waits to be sent over a removed channel as not sent; how many parts of messages. Should it be broken off, the rest
/// is withheld when its turn to be sent comes.
pub(crate) async fn withhold_over(desk: &Desk, caller: &Caller, id: ChannelAccountId) -> Result<usize, DeskError> {
    let mut count = 0;
    loop {
        let now = desk.now();
        let withheld = desk
            .storage()
            .transact(&caller.scope, move |tx| {
                Box::pin(async move {
                    let reason = json!({ "reason": "channel_removed" });
                    Ok::<_, DeskError>(tx.cancel_queued_over(id, &reason, WITHHELD_AT_ONCE, now).await?)
                })
            })
            .await?;
        if withheld.is_empty() {
            return Ok(count);
        }
        count += withheld.len();
    }
}

/// Removes a channel as part of something larger; what waits to be sent over it is [withheld](withhold_over) afterwards.
pub(crate) async fn remove_in(
    desk: &Desk,
    tx: &Tx,
    id: ChannelAccountId,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let removed = tx.remove_account(id, now).await?.ok_or(DeskError::NotFound { what: "channel" })?;
    tell(tx, desk.ids(), None, "channel.removed", json!({ "account": id }), now).await?;
    if removed.with_connection {
        tell(tx, desk.ids(), None, "connection.removed", json!({ "connection": removed.connection }), now).await?;
    }
    Ok(())
}

/// Asks the platform for an account's templates and stores what it says.
///
/// # Errors
/// [`DeskError::Conflict`] where the channel has no templates, [`DeskError::Platform`] what the platform said.
pub async fn sync_templates(desk: &Desk, caller: &Caller, id: ChannelAccountId) -> Result<SyncCounts, DeskError> {
    authorise(caller, Action::SyncTemplates)?;
    present_account(&desk.reader(&caller.scope), id).await?;
    let (account, channel) = desk.account(&caller.scope, id).await?;
    templates::sync(desk, &caller.scope, &account, channel.as_ref()).await
}

/// An account's templates as last synced.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown account.
pub async fn templates(desk: &Desk, caller: &Caller, id: ChannelAccountId) -> Result<Vec<Template>, DeskError> {
    authorise(caller, Action::ReadChannels)?;
    let reader = desk.reader(&caller.scope);
    present_account(&reader, id).await?;
    Ok(reader.templates(id).await?)
}

/// The addresses from which letters can be written over an account.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown account.
pub async fn senders(desk: &Desk, caller: &Caller, id: ChannelAccountId) -> Result<Vec<SenderAddress>, DeskError> {
    authorise(caller, Action::ReadChannels)?;
    present_account(&desk.reader(&caller.scope), id).await?;
    let (_, channel) = desk.account(&caller.scope, id).await?;
    Ok(channel.senders().to_vec())
}

fn known_policy(desk: &Desk, platform: &Arc<dyn Platform>, wished: Option<&str>) -> Result<String, DeskError> {
    let Some(name) = wished else {
        let own = desk.policies().for_platform(platform.name()).ok_or_else(|| {
            DeskError::conflict("policy_missing", format!("this service has no policy for {}", platform.name()))
        })?;
        return Ok(own.name().to_owned());
    };
    match desk.policies().get(name).filter(|policy| platform.follows(policy.platform())) {
        Some(policy) => Ok(policy.name().to_owned()),
        None => {
            let fitting: Vec<&str> = desk
                .policies()
                .iter()
                .filter(|policy| platform.follows(policy.platform()))
                .map(transom_windows::Policy::name)
                .collect();
            let detail = format!("{} has no policy `{name}`; it has {}", platform.name(), fitting.join(", "));
            Err(DeskError::invalid("unknown_policy", "policy", detail))
        }
    }
}

fn check_names(
    desk: &Desk,
    policy: &str,
    features: &BTreeSet<String>,
    limits: &BTreeMap<String, Option<u32>>,
) -> Result<(), DeskError> {
    let Some(policy) = desk.policies().get(policy) else { return Ok(()) };
    if let Some(unknown) = features.iter().find(|name| !policy.features().iter().any(|known| known.name() == *name)) {
        let known: Vec<&str> = policy.features().iter().map(transom_windows::Feature::name).collect();
        let detail = format!("the policy `{}` has no feature `{unknown}`; it has {}", policy.name(), known.join(", "));
        return Err(DeskError::invalid("unknown_feature", "features", detail));
    }
    if let Some(unknown) = limits.keys().find(|name| policy.quota(name).is_none()) {
        let known: Vec<&str> = policy.quotas().iter().map(transom_windows::Quota::name).collect();
        let detail = format!("the policy `{}` has no quota `{unknown}`; it has {}", policy.name(), known.join(", "));
        return Err(DeskError::invalid("unknown_quota", "limits", detail));
    }
    Ok(())
}

async fn shared_connection(
    desk: &Desk,
    caller: &Caller,
    wished: Option<ConnectionId>,
    platform: &str,
) -> Result<Option<ConnectionId>, DeskError> {
    let Some(id) = wished else { return Ok(None) };
    let stored = desk.reader(&caller.scope).connection(id).await?.ok_or(DeskError::NotFound { what: "connection" })?;
    if stored.connection.platform != platform {
        let detail = format!("the connection is one of {}", stored.connection.platform);
        return Err(DeskError::invalid("other_platform", "connection", detail));
    }
    Ok(Some(id))
}
