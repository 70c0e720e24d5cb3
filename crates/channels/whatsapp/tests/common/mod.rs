//! A number in the sandbox, with a customer who wrote just now.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use time::macros::datetime;
use transom_channel::conformance::{PATIENCE, SampleFiles};
use transom_channel::http::HttpClient;
use transom_channel::{Channel, Platform, Ports, SettingValues};
use transom_domain::{
    Address, ChannelAccountId, ContactId, Content, Identity, IdentityId, Ids, SettableClock, TemplateParameters, UuidV7,
};
use transom_sandbox::{Control, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_whatsapp::WhatsApp;
use url::Url;

pub(crate) const NUMBER: &str = "700000000000002";
pub(crate) const WABA: &str = "700000000000001";
pub(crate) const TOKEN: &str = "EAAinventedtokenofthesandbox0001";
pub(crate) const SECRET: &str = "test-app-secret-0001";
pub(crate) const PHONE: &str = "+4915550100001";

/// A running sandbox with one number and one customer.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) ports: Ports,
    pub(crate) settings: SettingValues,
    pub(crate) identity: Identity,
    /// The customer's message.
    pub(crate) quotable: String,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let clock = SettableClock::frozen(datetime!(2026-11-21 10:00 UTC));
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        let control = sandbox.control();
        let account = NewAccount::on("whatsapp").settings(json!({
            "phone_number_id": NUMBER, "waba_id": WABA, "display_phone_number": "4312345678", "verified_name": "Acme",
            "access_token": TOKEN, "app_secret": SECRET, "verify_token": "verify me", "messaging_limit": 250, "pacing": false,
        }));
        control.create_account(account).unwrap();
        control.create_customer(NewCustomer::named("mara", "Mara K.", PHONE)).unwrap();
        template(&control, "order_shipped", "UTILITY", &components()).await;
        let quotable = control.writes(NUMBER, "mara", "Where is A-1001?").unwrap().message_id.unwrap();

        let endpoint = Url::parse(&format!("{}/whatsapp", sandbox.base_url())).unwrap();
        let ports = Ports {
            clock: Arc::new(clock),
            http: HttpClient::with_total_timeout(PATIENCE).unwrap(),
            media: Arc::new(SampleFiles),
            endpoints: Arc::new(BTreeMap::from([("whatsapp".to_owned(), endpoint)])),
            ..Ports::system().unwrap()
        };
        let settings = SettingValues::default()
            .with("app_secret", SECRET)
            .with("verify_token", "verify me")
            .with("access_token", TOKEN)
            .with("phone_number_id", NUMBER)
            .with("waba_id", WABA);
        Self { sandbox, ports, settings, identity: identity(&[("phone", PHONE)]), quotable }
    }

    pub(crate) fn control(&self) -> Control {
        self.sandbox.control()
    }

    pub(crate) fn channel(&self) -> Arc<dyn Channel> {
        WhatsApp.connect(&self.settings, &self.ports).unwrap()
    }

    /// The catalogue's template, with these values, as the desk fills it.
    pub(crate) async fn template(&self, name: &str, parameters: TemplateParameters) -> Content {
        let channel = self.channel();
        let listed = channel.templates().unwrap().list().await.unwrap();
        let definition = listed.iter().find(|definition| definition.name == name).unwrap();
        Content::template(definition.fill(parameters).unwrap())
    }
}

pub(crate) fn identity(addresses: &[(&str, &str)]) -> Identity {
    Identity {
        id: IdentityId::from(UuidV7.next()),
        contact: ContactId::from(UuidV7.next()),
        account: ChannelAccountId::from(UuidV7.next()),
        addresses: addresses.iter().map(|(kind, value)| Address::new(*kind, *value)).collect(),
    }
}

pub(crate) fn components() -> Value {
    json!([
        {"type": "HEADER", "format": "TEXT", "text": "Order"},
        {"type": "BODY", "text": "Hi {{1}}, {{2}} is on its way"},
        {"type": "FOOTER", "text": "Acme"},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Help"}, {"type": "URL", "text": "Track", "url": "https://acme.example/t/{{1}}"}]},
    ])
}

pub(crate) async fn template(control: &Control, name: &str, category: &str, components: &Value) {
    let template = json!({"name": name, "language": "en_US", "category": category, "components": components});
    control.platform(NUMBER, "template", template).await.unwrap();
}
