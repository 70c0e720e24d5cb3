//! A bot in the sandbox, a customer who wrote to it, and the channel between them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use transom_channel::conformance::SampleFiles;
use transom_channel::http::HttpClient;
use transom_channel::{
    Channel, Inbound, MediaBytes, MediaError, MediaPort, NoMailbox, NoTokens, OutboundPart, Platform, Ports,
    RawInbound, SettingValues, subject_of,
};
use transom_domain::{
    Address, AttachmentId, ChannelAccountId, ContactId, Content, Identity, IdentityId, PartId, SettableClock, UuidV7,
};
use transom_sandbox::{Control, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_viber::Viber;
use transom_windows::{Ask, Event, Facts, Policies, Sender, What};
use url::Url;

pub(crate) const BOT: &str = "pa:75346594275468546724";
pub(crate) const TOKEN: &str = "4453b6ac12345678-e02c5f12174805f9-daec9cbb5448c51f";
pub(crate) const ANN: &str = "uQ7vYdExample0001aA==";

pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) ports: Ports,
    pub(crate) settings: SettingValues,
    pub(crate) ann: Identity,
    /// Keeps the platform up.
    _sandbox: Sandbox,
}

/// The suite's files, at public addresses that end as their names do.
#[derive(Debug)]
pub(crate) struct PublicFiles;

#[async_trait]
impl MediaPort for PublicFiles {
    async fn read(&self, id: AttachmentId) -> Result<MediaBytes, MediaError> {
        SampleFiles.read(id).await
    }

    async fn public_url(&self, id: AttachmentId) -> Result<Option<Url>, MediaError> {
        let name = SampleFiles.read(id).await?.file_name.unwrap_or_default();
        Ok(Url::parse(&format!("https://files.example/{id}/{name}")).ok())
    }
}

impl World {
    /// A bot, and Ann, who has written to nobody yet. The client waits so long for answers.
    pub(crate) async fn new(patience: Duration) -> Self {
        let clock = SettableClock::running();
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        // It listens once its task has had a turn: what closes the port must find it open.
        tokio::task::yield_now().await;
        let control = sandbox.control();
        let settings = json!({"id": BOT, "token": TOKEN, "name": "Shop", "pacing": false});
        // Nobody listens there: what is delivered is read from the list of deliveries.
        let account = NewAccount { settings, ..NewAccount::on("viber").webhook("http://127.0.0.1:9/hook") };
        control.create_account(account).unwrap();
        let addresses = [("viber".to_owned(), ANN.to_owned())].into();
        control
            .create_customer(NewCustomer { addresses, ..NewCustomer::named("ann", "Ann Lee", "+15005550006") })
            .unwrap();
        let ports = Ports {
            clock: Arc::new(clock),
            ids: Arc::new(UuidV7),
            http: HttpClient::with_total_timeout(patience).unwrap(),
            media: Arc::new(PublicFiles),
            tokens: Arc::new(NoTokens),
            mailbox: Arc::new(NoMailbox),
            endpoints: Arc::new(
                [("viber".to_owned(), format!("{}/viber", sandbox.base_url()).parse().unwrap())].into(),
            ),
        };
        let settings =
            SettingValues::default().with("auth_token", TOKEN).with("bot_id", BOT).with("sender_name", "Acme Support");
        let ann = Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("user_id", ANN)],
        };
        Self { control, ports, settings, ann, _sandbox: sandbox }
    }

    pub(crate) fn bot(&self) -> Arc<dyn Channel> {
        Viber.connect(&self.settings, &self.ports).unwrap()
    }

    /// Changes the bot's settings at the platform.
    pub(crate) fn patch(&self, settings: Value) {
        let patch = serde_json::from_value(json!({"settings": settings})).unwrap();
        self.control.patch_account(BOT, patch).unwrap();
    }

    /// Ann writes; the message's id.
    pub(crate) fn ann_writes(&self, text: &str) -> String {
        self.control.writes(BOT, "ann", text).unwrap().message_id.unwrap()
    }

    /// A part for Ann, let through by the policy after a message of hers.
    pub(crate) fn part(&self, content: Content) -> OutboundPart {
        let (policies, now) = (Policies::builtin().unwrap(), self.ports.clock.now());
        let policy = policies.get("viber").unwrap();
        let mut facts = Facts::new(subject_of(&self.ann), policy);
        let what = What::Opening { kind: "message".to_owned(), reference: None };
        facts.apply(policy, &Event { at: now, what }).unwrap();
        let permit = policy.decide(&facts, Ask::by(Sender::Human), now).permits().first().unwrap().clone();
        OutboundPart::new(permit, &self.ann, (PartId::new(&UuidV7), 1), content, now).unwrap()
    }

    /// A text for Ann.
    pub(crate) fn text(&self, text: &str) -> OutboundPart {
        self.part(Content::text(text))
    }

    /// All that the platform has reported so far, as the channel reads it.
    pub(crate) fn heard(&self) -> Vec<Inbound> {
        let channel = self.bot();
        let mut deliveries = self.control.deliveries();
        deliveries.sort_by_key(|delivery| delivery.id);
        let read = |delivery: &transom_sandbox::Delivery| {
            channel.parse(&RawInbound::new(delivery.body.get().to_owned(), self.ports.clock.now())).unwrap()
        };
        deliveries.iter().flat_map(read).collect()
    }
}
