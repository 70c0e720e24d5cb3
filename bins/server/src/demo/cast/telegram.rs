//! Telegram: no window, but only for who started the bot, and until they block it.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;
use time::Duration;
use transom_sandbox::{Act, NewAccount};

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
        scene.sends_text("Your parcel left today.", "free text goes out, as ever").await
    }
}
