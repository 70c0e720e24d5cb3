//! A mailbox on the server, a customer, and the channel between them.

use std::sync::Arc;
use std::time::Duration;

use transom_channel::conformance::SampleFiles;
use transom_channel::http::HttpClient;
use transom_channel::{Channel, OutboundPart, Platform, Ports, SettingValues, subject_of};
use transom_domain::{
    Address, Body, ChannelAccountId, ContactId, Content, Identity, IdentityId, Mail, MessageId, PartId, UuidV7,
};
use transom_email::Email;
use transom_windows::{Ask, Event, Facts, Policies, Sender, What};

use crate::server::Server;

pub(crate) const MAILBOX: &str = "support@shop.test";
pub(crate) const ANN: &str = "ann@example.test";
pub(crate) const PASSWORD: &str = "a-password-of-this-mailbox";
pub(crate) const HOOK_PASSWORD: &str = "the-password-of-the-webhook";
pub(crate) const TOKEN_SECRET: &str = "a-secret-for-all-our-tokens";

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) ports: Ports,
    pub(crate) settings: SettingValues,
    pub(crate) ann: Identity,
}

impl World {
    pub(crate) async fn new(patience: Duration) -> Self {
        let server = Server::start(PASSWORD).await;
        let ports = Ports {
            http: HttpClient::with_total_timeout(patience).unwrap(),
            media: Arc::new(SampleFiles),
            ..Ports::system().unwrap()
        };
        let senders = r#"[{"address": "support@shop.test", "name": "Shop Grüße", "default": true}, {"address": "sales@shop.test"}]"#;
        let settings = SettingValues::default()
            .with("mailbox", MAILBOX)
            .with("senders", senders)
            .with("smtp_host", "127.0.0.1")
            .with("smtp_port", server.address.port().to_string())
            .with("smtp_security", "plain")
            .with("smtp_password", PASSWORD)
            .with("timeout_seconds", patience.as_secs().max(1).to_string())
            .with("inbound_parse", "postmark")
            .with("webhook_user", "hook")
            .with("webhook_password", HOOK_PASSWORD);
        let ann = Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("email", ANN)],
        };
        Self { server, ports, settings, ann }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.settings = self.settings.with(name, value);
        self
    }

    pub(crate) fn channel(&self) -> Arc<dyn Channel> {
        Email.connect(&self.settings, &self.ports).unwrap()
    }

    /// A part for Ann, let through by the policy.
    pub(crate) fn part(&self, content: Content, sender: Sender, message: MessageId) -> OutboundPart {
        let (policies, now) = (Policies::builtin().unwrap(), self.ports.clock.now());
        let policy = policies.get("email").unwrap();
        let mut facts = Facts::new(subject_of(&self.ann), policy);
        let what = What::Opening { kind: "message".to_owned(), reference: None };
        facts.apply(policy, &Event { at: now, what }).unwrap();
        let permit = policy.decide(&facts, Ask::by(sender), now).permits()[0].clone();
        OutboundPart::new(permit, &self.ann, (PartId::new(&UuidV7), 1), content, now).unwrap().of_message(message)
    }

    /// All parts of a letter, planned.
    pub(crate) fn parts(&self, mail: Mail) -> Vec<OutboundPart> {
        let message = MessageId::new(&UuidV7);
        let content = Content { body: Body::Mail(mail), reply_to: None };
        let planned = self.channel().plan(&content).unwrap();
        planned.into_iter().map(|part| self.part(part.content, Sender::Human, message)).collect()
    }
}

pub(crate) fn letter() -> Mail {
    Mail { subject: Some("Order 7".to_owned()), text: "It left today.".to_owned(), ..Mail::default() }
}
