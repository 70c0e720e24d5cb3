//! Email: no window; consent, unsubscribing and bounces decide, and threads keep together what belongs together.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use time::Duration;
use transom_domain::ConversationId;
use transom_sandbox::{Act, NewAccount, NewCustomer, Send};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading, id_of};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct Email;

const MAILBOX: &str = "support@acme.test";

const PEOPLE: [Role; 5] = [
    Role {
        name: "Nora Lind",
        customer: "nora-lind",
        phone: "+46700000001",
        story: "wrote yesterday, and may be answered at any time",
        began: Began::Wrote("Do you ship to Norway?", Duration::DAY),
        then: Then::Nothing,
    },
    Role {
        name: "Oskar Berg",
        customer: "oskar-berg",
        phone: "+46700000002",
        story: "never wrote: a new thread, with a subject",
        began: Began::Never,
        then: Then::Nothing,
    },
    Role {
        name: "Pia Holm",
        customer: "pia-holm",
        phone: "+46700000003",
        story: "called a letter spam, as good as unsubscribed: answers only",
        began: Began::Wrote("Where is my invoice?", Duration::hours(3)),
        then: Then::Answered("It is attached to your order.", || Act::Block),
    },
    Role {
        name: "Rolf Ek",
        customer: "rolf-ek",
        phone: "+46700000004",
        story: "the answer came back: there is no such mailbox",
        began: Began::Wrote("Call me, please.", Duration::hours(2)),
        then: Then::Answered("When would it suit you?", || mail("bounce", json!({ "status": "5.1.1" }))),
    },
    Role {
        name: "Siv Dahl",
        customer: "siv-dahl",
        phone: "+46700000005",
        story: "is out of office: machines are silent",
        began: Began::Wrote("Is my clock ready?", Duration::hours(5)),
        then: Then::Answered("Yes, since Monday.", || mail("auto_reply", json!({ "text": "I am back on Monday." }))),
    },
];

/// What only mail has.
fn mail(kind: &str, data: Value) -> Act {
    Act::Other { kind: kind.to_owned(), data }
}

#[async_trait]
impl Cast for Email {
    fn platform(&self) -> &'static str {
        "email"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let settings = json!({
            "mailbox": MAILBOX, "aliases": ["bounces@acme.test"], "senders": [MAILBOX, "sales@acme.test"], "requires_tls": true,
        });
        let view = world.control().create_account(NewAccount::on("email").settings(settings)).map_err(Trouble::new)?;
        let port = view.settings.get("smtp_port").map(Value::to_string).unwrap_or_default();
        let senders = json!([
            { "address": MAILBOX, "name": "Acme Support", "default": true },
            { "address": "sales@acme.test", "name": "Acme Sales" },
        ]);
        let fixed = [
            ("mailbox", MAILBOX.to_owned()),
            ("senders", senders.to_string()),
            ("bounce_address", "bounces@acme.test".to_owned()),
            ("smtp_host", "127.0.0.1".to_owned()),
            ("smtp_port", port),
            ("smtp_security", "starttls".to_owned()),
            ("inbound_parse", "postmark".to_owned()),
            ("token_secret", "what the demo proves its addresses with".to_owned()),
        ];
        let told = [
            ("smtp_user", "username"),
            ("smtp_password", "password"),
            ("ca_certificate", "ca_certificate"),
            ("webhook_user", "webhook_user"),
            ("webhook_password", "webhook_password"),
        ];
        let told = told.into_iter().map(|(ours, theirs)| Ok((ours, text_of(&view.settings, theirs)?)));
        let told = told.collect::<Result<Vec<_>, Trouble>>()?;
        let fixed = fixed.into_iter().map(|(name, value)| (name, SecretString::from(value)));
        world.connect(self.platform(), "Acme by mail", view.id, fixed.chain(told)).await
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        hugo_is_answered(world).await?;
        let ines = a_new_thread(world).await?;
        she_complains(world, ines).await?;
        olof_unsubscribes(world).await?;
        a_letter_comes_back(world).await?;
        the_day_is_used_up(world).await
    }
}

/// A letter, its answer, and the answer to that, in one thread.
async fn hugo_is_answered(world: &World) -> Result<(), Trouble> {
    heading("Hugo wrote a mail, and a month went by.");
    let hugo = Role {
        name: "Hugo Story",
        customer: "hugo-story",
        phone: "+46700000101",
        story: "",
        began: Began::Did(|| mail("mail", json!({ "subject": "Order 7", "text": "Where is it?" })), Duration::ZERO),
        then: Then::Nothing,
    };
    let hugo = Scene::set(world, "email", &hugo).await?;
    world.clock.advance(Duration::days(30));
    hugo.sends_text("It left today.", "a person of the team answers, whenever").await?;
    let ours = hugo.in_ledger("the answer arrives", |send| send.text == "It left today.").await?;
    check(at(&ours, "/subject") == "Re: Order 7", "the subject stays", &at(&ours, "/subject"))?;
    check(
        at(&ours, "/in_reply_to/0") == at(&ours, "/references/0"),
        "it names the mail that it answers",
        &at(&ours, "/in_reply_to"),
    )?;
    check(
        at(&ours, "/from/0") == format!("{} <{MAILBOX}>", world.caller.agent.name),
        "in the agent's name, under the address that he wrote to",
        &at(&ours, "/from/0"),
    )?;
    hugo.writes("Thank you!")?;
    let words = world.until("his answer arrives", || async { latest(&hugo, "inbound", "Thank you!").await }).await?;
    check(true, "his answer comes back into the thread, without the words that it quotes", &words)
}

