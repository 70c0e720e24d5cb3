//! Telegram: no window, but only for who started the bot, and until they block it.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;
use time::Duration;
use transom_desk::channels::NewChannel;
use transom_sandbox::{Act, Action, NewAccount, NewCustomer};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, heading, id_of};
use crate::demo::seed::Seeded;
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

/// Who wrote not to the bot but to its owner.
const BO: Role = Role {
    name: "Bo Lind",
    customer: "bo",
    phone: "+442000000007",
    story: "wrote to the owner's own account 20 hours ago",
    began: Began::Wrote("Is it still for sale?", Duration::hours(20)),
    then: Then::Nothing,
};

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

    async fn others(&self, world: &World) -> Result<Vec<Seeded>, Trouble> {
        Ok(vec![owner_hears(world, &BO).await?])
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        heading("On Telegram, Ann started the bot 90 days ago.");
        let ann = Role::wrote("Ann Story", "ann-story", "+442000000105", "/start", Duration::days(90));
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
const OWNERS: &str = "bc-acme";

/// Connects it, and somebody writes to its owner.
async fn owner_hears(world: &World, role: &Role) -> Result<Seeded, Trouble> {
    let Began::Wrote(text, ago) = role.began else { return Err(Trouble(format!("{} never wrote", role.name))) };
    let (bot, api, control) = (world.account("telegram")?, world.api()?, world.control());
    for (id, name, phone) in [("olga", "Olga Owner", "+442000000106"), (role.customer, role.name, role.phone)] {
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
    let hello = Action::from(Act::Text { text: text.to_owned() }).via(OWNERS).at(world.now() - ago);
    control.act(&bot.at_sandbox, role.customer, hello).map_err(Trouble::new)?;
    let (contact, conversation) = world
        .until("the message to the owner arrives", || async {
            let found = api.get(&format!("/conversations?channel={}", owners.ours.id)).await?.expect(200)?;
            let id_at = |pointer| found.body.pointer(pointer).and_then(id_of);
            let (contact, conversation) = (id_at("/items/0/contact"), id_at("/items/0"));
            Ok(contact.and_then(|id| id.parse().ok()).zip(conversation.and_then(|id| id.parse().ok())))
        })
        .await?;
    let Role { name, customer, story, .. } = *role;
    let (channel, conversation) = (owners.ours.name, Some(conversation));
    Ok(Seeded { name, customer, platform: "telegram", channel, story, contact, conversation })
}

/// The scene in that owner's name.
async fn in_the_owners_name(world: &World) -> Result<(), Trouble> {
    heading("The bot also answers for Olga's Telegram Business account; Bo writes to her.");
    let began = Began::Wrote("Hi Olga, is it still for sale?", Duration::ZERO);
    let bo = Role { name: "Bo Story", customer: "bo-story", phone: "+442000000107", began, ..BO };
    let heard = owner_hears(world, &bo).await?;
    let conversation = heard.conversation.ok_or_else(|| Trouble("Bo has no conversation".to_owned()))?;
    let (api, control) = (world.api()?, world.control());
    let at_sandbox = world.account("telegram")?.at_sandbox.clone();
    let scene = Scene { world, api, control, at_sandbox, customer: bo.customer, conversation };
    scene.sends_text("It is.", "free text goes out in her name").await?;
    world.clock.advance(Duration::hours(24));
    scene.refuses_text("Still interested?", "a day after he wrote nothing goes out").await?;
    let answer = Act::Text { text: "I am, I was away.".to_owned() };
    scene.does(Action::from(answer).via(OWNERS))?;
    scene.until_window("Bo writes to her again", "open").await?;
    scene.sends_text("Then it is yours.", "free text goes out in her name again").await
}
