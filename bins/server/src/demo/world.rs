//! Service, sandbox and a seeded workspace in one process, on free loopback ports, with one clock for both.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use tokio::time::Instant;
use transom_desk::channels::{self, NewChannel};
use transom_desk::{Caller, Desk, workspaces};
use transom_domain::{ChannelAccount, Clock as _, ContactId, ConversationId, SettableClock};
use transom_sandbox::{AccountPatch, Control, Sandbox, SandboxConfig};
use url::Url;

use super::api::Api;
use super::cast::cast;
use crate::{Server, ServerConfig};

/// The longest that anything in the demo takes to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// Service, sandbox and a workspace with one account a platform.
#[derive(Debug)]
pub struct World {
    /// The platforms' side.
    pub sandbox: Sandbox,
    /// The service.
    pub server: Server,
    /// The one clock of both.
    pub clock: SettableClock,
    /// The workspace's administrator.
    pub caller: Caller,
    /// Their token.
    pub token: SecretString,
    /// The accounts, by platform.
    pub accounts: BTreeMap<&'static str, Account>,
    config: ServerConfig,
}

/// An account on both sides.
#[derive(Debug, Clone)]
pub struct Account {
    /// As the sandbox knows it.
    pub at_sandbox: String,
    /// As Transom knows it.
    pub ours: ChannelAccount,
}

/// Why the demo could not be set up or its story did not happen.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl Trouble {
    /// From anything that can be said.
    pub fn new(what: impl ToString) -> Self {
        Self(what.to_string())
    }
}

/// How a world is set up.
#[derive(Debug)]
pub struct WorldConfig {
    /// The service's configuration; `None` keeps everything in `data_dir`.
    pub data_dir: PathBuf,
    /// Another database than SQLite in the data folder.
    pub database_url: Option<String>,
    /// How platforms reach the service, for files; they reach it where it listens when nothing is said, and get no files.
    pub public_url: Option<Url>,
    /// The service's port; 0 takes a free one.
    pub port: u16,
    /// The clock of both sides.
    pub clock: SettableClock,
}

impl World {
    /// Starts both and connects one account a platform.
    ///
    /// # Errors
    /// [`Trouble`] says what did not start.
    pub async fn start(config: WorldConfig) -> Result<Self, Trouble> {
        let clock = config.clock.clone();
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.map_err(Trouble::new)?;
        let server_config = service_config(&config, &sandbox)?;
        let server = Server::start(server_config.clone(), Arc::new(clock.clone())).await.map_err(Trouble::new)?;
        let (caller, token) = workspaces::create(server.desk(), "Acme Support", "Ada").await.map_err(Trouble::new)?;
        let config = server_config.on_loopback(server.local_addr().port());
        let mut world = Self { sandbox, server, clock, caller, token, accounts: BTreeMap::new(), config };
        for part in cast() {
            let account = part.join(&world).await?;
            world.accounts.insert(part.platform(), account);
        }
        Ok(world)
    }

    /// The service's use cases.
    pub fn desk(&self) -> &Desk {
        self.server.desk()
    }

    /// The sandbox's control.
    pub fn control(&self) -> Control {
        self.sandbox.control()
    }

    /// The present instant, by the clock of both.
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// The service's HTTP API, as the administrator.
    ///
    /// # Errors
    /// [`Trouble`] when no HTTP client can be built.
    pub fn api(&self) -> Result<Api, Trouble> {
        Api::new(self.server.base_url(), self.token.expose_secret())
    }

