//! Service, sandbox and a seeded workspace in one process, on free loopback ports, with one clock for both.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::Instant;
use transom_desk::channels::{self, NewChannel};
use transom_desk::{Caller, Desk, workspaces};
use transom_domain::{ChannelAccount, Clock as _, ContactId, ConversationId, SettableClock};
use transom_sandbox::{AccountPatch, Control, NewAccount, Sandbox, SandboxConfig};

use super::api::Api;
use crate::{Server, ServerConfig};

/// The longest that anything in the demo takes to happen.
const PATIENCE: Duration = Duration::from_secs(20);

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
        let mut server_config = ServerConfig::in_folder(&config.data_dir).on_loopback(config.port);
        server_config.database_url = config.database_url.or(server_config.database_url);
        for platform in ["whatsapp", "telegram"] {
            let endpoint = format!("{}/{platform}", sandbox.base_url());
            server_config = server_config.with_endpoint(platform, &endpoint).map_err(Trouble::new)?;
        }
        let server = Server::start(server_config, Arc::new(clock.clone())).await.map_err(Trouble::new)?;
        let (caller, token) = workspaces::create(server.desk(), "Acme Support", "Ada").await.map_err(Trouble::new)?;
        let mut world = Self { sandbox, server, clock, caller, token, accounts: BTreeMap::new() };
        world.connect_whatsapp().await?;
        world.connect_telegram().await?;
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
    /// [`Trouble`] with what was waited for, after twenty seconds.
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
            let reader = self.desk().storage().reader(&self.caller.scope);
            let query = transom_storage::ConversationQuery {
                accounts: vec![account],
                limit: 100,
                ..transom_storage::ConversationQuery::new(self.now())
            };
            for stored in reader.conversations(&query).await.map_err(Trouble::new)? {
                let contact = reader.contact(stored.contact).await.map_err(Trouble::new)?;
                if contact.is_some_and(|contact| contact.contact.shown_name().as_deref() == Some(name)) {
                    return Ok(Some((stored.contact, stored.conversation.id)));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Stops both, cleanly.
    pub async fn stop(self) {
        self.server.stop().await;
        self.sandbox.shutdown().await;
    }

    async fn connect_whatsapp(&mut self) -> Result<(), Trouble> {
        let view = self.control().create_account(NewAccount::on("whatsapp")).map_err(Trouble::new)?;
        let setting = |name: &str| text_of(&view.settings, name);
        let settings = BTreeMap::from([
            ("app_secret".to_owned(), setting("app_secret")?),
            ("verify_token".to_owned(), setting("verify_token")?),
            ("access_token".to_owned(), setting("access_token")?),
            ("phone_number_id".to_owned(), setting("phone_number_id")?),
            ("waba_id".to_owned(), setting("waba_id")?),
        ]);
        self.connect("whatsapp", "Acme on WhatsApp", view.id, settings).await
    }

    async fn connect_telegram(&mut self) -> Result<(), Trouble> {
        let secret = "only-the-demo-knows-this";
        let new = NewAccount::on("telegram").settings(json!({ "secret_token": secret }));
        let view = self.control().create_account(new).map_err(Trouble::new)?;
        let settings = BTreeMap::from([
            ("bot_token".to_owned(), text_of(&view.settings, "token")?),
            ("webhook_secret".to_owned(), SecretString::from(secret)),
            ("account_id".to_owned(), SecretString::from(view.id.clone())),
        ]);
        self.connect("telegram", "Acme on Telegram", view.id, settings).await
    }

    async fn connect(
        &mut self,
        platform: &'static str,
        name: &str,
        at_sandbox: String,
        settings: BTreeMap<String, SecretString>,
    ) -> Result<(), Trouble> {
        let new = NewChannel {
            platform: platform.to_owned(),
            name: name.to_owned(),
            policy: None,
            connection: None,
            settings,
            features: std::collections::BTreeSet::new(),
            limits: BTreeMap::new(),
            quota_group: None,
            country: None,
            check: true,
        };
        let ours = channels::connect(self.desk(), &self.caller, new, None).await.map_err(Trouble::new)?.account;
        let public_id = self.desk().storage().public_id(&self.caller.scope, ours.connection);
        let webhook_url = Some(format!("{}/webhooks/{public_id}", self.server.base_url()));
        self.control()
            .patch_account(&at_sandbox, AccountPatch { webhook_url, ..AccountPatch::default() })
            .map_err(Trouble::new)?;
        self.accounts.insert(platform, Account { at_sandbox, ours });
        Ok(())
    }

    /// Puts the templates of the story into the platform's catalogue and syncs them.
    ///
    /// # Errors
    /// [`Trouble`] when the platform or the service refuses.
    pub async fn add_templates(&self) -> Result<(), Trouble> {
        let account = self.account("whatsapp")?;
        for template in [
            json!({
                "name": "order_update", "language": "en_US", "category": "UTILITY",
                "components": [
                    { "type": "BODY", "text": "Hi {{1}}, there is news about your order {{2}}. Just answer here.",
                      "example": { "body_text": [["Mara", "A-1001"]] } },
                    { "type": "FOOTER", "text": "Acme Support" },
                ],
            }),
            json!({
                "name": "spring_sale", "language": "en_US", "category": "MARKETING",
                "components": [{ "type": "BODY", "text": "Everything in green is half price this week." }],
            }),
        ] {
            self.control().platform(&account.at_sandbox, "template", template).await.map_err(Trouble::new)?;
        }
        channels::sync_templates(self.desk(), &self.caller, account.ours.id).await.map_err(Trouble::new)?;
        Ok(())
    }
}

fn text_of(settings: &serde_json::Value, name: &str) -> Result<SecretString, Trouble> {
    settings
        .get(name)
        .and_then(serde_json::Value::as_str)
        .map(|text| SecretString::from(text.to_owned()))
        .ok_or_else(|| Trouble(format!("the sandbox did not tell its setting `{name}`")))
}
