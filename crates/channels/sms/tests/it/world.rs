//! A number in the sandbox, a customer who wrote to it, and the channel between them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use transom_channel::{OutboundPart, RawInbound, SettingValues};
use transom_domain::Content;
use transom_sandbox::{NewAccount, NewCustomer, Receipts};
use transom_sms::Sms;
use transom_stage::{PublicFiles, Set, Stage, Why};

pub(crate) const NUMBER: &str = "+12025550199";
pub(crate) const ANN: &str = "+12025550123";
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const HOOK: &str = "https://hooks.example/webhooks/1";

pub(crate) struct World(pub(crate) Stage);

impl Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

impl World {
    /// A number, and Ann, who has written to nobody yet. The client waits so long for answers.
    pub(crate) async fn new(patience: Duration) -> Self {
        let account = json!({"sender": NUMBER, "account_sid": ACCOUNT, "auth_token": TOKEN, "friendly_name": "The Shop",
            "pacing": false});
        let receipts = serde_json::from_value::<Receipts>(json!("manual")).unwrap();
        let account = NewAccount::on("sms").settings(account).receipts(receipts);
        let settings = SettingValues::default()
            .with("account_sid", ACCOUNT)
            .with("auth_token", TOKEN)
            .with("sender", NUMBER)
            .with("webhook_url", HOOK);
        let set = Set::new(Arc::new(Sms), account, NewCustomer::named("ann", "Ann Lee", ANN), &[("phone", ANN)]);
        Self(Stage::set(Set { settings, patience, media: Arc::new(PublicFiles), ..set }).await)
    }

    /// The newest webhook, as it would reach us: a form, and a query where receipts carry one.
    pub(crate) fn newest(&self) -> RawInbound {
        let stored: Value = serde_json::from_str(self.control.deliveries().pop().unwrap().body.get()).unwrap();
        let query = stored["url"].as_str().and_then(|url| Some(url.parse::<url::Url>().ok()?.query()?.to_owned()));
        let body = stored["form"].as_str().unwrap().to_owned();
        RawInbound { query, ..RawInbound::new(body, self.now()) }
    }

    /// A part for Ann, let through by the policy since she wrote.
    pub(crate) fn part(&self, content: Content) -> OutboundPart {
        self.0.part(content, &Why::default(), 1)
    }

    pub(crate) fn text(&self, text: &str) -> OutboundPart {
        self.part(Content::text(text))
    }
}
