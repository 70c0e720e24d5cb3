//! Connected accounts and their templates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use transom_channel::{Platform, Ports, SettingField, SettingScope, SettingValues};
use transom_domain::{ChannelAccount, ChannelAccountId, Connection, ConnectionId, EventId, Template};
use transom_storage::{NewEvent, Secrets, SyncCounts};

use crate::authorise::{Action, Caller, authorise};
use crate::ports::NewTokens;
use crate::{Desk, DeskError};

/// An account to connect.
#[derive(Debug, Clone)]
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
pub async fn connect(desk: &Desk, caller: &Caller, new: NewChannel) -> Result<ChannelAccount, DeskError> {
    authorise(caller, Action::ManageChannels)?;
    let platform = desk.registry().require(&new.platform)?.clone();
    let policy = known_policy(desk, &platform, new.policy.as_deref())?;
    check_names(desk, &policy, &new.features, &new.limits)?;
    let connection = shared_connection(desk, caller, new.connection, &new.platform).await?;
    let all = with_shared(desk, caller, connection, new.settings.clone()).await?;
    let values = SettingValues::checked(platform.settings(), all, true)?;
    let tokens = NewTokens::default();
    let ports = match connection {
        Some(id) => desk.channels().ports_of(&caller.scope, id),
        None => Ports { tokens: Arc::new(tokens.clone()), ..desk.ports().clone() },
    };
    let channel = platform.connect(&values, &ports)?;
    let (mut limits, mut name) = (new.limits.clone(), new.name.clone());
    let mut external_key = external_key(&platform, &values);
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
        external_key: external_key.or_else(|| channel.external_key()).ok_or_else(|| {
            DeskError::invalid("settings_invalid", "settings", "the platform's key of this account is missing")
        })?,
        features: new.features,
        limits,
        quota_group: new.quota_group,
        country: new.country,
        enabled: true,
        suspended: None,
    };
    let made = connection.is_none().then(|| Connection {
        id: account.connection,
        platform: account.platform.clone(),
        name: account.name.clone(),
    });
    store(desk, caller, &platform, account, made.map(|made| (made, tokens)), new.settings).await
}

/// Changes an account.
///
/// # Errors
/// As [`connect`].
pub async fn change(
    desk: &Desk,
    caller: &Caller,
    id: ChannelAccountId,
    patch: ChannelPatch,
) -> Result<ChannelAccount, DeskError> {
    authorise(caller, Action::ManageChannels)?;
    let reader = desk.reader(&caller.scope);
    let mut account = reader.account(id).await?.ok_or(DeskError::NotFound { what: "channel" })?;
    let platform = desk.registry().require(&account.platform)?.clone();
    if let Some(policy) = &patch.policy {
        account.policy = known_policy(desk, &platform, Some(policy))?;
    }
    account.name = patch.name.unwrap_or(account.name);
    account.features = patch.features.unwrap_or(account.features);
    account.limits = patch.limits.unwrap_or(account.limits);
    account.enabled = patch.enabled.unwrap_or(account.enabled);
    check_names(desk, &account.policy, &account.features, &account.limits)?;
    if !patch.settings.is_empty() {
        let own = own_settings(&reader.account_settings(id).await?);
        let mut all = with_shared(desk, caller, Some(account.connection), own).await?;
        all.extend(patch.settings.clone());
        let values = SettingValues::checked(platform.settings(), all, true)?;
        account.external_key = external_key(&platform, &values).unwrap_or(account.external_key);
        platform.connect(&values, &desk.channels().ports_of(&caller.scope, account.connection))?;
    }
    store(desk, caller, &platform, account, None, patch.settings).await
}

/// Asks the platform for an account's templates and stores what it says.
///
/// # Errors
/// [`DeskError::Conflict`] where the channel has no templates, [`DeskError::Platform`] what the platform said.
pub async fn sync_templates(desk: &Desk, caller: &Caller, id: ChannelAccountId) -> Result<SyncCounts, DeskError> {
    authorise(caller, Action::SyncTemplates)?;
    let (account, channel) = desk.account(&caller.scope, id).await?;
    let catalog = channel
        .templates()
        .ok_or_else(|| DeskError::conflict("no_templates", "this channel has no message templates"))?;
    let definitions = Arc::new(catalog.list().await?);
    let (desk_in, now) = (desk.clone(), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, definitions, account) = (desk_in.clone(), definitions.clone(), account.clone());
            Box::pin(async move {
                let counts = tx.upsert_templates(account.id, &definitions, desk.ids(), now).await?;
                let data = json!({ "account": account.id, "added": counts.added, "changed": counts.changed, "gone": counts.gone });
                let id = EventId::new(desk.ids());
                tx.emit(&NewEvent {
                    id,
                    kind: "templates.synced".to_owned(),
                    conversation: None,
                    contact: None,
                    data,
                    at: now,
                })
                .await?;
                Ok(counts)
            })
        })
        .await
}