    /// The account on a platform.
    ///
    /// # Errors
    /// [`Trouble`] for a platform that the demo does not have.
    pub fn account(&self, platform: &str) -> Result<&Account, Trouble> {
        self.accounts.get(platform).ok_or_else(|| Trouble(format!("the demo has no account on {platform}")))
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// [`Trouble`] with what was waited for, after a minute.
    pub async fn until<T, F>(&self, what: &str, mut look: impl FnMut() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<Option<T>, Trouble>>,
    {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(Trouble(format!("waited {} seconds in vain until {what}", PATIENCE.as_secs())))
    }

    /// The conversation that a customer's writing made, once it is there.
    ///
    /// # Errors
    /// [`Trouble`] if it does not come.
    pub async fn conversation_with(&self, platform: &str, name: &str) -> Result<(ContactId, ConversationId), Trouble> {
        let account = self.account(platform)?.ours.id;
        self.until(&format!("{name}'s message arrives"), || async {
            // Some platforms tell no names: then it is the address, which some give when the customer comes.
            let customer = self.control().customers().into_iter().find(|customer| customer.name == name);
            let address = customer.and_then(|customer| customer.addresses.get(platform).cloned());
            let reader = self.desk().storage().reader(&self.caller.scope);
            let query = transom_storage::ConversationQuery {
                accounts: vec![account],
                limit: 100,
                ..transom_storage::ConversationQuery::new(self.now())
            };
            for stored in reader.conversations(&query).await.map_err(Trouble::new)? {
                let contact = reader.contact(stored.contact).await.map_err(Trouble::new)?;
                let is_theirs = |found: &transom_storage::StoredContact| {
                    let mut addresses = found.identities.iter().flat_map(|identity| &identity.addresses);
                    found.contact.shown_name().as_deref() == Some(name)
                        || addresses.any(|known| Some(&known.value) == address.as_ref())
                };
                if contact.is_some_and(|contact| is_theirs(&contact)) {
                    return Ok(Some((stored.contact, stored.conversation.id)));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Stops the service, lets something happen, and starts it again where it was.
    ///
    /// # Errors
    /// [`Trouble`] when it does not start.
    pub async fn restarted(self, meanwhile: impl FnOnce()) -> Result<Self, Trouble> {
        let Self { sandbox, server, clock, caller, token, accounts, config } = self;
        server.stop().await;
        meanwhile();
        let server = Server::start(config.clone(), Arc::new(clock.clone())).await.map_err(Trouble::new)?;
        Ok(Self { sandbox, server, clock, caller, token, accounts, config })
    }

    /// Another replica of the service, on a port of its own and on the same database.
    ///
    /// # Errors
    /// [`Trouble`] when it does not start.
    pub async fn replica(&self) -> Result<Server, Trouble> {
        let config = self.config.clone().on_loopback(0);
        Server::start(config, Arc::new(self.clock.clone())).await.map_err(Trouble::new)
    }

    /// One that does nothing by itself.
    ///
    /// # Errors
    /// [`Trouble`] when it does not start.
    pub async fn idle_replica(&self) -> Result<Server, Trouble> {
        let config = self.config.clone().on_loopback(0);
        Server::start_without_background(config, Arc::new(self.clock.clone())).await.map_err(Trouble::new)
    }

    /// Stops both, cleanly.
    pub async fn stop(self) {
        self.server.stop().await;
        self.sandbox.shutdown().await;
    }

    /// Connects an account of the sandbox's, and tells the sandbox where its webhooks go.
    ///
    /// # Errors
    /// [`Trouble`] when either side refuses.
    pub async fn connect(
        &self,
        platform: &'static str,
        name: &str,
        at_sandbox: String,
        settings: impl IntoIterator<Item = (&'static str, SecretString)>,
    ) -> Result<Account, Trouble> {
        let new = NewChannel {
            platform: platform.to_owned(),
            name: name.to_owned(),
            settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            check: true,
            ..NewChannel::default()
        };
        self.connect_as(new, at_sandbox).await
    }

    /// The same, with everything about the account said.
    ///
    /// # Errors
    /// [`Trouble`] when either side refuses.
    pub async fn connect_as(&self, new: NewChannel, at_sandbox: String) -> Result<Account, Trouble> {
        let ours = channels::connect(self.desk(), &self.caller, new, None).await.map_err(Trouble::new)?.account;
        let public_id = self.desk().storage().public_id(&self.caller.scope, ours.connection);
        let webhook_url = Some(format!("{}/webhooks/{public_id}", self.server.base_url()));
        self.control()
            .patch_account(&at_sandbox, AccountPatch { webhook_url, ..AccountPatch::default() })
            .map_err(Trouble::new)?;
        Ok(Account { at_sandbox, ours })
    }

    /// Puts the templates of the demo into the platforms' catalogues and syncs them.
    ///
    /// # Errors
    /// [`Trouble`] when a platform or the service refuses.
    pub async fn add_templates(&self) -> Result<(), Trouble> {
        for part in cast() {
            part.stock(self).await?;
        }
        Ok(())
    }
}

fn service_config(config: &WorldConfig, sandbox: &Sandbox) -> Result<ServerConfig, Trouble> {
    let mut service = ServerConfig::in_folder(&config.data_dir).on_loopback(config.port).calling_loopback();
    service.database_url = config.database_url.clone().or(service.database_url);
    service.public_url.clone_from(&config.public_url);
    for part in cast() {
        let endpoint = format!("{}/{}", sandbox.base_url(), part.platform());
        service = service.with_endpoint(part.platform(), &endpoint).map_err(Trouble::new)?;
    }
    Ok(service)
}

/// A setting that the sandbox made up.
///
/// # Errors
/// [`Trouble`] when it did not.
pub fn text_of(settings: &serde_json::Value, name: &str) -> Result<SecretString, Trouble> {
    settings
        .get(name)
        .and_then(serde_json::Value::as_str)
        .map(|text| SecretString::from(text.to_owned()))
        .ok_or_else(|| Trouble(format!("the sandbox did not tell its setting `{name}`")))
}
