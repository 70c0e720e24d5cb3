//! Telegram: no window, but only for who started the bot, and until they block it.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;
use time::Duration;
use transom_desk::channels::NewChannel;
use transom_sandbox::{Act, Action, NewAccount, NewCustomer};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct Telegram;

const SECRET: &str = "only-the-demo-knows-this";

const PEOPLE: [Role; 2] = [
    Role {
        name: "Ann Lee",
        customer: "ann",
        phone: "+442000000005",
        story: "wrote 90 days ago, conversation closed",
        began: Began::Wrote("/start", Duration::days(90)),
        then: Then::Closed,
    },
    Role {
        name: "Ben Okafor",
        customer: "ben",
        phone: "+2348000000006",
        story: "blocked the bot",
        began: Began::Wrote("/start", Duration::days(2)),
        then: Then::Refuses(|| Act::Block),
    },
];

#[async_trait]
impl Cast for Telegram {
    fn platform(&self) -> &'static str {
        "telegram"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let new = NewAccount::on("telegram").settings(json!({ "secret_token": SECRET }));
        let view = world.control().create_account(new).map_err(Trouble::new)?;
        let settings = [
            ("bot_token", text_of(&view.settings, "token")?),
            ("webhook_secret", SecretString::from(SECRET)),
            ("account_id", SecretString::from(view.id.clone())),
        ];
        world.connect(self.platform(), "Acme on Telegram", view.id, settings).await
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        heading("On Telegram, Ann started the bot 90 days ago.");
        let ann = Role {
            name: "Ann Story",
            customer: "ann-story",
            phone: "+442000000105",
            story: "",
            began: Began::Wrote("/start", Duration::days(90)),
            then: Then::Nothing,
        };
        let scene = Scene::set(world, self.platform(), &ann).await?;
        scene.sends_text("Your parcel left today.", "free text goes out, as ever").await?;

        heading("She blocks the bot, and takes it back.");
        scene.does(Act::Block)?;
        scene.until_barred("the block is known").await?;
        scene.refuses_text("Are you there?", "nothing leaves for who blocks the bot").await?;
        scene.does(Act::Unblock)?;
        scene.until_permitted("she is back").await?;
        scene.sends_text("Welcome back.", "free text goes out again").await?;
        in_the_owners_name(world).await
    }
}

/// A Telegram Business account that the bot answers for: a day after each message of its customer.
async fn in_the_owners_name(world: &World) -> Result<(), Trouble> {
    const OWNERS: &str = "bc-acme";
    heading("The bot also answers for Olga's Telegram Business account; Bo writes to her.");
    let (bot, api, control) = (world.account("telegram")?, world.api()?, world.control());
    for (id, name, phone) in [("olga", "Olga Owner", "+442000000106"), ("bo-story", "Bo Story", "+442000000107")] {
        control.create_customer(NewCustomer::named(id, name, phone)).map_err(Trouble::new)?;
    }
    let new = NewChannel {
        platform: "telegram".to_owned(),
        name: "Olga on Telegram".to_owned(),
        policy: Some("telegram_business".to_owned()),
        connection: Some(bot.ours.connection),
        settings: [("account_id".to_owned(), SecretString::from(OWNERS))].into(),
        ..NewChannel::default()
    };
    let owners = world.connect_as(new, bot.at_sandbox.clone()).await?;
    let order = json!({ "id": OWNERS, "owner": "olga" });
    control.platform(&bot.at_sandbox, "business_connection", order).await.map_err(Trouble::new)?;
    let hello = Action::from(Act::Text { text: "Hi Olga, is it still for sale?".to_owned() }).via(OWNERS);
    control.act(&bot.at_sandbox, "bo-story", hello).map_err(Trouble::new)?;
    let conversation = world
        .until("Bo's message arrives", || async {
            let found = api.get(&format!("/conversations?channel={}", owners.ours.id)).await?.expect(200)?;
            Ok(found.text("/items/0/id").and_then(|id| id.parse().ok()))
        })
        .await?;
    let scene = Scene { world, api, control, at_sandbox: bot.at_sandbox.clone(), customer: "bo-story", conversation };
    scene.sends_text("It is.", "free text goes out in her name").await?;
    world.clock.advance(Duration::hours(24));
    scene.refuses_text("Still interested?", "a day after he wrote nothing goes out").await?;
    Ok(())
}