/// An account's templates as last synced.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown account.
pub async fn templates(desk: &Desk, caller: &Caller, id: ChannelAccountId) -> Result<Vec<Template>, DeskError> {
    authorise(caller, Action::ReadChannels)?;
    let reader = desk.reader(&caller.scope);
    reader.account(id).await?.ok_or(DeskError::NotFound { what: "channel" })?;
    Ok(reader.templates(id).await?)
}

async fn store(
    desk: &Desk,
    caller: &Caller,
    platform: &Arc<dyn Platform>,
    account: ChannelAccount,
    made: Option<(Connection, NewTokens)>,
    settings: BTreeMap<String, SecretString>,
) -> Result<ChannelAccount, DeskError> {
    let sorted = Arc::new(Sorted::of(platform.settings(), settings));
    let (desk_in, now, account) = (desk.clone(), desk.now(), Arc::new(account));
    let stored = account.clone();
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, sorted, account, made) = (desk_in.clone(), sorted.clone(), account.clone(), made.clone());
            Box::pin(async move {
                if let Some((made, tokens)) = &made {
                    tx.put_connection(made, &Value::Object(sorted.connection.clone()), now).await?;
                    tokens.store(tx, made.id, now).await?;
                }
                if !sorted.secrets.is_empty() {
                    let secrets: Secrets = sorted.secrets.clone().into_iter().collect();
                    tx.put_secrets(account.connection, &secrets, now).await?;
                }
                tx.put_account(&account, now).await?;
                if !sorted.account.is_empty() {
                    tx.put_account_settings(account.id, &Value::Object(sorted.account.clone())).await?;
                }
                let id = EventId::new(desk.ids());
                let data = json!({ "account": account.id, "enabled": account.enabled });
                tx.emit(&NewEvent {
                    id,
                    kind: "channel.changed".to_owned(),
                    conversation: None,
                    contact: None,
                    data,
                    at: now,
                })
                .await?;
                Ok::<_, DeskError>(())
            })
        })
        .await?;
    desk.channels().forget(&caller.scope);
    Ok((*stored).clone())
}

/// Settings by where they are kept.
#[derive(Default)]
struct Sorted {
    secrets: BTreeMap<String, SecretString>,
    connection: Map<String, Value>,
    account: Map<String, Value>,
}

impl Sorted {
    fn of(fields: &[SettingField], settings: BTreeMap<String, SecretString>) -> Self {
        let mut sorted = Self::default();
        for (name, value) in settings {
            let field = fields.iter().find(|field| field.name == name.as_str());
            let plain = Value::String(value.expose_secret().to_owned());
            match field {
                Some(field) if field.secret => {
                    sorted.secrets.insert(name, value);
                }
                Some(field) if field.scope == SettingScope::Account => {
                    sorted.account.insert(name, plain);
                }
                Some(_) => {
                    sorted.connection.insert(name, plain);
                }
                None => {}
            }
        }
        sorted
    }
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

/// The settings given, over those that the connection has.
async fn with_shared(
    desk: &Desk,
    caller: &Caller,
    connection: Option<ConnectionId>,
    given: BTreeMap<String, SecretString>,
) -> Result<BTreeMap<String, SecretString>, DeskError> {
    let Some(id) = connection else { return Ok(given) };
    let reader = desk.reader(&caller.scope);
    let mut all = match reader.connection(id).await? {
        Some(stored) => own_settings(&stored.settings),
        None => BTreeMap::new(),
    };
    if let Some(secrets) = reader.secrets(id).await? {
        all.extend(secrets.iter().map(|(name, secret)| (name.to_owned(), secret.clone())));
    }
    all.extend(given);
    Ok(all)
}

fn own_settings(stored: &Value) -> BTreeMap<String, SecretString> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pair = |(name, value): (&String, &Value)| (name.clone(), SecretString::from(text(value)));
    stored.as_object().into_iter().flatten().map(pair).collect()
}

fn external_key(platform: &Arc<dyn Platform>, values: &SettingValues) -> Option<String> {
    let field = platform.settings().iter().find(|field| field.external_key)?;
    values.get(field.name).map(str::to_owned)
}
