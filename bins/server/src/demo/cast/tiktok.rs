//! TikTok: ten messages in 48 hours after each message of the customer, then nothing; and one to whoever commented.

use std::collections::BTreeMap;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use time::Duration;
use transom_desk::channels::NewChannel;
use transom_sandbox::{Act, NewAccount};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct TikTok;

const PEOPLE: [Role; 4] = [
    Role {
        name: "kim_p",
        customer: "kim_p",
        phone: "+821000000008",
        story: "wrote an hour ago",
        began: Began::Wrote("Is this still available?", Duration::HOUR),
        then: Then::Nothing,
    },
    Role {
        name: "leo.art",
        customer: "leo.art",
        phone: "+5511900000009",
        story: "wrote 3 days ago, conversation closed",
        began: Began::Wrote("Thanks!", Duration::days(3)),
        then: Then::Closed,
    },
    Role {
        name: "mia.w",
        customer: "mia.w",
        phone: "+5511900000010",
        story: "wrote 20 minutes ago, and was answered ten times",
        began: Began::Wrote("Which sizes do you have?", Duration::minutes(20)),
        then: Then::Exhausted(REPLIES),
    },
    Role {
        name: "noa_22",
        customer: "noa_22",
        phone: "+821000000011",
        story: "only commented: one private reply",
        began: Began::Did(comment, Duration::HOUR),
        then: Then::Nothing,
    },
];

/// What goes out after each message of the customer.
const REPLIES: u32 = 10;

fn comment() -> Act {
    Act::Other { kind: "comment".to_owned(), data: json!({ "text": "How much is it?" }) }
}

#[async_trait]
impl Cast for TikTok {
    fn platform(&self) -> &'static str {
        "tiktok"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let view = world.control().create_account(NewAccount::on("tiktok")).map_err(Trouble::new)?;
        let setting = |name: &str| Ok((name.to_owned(), text_of(&view.settings, name)?));
        let names = ["app_id", "app_secret", "business_id", "refresh_token"];
        let mut settings = names.map(setting).into_iter().collect::<Result<BTreeMap<_, _>, Trouble>>()?;
        // Private replies to comments: switched on at TikTok, and permitted here.
        settings.insert("direct_reply".to_owned(), SecretString::from("enable"));
        let new = NewChannel {
            platform: self.platform().to_owned(),
            name: "Acme on TikTok".to_owned(),
            settings,
            features: ["comment_to_message".to_owned()].into(),
            check: true,
            ..NewChannel::default()
        };
        world.connect_as(new, view.id).await
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        heading("On TikTok, Kim wrote 47 hours ago.");
        let kim =
            Role::wrote("kim.story", "kim.story", "+821000000108", "Is this still available?", Duration::hours(47));
        let scene = Scene::set(world, self.platform(), &kim).await?;
        scene.window_is("open", "the window is open for another hour").await?;
        scene.sends_text("Yes, in all sizes.", "free text goes out").await?;
        world.clock.advance(Duration::hours(1));
        scene.refuses_text("Shall I keep one for you?", "an hour later it is refused, and nothing leaves").await?;
        heading("Kim writes again, and the team answers ten times.");
        scene.writes("Keep one in blue please")?;
        scene.until_window("the message arrives", "open").await?;
        for number in 1..=REPLIES {
            scene.sends_text(&format!("Answer {number}"), &format!("answer {number} goes out")).await?;
        }
        scene.refuses_text("Answer 11", "the eleventh is refused, and nothing leaves").await?;
        a_block_is_found_out(world).await?;
        a_comment_is_answered(world).await
    }
}

/// 40064: TikTok tells nobody of blocks, and says the same of them as of a closed window.
async fn a_block_is_found_out(world: &World) -> Result<(), Trouble> {
    heading("Ray writes on TikTok, and blocks the account, of which nobody is told.");
    let ray = Role::wrote("ray.story", "ray.story", "+821000000110", "Do you ship to Busan?", Duration::MINUTE);
    let ray = Scene::set(world, "tiktok", &ray).await?;
    ray.does(Act::Block)?;
    let before = ray.ledger().len();
    let sent = ray.post("messages", json!({ "type": "reply", "text": "We do." })).await?.expect(202)?;
    let path = format!("/messages/{}", sent.text("/id").unwrap_or_default());
    world
        .until("TikTok refuses the answer (40064)", || async {
            let tried = ray.api.get(&path).await?.expect(200)?;
            Ok(tried.text("/parts/0/attempts/0/ended_at").map(drop))
        })
        .await?;
    check(true, "TikTok refuses the answer as if the window were closed (40064)", &Value::Null)?;
    // Once it is asked again, in case TikTok was only late.
    world.clock.advance(Duration::minutes(2));
    ray.ends(&sent, "not_sent", "a minute later it still does: the answer is not sent").await?;
    check(ray.ledger().len() == before, "nothing reached Ray", &Value::Null)?;
    ray.refuses_text("Within a week.", "the refusal is believed: the next is not even tried").await?;
    ray.does(Act::Unblock)?;
    ray.writes("How long does it take?")?;
    ray.until_window("Ray takes it back, and writes", "open").await?;
    ray.sends_text("A week.", "and is answered").await
}

/// One private reply to a comment; more once they write.
async fn a_comment_is_answered(world: &World) -> Result<(), Trouble> {
    heading("Jo comments under a video.");
    let jo = Role {
        name: "jo.story",
        customer: "jo.story",
        phone: "+821000000109",
        story: "",
        began: Began::Did(comment, Duration::ZERO),
        then: Then::Nothing,
    };
    let jo = Scene::set(world, "tiktok", &jo).await?;
    jo.sends_text("30 euros. We wrote you here.", "one private reply goes out").await?;
    let sent = jo.in_ledger("the reply arrives", |send| send.kind == "text").await?;
    let comment = sent.body.pointer("/direct_reply/comment_reply/comment_id").unwrap_or(&Value::Null);
    check(comment.is_string(), "to the comment: there is no chat yet", comment)?;
    jo.refuses_text("Shall I keep one?", "a second one is refused, and nothing leaves").await?;
    heading("Jo writes.");
    jo.writes("I take the blue one")?;
    let is_free = |permit: &Value| permit.get("basis") == Some(&json!("free_form"));
    jo.until_permits("the message arrives", |permits| permits.iter().any(is_free)).await?;
    jo.sends_text("It is yours.", "free text goes out").await
}
