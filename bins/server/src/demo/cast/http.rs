//! The HTTP channel, with a partner of Viber Business behind it: sessions, and templates to any number.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use time::Duration;
use transom_desk::channels::{self, NewChannel};
use transom_sandbox::{Act, NewAccount, NewCustomer};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct Http;

/// What may go out in a row without a reply.
const IN_A_ROW: usize = 5;

const PEOPLE: [Role; 3] = [
    Role {
        name: "Eleni Pappa",
        customer: "eleni",
        phone: "+306900000001",
        story: "Viber Business: wrote an hour ago",
        began: Began::Wrote("Is the shop open?", Duration::HOUR),
        then: Then::Nothing,
    },
    Role {
        name: "Nikos Dimou",
        customer: "nikos",
        phone: "+306900000002",
        story: "Viber Business: wrote 2 days ago, templates only",
        began: Began::Wrote("Thank you", Duration::days(2)),
        then: Then::Closed,
    },
    Role {
        name: "Zoe Alexiou",
        customer: "zoe",
        phone: "+306900000003",
        story: "Viber Business: never wrote, only the number is known",
        began: Began::Never,
        then: Then::Nothing,
    },
];

#[async_trait]
impl Cast for Http {
    fn platform(&self) -> &'static str {
        "http"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let new = NewAccount::on("http").settings(json!({ "account": "acme-business", "rules": "viber_business" }));
        let view = world.control().create_account(new).map_err(Trouble::new)?;
        let endpoint = format!("{}/http/{}", world.sandbox.base_url(), view.id);
        let settings = [
            ("endpoint", SecretString::from(endpoint)),
            ("signing_secret", text_of(&view.settings, "signing_secret")?),
            ("webhook_secret", text_of(&view.settings, "webhook_secret")?),
            ("account", SecretString::from(view.id.clone())),
            ("text_limit", SecretString::from("1000")),
            ("addresses", SecretString::from("phone")),
        ];
        let new = NewChannel {
            platform: self.platform().to_owned(),
            name: "Acme on Viber Business".to_owned(),
            policy: Some("viber_business".to_owned()),
            settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            check: true,
            ..NewChannel::default()
        };
        world.connect_as(new, view.id).await
    }

    async fn stock(&self, world: &World) -> Result<(), Trouble> {
        let account = world.account(self.platform())?;
        for template in [
            json!({
                "name": "order_update", "language": "en_US", "category": "utility",
                "body": "Hi {{1}}, there is news about your order {{2}}. Just answer here.", "footer": "Acme Support",
            }),
            json!({
                "name": "spring_sale", "language": "en_US", "category": "marketing",
                "body": "Everything in green is half price this week.",
            }),
            json!({
                "name": "pickup", "language": "en_US", "category": "utility",
                "header": { "format": "text", "text": "Order {{1}}" },
                "body": "Hi {{1}}, your parcel waits for you.", "footer": "Acme Support",
            }),
        ] {
            world.control().platform(&account.at_sandbox, "template", template).await.map_err(Trouble::new)?;
        }
        channels::sync_templates(world.desk(), &world.caller, account.ours.id).await.map_err(Trouble::new)?;
        Ok(())
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        let dora = a_stranger_is_written_to(world).await?;
        heading("Dora answers.");
        dora.writes("When do you close?")?;
        dora.until_window("her answer opens a session", "open").await?;
        for n in 1..=IN_A_ROW {
            dora.sends_text(&format!("Message {n}."), "free text goes out").await?;
        }
        dora.refuses_text("And a sixth.", "the sixth in a row has to wait for her reply").await?;
        dora.writes("I see.")?;
        dora.until_permitted("her reply arrives").await?;
        dora.sends_text("See you!", "after her reply free text goes out again").await?;
        world.clock.advance(Duration::hours(24));
        dora.window_is("closed", "a day after her first message the session is over").await?;
        dora.refuses_text("Did you find it?", "free text is refused").await?;
        let body = json!({ "type": "reply", "template": pickup("Dora", "B-8") });
        dora.post("messages", body).await?.expect(202)?;
        let arrived = dora.in_ledger("the template arrives", |send| send.text.contains("B-8")).await?;
        check(arrived.kind == "template", "a template goes out", &json!(arrived.text))?;
        dora.writes("Yes, thanks.")?;
        dora.until_window("she writes, and a session opens", "open").await?;
        nothing_more_is_wanted(world, &dora).await
    }
}

fn pickup(name: &str, order: &str) -> Value {
    let header = json!({ "text": [order] });
    json!({ "name": "pickup", "language": "en_US", "parameters": { "header": header, "body": [name] } })
}

/// Only her number is known: free text is refused, an approved template with header and footer reaches her.
async fn a_stranger_is_written_to(world: &World) -> Result<Scene<'_>, Trouble> {
    heading("On Viber Business nobody has heard of Dora yet, but for her number.");
    let (api, control, account) = (world.api()?, world.control(), world.account("http")?);
    let (name, customer, phone) = ("Dora Story", "dora-story", "+306900000101");
    control.create_customer(NewCustomer::named(customer, name, phone)).map_err(Trouble::new)?;
    let made = api.post("/contacts", json!({ "display_name": name, "phone": phone })).await?.expect(201)?;
    let path = format!("/contacts/{}/messages", made.text("/id").unwrap_or_default());
    let message = |message: Value| json!({ "channel": account.ours.id, "message": message });
    let refused = api.post(&path, message(json!({ "text": "Hello!" }))).await?.expect(409)?;
    check(true, "free text is refused", refused.body.get("code").unwrap_or(&Value::Null))?;
    api.post(&path, message(json!({ "template": pickup("Dora", "B-7") }))).await?.expect(202)?;
    let (_, conversation) = world.conversation_with("http", name).await?;
    let at_sandbox = account.at_sandbox.clone();
    let dora = Scene { world, api, control, at_sandbox, customer, conversation };
    let arrived = dora.in_ledger("the template arrives", |send| send.kind == "template").await?;
    let expected = "Order B-7\nHi Dora, your parcel waits for you.\nAcme Support";
    check(arrived.text == expected, "a template reaches her, with header and footer", &json!(arrived.text))?;
    Ok(dora)
}

/// A block and an opt-out, each known to the other side before it is told here, and each taken back.
async fn nothing_more_is_wanted(world: &World, dora: &Scene<'_>) -> Result<(), Trouble> {
    heading("Dora blocks the business, and the partner's word of it is late.");
    let turns = [(Act::Block, Act::Unblock, "SRVC_USER_BLOCKED"), (Act::OptOut, Act::OptIn, "opted out")];
    for (leaves, comes_back, said) in turns {
        dora.holds_webhooks(true)?;
        dora.does(leaves)?;
        dora.platform_refuses("Anything else?", "failed", &format!("the partner refuses the next message ({said})"))
            .await?;
        dora.holds_webhooks(false)?;
        dora.refuses_text("Hello?", "free text is refused before it leaves").await?;
        let template = json!({ "type": "reply", "template": pickup("Dora", "B-9") });
        dora.post("messages", template).await?.expect(409)?;
        check(true, "and so are templates", &json!(null))?;
        // What she takes back must not seem as old as the refusal.
        world.clock.advance(Duration::SECOND);
        dora.does(comes_back)?;
        dora.until_permitted("she takes it back").await?;
        dora.sends_text(&format!("Good to have you back ({said})."), "free text goes out again").await?;
    }
    Ok(())
}
