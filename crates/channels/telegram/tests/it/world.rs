//! A bot in the sandbox, a customer who wrote to it, and the channel between them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use transom_channel::conformance::SampleFiles;
use transom_channel::http::HttpClient;
use transom_channel::{Channel, NoMailbox, NoTokens, OutboundPart, Platform, Ports, SettingValues, subject_of};
use transom_domain::{
    Address, ChannelAccountId, ContactId, Content, Identity, IdentityId, PartId, SettableClock, UuidV7,
};
use transom_sandbox::{Act, Action, Control, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_telegram::Telegram;
use transom_windows::{Ask, Event, Facts, Policies, Sender, What};

pub(crate) const BOT: &str = "5550001";
pub(crate) const TOKEN: &str = "5550001:AAF-sandbox-token";
pub(crate) const SECRET: &str = "sandbox-webhook-secret";
pub(crate) const ANN: &str = "700100200";
pub(crate) const CONNECTION: &str = "bc-77";

pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) ports: Ports,
    pub(crate) settings: SettingValues,
    pub(crate) ann: Identity,
    /// Keeps the platform up.
    _sandbox: Sandbox,
}

impl World {
    /// A bot, an owner whom it serves, and Ann, who has written to nobody yet. The client waits so long for answers.
    pub(crate) async fn new(patience: Duration) -> Self {
        let clock = SettableClock::running();
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        // It listens once its task has had a turn: what closes the port must find it open.
        tokio::task::yield_now().await;
        let control = sandbox.control();
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
        control.create_account(NewAccount { settings, ..NewAccount::on("telegram") }).unwrap();
        for (id, name, phone, user) in
            [("ann", "Ann Lee", "+15005550006", ANN), ("owner", "Owner", "+15005550001", "800300")]
        {
            let addresses = [("telegram".to_owned(), user.to_owned())].into();
            control.create_customer(NewCustomer { addresses, ..NewCustomer::named(id, name, phone) }).unwrap();
        }
        let connection = json!({"id": CONNECTION, "owner": "owner", "can_reply": true, "is_enabled": true});
        control.platform(BOT, "business_connection", connection).await.unwrap();
        let ports = Ports {
            clock: Arc::new(clock),
            ids: Arc::new(UuidV7),
            http: HttpClient::with_total_timeout(patience).unwrap(),
            media: Arc::new(SampleFiles),
            tokens: Arc::new(NoTokens),
            mailbox: Arc::new(NoMailbox),
            endpoints: Arc::new(
                [("telegram".to_owned(), format!("{}/telegram", sandbox.base_url()).parse().unwrap())].into(),
            ),
        };
        let settings =
            SettingValues::default().with("bot_token", TOKEN).with("webhook_secret", SECRET).with("account_id", BOT);
        let ann = Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("user_id", ANN)],
        };
        Self { control, ports, settings, ann, _sandbox: sandbox }
    }

    /// The channel of the bot itself.
    pub(crate) fn bot(&self) -> Arc<dyn Channel> {
        Telegram.connect(&self.settings, &self.ports).unwrap()
    }

    /// The channel of the owner whom it serves.
    pub(crate) fn business(&self) -> Arc<dyn Channel> {
        Telegram.connect(&self.settings.clone().with("account_id", CONNECTION), &self.ports).unwrap()
    }

    /// Ann writes to the bot, or through a connection to its owner; the message's id.
    pub(crate) fn ann_writes(&self, text: &str, via: Option<&str>) -> String {
        let action = Action::from(Act::Text { text: text.to_owned() });
        let action = via.into_iter().fold(action, Action::via);
        self.control.act(BOT, "ann", action).unwrap().message_id.unwrap()
    }

    /// A part for Ann, let through by the policy after this event of hers.
    pub(crate) fn part(&self, policy: &str, opening: (&str, Option<&str>), content: Content) -> OutboundPart {
        let (policies, now) = (Policies::builtin().unwrap(), self.ports.clock.now());
        let policy = policies.get(policy).unwrap();
        let mut facts = Facts::new(subject_of(&self.ann), policy);
        let what = What::Opening { kind: opening.0.to_owned(), reference: opening.1.map(str::to_owned) };
        facts.apply(policy, &Event { at: now, what }).unwrap();
        let permit = policy.decide(&facts, Ask::by(Sender::Human), now).permits().first().unwrap().clone();
        OutboundPart::new(permit, &self.ann, (PartId::new(&UuidV7), 1), content, now).unwrap()
    }

    /// A text for Ann, from the bot.
    pub(crate) fn text(&self, text: &str) -> OutboundPart {
        self.part("telegram", ("message", None), Content::text(text))
    }
}
