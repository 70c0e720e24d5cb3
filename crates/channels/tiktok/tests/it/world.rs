//! A business account in the sandbox, and Mara, who writes to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Mutex;
use transom_channel::conformance::SampleFiles;
use transom_channel::http::HttpClient;
use transom_channel::{
    Channel, OutboundPart, Platform, Ports, Renew, SettingValues, StoredToken, TokenError, TokenPort, subject_of,
};
use transom_domain::{
    Address, ChannelAccountId, ContactId, Content, Identity, IdentityId, PartId, SettableClock, UuidV7,
};
use transom_sandbox::{Act, Action, Control, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_tiktok::TikTok;
use transom_windows::{Ask, Event, Facts, Policies, Sender, What};

pub(crate) const BUSINESS: &str = "biz-open-0001";
pub(crate) const SECRET: &str = "tiktok-app-secret-01";
pub(crate) const CONVERSATION: &str = "cnv+biz-open-0001/usr-open-0055==";

pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) clock: SettableClock,
    pub(crate) ports: Ports,
    pub(crate) settings: SettingValues,
    pub(crate) mara: Identity,
    _sandbox: Sandbox,
}

impl World {
    pub(crate) async fn new(patience: Duration) -> Self {
        let clock = SettableClock::running();
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        tokio::task::yield_now().await;
        let control = sandbox.control();
        let settings = json!({"business_id": BUSINESS, "app_id": "7000000000000000001", "app_secret": SECRET, "refresh_token": "rft.1"});
        control.create_account(NewAccount { settings, ..NewAccount::on("tiktok") }).unwrap();
        let addresses = [("tiktok".to_owned(), "usr-open-0055".to_owned())].into();
        let mara = NewCustomer { addresses, ..NewCustomer::named("mara", "Mara K", "+15005550006") };
        control.create_customer(mara).unwrap();
        let ports = Ports {
            clock: Arc::new(clock.clone()),
            ids: Arc::new(UuidV7),
            http: HttpClient::with_total_timeout(patience).unwrap(),
            media: Arc::new(SampleFiles),
            tokens: Arc::new(Tokens::default()),
            mailbox: Arc::new(transom_channel::NoMailbox),
            endpoints: Arc::new(
                [("tiktok".to_owned(), format!("{}/tiktok", sandbox.base_url()).parse().unwrap())].into(),
            ),
        };
        let settings = SettingValues::default()
            .with("app_id", "7000000000000000001")
            .with("app_secret", SECRET)
            .with("business_id", BUSINESS)
            .with("refresh_token", "rft.1");
        let mara = Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("user_id", "usr-open-0055"), Address::new("conversation_id", CONVERSATION)],
        };
        Self { control, clock, ports, settings, mara, _sandbox: sandbox }
    }

    pub(crate) fn channel(&self) -> Arc<dyn Channel> {
        TikTok.connect(&self.settings, &self.ports).unwrap()
    }

    /// Mara writes; the message's id.
    pub(crate) fn mara_writes(&self, text: &str) -> String {
        let action = Action::from(Act::Text { text: text.to_owned() });
        self.control.act(BUSINESS, "mara", action).unwrap().message_id.unwrap()
    }

    /// A part for Mara, let through by the policy since she has just written.
    pub(crate) fn part(&self, content: Content) -> OutboundPart {
        let (policies, now) = (Policies::builtin().unwrap(), self.ports.clock.now());
        let policy = policies.get("tiktok").unwrap();
        let mut facts = Facts::new(subject_of(&self.mara), policy);
        let what = What::Opening { kind: "message".to_owned(), reference: None };
        facts.apply(policy, &Event { at: now, what }).unwrap();
        let permit = policy.decide(&facts, Ask::by(Sender::Human), now).permits().first().unwrap().clone();
        OutboundPart::new(permit, &self.mara, (PartId::new(&UuidV7), 1), content, now).unwrap()
    }
}

/// Tokens in memory, one renewal at a time.
#[derive(Debug, Default)]
struct Tokens(Mutex<HashMap<String, StoredToken>>);

#[async_trait]
impl TokenPort for Tokens {
    async fn get(&self, key: &str) -> Result<Option<StoredToken>, TokenError> {
        Ok(self.0.lock().await.get(key).cloned())
    }

    async fn renew(&self, key: &str, renew: Renew<'_>) -> Result<StoredToken, TokenError> {
        let mut tokens = self.0.lock().await;
        let token = renew(tokens.get(key).cloned()).await?;
        tokens.insert(key.to_owned(), token.clone());
        Ok(token)
    }
}
