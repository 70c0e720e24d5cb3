//! WeChat: 20 messages in 48 hours after each message of the customer, three for a minute after a tap or a scan, then nothing.

use async_trait::async_trait;
use serde_json::{Value, json};
use time::Duration;
use transom_desk::channels::{self, NewChannel};
use transom_sandbox::{AccountPatch, Act, NewAccount};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct WeChat;

/// What the account's webhooks are encrypted with.
const KEY: &str = "onlyTheDemoKnowsThis4711onlyTheDemoKnowsThi";

const PEOPLE: [Role; 4] = [
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
    Role {
        name: "Tao Sun",
        customer: "tao",
        phone: "+8613800000013",
        story: "wrote 2 hours ago, and was answered twenty times",
        began: Began::Wrote("有什么颜色?", Duration::hours(2)),
        then: Then::Exhausted(REPLIES),
    },
];

/// What goes out after each message of the customer.
const REPLIES: u32 = 20;

/// Somebody who writes now, for the scene.
const fn writer(name: &'static str, customer: &'static str, phone: &'static str) -> Role {
    Role::wrote(name, customer, phone, "你好, 有人吗?", Duration::MINUTE)
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
            settings: settings.into_iter().map(|(name, value): (&str, _)| (name.to_owned(), value)).collect(),
            features: ["service_account".to_owned()].into(),
            check: true,
            ..NewChannel::default()
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
        for number in 1..=REPLIES {
            scene.sends_text(&format!("第{number}条"), &format!("message {number} goes out")).await?;
        }
        scene.refuses_text("第21条", "the 21st is refused, and nothing leaves").await?;
        a_moment_later(world);
        scene.writes("还有一个问题")?;
        scene.until_window("Jun writes again", "open").await?;
        scene.sends_text("请讲。", "and may be answered again").await?;
        world.clock.advance(Duration::hours(48));
        scene.refuses_text("还在吗?", "two days later free text is refused").await?;
        scene.post("messages", notice()).await?.expect(202)?;
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
        scene.ends(&sixth, "not_sent", "WeChat refuses the sixth message: it is not sent, and says so").await?;
        let arrived = scene.ledger().len();
        check(arrived == 5, "five have arrived", &json!(arrived))?;
        scene.refuses_text("Answer 7", "the refusal is believed: the seventh is not even tried").await?;
        a_moment_later(world);
        scene.writes("Hello?")?;
        scene.until_window("Kai writes again", "open").await?;
        scene.sends_text("Here I am.", "and may be answered again").await?;
        self.limit(world, REPLIES)?;
        a_tap_a_scan_and_a_follow(world).await?;
        messages_are_switched_off(world).await?;
        a_follower_leaves(world).await
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

/// WeChat tells whole seconds: what comes next must not seem older than what was just sent or refused.
fn a_moment_later(world: &World) {
    world.clock.advance(Duration::seconds(2));
}

/// A template message to a follower.
fn notice() -> Value {
    let values = json!({ "body": { "thing1": "4711", "phrase2": "已发货" } });
    json!({ "type": "reply", "template": { "name": "order_update", "language": "zh_CN", "parameters": values } })
}

/// Three messages for a minute, one count for all three.
async fn a_tap_a_scan_and_a_follow(world: &World) -> Result<(), Trouble> {
    heading("An taps the menu on WeChat.");
    let tap = || Act::Other { kind: "CLICK".to_owned(), data: json!({ "EventKey": "MY_ORDERS" }) };
    let an = Role {
        name: "An Story",
        customer: "an-story",
        phone: "+8613800000112",
        story: "",
        began: Began::Did(tap, Duration::ZERO),
        then: Then::Nothing,
    };
    let an = Scene::set(world, "wechat", &an).await?;
    for number in 1..=3 {
        an.sends_text(&format!("Order {number}"), &format!("answer {number} to the tap goes out")).await?;
    }
    an.refuses_text("Order 4", "the fourth is refused, and nothing leaves").await?;
    a_moment_later(world);
    an.does(Act::Start { payload: Some("4711".to_owned()) })?;
    an.until_permitted("An scans a code of the shop").await?;
    an.sends_text("Welcome to the shop!", "a scan may be answered, too").await?;
    world.clock.advance(Duration::MINUTE);
    an.refuses_text("Can we help?", "a minute later it may not").await?;
    an.does(Act::Block)?;
    a_moment_later(world);
    an.does(Act::Unblock)?;
    an.until_permitted("An leaves, and follows again").await?;
    an.sends_text("Good to see you!", "a follow may be answered").await?;
    world.clock.advance(Duration::MINUTE);
    an.refuses_text("Still there?", "for a minute").await.map(|_| ())
}

/// 48002: WeChat tells nobody before.
async fn messages_are_switched_off(world: &World) -> Result<(), Trouble> {
    heading("Hao switches the account's messages off, of which nobody is told.");
    let hao = Scene::set(world, "wechat", &writer("Hao Story", "hao-story", "+8613800000113")).await?;
    hao.does(Act::OptOut)?;
    hao.platform_refuses("在的。", "failed", "WeChat refuses the answer (48002)").await?;
    hao.refuses_text("您好?", "the refusal is believed: the next is not even tried").await?;
    a_moment_later(world);
    hao.does(Act::OptIn)?;
    hao.writes("现在可以了")?;
    hao.until_permitted("Hao switches them on, and writes").await?;
    hao.sends_text("好的。", "and is answered").await
}

/// 43004: the notice goes to followers, and WeChat may know first who is none.
async fn a_follower_leaves(world: &World) -> Result<(), Trouble> {
    heading("Yu leaves the account, and WeChat's word of it is late.");
    let yu = Scene::set(world, "wechat", &writer("Yu Story", "yu-story", "+8613800000114")).await?;
    yu.holds_webhooks(true)?;
    yu.does(Act::Block)?;
    let before = yu.ledger().len();
    let sent = yu.post("messages", notice()).await?.expect(202)?;
    yu.ends(&sent, "failed", "WeChat refuses a notice to whoever does not follow (43004)").await?;
    check(yu.ledger().len() == before, "nothing reached Yu", &json!(null))?;
    yu.holds_webhooks(false)?;
    yu.refuses_text("再见!", "free text is refused").await?;
    yu.post("messages", notice()).await?.expect(409)?;
    check(yu.ledger().len() == before, "and so is the next notice, before it leaves", &json!(null))?;
    a_moment_later(world);
    yu.does(Act::Unblock)?;
    yu.until_permitted("Yu follows again").await?;
    yu.sends_text("欢迎回来!", "and may be answered for a minute").await
}
