//! Messenger: free text for a day, a person's answer for a week, then approved utility templates.

use async_trait::async_trait;
use serde_json::json;
use time::Duration;
use transom_desk::channels::{self, NewChannel};
use transom_sandbox::{Act, NewAccount};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct Messenger;

const PEOPLE: [Role; 3] = [
    Role {
        name: "Petra Novak",
        customer: "petra",
        phone: "+420600000008",
        story: "tapped Get Started an hour ago",
        began: Began::Did(|| Act::Start { payload: None }, Duration::hours(1)),
        then: Then::Nothing,
    },
    Role {
        name: "Sami Virtanen",
        customer: "sami",
        phone: "+358400000009",
        story: "wrote 3 days ago: a person may answer, a bot may not",
        began: Began::Wrote("Is the blue one in stock?", Duration::days(3)),
        then: Then::Closed,
    },
    Role {
        name: "Ines Costa",
        customer: "ines",
        phone: "+351910000010",
        story: "wrote 8 days ago: utility templates only",
        began: Began::Wrote("Thank you!", Duration::days(8)),
        then: Then::Closed,
    },
];

#[async_trait]
impl Cast for Messenger {
    fn platform(&self) -> &'static str {
        "messenger"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let new = NewAccount::on("messenger").settings(json!({ "human_agent": true }));
        let view = world.control().create_account(new).map_err(Trouble::new)?;
        let names = ["app_secret", "verify_token", "access_token", "page_id"];
        let settings = names.map(|name| text_of(&view.settings, name).map(|value| (name.to_owned(), value)));
        let new = NewChannel {
            platform: self.platform().to_owned(),
            name: "Acme on Messenger".to_owned(),
            settings: settings.into_iter().collect::<Result<_, _>>()?,
            features: ["human_agent".to_owned()].into(),
            limits: [].into(),
            check: true,
            ..NewChannel::default()
        };
        world.connect_as(new, view.id).await
    }

    async fn stock(&self, world: &World) -> Result<(), Trouble> {
        let account = world.account(self.platform())?;
        let template = json!({
            "name": "order_update", "language": "en_US", "category": "UTILITY",
            "components": [{ "type": "BODY", "text": "Hi {{1}}, there is news about your order {{2}}. Just answer here." }],
        });
        world.control().platform(&account.at_sandbox, "template", template).await.map_err(Trouble::new)?;
        channels::sync_templates(world.desk(), &world.caller, account.ours.id).await.map_err(Trouble::new)?;
        Ok(())
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        heading("On Messenger, Sami wrote three days ago.");
        let sami =
            Role::wrote("Sami Story", "sami-story", "+358400000109", "Is the blue one in stock?", Duration::days(3));
        let scene = Scene::set(world, self.platform(), &sami).await?;
        let window = scene.get("/window").await?;
        let closed = window.text("/automation/window/state") == Some("closed");
        check(closed, "automation may not write any more", &json!(null))?;
        scene.sends_text("It is back since today.", "a person's answer goes out").await?;
        tagged(&scene).await?;

        heading("A week later a person may not write either.");
        world.clock.advance(Duration::days(7));
        scene.refuses_text("Are you still interested?", "free text is refused, and nothing leaves").await?;
        let template = json!({
            "type": "reply",
            "template": { "name": "order_update", "language": "en_US", "parameters": { "body": ["Sami", "A-1002"] } },
        });
        scene.post("messages", template).await?.expect(202)?;
        let sent = scene.in_ledger("the template arrives", |send| send.kind == "template").await?;
        check(
            sent.body.get("messaging_type") == Some(&json!("UTILITY")),
            "a utility template goes out",
            &json!(sent.text),
        )?;

        heading("Sami answers.");
        scene.writes("Yes, please!")?;
        scene.until_window("the answer arrives", "open").await?;
        scene.sends_text("Reserved for you.", "free text goes out again, as a plain answer").await?;
        scene.blocks_unheard("Sami").await
    }
}

/// The tag of a person's answer is in the request.
async fn tagged(scene: &Scene<'_>) -> Result<(), Trouble> {
    let sent = scene.in_ledger("the answer arrives", |send| send.kind == "text").await?;
    let tag = sent.body.get("tag").cloned().unwrap_or_default();
    check(tag == json!("HUMAN_AGENT"), "under the tag that Meta wants for it", &tag)
}