/// Only her address is known: a new thread, with readers that she sees and one that she does not.
async fn a_new_thread(world: &World) -> Result<Scene<'_>, Trouble> {
    heading("Nobody has heard of Ines yet, but for her address.");
    let (api, control, account) = (world.api()?, world.control(), world.account("email")?);
    for (customer, name, phone) in [
        ("ines-story", "Ines Story", "+46700000102"),
        ("kim-story", "Kim Story", "+46700000103"),
        ("lena-story", "Lena Story", "+46700000104"),
    ] {
        control.create_customer(NewCustomer::named(customer, name, phone)).map_err(Trouble::new)?;
    }
    let contact = json!({ "display_name": "Ines Story", "email": "ines-story@example.test" });
    let made = api.post("/contacts", contact).await?.expect(201)?;
    let path = format!("/contacts/{}/messages", made.text("/id").unwrap_or_default());
    let letter = |message: Value| json!({ "channel": account.ours.id, "message": message });
    let text = "Your offer is ready.";
    let refused = api.post(&path, letter(json!({ "text": text }))).await?.expect(422)?;
    check(
        refused.text("/code") == Some("subject_required"),
        "a new thread needs a subject",
        refused.body.get("code").unwrap_or(&Value::Null),
    )?;
    let message = json!({
        "text": text, "subject": "Your offer", "from": "sales@acme.test",
        "cc": ["kim-story@example.test"], "bcc": ["lena-story@example.test"],
    });
    let sent = api.post(&path, letter(message)).await?.expect(202)?;
    let conversation = sent.text("/conversation").or(sent.text("/conversation/id")).unwrap_or_default();
    let conversation: ConversationId =
        conversation.parse().map_err(|_| Trouble(format!("no conversation in {}", sent.body)))?;
    let scene =
        Scene { world, api, control, at_sandbox: account.at_sandbox.clone(), customer: "ines-story", conversation };

    let hers = scene.in_ledger("it arrives", |send| send.text == text).await?;
    check(
        hers.recipient == "ines-story@example.test, kim-story@example.test",
        "she and Kim share an envelope",
        &json!(hers.recipient),
    )?;
    let hidden = scene.world.until("the hidden copy leaves", || async {
        Ok(scene.control.ledger().into_iter().find(|send| send.customer == "lena-story"))
    });
    let hidden = hidden.await?;
    let alike = hidden.provider_ids == hers.provider_ids
        && ["/from", "/to", "/cc", "/subject"].iter().all(|field| at(&hidden, field) == at(&hers, field));
    check(
        alike && ![&hers, &hidden].iter().any(|copy| at(copy, "/headers").to_string().contains("lena")),
        "Lena gets the same, and nobody can see it",
        &json!(hidden.recipient),
    )?;
    let path = format!("/messages/{}", sent.text("/id").unwrap_or_default());
    let shown = scene.api.get(&path).await?.expect(200)?;
    let bcc = shown.body.pointer("/content/bcc").cloned().unwrap_or_default();
    check(bcc == json!(["lena-story@example.test"]), "the team sees it", &bcc)?;

    let kim = json!({ "name": "Kim Story", "address": "kim-story@example.test", "text": "I will take care of it." });
    scene.does(mail("third_party", kim))?;
    let third = scene
        .world
        .until("Kim's answer arrives", || async { latest(&scene, "inbound", "I will take care of it.").await })
        .await?;
    check(true, "Kim answers: it stands in Ines's thread, under Kim's address", &third)?;
    Ok(scene)
}

/// Who complained or unsubscribed gets nothing that she did not ask for, and an answer if she asks.
async fn she_complains(world: &World, ines: Scene<'_>) -> Result<(), Trouble> {
    heading("Ines calls the offer spam; her provider reports it.");
    ines.does(Act::Block)?;
    ines.until_barred("it is known").await?;
    ines.refuses_text("One more offer!", "nothing leaves that she did not ask for").await?;
    ines.writes("I have a question after all.")?;
    world
        .until("her mail arrives", || async { latest(&ines, "inbound", "I have a question after all.").await })
        .await?;
    ines.sends_text("What is it?", "a later mail of hers is answered").await
}

