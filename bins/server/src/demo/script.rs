//! The story, played by itself: a customer wrote 30 hours ago, the conversation is closed, and the message gets through.
//!
//! Every step asserts on the API's answers and on the sandbox's ledger, which knows what the platform really took.

use anstream::println;
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use time::Duration;
use transom_domain::ConversationId;
use transom_sandbox::{Act, Action, Control, NewCustomer, Progress, ReceiptOrder, Send};

use super::api::{Api, Reply};
use super::table::clock_time;
use super::world::{Trouble, World};

const CUSTOMER: &str = "mara-story";
const NAME: &str = "Mara Klein";
const PHONE: &str = "+4915550100101";

/// Plays it to its end.
///
/// # Errors
/// [`Trouble`] at the first step that did not happen.
pub async fn play(world: &World) -> Result<(), Trouble> {
    world.add_templates().await?;
    let stage = Stage::set(world).await?;
    stage.free_text_is_refused().await?;
    stage.a_template_goes_out_and_reopens().await?;
    stage.receipts_come_in().await?;
    stage.the_customer_answers_and_free_text_is_allowed().await?;
    stage.after_a_day_the_window_is_shut_again().await?;
    telegram_has_no_window(world).await?;
    heading("All of it happened.");
    Ok(())
}

struct Stage<'w> {
    world: &'w World,
    api: Api,
    control: Control,
    at_sandbox: String,
    conversation: ConversationId,
}

impl<'w> Stage<'w> {
    /// The customer wrote 30 hours ago, and an agent closed the conversation.
    async fn set(world: &'w World) -> Result<Self, Trouble> {
        heading("Mara wrote on WhatsApp 30 hours ago, and her conversation was closed.");
        let account = world.account("whatsapp")?.clone();
        let control = world.control();
        control.create_customer(NewCustomer::named(CUSTOMER, NAME, PHONE)).map_err(Trouble::new)?;
        let wrote = Act::Text { text: "Where is my order A-1001?".to_owned() };
        let wrote = Action::from(wrote).at(world.now() - Duration::hours(30));
        control.act(&account.at_sandbox, CUSTOMER, wrote).map_err(Trouble::new)?;
        let (_, conversation) = world.conversation_with("whatsapp", NAME).await?;
        let stage = Self { world, api: world.api()?, control, at_sandbox: account.at_sandbox, conversation };
        stage.post("status", json!({ "status": "closed" })).await?.expect(200)?;
        let now = stage.get("").await?;
        check(now.text("/status") == Some("closed"), "the conversation is closed", &now.body)?;
        let window = stage.get("/window").await?;
        check(
            window.text("/human/window/state") == Some("closed"),
            "the messaging window is closed",
            window.body.pointer("/human/window").unwrap_or(&Value::Null),
        )?;
        Ok(stage)
    }

    async fn free_text_is_refused(&self) -> Result<(), Trouble> {
        heading("An agent tries free text.");
        let before = self.ledger().len();
        let refused =
            self.post("messages", json!({ "type": "reply", "text": "It is on its way!" })).await?.expect(409)?;
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
        check(self.ledger().len() == before, "nothing went to the platform", &json!(null))
    }

    async fn a_template_goes_out_and_reopens(&self) -> Result<(), Trouble> {
        heading("The agent sends an approved template instead.");
        let body = json!({
            "type": "reply",
            "template": {
                "name": "order_update", "language": "en_US",
                "parameters": { "body": ["Mara", "A-1001"] },
            },
        });
        let sent = self.post("messages", body).await?.expect(202)?;
        let message = sent.text("/id").or(sent.text("/message")).unwrap_or_default().to_owned();
        let arrived = self.in_ledger("the template arrives", |send| send.kind == "template").await?;
        check(
            arrived.text.contains("Hi Mara, there is news about your order A-1001"),
            "the platform took it over HTTP",
            &json!(arrived.text),
        )?;
        let now = self.get("").await?;
        check(now.text("/status") == Some("open"), "the conversation is open", &json!(now.text("/status")))?;
        let me = self.api.get("/me").await?.expect(200)?;
        let mine = now.body.pointer("/assignee/agent").and_then(id_of);
        check(
            mine.is_some() && mine == me.body.pointer("/agent").and_then(id_of),
            "it is assigned to its sender",
            &json!(mine),
        )?;
        self.wait_state(&message, &["sent", "delivered", "read"]).await
    }

    async fn receipts_come_in(&self) -> Result<(), Trouble> {
        heading("Receipts come in.");
        let sent = self.in_ledger("the template", |send| send.kind == "template").await?;
        let id = sent.provider_ids.first().cloned().unwrap_or_default();
        let order = ReceiptOrder { message_id: id, status: Progress::Read, code: None, at: None };
        self.control.receipt(&self.at_sandbox, &order).map_err(Trouble::new)?;
        let messages = self.get("/messages").await?;
        let newest = messages.body.pointer("/items").and_then(Value::as_array).into_iter().flatten();
        let message = newest
            .filter(|message| message.get("direction") == Some(&json!("outbound")))
            .find_map(|message| message.get("id")?.as_str())
            .ok_or_else(|| Trouble(format!("no outgoing message in {}", messages.body)))?
            .to_owned();
        self.wait_state(&message, &["read"]).await
    }

