//! A number in the sandbox, a customer who wrote to it, and the channel between them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use transom_channel::conformance::SampleFiles;
use transom_channel::http::HttpClient;
use transom_channel::{
    Channel, MediaBytes, MediaError, MediaPort, NoMailbox, NoTokens, OutboundPart, Platform, Ports, RawInbound,
    SettingValues, subject_of,
};
use transom_domain::{
    Address, AttachmentId, ChannelAccountId, ContactId, Content, Identity, IdentityId, PartId, SettableClock, UuidV7,
};
use transom_sandbox::{AccountPatch, Act, Control, NewAccount, NewCustomer, Receipts, Sandbox, SandboxConfig};
use transom_sms::Sms;
use transom_windows::{Ask, Event, Facts, Policies, Sender, What};

pub(crate) const NUMBER: &str = "+12025550199";
pub(crate) const ANN: &str = "+12025550123";
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const HOOK: &str = "https://hooks.example/webhooks/1";

pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) ports: Ports,
    pub(crate) settings: SettingValues,
    pub(crate) ann: Identity,
    /// Keeps the platform up.
    _sandbox: Sandbox,
}

/// The suite's files, at public addresses.
#[derive(Debug)]
struct PublicFiles;

#[async_trait]
impl MediaPort for PublicFiles {
    async fn read(&self, id: AttachmentId) -> Result<MediaBytes, MediaError> {
        SampleFiles.read(id).await
    }

    async fn public_url(&self, id: AttachmentId) -> Result<Option<url::Url>, MediaError> {
        Ok(format!("https://files.example/{id}").parse().ok())
    }
}

impl World {
    /// A number, and Ann, who has written to nobody yet. The client waits so long for answers.
    pub(crate) async fn new(patience: Duration) -> Self {
        let clock = SettableClock::running();
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        // It listens once its task has had a turn: what closes the port must find it open.
        tokio::task::yield_now().await;
        let control = sandbox.control();
        let settings = json!({"sender": NUMBER, "account_sid": ACCOUNT, "auth_token": TOKEN, "friendly_name": "The Shop",
            "pacing": false});
        let receipts = serde_json::from_value::<Receipts>(json!("manual")).unwrap();
        control.create_account(NewAccount { settings, ..NewAccount::on("sms") }.receipts(receipts)).unwrap();
        control.create_customer(NewCustomer::named("ann", "Ann Lee", ANN)).unwrap();
        let ports = Ports {
            clock: Arc::new(clock),
            ids: Arc::new(UuidV7),
            http: HttpClient::with_total_timeout(patience).unwrap(),
            media: Arc::new(PublicFiles),
            tokens: Arc::new(NoTokens),
            mailbox: Arc::new(NoMailbox),
            endpoints: Arc::new([("sms".to_owned(), format!("{}/sms", sandbox.base_url()).parse().unwrap())].into()),
        };
        let settings = SettingValues::default()
            .with("account_sid", ACCOUNT)
            .with("auth_token", TOKEN)
            .with("sender", NUMBER)
            .with("webhook_url", HOOK);
        let ann = Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("phone", ANN)],
        };
        Self { control, ports, settings, ann, _sandbox: sandbox }
    }

    pub(crate) fn channel(&self) -> Arc<dyn Channel> {
        Sms.connect(&self.settings, &self.ports).unwrap()
    }

    /// Ann does something; the message's id, where there is one.
    pub(crate) fn act(&self, act: Act) -> Option<String> {
        self.control.act(NUMBER, "ann", act).unwrap().message_id
    }

    pub(crate) fn writes(&self, text: &str) {
        self.act(Act::Text { text: text.to_owned() });
    }

    /// Other settings at the platform.
    pub(crate) fn patch(&self, settings: Value) {
        let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
        self.control.patch_account(NUMBER, patch).unwrap();
    }

    /// The newest webhook, as it would reach us.
    pub(crate) fn newest(&self) -> RawInbound {
        let stored: Value = serde_json::from_str(self.control.deliveries().pop().unwrap().body.get()).unwrap();
        let query = stored["url"].as_str().and_then(|url| Some(url.parse::<url::Url>().ok()?.query()?.to_owned()));
        let body = stored["form"].as_str().unwrap().to_owned();
        RawInbound { query, ..RawInbound::new(body, self.ports.clock.now()) }
    }

    /// A part for Ann, let through by the policy since she wrote.
    pub(crate) fn part(&self, content: Content) -> OutboundPart {
        let (policies, now) = (Policies::builtin().unwrap(), self.ports.clock.now());
        let policy = policies.get("sms").unwrap();
        let mut facts = Facts::new(subject_of(&self.ann), policy);
        facts
            .apply(policy, &Event { at: now, what: What::Opening { kind: "message".into(), reference: None } })
            .unwrap();
        let permit = policy.decide(&facts, Ask::by(Sender::Human), now).permits().first().unwrap().clone();
        OutboundPart::new(permit, &self.ann, (PartId::new(&UuidV7), 1), content, now).unwrap()
    }

    pub(crate) fn text(&self, text: &str) -> OutboundPart {
        self.part(Content::text(text))
    }
}
