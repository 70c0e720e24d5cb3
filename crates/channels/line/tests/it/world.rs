//! An Official Account in the sandbox, a friend who wrote to it, and the channel between them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use transom_channel::conformance::SampleFiles;
use transom_channel::http::HttpClient;
use transom_channel::{
    Channel, MediaBytes, MediaError, MediaPort, NoMailbox, NoTokens, OutboundPart, Platform, Ports, RawInbound,
    SettingValues, subject_of,
};
use transom_domain::{
    Address, AttachmentId, ChannelAccountId, ContactId, Content, Identity, IdentityId, PartId, SettableClock, UuidV7,
};
use transom_line::Line;
use transom_sandbox::{Act, Action, Control, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_windows::{Ask, Event, Facts, Policies, Sender, What};

pub(crate) const BOT: &str = "U00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "sandbox/token+of/the=bot";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const AKI: &str = "U0000000000000000000000000000a001";

pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) ports: Ports,
    pub(crate) settings: SettingValues,
    pub(crate) aki: Identity,
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
    /// An account, and Aki, who has written to nobody yet. The client waits so long for answers.
    pub(crate) async fn new(patience: Duration) -> Self {
        let clock = SettableClock::running();
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        // It listens once its task has had a turn: what closes the port must find it open.
        tokio::task::yield_now().await;
        let control = sandbox.control();
        let settings = json!({"bot_user_id": BOT, "basic_id": "@shop", "display_name": "The Shop", "channel_secret": SECRET,
            "access_token": TOKEN, "pacing": false});
        control.create_account(NewAccount { settings, ..NewAccount::on("line") }).unwrap();
        let addresses = [("line".to_owned(), AKI.to_owned())].into();
        let aki =
            NewCustomer { addresses, language: Some("ja".into()), ..NewCustomer::named("aki", "Aki", "+819000000001") };
        control.create_customer(aki).unwrap();
        let ports = Ports {
            clock: Arc::new(clock),
            ids: Arc::new(UuidV7),
            http: HttpClient::with_total_timeout(patience).unwrap(),
            media: Arc::new(PublicFiles),
            tokens: Arc::new(NoTokens),
            mailbox: Arc::new(NoMailbox),
            endpoints: Arc::new([("line".to_owned(), format!("{}/line", sandbox.base_url()).parse().unwrap())].into()),
        };
        let settings = SettingValues::default()
            .with("channel_secret", SECRET)
            .with("channel_access_token", TOKEN)
            .with("video_preview_url", "https://files.example/still.jpg")
            .with("bot_user_id", BOT);
        let aki = Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("user_id", AKI)],
        };
        Self { control, ports, settings, aki, _sandbox: sandbox }
    }

    pub(crate) fn channel(&self) -> Arc<dyn Channel> {
        Line.connect(&self.settings, &self.ports).unwrap()
    }

    /// Aki writes; the message's id.
    pub(crate) fn writes(&self, text: &str) -> String {
        self.act(Act::Text { text: text.to_owned() }).unwrap()
    }

    /// Aki does something; the message's id, where there is one.
    pub(crate) fn act(&self, act: impl Into<Action>) -> Option<String> {
        self.control.act(BOT, "aki", act.into()).unwrap().message_id
    }

    /// The newest webhook, as it would reach us.
    pub(crate) fn newest(&self) -> RawInbound {
        let body = self.control.deliveries().pop().unwrap().body;
        RawInbound::new(body.get().to_owned(), self.ports.clock.now())
    }

    /// A part for Aki, let through by the policy after these events of hers.
    pub(crate) fn part(&self, openings: &[(&str, Option<&str>)], content: Content, attempt: u32) -> OutboundPart {
        let (policies, now) = (Policies::builtin().unwrap(), self.ports.clock.now());
        let policy = policies.get("line").unwrap();
        let mut facts = Facts::new(subject_of(&self.aki), policy);
        for (kind, reference) in openings {
            let what = What::Opening { kind: (*kind).to_owned(), reference: reference.map(str::to_owned) };
            facts.apply(policy, &Event { at: now, what }).unwrap();
        }
        let permit = policy.decide(&facts, Ask::by(Sender::Human), now).permits().first().unwrap().clone();
        OutboundPart::new(permit, &self.aki, (PartId::new(&UuidV7), attempt), content, now).unwrap()
    }

    /// A text for Aki, as a push.
    pub(crate) fn push(&self, text: &str) -> OutboundPart {
        self.part(&[("message", None)], Content::text(text), 1)
    }
}