/// Who unsubscribes gets no more news, and an answer if he asks.
async fn olof_unsubscribes(world: &World) -> Result<(), Trouble> {
    heading("Olof agreed to get news by mail.");
    let olof = Role::wrote("Olof Story", "olof-story", "+46700000106", "Where is my clock?", Duration::ZERO);
    let olof = Scene::set(world, "email", &olof).await?;
    let shown = olof.get("").await?;
    let contact = shown.body.get("contact").and_then(id_of).unwrap_or_default();
    olof.api.put(&format!("/contacts/{contact}/labels/clocks"), None::<Value>).await?.expect(200)?;
    let consents = format!("/contacts/{contact}/consents");
    let agreed = || {
        let channel = world.account("email")?.ours.id;
        Ok(json!({ "channel": channel, "scope": "marketing", "state": "opted_in", "source": "form" }))
    };
    olof.api.put(&consents, Some(agreed()?)).await?.expect(200)?;
    news(&olof, "The cuckoos are back.").await?.is("sent", "a letter to many reaches him")?;
    olof.does(Act::OptOut)?;
    world
        .until("his word is known", || async {
            let now = olof.api.get(&consents).await?.expect(200)?;
            Ok(now.body.to_string().contains("opted_out").then_some(()))
        })
        .await?;
    check(true, "he writes to where the letter says how to get no more", &Value::Null)?;
    let before = olof.ledger().len();
    news(&olof, "More cuckoos.").await?.is("not_sent", "the next letter leaves him out")?;
    check(olof.ledger().len() == before, "and nothing reaches him", &Value::Null)?;
    let refused = olof.api.put(&consents, Some(agreed()?)).await?.expect(409)?;
    let code = refused.body.get("code").unwrap_or(&Value::Null);
    check(true, "nobody of the team can take that back for him", code)?;
    olof.sends_text("Your clock is ready.", "what he asked is answered all the same").await
}

/// What came of a letter to many.
struct News(Value);

impl News {
    fn is(&self, state: &str, what: &str) -> Result<(), Trouble> {
        check(self.0.get("state") == Some(&json!(state)), what, &self.0.get("reason").cloned().unwrap_or_default())
    }
}

/// A letter to whoever likes clocks.
async fn news(to: &Scene<'_>, text: &str) -> Result<News, Trouble> {
    let body = json!({ "name": text, "channel": to.world.account("email")?.ours.id,
        "audience": { "filter": "label:clocks" }, "content": { "subject": "News", "text": text } });
    let made = to.api.post("/broadcasts", body).await?.expect(201)?;
    let path = format!("/broadcasts/{}", made.text("/id").unwrap_or_default());
    to.api.post_once(&format!("{path}/start"), &path, json!({})).await?.expect(202)?;
    let outcome = to.world.until("the letter is sent, or not", || async {
        let page = to.api.get(&format!("{path}/recipients")).await?.expect(200)?;
        let first = page.body.pointer("/items/0").cloned().unwrap_or_default();
        let is_over =
            matches!(first.get("state").and_then(Value::as_str), Some("sent" | "delivered" | "not_sent" | "failed"));
        Ok(is_over.then_some(first))
    });
    outcome.await.map(News)
}

/// What the provider takes in 24 hours is used up, and it tells by refusing (550 5.4.5).
async fn the_day_is_used_up(world: &World) -> Result<(), Trouble> {
    heading("The provider takes only two recipients a day from this mailbox; nobody told us.");
    // Whoever was written to before counts no more.
    world.clock.advance(Duration::DAY);
    let ulf = Role::wrote("Ulf Story", "ulf-story", "+46700000107", "When are you open?", Duration::ZERO);
    let ulf = Scene::set(world, "email", &ulf).await?;
    ulf.may_have_two_a_day("the provider refuses the third").await
}

/// A mailbox that does not exist is written to once.
async fn a_letter_comes_back(world: &World) -> Result<(), Trouble> {
    heading("Tage asks something, and closes his mailbox.");
    let tage = Role::wrote("Tage Story", "tage-story", "+46700000105", "Do you repair clocks?", Duration::ZERO);
    let tage = Scene::set(world, "email", &tage).await?;
    tage.does(Act::Deactivate)?;
    let sent = tage.post("messages", json!({ "type": "reply", "text": "We do." })).await?.expect(202)?;
    tage.wait_state(sent.text("/id").unwrap_or_default(), &["failed"]).await?;
    tage.refuses_text("Hello?", "the report makes his address unreachable").await.map(|_| ())
}

fn at(send: &Send, pointer: &str) -> Value {
    send.body.pointer(pointer).cloned().unwrap_or_default()
}

/// A message of this direction with exactly these words.
async fn latest(scene: &Scene<'_>, direction: &str, text: &str) -> Result<Option<Value>, Trouble> {
    let page = scene.get("/messages?limit=50").await?;
    let items = page.body.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_it = |item: &Value| {
        item.get("direction") == Some(&json!(direction)) && item.pointer("/content/text") == Some(&json!(text))
    };
    Ok(items.into_iter().find(is_it).and_then(|item| item.get("content").cloned()))
}
