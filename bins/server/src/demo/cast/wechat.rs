//! WeChat: 20 messages in 48 hours after each message of the customer, three for a minute after a tap or a scan, then nothing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::json;
use time::Duration;
use transom_desk::channels::{self, NewChannel};
use transom_sandbox::{AccountPatch, Act, NewAccount};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct WeChat;

/// What the account's webhooks are encrypted with.
const KEY: &str = "onlyTheDemoKnowsThis4711onlyTheDemoKnowsThi";

const PEOPLE: [Role; 3] = [
    Role {
        name: "Bao Chen",
        customer: "bao",
        phone: "+8613800000010",
        story: "wrote 40 hours ago",
        began: Began::Wrote("请问我的订单什么时候到?", Duration::hours(40)),
        then: Then::Nothing,
    },
    Role {
        name: "Lin Wu",
        customer: "lin",
        phone: "+8613800000011",
        story: "wrote 3 days ago, conversation closed",
        began: Began::Wrote("谢谢!", Duration::days(3)),
        then: Then::Closed,
    },
    Role {
        name: "Mei Zhao",
        customer: "mei",
        phone: "+8613800000012",
        story: "wrote an hour ago and left the account",
        began: Began::Wrote("不用了", Duration::HOUR),
        then: Then::Refuses(|| Act::Block),
    },
];

/// Somebody who writes now, for the scene.
const fn writer(name: &'static str, customer: &'static str, phone: &'static str) -> Role {
    let began = Began::Wrote("你好, 有人吗?", Duration::MINUTE);
    Role { name, customer, phone, story: "", began, then: Then::Nothing }
}

#[async_trait]
impl Cast for WeChat {
    fn platform(&self) -> &'static str {
        "wechat"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let new = NewAccount::on("wechat").settings(json!({ "encoding_aes_key": KEY, "service_account": true }));
        let view = world.control().create_account(new).map_err(Trouble::new)?;
        let setting = |name| Ok((name, text_of(&view.settings, name)?));
        let settings = [
            setting("app_id")?,
            setting("app_secret")?,
            setting("token")?,
            setting("encoding_aes_key")?,
            setting("original_id")?,
        ];
        let new = NewChannel {
            platform: self.platform().to_owned(),
            name: "Acme on WeChat".to_owned(),
            policy: None,
            connection: None,
            settings: settings.into_iter().map(|(name, value): (&str, _)| (name.to_owned(), value)).collect(),
            features: ["service_account".to_owned()].into(),
            limits: BTreeMap::new(),
            quota_group: None,
            country: None,
            check: true,
        };
        world.connect_as(new, view.id).await
    }

    async fn stock(&self, world: &World) -> Result<(), Trouble> {
        let account = world.account(self.platform())?;
        let template = json!({
            "template_id": "order_update", "title": "订单通知", "content": "订单:{{thing1.DATA}}\n状态:{{phrase2.DATA}}",
        });
        world.control().platform(&account.at_sandbox, "template", template).await.map_err(Trouble::new)?;
        channels::sync_templates(world.desk(), &world.caller, account.ours.id).await.map_err(Trouble::new)?;
        Ok(())
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        heading("On WeChat, Jun writes, and the team answers twenty times.");
        let jun = writer("Jun Story", "jun-story", "+8613800000110");
        let scene = Scene::set(world, self.platform(), &jun).await?;
        scene.window_is("open", "the window is open for two days").await?;
        for number in 1..=20 {
            scene.sends_text(&format!("第{number}条"), &format!("message {number} goes out")).await?;
        }
        scene.refuses_text("第21条", "the 21st is refused, and nothing leaves").await?;
        // WeChat tells whole seconds: what Jun writes must not seem older than what was just sent.
        world.clock.advance(Duration::seconds(2));
        scene.writes("还有一个问题")?;
        scene.until_window("Jun writes again", "open").await?;
        scene.sends_text("请讲。", "and may be answered again").await?;
        world.clock.advance(Duration::hours(48));
        scene.refuses_text("还在吗?", "two days later free text is refused").await?;
        let values = json!({ "body": { "thing1": "4711", "phrase2": "已发货" } });
        let template = json!({ "name": "order_update", "language": "zh_CN", "parameters": values });
        scene.post("messages", json!({ "type": "reply", "template": template })).await?.expect(202)?;
        let arrived = scene.in_ledger("a notice reaches Jun", |send| send.kind == "template").await?;
        check(arrived.text.contains("订单:4711"), "an approved notice goes out, to a follower", &json!(arrived.text))?;

        heading("Tencent lets this account send only five; nobody told us.");
        self.limit(world, 5)?;
        let kai = writer("Kai Story", "kai-story", "+8613800000111");
        let scene = Scene::set(world, self.platform(), &kai).await?;
        for number in 1..=5 {
            scene.sends_text(&format!("Answer {number}"), &format!("message {number} goes out")).await?;
        }
        let sixth = scene.post("messages", json!({ "type": "reply", "text": "Answer 6" })).await?.expect(202)?;
        let path = format!("/messages/{}", sixth.text("/id").unwrap_or_default());
        let not_sent = || async {
            let message = scene.api.get(&path).await?.expect(200)?;
            Ok((message.text("/state") == Some("not_sent")).then_some(()))
        };
        world.until("WeChat refuses the sixth message", not_sent).await?;
        let arrived = scene.ledger().len();
        check(arrived == 5, "WeChat refuses the sixth: it is not sent, and says so", &json!(arrived))?;
        scene.refuses_text("Answer 7", "the refusal is believed: the seventh is not even tried").await?;
        world.clock.advance(Duration::seconds(2));
        scene.writes("Hello?")?;
        scene.until_window("Kai writes again", "open").await?;
        scene.sends_text("Here I am.", "and may be answered again").await?;
        self.limit(world, 20)
    }
}

impl WeChat {
    /// Tencent changes what the account may send.
    fn limit(&self, world: &World, limit: u32) -> Result<(), Trouble> {
        let account = &world.account(self.platform())?.at_sandbox;
        let settings = Some(json!({ "message_limit": limit }));
        let patch = AccountPatch { settings, ..AccountPatch::default() };
        world.control().patch_account(account, patch).map_err(Trouble::new).map(drop)
    }
}
