//! The desk: everything a use case needs, in one handle.

use std::sync::Arc;

use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;
use transom_channel::outside::OutsideClient;
use transom_channel::{Channel, Ports};
use transom_domain::{ChannelAccount, ChannelAccountId, Clock, Ids};
use transom_storage::{Reader, Storage, WorkspaceScope};
use transom_windows::{Policies, Policy};
use uuid::Uuid;

use crate::DeskError;
use crate::attachments::Files;
use crate::housekeeping::Retention;
use crate::receive::Leftovers;
use crate::registry::{LiveChannels, Registry};
use crate::typing::Typists;

/// Everything a use case needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

/// What a deployer may set about the desk's background work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeskConfig {
    /// How long a claim on a part lasts. Longer than the HTTP client's longest request, with room to record the result
    /// (reliability.md 6); what was in hand at a crash is recovered after it.
    pub lease: Duration,
    /// How long things are kept that no agent needs any more.
    pub retention: Retention,
}

impl Default for DeskConfig {
    fn default() -> Self {
        Self { lease: Duration::seconds(60), retention: Retention::default() }
    }
}

#[derive(Debug)]
struct Inner {
    config: DeskConfig,
    storage: Storage,
    policies: Policies,
    channels: LiveChannels,
    /// This process, as leases know it.
    owner: Uuid,
    work: Work,
    leftovers: Leftovers,
    typists: Typists,
}

/// Told when there is something to do, so that nobody has to wait for the next look.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) inbound: Notify,
    pub(crate) outbound: Notify,
    pub(crate) jobs: Notify,
    pub(crate) moments: Notify,
}

impl Desk {
    /// A desk on a storage, with the policies and platforms it shall know.
    pub fn new(storage: Storage, policies: Policies, registry: Registry, ports: Ports) -> Self {
        Self::configured(storage, policies, registry, ports, DeskConfig::default())
    }

    /// The same, with settings of its own.
    pub fn configured(
        storage: Storage,
        policies: Policies,
        registry: Registry,
        ports: Ports,
        config: DeskConfig,
    ) -> Self {
        Self::with_files(storage, policies, registry, ports, config, None)
    }

    /// The same, with a place for files: without one, what customers send stays with their platform, and files are sent by
    /// public address only.
    pub fn with_files(
        storage: Storage,
        policies: Policies,
        registry: Registry,
        ports: Ports,
        config: DeskConfig,
        files: Option<Files>,
    ) -> Self {
        let owner = ports.ids.next();
        let channels = LiveChannels::new(registry, storage.clone(), files, ports);
        Self {
            inner: Arc::new(Inner {
                config,
                storage,
                policies,
                channels,
                owner,
                work: Work::default(),
                leftovers: Leftovers::default(),
                typists: Typists::default(),
            }),
        }
    }

    /// Where everything is kept.
    pub fn storage(&self) -> &Storage {
        &self.inner.storage
    }

    /// The policies in force.
    pub fn policies(&self) -> &Policies {
        &self.inner.policies
    }

    /// The platforms it knows.
    pub fn registry(&self) -> &Registry {
        self.inner.channels.registry()
    }

    /// The present instant.
    pub fn now(&self) -> OffsetDateTime {
        self.ports().clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.ports().clock
    }

    pub(crate) fn ids(&self) -> &dyn Ids {
        self.ports().ids.as_ref()
    }

    pub(crate) fn ports(&self) -> &Ports {
        self.inner.channels.ports()
    }

    pub(crate) fn channels(&self) -> &LiveChannels {
        &self.inner.channels
    }

    /// Where files are kept, if they are.
    pub fn files(&self) -> Option<&Files> {
        self.inner.channels.files()
    }

    pub(crate) fn require_files(&self) -> Result<&Files, DeskError> {
        self.files().ok_or_else(|| DeskError::conflict("no_file_store", "this service keeps no files"))
    }

    pub(crate) fn leftovers(&self) -> &Leftovers {
        &self.inner.leftovers
    }

    pub(crate) fn typists(&self) -> &Typists {
        &self.inner.typists
    }

    pub(crate) fn owner(&self) -> Uuid {
        self.inner.owner
    }

    pub(crate) fn config(&self) -> &DeskConfig {
        &self.inner.config
    }

    /// What calls addresses that came from outside.
    pub(crate) fn outside(&self) -> &OutsideClient {
        &self.ports().outside
    }

    pub(crate) fn work(&self) -> &Work {
        &self.inner.work
    }

    pub(crate) fn reader(&self, scope: &WorkspaceScope) -> Reader {
        self.storage().reader(scope)
    }

    /// The account and its channel.
    pub(crate) async fn account(
        &self,
        scope: &WorkspaceScope,
        id: ChannelAccountId,
    ) -> Result<(Arc<ChannelAccount>, Arc<dyn Channel>), DeskError> {
        self.channels().account(&self.reader(scope), scope, id).await
    }

    /// The policy that an account goes by.
    pub(crate) fn policy_of(&self, account: &ChannelAccount) -> Result<&Policy, DeskError> {
        self.policies().get(&account.policy).ok_or_else(|| DeskError::Conflict {
            code: "policy_missing",
            detail: format!("the account goes by the policy `{}`, which this service does not have", account.policy),
        })
    }
}
