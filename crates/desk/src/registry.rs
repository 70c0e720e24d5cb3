//! The platforms that this service knows, and its accounts as live channels.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use time::{Duration, OffsetDateTime};
use transom_channel::{Channel, Platform, Ports, SettingValues};
use transom_domain::{ChannelAccount, ChannelAccountId, ConnectionId, WorkspaceId};
use transom_storage::{Reader, Storage, WorkspaceScope};

use crate::DeskError;
use crate::attachments::Files;
use crate::ports::{News, of_connection};
use crate::removed::Removed;

/// How long a live channel is used before its settings are looked at again: the longest that a change made by another
/// replica stays unseen.
const FRESH_FOR: Duration = Duration::seconds(5);

/// The platforms that this service knows.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    platforms: BTreeMap<&'static str, Arc<dyn Platform>>,
}

impl Registry {
    /// With these platforms.
    pub fn new(platforms: impl IntoIterator<Item = Arc<dyn Platform>>) -> Self {
        Self { platforms: platforms.into_iter().map(|platform| (platform.name(), platform)).collect() }
    }

    /// The platform of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Platform>> {
        self.platforms.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Platform>> {
        self.platforms.values()
    }

    /// The platform of that name.
    ///
    /// # Errors
    /// [`DeskError::Invalid`] names those that there are.
    pub fn require(&self, name: &str) -> Result<&Arc<dyn Platform>, DeskError> {
        self.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.platforms.keys().copied().collect();
            DeskError::invalid(
                "unknown_platform",
                "platform",
                format!(
                    "there is no platform `{}`; there is {}",
                    name.chars().take(40).collect::<String>(),
                    known.join(", ")
                ),
            )
        })
    }
}

/// Accounts as live channels, connected on first use and again when their settings change.
#[derive(Debug)]
pub(crate) struct LiveChannels {
    registry: Registry,
    storage: Storage,
    files: Option<Files>,
    news: News,
    ports: Ports,
    accounts: Mutex<HashMap<(WorkspaceId, ChannelAccountId), Live>>,
    hooks: Mutex<HashMap<(WorkspaceId, ConnectionId), LiveHook>>,
    /// Whose webhook address it is; of those that there are.
    addresses: Mutex<HashMap<String, Address>>,
}

#[derive(Debug, Clone)]
struct Address {
    scope: WorkspaceScope,
    connection: ConnectionId,
    looked_at: OffsetDateTime,
}

#[derive(Debug, Clone)]
struct Live {
    channel: Arc<dyn Channel>,
    account: Arc<ChannelAccount>,
    looked_at: OffsetDateTime,
}

#[derive(Debug, Clone)]
struct LiveHook {
    hook: Hook,
    looked_at: OffsetDateTime,
}

/// A connection's ear: what its webhook address needs to verify and read calls.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) platform: &'static str,
}

impl LiveChannels {
    pub(crate) fn new(registry: Registry, storage: Storage, files: Option<Files>, ports: Ports) -> Self {
        let (accounts, hooks, addresses) = (Mutex::default(), Mutex::default(), Mutex::default());
        let news = News::default();
        Self { registry, storage, files, news, ports, accounts, hooks, addresses }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) fn files(&self) -> Option<&Files> {
        self.files.as_ref()
    }

    /// What the channels of a connection get.
    pub(crate) fn ports_of(&self, scope: &WorkspaceScope, connection: ConnectionId) -> Ports {
        of_connection(&self.ports, &self.storage, (self.files.as_ref(), &self.news), scope, connection)
    }

    /// The account and its channel.
    pub(crate) async fn account(
        &self,
        reader: &Reader,
        scope: &WorkspaceScope,
        id: ChannelAccountId,
    ) -> Result<(Arc<ChannelAccount>, Arc<dyn Channel>), DeskError> {
        let key = (scope.workspace(), id);
        let now = self.ports.clock.now();
        if let Some(live) = lock(&self.accounts).get(&key).filter(|live| is_fresh(live.looked_at, now)) {
            return Ok((live.account.clone(), live.channel.clone()));
        }
        let account = reader.account(id).await?.ok_or(DeskError::NotFound { what: "channel" })?;
        let channel: Arc<dyn Channel> = if account.removed_at.is_some() {
            // Its settings and secrets are gone.
            Arc::new(Removed::new())
        } else {
            let platform = self.registry.require(&account.platform)?;
            let settings = stored_settings(reader, account.connection, Some(&account)).await?;
            platform.connect(&settings, &self.ports_of(scope, account.connection))?
        };
        let live = Live { channel, account: Arc::new(account), looked_at: now };
        lock(&self.accounts).insert(key, live.clone());
        Ok((live.account, live.channel))
    }

