//! TikTok: ten messages in 48 hours after each message of the customer, then nothing.

use async_trait::async_trait;
use time::Duration;
use transom_sandbox::NewAccount;

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct TikTok;

const PEOPLE: [Role; 2] = [
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
];

#[async_trait]
impl Cast for TikTok {
    fn platform(&self) -> &'static str {
        "tiktok"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let view = world.control().create_account(NewAccount::on("tiktok")).map_err(Trouble::new)?;
        let setting = |name| Ok((name, text_of(&view.settings, name)?));
        let settings = [setting("app_id")?, setting("app_secret")?, setting("business_id")?, setting("refresh_token")?];
        world.connect(self.platform(), "Acme on TikTok", view.id, settings).await
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        heading("On TikTok, Kim wrote 47 hours ago.");
        let kim = Role {
            name: "kim.story",
            customer: "kim.story",
            phone: "+821000000108",
            story: "",
            began: Began::Wrote("Is this still available?", Duration::hours(47)),
            then: Then::Nothing,
        };
        let scene = Scene::set(world, self.platform(), &kim).await?;
        scene.window_is("open", "the window is open for another hour").await?;
        scene.sends_text("Yes, in all sizes.", "free text goes out").await?;
        world.clock.advance(Duration::hours(1));
        scene.refuses_text("Shall I keep one for you?", "an hour later it is refused, and nothing leaves").await?;
        heading("Kim writes again, and the team answers ten times.");
        scene.writes("Keep one in blue please")?;
        scene.until_window("the message arrives", "open").await?;
        for number in 1..=10 {
            scene.sends_text(&format!("Answer {number}"), &format!("answer {number} goes out")).await?;
        }
        scene.refuses_text("Answer 11", "the eleventh is refused, and nothing leaves").await.map(|_| ())
    }
}
