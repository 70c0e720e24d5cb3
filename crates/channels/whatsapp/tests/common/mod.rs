//! A number in the sandbox, with a customer who wrote just now.

use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Value, json};
use time::macros::datetime;
use transom_channel::SettingValues;
use transom_domain::SettableClock;
use transom_sandbox::{Control, NewAccount, NewCustomer};
use transom_stage::Set;
use transom_whatsapp::WhatsApp;

pub(crate) const NUMBER: &str = "700000000000002";
pub(crate) const WABA: &str = "700000000000001";
pub(crate) const TOKEN: &str = "EAAinventedtokenofthesandbox0001";
pub(crate) const SECRET: &str = "test-app-secret-0001";
pub(crate) const PHONE: &str = "+4915550100001";

/// A running sandbox with one number and one customer.
pub(crate) struct Stage {
    pub(crate) stage: transom_stage::Stage,
    /// The customer's message.
    pub(crate) quotable: String,
}

impl Deref for Stage {
    type Target = transom_stage::Stage;

    fn deref(&self) -> &transom_stage::Stage {
        &self.stage
    }
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let account = NewAccount::on("whatsapp").settings(json!({
            "phone_number_id": NUMBER, "waba_id": WABA, "display_phone_number": "4312345678", "verified_name": "Acme",
            "access_token": TOKEN, "app_secret": SECRET, "verify_token": "verify me", "messaging_limit": 250, "pacing": false,
        }));
        let settings = SettingValues::default()
            .with("app_secret", SECRET)
            .with("verify_token", "verify me")
            .with("access_token", TOKEN)
            .with("phone_number_id", NUMBER)
            .with("waba_id", WABA);
        let clock = SettableClock::frozen(datetime!(2026-11-21 10:00 UTC));
        let mara = NewCustomer::named("mara", "Mara K.", PHONE);
        let set = Set::new(Arc::new(WhatsApp), account, mara, &[("phone", PHONE)]);
        let stage = transom_stage::Stage::set(Set { settings, clock, ..set }).await;
        template(&stage.control, "order_shipped", "UTILITY", &components()).await;
        let quotable = stage.writes("Where is A-1001?");
        Self { stage, quotable }
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
