//! A Page in the sandbox, with a customer who wrote just now.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde_json::json;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_channel::{Inbound, SettingValues};
use transom_domain::{Content, Identity, SettableClock};
use transom_messenger::Messenger;
use transom_sandbox::{Action, Manual, NewAccount, NewCustomer, Receipts};
use transom_stage::Set;
use transom_windows::Permit;

pub(crate) use transom_stage::{Why, identity};

pub(crate) const PAGE: &str = "300000000000001";
pub(crate) const PSID: &str = "6000000000000001";
pub(crate) const TOKEN: &str = "EAAinventedtokenofthesandbox0001";
pub(crate) const SECRET: &str = "test-app-secret-0001";

const FEATURES: &[&str] = &["human_agent"];

/// A running sandbox with one Page and one customer.
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

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut transom_stage::Stage {
        &mut self.stage
    }
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let account = NewAccount::on("messenger").settings(json!({
            "page_id": PAGE, "name": "Acme", "access_token": TOKEN, "app_secret": SECRET, "verify_token": "verify me",
            "human_agent": true, "pacing": false,
        }));
        // Those of the sandbox's own would come in between.
        let account = account.receipts(Receipts::Manual(Manual::Manual));
        let mara = NewCustomer::named("mara", "Mara Klein", "+4915550100001");
        let addresses = [("messenger".to_owned(), PSID.to_owned())].into();
        let mara = NewCustomer { addresses, ..mara };
        let settings = SettingValues::default()
            .with("app_secret", SECRET)
            .with("verify_token", "verify me")
            .with("access_token", TOKEN)
            .with("reactions", "on")
            .with("page_id", PAGE);
        let clock = SettableClock::frozen(datetime!(2026-11-21 10:00 UTC));
        let set = Set::new(Arc::new(Messenger), account, mara, &[("psid", PSID)]);
        let stage = transom_stage::Stage::set(Set { settings, clock, features: FEATURES, ..set }).await;
        let template = json!({"name": "order_shipped", "language": "en", "category": "UTILITY", "components": [
            {"type": "HEADER", "format": "TEXT", "text": "Order"},
            {"type": "BODY", "text": "Hi {{1}}, {{2}} is on its way"},
        ]});
        stage.control.platform(PAGE, "template", template).await.unwrap();
        let quotable = stage.writes("Where is A-1001?");
        Self { stage, quotable }
    }

    /// Everything that the webhooks told since the first message.
    pub(crate) fn told(&self) -> Vec<Inbound> {
        self.heard().into_iter().filter(|told| told.event_key != self.quotable).collect()
    }

    /// What an act of the customer is told as, last.
    pub(crate) fn acts(&self, action: impl Into<Action>) -> Inbound {
        let before = self.told().len();
        self.act(action);
        let mut told = self.told().split_off(before);
        assert_eq!(told.len(), 1, "{told:#?}");
        told.remove(0)
    }
}

/// A permit of the real engine under one grant; `None` if the grant does not hold.
pub(crate) fn permit(to: &Identity, content: &Content, why: &Why, now: OffsetDateTime) -> Option<Permit> {
    transom_stage::permit((&Messenger, FEATURES), to, content, why, now)
}
