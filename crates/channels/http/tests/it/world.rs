//! An account in the sandbox, a customer who wrote to it, and the channel between them.

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
use transom_domain::template::{HeaderParameter, TextParameters};
use transom_domain::{
    Address, AttachmentId, ChannelAccountId, ContactId, Content, Identity, IdentityId, PartId, SettableClock,
    TemplateMessage, TemplateParameters, UuidV7,
};
use transom_http::Http;
use transom_sandbox::{Control, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_windows::{Ask, Basis, Event, Facts, Policies, Sender, What};
use url::Url;

pub(crate) const ACCOUNT: &str = "acme-main";
pub(crate) const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const HEARING: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
pub(crate) const PHONE: &str = "+15005550006";

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
pub(crate) struct PublicFiles;

#[async_trait]
impl MediaPort for PublicFiles {
    async fn read(&self, id: AttachmentId) -> Result<MediaBytes, MediaError> {
        SampleFiles.read(id).await
    }

    async fn public_url(&self, id: AttachmentId) -> Result<Option<Url>, MediaError> {
        Ok(Url::parse(&format!("https://files.example/{id}")).ok())
    }
}

impl World {
    /// An account under these rules, a template on it, and Ann, who has written to nobody yet.
    pub(crate) async fn new(patience: Duration, rules: &str) -> Self {
        let clock = SettableClock::running();
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        // It listens once its task has had a turn: what closes the port must find it open.
        tokio::task::yield_now().await;
        let control = sandbox.control();
        let settings =
            json!({"account": ACCOUNT, "signing_secret": SIGNING, "webhook_secret": HEARING, "rules": rules});
        control.create_account(NewAccount { settings, ..NewAccount::on("http") }).unwrap();
        let addresses = [("http".to_owned(), "ann-7".to_owned())].into();
        control.create_customer(NewCustomer { addresses, ..NewCustomer::named("ann", "Ann Lee", PHONE) }).unwrap();
        let template = json!({"name": "parcel", "language": "en", "category": "utility",
            "header": {"format": "text", "text": "Order {{1}}"}, "body": "Hi {{1}}, it left today.", "footer": "Acme"});
        control.platform(ACCOUNT, "template", template).await.unwrap();
        let ports = Ports {
            clock: Arc::new(clock),
            http: HttpClient::with_total_timeout(patience).unwrap(),
            media: Arc::new(PublicFiles),
            tokens: Arc::new(NoTokens),
            mailbox: Arc::new(NoMailbox),
            ..Ports::system().unwrap()
        };
        let settings = SettingValues::default()
            .with("endpoint", format!("{}/http/{ACCOUNT}", sandbox.base_url()))
            .with("signing_secret", SIGNING)
            .with("webhook_secret", HEARING)
            .with("account", ACCOUNT);
        let ann = Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("phone", PHONE)],
        };
        Self { control, ports, settings, ann, _sandbox: sandbox }
    }

    pub(crate) fn channel(&self) -> Arc<dyn Channel> {
        Http.connect(&self.settings, &self.ports).unwrap()
    }

    /// Changes the account's settings at the other side.
    pub(crate) fn patch(&self, settings: Value) {
        let patch = serde_json::from_value(json!({"settings": settings})).unwrap();
        self.control.patch_account(ACCOUNT, patch).unwrap();
    }

    /// Ann writes; the message's id.
    pub(crate) fn ann_writes(&self, text: &str) -> String {
        self.control.writes(ACCOUNT, "ann", text).unwrap().message_id.unwrap()
    }

    /// A part for Ann, let through by a policy after a message of hers.
    pub(crate) fn part(&self, policy: &str, content: Content) -> OutboundPart {
        let (mut policies, now) = (Policies::builtin().unwrap(), self.ports.clock.now());
        for (file, text) in Http.policies() {
            policies.add(file, text).unwrap();
        }
        let policy = policies.get(policy).unwrap();
        let mut facts = Facts::new(subject_of(&self.ann), policy);
        let what = What::Opening { kind: "message".to_owned(), reference: None };
        facts.apply(policy, &Event { at: now, what }).unwrap();
        let category = content.as_template().map(|template| template.category.parse().unwrap());
        let ask = category.map_or(Ask::by(Sender::Human), |category| Ask::by(Sender::Human).category(category));
        let decision = policy.decide(&facts, ask, now);
        let is_template = category.is_some();
        let fitting =
            |permit: &&transom_windows::Permit| matches!(permit.basis(), Basis::Template { .. }) == is_template;
        let permit = decision.permits().iter().find(fitting).unwrap().clone();
        OutboundPart::new(permit, &self.ann, (PartId::new(&UuidV7), 1), content, now).unwrap()
    }

    /// A text for Ann.
    pub(crate) fn text(&self, text: &str) -> OutboundPart {
        self.part("http", Content::text(text))
    }

    /// All that the other side has reported so far, as the channel reads it.
    pub(crate) fn heard(&self) -> Vec<Inbound> {
        let channel = self.channel();
        let mut deliveries = self.control.deliveries();
        deliveries.sort_by_key(|delivery| delivery.id);
        let read = |delivery: &transom_sandbox::Delivery| {
            channel.parse(&RawInbound::new(delivery.body.get().to_owned(), self.ports.clock.now())).unwrap()
        };
        deliveries.iter().flat_map(read).collect()
    }
}

/// The template of the account, filled.
pub(crate) fn template() -> Content {
    Content::template(TemplateMessage {
        name: "parcel".into(),
        language: "en".into(),
        category: "utility".into(),
        parameters: TemplateParameters {
            header: Some(HeaderParameter::Text(TextParameters::Positional(vec!["A-1".into()]))),
            body: TextParameters::Positional(vec!["Ann".into()]),
            ..TemplateParameters::default()
        },
        rendered: Some("Order A-1\nHi Ann, it left today.\nAcme".into()),
        buttons: Vec::new(),
    })
}