    /// The connection whose webhook address has this public id.
    pub(crate) async fn address(
        &self,
        storage: &Storage,
        public_id: &str,
    ) -> Result<Option<(WorkspaceScope, ConnectionId)>, DeskError> {
        let now = self.ports.clock.now();
        if let Some(known) = lock(&self.addresses).get(public_id).filter(|known| is_fresh(known.looked_at, now)) {
            return Ok(Some((known.scope.clone(), known.connection)));
        }
        let found = storage.scope_of_public_id(public_id).await?;
        let mut addresses = lock(&self.addresses);
        match &found {
            // Only what exists is remembered: nobody fills the memory with guesses.
            None => drop(addresses.remove(public_id)),
            Some((scope, connection)) => {
                let known = Address { scope: scope.clone(), connection: *connection, looked_at: now };
                addresses.insert(public_id.to_owned(), known);
            }
        }
        Ok(found)
    }

    /// What verifies and reads the calls of a connection; `None` when there is no such connection.
    pub(crate) async fn hook(
        &self,
        reader: &Reader,
        scope: &WorkspaceScope,
        id: ConnectionId,
    ) -> Result<Option<Hook>, DeskError> {
        let key = (scope.workspace(), id);
        let now = self.ports.clock.now();
        if let Some(live) = lock(&self.hooks).get(&key).filter(|live| is_fresh(live.looked_at, now)) {
            return Ok(Some(live.hook.clone()));
        }
        let Some(stored) = reader.connection(id).await? else { return Ok(None) };
        let platform = self.registry.require(&stored.connection.platform)?;
        let account = reader.accounts_of(id).await?.into_iter().next();
        let settings = stored_settings(reader, id, account.as_ref()).await?;
        let channel = platform.connect(&settings, &self.ports_of(scope, id))?;
        let hook = Hook { channel, platform: platform.name() };
        lock(&self.hooks).insert(key, LiveHook { hook: hook.clone(), looked_at: now });
        Ok(Some(hook))
    }

    /// Forgets what was connected, after a change here.
    pub(crate) fn forget(&self, scope: &WorkspaceScope) {
        lock(&self.accounts).retain(|(workspace, _), _| *workspace != scope.workspace());
        lock(&self.hooks).retain(|(workspace, _), _| *workspace != scope.workspace());
        lock(&self.addresses).retain(|_, address| address.scope.workspace() != scope.workspace());
    }
}

fn is_fresh(looked_at: OffsetDateTime, now: OffsetDateTime) -> bool {
    // A clock that was set (demo, tests) may jump: only the near past counts.
    (Duration::ZERO..FRESH_FOR).contains(&(now - looked_at))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection's settings and secrets with the account's own, as the platform wants them.
pub(crate) async fn stored_settings(
    reader: &Reader,
    connection: ConnectionId,
    account: Option<&ChannelAccount>,
) -> Result<SettingValues, DeskError> {
    let mut values = SettingValues::default();
    if let Some(stored) = reader.connection(connection).await? {
        for (name, value) in stored.settings.as_object().into_iter().flatten() {
            values = values.with(name, text_of(value));
        }
    }
    if let Some(account) = account {
        for (name, value) in reader.account_settings(account.id).await?.as_object().into_iter().flatten() {
            values = values.with(name, text_of(value));
        }
    }
    let Some(secrets) = reader.secrets(connection).await? else { return Ok(values) };
    let of_account = secrets.of(account.map(|account| account.id));
    Ok(of_account.fold(values, |values, (name, secret)| values.with_secret(name, secret.clone())))
}

fn text_of(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
