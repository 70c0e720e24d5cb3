//! A bot in the sandbox, a customer who wrote to it, and the channel between them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use transom_channel::{OutboundPart, SettingValues};
use transom_domain::Content;
use transom_sandbox::{NewAccount, NewCustomer};
use transom_stage::{PublicFiles, Set, Stage, Why};
use transom_viber::Viber;

pub(crate) const BOT: &str = "pa:75346594275468546724";
pub(crate) const TOKEN: &str = "4453b6ac12345678-e02c5f12174805f9-daec9cbb5448c51f";
pub(crate) const ANN: &str = "uQ7vYdExample0001aA==";

pub(crate) struct World(pub(crate) Stage);

impl Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

impl World {
    /// A bot, and Ann, who has written to nobody yet. The client waits so long for answers.
    pub(crate) async fn new(patience: Duration) -> Self {
        let account = json!({"id": BOT, "token": TOKEN, "name": "Shop", "pacing": false});
        // Nobody listens there: what is delivered is read from the list of deliveries.
        let account = NewAccount::on("viber").settings(account).webhook("http://127.0.0.1:9/hook");
        let addresses = [("viber".to_owned(), ANN.to_owned())].into();
        let ann = NewCustomer { addresses, ..NewCustomer::named("ann", "Ann Lee", "+15005550006") };
        let settings =
            SettingValues::default().with("auth_token", TOKEN).with("bot_id", BOT).with("sender_name", "Acme Support");
        let set = Set::new(Arc::new(Viber), account, ann, &[("user_id", ANN)]);
        Self(Stage::set(Set { settings, patience, media: Arc::new(PublicFiles), ..set }).await)
    }

    /// A part for Ann, let through by the policy after a message of hers.
    pub(crate) fn part(&self, content: Content) -> OutboundPart {
        self.0.part(content, &Why::default(), 1)
    }

    /// A text for Ann.
    pub(crate) fn text(&self, text: &str) -> OutboundPart {
        self.part(Content::text(text))
    }
}
