//! Instagram: free text for a day, a person's answer for a week, then nothing.

use async_trait::async_trait;
use serde_json::json;
use time::Duration;
use transom_desk::channels::NewChannel;
use transom_sandbox::{Act, NewAccount};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct Instagram;

fn mentions_us() -> Act {
    Act::Other { kind: "story_mention".to_owned(), data: json!({}) }
}

const PEOPLE: [Role; 3] = [
    Role {
        name: "Lea Martin",
        customer: "lea",
        phone: "+33600000011",
        story: "mentioned the shop in a story 2 hours ago",
        began: Began::Did(mentions_us, Duration::hours(2)),
        then: Then::Nothing,
    },
    Role {
        name: "Noah Berg",
        customer: "noah",
        phone: "+4790000012",
        story: "wrote 2 days ago: a person may answer, a bot may not",
        began: Began::Wrote("Do you ship to Norway?", Duration::days(2)),
        then: Then::Closed,
    },
    Role {
        name: "Yuki Mori",
        customer: "yuki",
        phone: "+819000000013",
        story: "wrote 10 days ago: nothing goes until they write",
        began: Began::Wrote("Thanks!", Duration::days(10)),
        then: Then::Closed,
    },
];

#[async_trait]
impl Cast for Instagram {
    fn platform(&self) -> &'static str {
        "instagram"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let new = NewAccount::on("instagram").settings(json!({ "human_agent": true, "name": "acme" }));
        let view = world.control().create_account(new).map_err(Trouble::new)?;
        let names = ["app_secret", "verify_token", "access_token", "page_id", "instagram_id"];
        let settings = names.map(|name| text_of(&view.settings, name).map(|value| (name.to_owned(), value)));
        let new = NewChannel {
            platform: self.platform().to_owned(),
            name: "Acme on Instagram".to_owned(),
            settings: settings.into_iter().collect::<Result<_, _>>()?,
            features: ["human_agent".to_owned()].into(),
            limits: [].into(),
            check: true,
            ..NewChannel::default()
        };
        world.connect_as(new, view.id).await
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        heading("On Instagram, Noah wrote two days ago.");
        let noah = Role::wrote("Noah Story", "noah-story", "+4790000112", "Do you ship to Norway?", Duration::days(2));
        let scene = Scene::set(world, self.platform(), &noah).await?;
        scene.sends_text("We do, in three days.", "a person's answer goes out").await?;
        let sent = scene.in_ledger("the answer arrives", |send| send.kind == "text").await?;
        let tag = sent.body.get("tag").cloned().unwrap_or_default();
        check(tag == json!("HUMAN_AGENT"), "under the tag that Meta wants for it", &tag)?;

        heading("A week later nothing may be sent.");
        world.clock.advance(Duration::days(7));
        scene.refuses_text("Still interested?", "free text is refused, and nothing leaves").await?;

        heading("Noah answers a story.");
        scene.does(Act::Other { kind: "story_reply".to_owned(), data: json!({ "text": "nice!" }) })?;
        scene.until_window("the answer arrives", "open").await?;
        scene.sends_text("Thank you!", "free text goes out again").await?;
        scene.blocks_unheard("Noah").await
    }
}
