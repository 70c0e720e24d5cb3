//! WhatsApp: free text for 24 hours after a customer's message, templates at any time.

use async_trait::async_trait;
use serde_json::{Value, json};
use time::Duration;
use transom_desk::channels;
use transom_sandbox::{Act, CustomerPatch, NewAccount, Progress, ReceiptOrder};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading, id_of};
use crate::demo::table::clock_time;
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct WhatsApp;

const PEOPLE: [Role; 5] = [
    Role {
        name: "Mara Klein",
        customer: "mara",
        phone: "+4915550100001",
        story: "wrote 30 hours ago, conversation closed",
        began: Began::Wrote("Where is my order A-1001?", Duration::hours(30)),
        then: Then::Closed,
    },
    Role {
        name: "Jonas Weber",
        customer: "jonas",
        phone: "+4915550100002",
        story: "wrote 5 minutes ago",
        began: Began::Wrote("Hello, is anybody there?", Duration::minutes(5)),
        then: Then::Nothing,
    },
    Role {
        name: "Lucia Rossi",
        customer: "lucia",
        phone: "+393200000003",
        story: "window closes in 10 minutes",
        began: Began::Wrote("Thanks, I will check tomorrow.", Duration::minutes(24 * 60 - 10)),
        then: Then::Nothing,
    },
    Role {
        name: "Omar Haddad",
        customer: "omar",
        phone: "+971500000004",
        story: "snoozed until tomorrow",
        began: Began::Wrote("Please call me on Monday.", Duration::hours(3)),
        then: Then::Snoozed,
    },
    Role {
        name: "Nora Lind",
        customer: "nora",
        phone: "+46700000007",
        story: "never wrote, only the number is known",
        began: Began::Never,
        then: Then::Nothing,
    },
];