    async fn the_customer_answers_and_free_text_is_allowed(&self) -> Result<(), Trouble> {
        heading("Mara answers.");
        let before = self.world.now();
        self.control.writes(&self.at_sandbox, CUSTOMER, "Great, when will it be here?").map_err(Trouble::new)?;
        let open = self
            .world
            .until("her answer arrives", || async {
                let window = self.get("/window").await?;
                Ok((window.text("/human/window/state") == Some("open")).then_some(window))
            })
            .await?;
        let closes_at = open.text("/human/window/closes_at").unwrap_or_default().to_owned();
        let closes = time::OffsetDateTime::parse(&closes_at, &time::format_description::well_known::Rfc3339)
            .map_err(|error| Trouble(format!("`{closes_at}`: {error}")))?;
        let left = closes - before;
        let day = (Duration::hours(24) - Duration::MINUTE)..=(Duration::hours(24) + Duration::MINUTE);
        check(day.contains(&left), "free text is allowed for 24 hours", &json!(clock_time(closes)))?;
        self.post("messages", json!({ "type": "reply", "text": "Tomorrow before noon." })).await?.expect(202)?;
        let arrived = self.in_ledger("the answer arrives", |send| send.text == "Tomorrow before noon.").await?;
        check(arrived.kind == "text", "free text went out over HTTP", &json!(arrived.text))
    }

    async fn after_a_day_the_window_is_shut_again(&self) -> Result<(), Trouble> {
        heading("A day goes by without a word from Mara.");
        self.world.clock.advance(Duration::hours(24));
        let window = self.get("/window").await?;
        check(window.text("/human/window/state") == Some("closed"), "the window is closed", &json!(null))?;
        let before = self.ledger().len();
        self.post("messages", json!({ "type": "reply", "text": "Did it arrive?" })).await?.expect(409)?;
        check(self.ledger().len() == before, "free text is refused again, and nothing leaves", &json!(null))
    }

    async fn get(&self, rest: &str) -> Result<Reply, Trouble> {
        self.api.get(&format!("/conversations/{}{rest}", self.conversation)).await?.expect(200)
    }

    async fn post(&self, what: &str, body: Value) -> Result<Reply, Trouble> {
        self.api.post(&format!("/conversations/{}/{what}", self.conversation), body).await
    }

    fn ledger(&self) -> Vec<Send> {
        self.control.ledger().into_iter().filter(|send| send.customer == CUSTOMER).collect()
    }

    async fn in_ledger(&self, what: &str, is_it: impl Fn(&Send) -> bool) -> Result<Send, Trouble> {
        let is_it = &is_it;
        self.world.until(what, || async { Ok(self.ledger().into_iter().rfind(|send| is_it(send))) }).await
    }

    async fn wait_state(&self, message: &str, wanted: &[&str]) -> Result<(), Trouble> {
        let state = self
            .world
            .until(&format!("the message is {}", wanted.join(" or ")), || async {
                let now = self.api.get(&format!("/messages/{message}")).await?.expect(200)?;
                let state = now.text("/state").unwrap_or_default().to_owned();
                Ok(wanted.contains(&state.as_str()).then_some(state))
            })
            .await?;
        check(true, "its state is known from receipts", &json!(state))
    }
}

/// On Telegram whoever started the bot may be written to at any time.
async fn telegram_has_no_window(world: &World) -> Result<(), Trouble> {
    heading("On Telegram, Ann started the bot 90 days ago.");
    let account = world.account("telegram")?.clone();
    let control = world.control();
    let new = NewCustomer {
        username: Some("ann-story".into()),
        ..NewCustomer::named("ann-story", "Ann Story", "+442000000105")
    };
    control.create_customer(new).map_err(Trouble::new)?;
    let began = Action::from(Act::Text { text: "/start".to_owned() }).at(world.now() - Duration::days(90));
    control.act(&account.at_sandbox, "ann-story", began).map_err(Trouble::new)?;
    let (_, conversation) = world.conversation_with("telegram", "Ann Story").await?;
    let api = world.api()?;
    let body = json!({ "type": "reply", "text": "Your parcel left today." });
    api.post(&format!("/conversations/{conversation}/messages"), body).await?.expect(202)?;
    let sent = world
        .until("the text arrives", || async {
            Ok(control.ledger().into_iter().find(|send| send.customer == "ann-story"))
        })
        .await?;
    check(sent.text == "Your parcel left today.", "free text goes out, as ever", &json!(sent.text))
}

/// An id that stands as text or inside an object.
fn id_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("id").and_then(Value::as_str))
}

fn heading(text: &str) {
    let bold = Style::new().bold();
    println!("\n{bold}{text}{bold:#}");
}

/// Prints a step that happened.
///
/// # Errors
/// [`Trouble`] when it did not.
fn check(happened: bool, what: &str, seen: &Value) -> Result<(), Trouble> {
    let green = AnsiColor::Green.on_default();
    let detail = match seen {
        Value::Null => String::new(),
        Value::String(text) => format!("  ({text})"),
        other if happened => format!("  ({})", other.to_string().chars().take(90).collect::<String>()),
        other => format!("  ({other})"),
    };
    if happened {
        println!("  {green}✓{green:#} {what}{detail}");
        Ok(())
    } else {
        Err(Trouble(format!("this did not happen: {what}{detail}")))
    }
}
