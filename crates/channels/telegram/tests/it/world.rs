//! A bot in the sandbox, a customer who wrote to it, and the channel between them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use transom_channel::{Channel, OutboundPart, Platform, SettingValues};
use transom_domain::Content;
use transom_sandbox::{Act, Action, NewAccount, NewCustomer};
use transom_stage::{Set, Stage, Why};
use transom_telegram::Telegram;

pub(crate) const BOT: &str = "5550001";
pub(crate) const TOKEN: &str = "5550001:AAF-sandbox-token";
pub(crate) const SECRET: &str = "sandbox-webhook-secret";
pub(crate) const ANN: &str = "700100200";
pub(crate) const CONNECTION: &str = "bc-77";

pub(crate) struct World(pub(crate) Stage);

impl Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

impl World {
    /// A bot, an owner whom it serves, and Ann, who has written to nobody yet. The client waits so long for answers.
    pub(crate) async fn new(patience: Duration) -> Self {
        let wanted = [
            "message",
            "edited_message",
            "business_connection",
            "business_message",
            "edited_business_message",
            "deleted_business_messages",
            "callback_query",
            "my_chat_member",
            "chat_join_request",
            "message_reaction",
        ];
        let settings = json!({"token": TOKEN, "username": "shop_bot", "secret_token": SECRET, "pacing": false, "allowed_updates": wanted});
        let customer = |id, name, phone, user: &str| {
            let addresses = [("telegram".to_owned(), user.to_owned())].into();
            NewCustomer { addresses, ..NewCustomer::named(id, name, phone) }
        };
        let ann = customer("ann", "Ann Lee", "+15005550006", ANN);
        let account = NewAccount::on("telegram").settings(settings);
        let settings =
            SettingValues::default().with("bot_token", TOKEN).with("webhook_secret", SECRET).with("account_id", BOT);
        let set = Set::new(Arc::new(Telegram), account, ann, &[("user_id", ANN)]);
        let stage = Stage::set(Set { settings, patience, ..set }).await;
        stage.control.create_customer(customer("owner", "Owner", "+15005550001", "800300")).unwrap();
        let connection = json!({"id": CONNECTION, "owner": "owner", "can_reply": true, "is_enabled": true});
        stage.control.platform(BOT, "business_connection", connection).await.unwrap();
        Self(stage)
    }

    /// The channel of the owner whom it serves.
    pub(crate) fn business(&self) -> Arc<dyn Channel> {
        Telegram.connect(&self.settings.clone().with("account_id", CONNECTION), &self.ports).unwrap()
    }

    /// Ann writes to the bot, or through a connection to its owner; the message's id.
    pub(crate) fn ann_writes(&self, text: &str, via: Option<&str>) -> String {
        let action = Action::from(Act::Text { text: text.to_owned() });
        self.act(via.into_iter().fold(action, Action::via)).unwrap()
    }

    /// A part for Ann, let through by the policy after this event of hers.
    pub(crate) fn part(
        &self,
        policy: &'static str,
        opening: (&'static str, Option<&str>),
        content: Content,
    ) -> OutboundPart {
        self.0.part(content, &Why::after(opening.0, opening.1).under(policy), 1)
    }

    /// A text for Ann, from the bot.
    pub(crate) fn text(&self, text: &str) -> OutboundPart {
        self.part("telegram", ("message", None), Content::text(text))
    }
}
