//! Web chat: no window; who wrote or is known to the site may be written to, and a visitor who only looks may be invited.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use time::Duration;
use transom_desk::channels::NewChannel;
use transom_sandbox::{Act, Ask, NewAccount, NewCustomer};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading, id_of};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct Webchat;

const PEOPLE: [Role; 5] = [
    Role {
        name: "Ivy Chen",
        customer: "ivy",
        phone: "+14155550201",
        story: "has the chat open, and asked something",
        began: Began::Wrote("Do you have this in green?", Duration::ZERO),
        then: Then::Nothing,
    },
    Role {
        name: "Tarek Haddad",
        customer: "tarek",
        phone: "+14155550202",
        story: "signed in, asked something and left",
        began: Began::Did(signs_in, Duration::ZERO),
        then: Then::Did(leaves),
    },
    Role {
        name: "Signe Lind",
        customer: "signe",
        phone: "+14155550203",
        story: "known to the site by an id, never wrote, was written to",
        began: Began::Registered("Your order can be picked up."),
        then: Then::Nothing,
    },
    Role {
        name: "Rosa Diaz",
        customer: "rosa",
        phone: "+14155550205",
        story: "asked something, and ended the chat",
        began: Began::Wrote("Never mind", Duration::ZERO),
        then: Then::Did(|| Act::OptOut),
    },
    Role {
        name: "Udo Stein",
        customer: "udo",
        phone: "+14155550206",
        story: "a stranger who asked something and cleared the browser",
        began: Began::Wrote("Is anybody there?", Duration::ZERO),
        then: Then::Did(forgets),
    },
];

fn other(kind: &str, data: Value) -> Act {
    Act::Other { kind: kind.to_owned(), data }
}

fn signs_in() -> Act {
    other("identify", json!({ "text": "Where is my invoice?" }))
}

fn visits() -> Act {
    other("visit", Value::Null)
}

fn leaves() -> Act {
    other("leave", Value::Null)
}

fn forgets() -> Act {
    other("forget", Value::Null)
}

#[async_trait]
impl Cast for Webchat {
    fn platform(&self) -> &'static str {
        "webchat"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let new = NewAccount::on("webchat").settings(json!({ "widget": "wgt_1", "origin": "https://shop.example" }));
        let view = world.control().create_account(new).map_err(Trouble::new)?;
        let settings = [
            ("widget_id", text_of(&view.settings, "widget")?),
            ("event_secret", text_of(&view.settings, "event_secret")?),
            ("origins", text_of(&view.settings, "origin")?),
            ("identity_secrets", text_of(&view.settings, "identity_secret")?),
            ("title", SecretString::from("Acme")),
            ("greeting", SecretString::from("Hello! What can we do for you?")),
            ("visits", SecretString::from("yes")),
        ];
        let new = NewChannel {
            platform: self.platform().to_owned(),
            name: "Acme's web site".to_owned(),
            settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            check: true,
            ..NewChannel::default()
        };
        world.connect_as(new, view.id).await
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        let vera = invited(world).await?;
        vera.refuses_text("Hello?", "a second invitation within a day is refused").await?;
        vera.writes("Yes: do you ship to Norway?")?;
        let is_free = |permit: &Value| permit.get("basis") == Some(&json!("free_form"));
        vera.until_permits("her message arrives", |permits| permits.iter().any(is_free)).await?;
        let sent = vera.post("messages", json!({ "type": "reply", "text": "We do." })).await?.expect(202)?;
        vera.in_ledger("the answer is on her screen", |send| send.text == "We do.").await?;
        let sent = sent.text("/id").unwrap_or_default();
        vera.wait_state(sent, &["delivered"]).await?;
        vera.does(Act::Read)?;
        vera.wait_state(sent, &["read"]).await?;

        heading("She closes the page, and a month goes by.");
        vera.does(leaves())?;
        let is_closed = || async { Ok(vera.control.idle(std::time::Duration::ZERO).await.then_some(())) };
        world.until("her page is closed", is_closed).await?;
        world.clock.advance(Duration::days(30));
        let before = vera.ledger().len();
        let text = "The green one is back.";
        let kept = vera.post("messages", json!({ "type": "reply", "text": text })).await?.expect(202)?;
        vera.wait_state(kept.text("/id").unwrap_or_default(), &["sent"]).await?;
        check(vera.ledger().len() == before, "free text is taken, and waits for her", &json!(text))?;
        vera.does(visits())?;
        let arrived = vera.in_ledger("she comes back, and finds it", |send| send.text == text).await?;
        check(arrived.kind == "text", "she comes back, and finds it", &json!(arrived.text))?;

