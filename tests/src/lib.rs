//! What the end-to-end tests share: a world of service and sandbox on either database, and patience.

pub mod browser;
pub mod crowd;
pub mod mail;
pub mod site;

use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use transom_desk::workspaces;
use transom_domain::{Role, SettableClock};
use transom_sandbox::Ask;
pub use transom_server::demo::api::{Api, Reply};
pub use transom_server::demo::world::{Account, Trouble, World, WorldConfig};
use transom_storage::test_support::TestDatabase;

/// A world that keeps its folder and its database as long as it lives.
#[derive(Debug)]
pub struct Stage {
    /// Service and sandbox.
    pub world: World,
    /// The API, as the administrator.
    pub api: Api,
    folder: TempDir,
    database: TestDatabase,
}

impl Stage {
    /// On a database, with a clock.
    ///
    /// # Errors
    /// [`Trouble`] says what did not start.
    pub async fn set(database: TestDatabase, clock: SettableClock) -> Result<Self, Trouble> {
        Self::set_at(None, database, clock).await
    }

    /// The same, where platforms fetch files by a public address.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn set_at(
        public_url: Option<Url>,
        database: TestDatabase,
        clock: SettableClock,
    ) -> Result<Self, Trouble> {
        let folder = tempfile::tempdir().map_err(Trouble::new)?;
        let config = WorldConfig {
            data_dir: folder.path().to_owned(),
            database_url: Some(database.url().to_owned()),
            public_url,
            port: 0,
            clock,
        };
        let world = World::start(config).await?;
        let api = world.api()?;
        Ok(Self { world, api, folder, database })
    }

    /// Somebody else who works here: their id, and the API as they see it.
    ///
    /// # Errors
    /// [`Trouble`] says why they can't be added.
    pub async fn agent(&self, name: &str, role: Role) -> Result<(String, Api), Trouble> {
        let (id, token) = self.colleague(name, role).await?;
        Ok((id, Api::new(self.world.server.base_url(), token.expose_secret())?))
    }

    /// The same with their token, for what is asked without [`Api`].
    ///
    /// # Errors
    /// As [`agent`](Self::agent).
    pub async fn colleague(&self, name: &str, role: Role) -> Result<(String, SecretString), Trouble> {
        let added = workspaces::add_agent(self.world.desk(), &self.world.caller, name, role, None, None).await;
        let (agent, issued) = added.map_err(Trouble::new)?;
        Ok((agent.id.to_string(), issued.token))
    }

    /// Stops the service, lets something happen, and starts it again where it was.
    ///
    /// # Errors
    /// [`Trouble`] when it does not start.
    pub async fn restarted(self, meanwhile: impl FnOnce()) -> Result<Self, Trouble> {
        let Self { world, folder, database, .. } = self;
        let world = world.restarted(meanwhile).await?;
        let api = world.api()?;
        Ok(Self { world, api, folder, database })
    }

    /// Stops both.
    pub async fn strike(self) {
        self.world.stop().await;
        drop((self.folder, self.database));
    }

    /// Waits until nothing is on its way: webhooks delivered and applied, everything due sent, receipts in.
    ///
    /// # Errors
    /// [`Trouble`] when it does not get quiet.
    pub async fn quiet(&self) -> Result<(), Trouble> {
        let control = self.world.control();
        self.world
            .until("everything is quiet", || async {
                if !control.idle(Duration::from_millis(200)).await || self.is_busy().await? {
                    return Ok(None);
                }
                // What was applied may have caused a send, and that a receipt: quiet means twice in a row.
                Ok((control.idle(Duration::ZERO).await && !self.is_busy().await?).then_some(()))
            })
            .await
    }

    /// A message, once nothing more happens to it by itself and everything is quiet.
    ///
    /// # Errors
    /// [`Trouble`] when that does not come.
    pub async fn settled(&self, message: &str) -> Result<Value, Trouble> {
        let path = format!("/messages/{message}");
        self.world
            .until("the message is settled", || async {
                let now = self.api.get(&path).await?.expect(200)?.body;
                let state = now.get("state").and_then(Value::as_str);
                Ok((!matches!(state, Some("queued" | "sending"))).then_some(()))
            })
            .await?;
        self.quiet().await?;
        Ok(self.api.get(&path).await?.expect(200)?.body)
    }

    async fn is_busy(&self) -> Result<bool, Trouble> {
        let reader = self.world.desk().storage().reader(&self.world.caller.scope);
        let waiting = reader.oldest_unapplied().await.map_err(Trouble::new)?.is_some();
        let outbox = reader.outbox_stats(self.world.now()).await.map_err(Trouble::new)?;
        Ok(waiting || outbox.due + outbox.in_hand > 0)
    }

    /// What the platform itself would answer now, from its raw history.
    ///
    /// # Errors
    /// [`Trouble`] for an unknown account or customer.
    pub fn platform_says(&self, account: &str, customer: &str, ask: &Ask) -> Result<Value, Trouble> {
        let verdict = self.world.control().would_accept(account, customer, ask).map_err(Trouble::new)?;
        serde_json::to_value(verdict).map_err(Trouble::new)
    }
}

/// A plain client, for answers that are no JSON.
#[expect(clippy::disallowed_methods, reason = "it looks from outside, as a browser does")]
pub fn http() -> reqwest::Client {
    reqwest::Client::new()
}

/// An RFC 3339 instant out of JSON.
pub fn instant(value: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(value.as_str()?, &time::format_description::well_known::Rfc3339).ok()
}