#[async_trait]
impl Cast for WhatsApp {
    fn platform(&self) -> &'static str {
        "whatsapp"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let view = world.control().create_account(NewAccount::on("whatsapp")).map_err(Trouble::new)?;
        let setting = |name| Ok((name, text_of(&view.settings, name)?));
        let settings = [
            setting("app_secret")?,
            setting("verify_token")?,
            setting("access_token")?,
            setting("phone_number_id")?,
            setting("waba_id")?,
        ];
        world.connect(self.platform(), "Acme on WhatsApp", view.id, settings).await
    }

    async fn stock(&self, world: &World) -> Result<(), Trouble> {
        let account = world.account(self.platform())?;
        for template in [
            json!({
                "name": "order_update", "language": "en_US", "category": "UTILITY",
                "components": [
                    { "type": "BODY", "text": "Hi {{1}}, there is news about your order {{2}}. Just answer here.",
                      "example": { "body_text": [["Mara", "A-1001"]] } },
                    { "type": "FOOTER", "text": "Acme Support" },
                ],
            }),
            json!({
                "name": "spring_sale", "language": "en_US", "category": "MARKETING",
                "components": [{ "type": "BODY", "text": "Everything in green is half price this week." }],
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
        let mara = closed(world).await?;
        free_text_is_refused(&mara).await?;
        a_template_goes_out_and_reopens(&mara).await?;
        receipts_come_in(&mara).await?;
        she_answers_and_free_text_is_allowed(&mara).await?;
        after_a_day_the_window_is_shut_again(&mara).await?;
        a_block_shows_as_one_tick(world).await?;
        strangers_are_counted(world).await?;
        offers_end_where_they_are_not_wanted(world).await
    }
}

/// The customer wrote 30 hours ago, and an agent closed the conversation.
async fn closed(world: &World) -> Result<Scene<'_>, Trouble> {
    heading("Mara wrote on WhatsApp 30 hours ago, and her conversation was closed.");
    let mara = Role {
        name: "Mara Klein",
        customer: "mara-story",
        phone: "+4915550100101",
        story: "",
        began: Began::Wrote("Where is my order A-1001?", Duration::hours(30)),
        then: Then::Closed,
    };
    let scene = Scene::set(world, "whatsapp", &mara).await?;
    let now = scene.get("").await?;
    check(now.text("/status") == Some("closed"), "the conversation is closed", &now.body)?;
    scene.window_is("closed", "the messaging window is closed").await?;
    Ok(scene)
}

async fn free_text_is_refused(mara: &Scene<'_>) -> Result<(), Trouble> {
    heading("An agent tries free text.");
    let before = mara.ledger().len();
    let refused = mara.post("messages", json!({ "type": "reply", "text": "It is on its way!" })).await?.expect(409)?;
    check(refused.text("/code").is_some(), "it is refused with a stable code", &json!(refused.text("/code")))?;
    let refusals = refused.body.pointer("/decision/refusals").and_then(Value::as_array);
    let because = refusals.into_iter().flatten().find(|refusal| refusal.get("basis") == Some(&json!("free_form")));
    let because = because.ok_or_else(|| Trouble(format!("no refusal of free text in {}", refused.body)))?;
    let detail = because.pointer("/because/0/detail").unwrap_or(&Value::Null);
    let reason = because.pointer("/because/0/reason");
    check(reason == Some(&json!("window_over")), "the reason is said", detail)?;
    let permits = refused.body.pointer("/decision/permits").and_then(Value::as_array);
    let alternative = permits.into_iter().flatten().find(|permit| permit.get("basis") == Some(&json!("template")));
    check(alternative.is_some(), "the alternative is said: an approved template", &json!(null))?;
    check(mara.ledger().len() == before, "nothing went to the platform", &json!(null))
}

async fn a_template_goes_out_and_reopens(mara: &Scene<'_>) -> Result<(), Trouble> {
    heading("The agent sends an approved template instead.");
    let body = json!({
        "type": "reply",
        "template": {
            "name": "order_update", "language": "en_US",
            "parameters": { "body": ["Mara", "A-1001"] },
        },
    });
    let sent = mara.post("messages", body).await?.expect(202)?;
    let message = sent.text("/id").unwrap_or_default().to_owned();
    let arrived = mara.in_ledger("the template arrives", |send| send.kind == "template").await?;
    check(
        arrived.text.contains("Hi Mara, there is news about your order A-1001"),
        "the platform took it over HTTP",
        &json!(arrived.text),
    )?;
    let now = mara.get("").await?;
    check(now.text("/status") == Some("open"), "the conversation is open", &json!(now.text("/status")))?;
    let me = mara.api.get("/me").await?.expect(200)?;
    let mine = now.body.pointer("/assignee/agent").and_then(id_of);
    check(
        mine.is_some() && mine == me.body.pointer("/agent").and_then(id_of),
        "it is assigned to its sender",
        &json!(mine),
    )?;
    mara.wait_state(&message, &["sent", "delivered", "read"]).await
}

async fn receipts_come_in(mara: &Scene<'_>) -> Result<(), Trouble> {
    heading("Receipts come in.");
    let sent = mara.in_ledger("the template", |send| send.kind == "template").await?;
    let id = sent.provider_ids.first().cloned().unwrap_or_default();
    let order = ReceiptOrder { message_id: id, status: Progress::Read, code: None, at: None };
    mara.control.receipt(&mara.at_sandbox, &order).map_err(Trouble::new)?;
    let messages = mara.get("/messages").await?;
    let newest = messages.body.pointer("/items").and_then(Value::as_array).into_iter().flatten();
    let message = newest
        .filter(|message| message.get("direction") == Some(&json!("outbound")))
        .find_map(|message| message.get("id")?.as_str())
        .ok_or_else(|| Trouble(format!("no outgoing message in {}", messages.body)))?
        .to_owned();
    mara.wait_state(&message, &["read"]).await
}

async fn she_answers_and_free_text_is_allowed(mara: &Scene<'_>) -> Result<(), Trouble> {
    heading("Mara answers.");
    let before = mara.world.now();
    mara.writes("Great, when will it be here?")?;
    let open = mara.until_window("her answer arrives", "open").await?;
    let closes_at = open.text("/human/window/closes_at").unwrap_or_default().to_owned();
    let closes = time::OffsetDateTime::parse(&closes_at, &time::format_description::well_known::Rfc3339)
        .map_err(|error| Trouble(format!("`{closes_at}`: {error}")))?;
    let left = closes - before;
    let day = (Duration::hours(24) - Duration::MINUTE)..=(Duration::hours(24) + Duration::MINUTE);
    check(day.contains(&left), "free text is allowed for 24 hours", &json!(clock_time(closes)))?;
    mara.sends_text("Tomorrow before noon.", "free text went out over HTTP").await
}

async fn after_a_day_the_window_is_shut_again(mara: &Scene<'_>) -> Result<(), Trouble> {
    heading("A day goes by without a word from Mara.");
    mara.world.clock.advance(Duration::hours(24));
    mara.window_is("closed", "the window is closed").await?;
    mara.refuses_text("Did it arrive?", "free text is refused again, and nothing leaves").await.map(|_| ())
}

/// Meta tells nobody of a block: it takes what is sent, and does not deliver it.
async fn a_block_shows_as_one_tick(world: &World) -> Result<(), Trouble> {
    heading("Tom blocks the number on WhatsApp, of which nobody is told.");
    let tom = Role::wrote("Tom Story", "tom-story", "+4915550100103", "When do you close?", Duration::HOUR);
    let tom = Scene::set(world, "whatsapp", &tom).await?;
    tom.does(Act::Block)?;
    let sent = tom.post("messages", json!({ "type": "reply", "text": "We close at six." })).await?.expect(202)?;
    tom.in_ledger("the answer is taken", |send| send.text == "We close at six.").await?;
    let is_quiet = || async { Ok(tom.control.idle(std::time::Duration::ZERO).await.then_some(())) };
    world.until("Meta has no more to tell", is_quiet).await?;
    tom.ends(&sent, "sent", "Meta takes the answer, and tells of no delivery: one tick").await?;
    tom.window_is("open", "that proves nothing, and he may still be written to").await?;
    tom.does(Act::Unblock)?;
    tom.writes("Until when did you say?")?;
    let again = tom.post("messages", json!({ "type": "reply", "text": "Until six." })).await?.expect(202)?;
    tom.wait_state(again.text("/id").unwrap_or_default(), &["delivered", "read"]).await?;
    check(true, "he takes it back, and what is sent arrives", &json!(null))
}

/// 131048: so many people may be written to in 24 hours outside of a window.
async fn strangers_are_counted(world: &World) -> Result<(), Trouble> {
    heading("Meta lets this portfolio write to one person a day outside of a window; nobody told us.");
    // Whoever was written to before counts no more.
    world.clock.advance(Duration::DAY);
    let ula = Role::wrote("Ula Story", "ula-story", "+4915550100104", "When do you close?", Duration::hours(30));
    let vito = Role::wrote("Vito Story", "vito-story", "+4915550100105", "When do you close?", Duration::hours(30));
    let (ula, vito) = (Scene::set(world, "whatsapp", &ula).await?, Scene::set(world, "whatsapp", &vito).await?);
    ula.account_is(json!({ "messaging_limit": 1 }))?;
    has_news(&ula, "A-1004", "a template goes to the first").await?;
    let before = vito.ledger().len();
    let refused = vito.post("messages", news("A-1005")).await?.expect(202)?;
    vito.ends(&refused, "not_sent", "Meta refuses the one to the second (131048)").await?;
    let refused = vito.post("messages", news("A-1005")).await?.expect(409)?;
    let code = refused.body.get("code").unwrap_or(&Value::Null);
    check(vito.ledger().len() == before, "the refusal is believed: the next is not even tried", code)?;
    vito.writes("Is there any news?")?;
    vito.until_window("Vito writes", "open").await?;
    vito.sends_text("It left today.", "whoever writes is answered all the same").await?;
    world.clock.advance(Duration::hours(25));
    has_news(&vito, "A-1005", "the day after the template goes out").await?;
    ula.account_is(json!({ "messaging_limit": null }))
}

fn news(order: &str) -> Value {
    let parameters = json!({ "body": ["dear customer", order] });
    json!({ "type": "reply", "template": { "name": "order_update", "language": "en_US", "parameters": parameters } })
}

/// News of an order are sent, and arrive.
async fn has_news(scene: &Scene<'_>, order: &str, what: &str) -> Result<(), Trouble> {
    scene.post("messages", news(order)).await?.expect(202)?;
    let arrived = scene.in_ledger("the news arrive", |send| send.text.contains(order)).await?;
    check(arrived.kind == "template", what, &json!(arrived.text))
}

/// What promotes goes to whoever did not say no, and as often as Meta thinks good; everything else goes on.
async fn offers_end_where_they_are_not_wanted(world: &World) -> Result<(), Trouble> {
    heading("Lea taps \"stop\" under an offer on WhatsApp, and Meta's word of it is late.");
    let lea = Role::wrote("Lea Story", "lea-story", "+4366400000102", "Do you have it in green?", Duration::hours(30));
    let lea = Scene::set(world, "whatsapp", &lea).await?;
    offers(&lea, "an offer goes out").await?;
    lea.holds_webhooks(true)?;
    lea.does(Act::OptOut)?;
    let sent = lea.post("messages", offer()).await?.expect(202)?;
    lea.wait_state(sent.text("/id").unwrap_or_default(), &["sent"]).await?;
    lea.holds_webhooks(false)?;
    lea.ends(&sent, "failed", "Meta takes the next, and then fails it (131050)").await?;
    let refused = lea.post("messages", offer()).await?.expect(409)?;
    check(true, "no further offer is even tried", refused.body.get("code").unwrap_or(&Value::Null))?;
    let news = json!({ "name": "order_update", "language": "en_US", "parameters": { "body": ["Lea", "A-1003"] } });
    lea.post("messages", json!({ "type": "reply", "template": news })).await?.expect(202)?;
    lea.in_ledger("the news arrive", |send| send.text.contains("A-1003")).await?;
    check(true, "news of her order go out all the same", &json!(null))?;

    heading("Lea wants offers again; Meta thinks that she had enough of them.");
    // Meta tells whole seconds.
    world.clock.advance(Duration::seconds(2));
    lea.does(Act::OptIn)?;
    lea.until_permits("she may be sent offers", |permits| permits.iter().any(is_for_offers)).await?;
    let capped = |capped| {
        let patch = CustomerPatch { marketing_capped: Some(capped), ..CustomerPatch::default() };
        lea.control.patch_customer(lea.customer, patch).map_err(Trouble::new).map(|_| ())
    };
    capped(true)?;
    let sent = lea.post("messages", offer()).await?.expect(202)?;
    lea.ends(&sent, "failed", "Meta fails the offer (131049)").await?;
    let refused = lea.post("messages", offer()).await?.expect(409)?;
    check(true, "for a day no offer is even tried", refused.body.get("code").unwrap_or(&Value::Null))?;
    capped(false)?;
    world.clock.advance(Duration::DAY);
    offers(&lea, "the day after an offer goes out again").await
}

fn offer() -> Value {
    json!({ "type": "reply", "template": { "name": "spring_sale", "language": "en_US", "parameters": {} } })
}

/// An offer is sent, and Meta has nothing against it.
async fn offers(scene: &Scene<'_>, what: &str) -> Result<(), Trouble> {
    let sent = scene.post("messages", offer()).await?.expect(202)?;
    scene.wait_state(sent.text("/id").unwrap_or_default(), &["delivered", "read"]).await?;
    check(true, what, &json!(null))
}

/// Whether a template that promotes may be sent by it.
fn is_for_offers(permit: &Value) -> bool {
    permit.get("categories").and_then(Value::as_array).is_some_and(|all| all.contains(&json!("marketing")))
}