        heading("She signs in at the site, and ends the chat.");
        vera.does(other("identify", json!({ "text": "It is me, Vera." })))?;
        world
            .until("the chat goes on under her own name", || async {
                let messages = vera.get("/messages").await?;
                let items = messages.body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
                let says = |item: &Value| item.pointer("/content/text") == Some(&json!("It is me, Vera."));
                Ok(items.iter().any(says).then_some(()))
            })
            .await?;
        check(true, "the chat goes on under her own name", &Value::Null)?;
        vera.sends_text("Welcome back, Vera.", "she is written to as herself").await?;
        vera.does(Act::OptOut)?;
        world
            .until("she is left alone", || async {
                let window = vera.get("/window").await?;
                Ok(window.body.to_string().contains("opted_out").then_some(()))
            })
            .await?;
        check(true, "she ends the chat, and is not invited any more", &Value::Null)?;
        vera.sends_text("Your parcel left today.", "what is about her order still reaches her").await?;
        a_visitor_is_blocked(&vera).await
    }
}

/// Nothing either way, until the block is taken back.
async fn a_visitor_is_blocked(vera: &Scene<'_>) -> Result<(), Trouble> {
    heading("An agent blocks Vera.");
    let shown = vera.get("").await?;
    let contact = shown.body.get("contact").and_then(id_of).unwrap_or_default().to_owned();
    vera.api.post(&format!("/contacts/{contact}/block"), json!({})).await?.expect(200)?;
    vera.until_barred("the block is known").await?;
    vera.refuses_text("Anything else?", "nothing may be sent to her, and nothing leaves").await?;
    let is_out = || vera.control.would_accept(&vera.at_sandbox, vera.customer, &Ask::free_form());
    let sent_away = || async { Ok(is_out().map_err(Trouble::new)?.blocked.then_some(())) };
    vera.world.until("her page is sent away", sent_away).await?;
    check(true, "her page is sent away", &Value::Null)?;
    vera.writes("Hello? Anybody?")?;
    vera.world
        .until("she is sent away again", || async {
            Ok(vera.control.idle(std::time::Duration::ZERO).await.then_some(()))
        })
        .await?;
    let heard = vera.get("/messages").await?.body.to_string().contains("Hello? Anybody?");
    check(!heard, "what she writes is not let in", &Value::Null)?;
    vera.api.post(&format!("/contacts/{contact}/unblock"), json!({})).await?.expect(200)?;
    vera.writes("Can you hear me now?")?;
    vera.until_permitted("the block is taken back").await?;
    vera.sends_text("We can.", "she writes, and is answered").await
}

/// She is a contact as long as her page is open, and one message may go to her.
async fn invited(world: &World) -> Result<Scene<'_>, Trouble> {
    heading("Vera looks at Acme's web site, and has not written.");
    let (api, control, account) = (world.api()?, world.control(), world.account("webchat")?);
    let (name, customer, at_sandbox) = ("Vera Story", "vera-story", account.at_sandbox.clone());
    control.create_customer(NewCustomer::named(customer, name, "+14155550210")).map_err(Trouble::new)?;
    control.act(&at_sandbox, customer, visits()).map_err(Trouble::new)?;
    let contact = world
        .until("her visit is known", || async {
            let found = api.get("/contacts?limit=100").await?.expect(200)?;
            let all = found.body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            let hers = all.iter().find(|contact| contact.pointer("/profile/name") == Some(&json!(name)));
            Ok(hers.and_then(|contact| contact.get("id")).and_then(Value::as_str).map(str::to_owned))
        })
        .await?;
    let text = "Can we help you find something?";
    let message = json!({ "channel": account.ours.id, "message": { "text": text } });
    api.post(&format!("/contacts/{contact}/messages"), message).await?.expect(202)?;
    let (_, conversation) = world.conversation_with("webchat", name).await?;
    let vera = Scene { world, api, control, at_sandbox, customer, conversation };
    let arrived = vera.in_ledger("the invitation arrives", |send| send.text == text).await?;
    check(arrived.method == "invitation", "she is there, so she can be invited", &json!(arrived.text))?;
    Ok(vera)
}
