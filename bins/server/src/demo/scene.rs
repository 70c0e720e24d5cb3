//! What a scene of the story is made of: one customer, one conversation, and steps that either happened or did not.

use anstream::println;
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use transom_domain::ConversationId;
use transom_sandbox::{AccountPatch, Act, Action, Control, ReleaseOrder, Send, WebhookOrder};

use super::api::{Api, Reply};
use super::cast::Role;
use super::seed;
use super::world::{Trouble, World};

/// One customer and their conversation.
#[derive(Debug)]
pub struct Scene<'w> {
    /// Where it plays.
    pub world: &'w World,
    /// The service's API.
    pub api: Api,
    /// The sandbox's control.
    pub control: Control,
    /// The account, as the sandbox knows it.
    pub at_sandbox: String,
    /// The customer, as the sandbox knows them.
    pub customer: &'static str,
    /// The conversation.
    pub conversation: ConversationId,
}

impl<'w> Scene<'w> {
    /// The customer does what their role says.
    ///
    /// # Errors
    /// [`Trouble`] when it does not arrive, or if the role never writes.
    pub async fn set(world: &'w World, platform: &'static str, role: &Role) -> Result<Self, Trouble> {
        let seeded = seed::enter(world, platform, role).await?;
        let conversation = seeded.conversation.ok_or_else(|| Trouble(format!("{} never wrote", role.name)))?;
        Ok(Self {
            world,
            api: world.api()?,
            control: world.control(),
            at_sandbox: world.account(platform)?.at_sandbox.clone(),
            customer: role.customer,
            conversation,
        })
    }

    /// The customer writes.
    ///
    /// # Errors
    /// [`Trouble`] when the sandbox refuses.
    pub fn writes(&self, text: &str) -> Result<(), Trouble> {
        self.does(Act::Text { text: text.to_owned() })
    }

    /// The customer does something.
    ///
    /// # Errors
    /// [`Trouble`] when the sandbox refuses.
    pub fn does(&self, act: impl Into<Action>) -> Result<(), Trouble> {
        self.control.act(&self.at_sandbox, self.customer, act.into()).map_err(Trouble::new).map(|_| ())
    }

    /// `GET /v1/conversations/{id}…`, which must answer 200.
    ///
    /// # Errors
    /// [`Trouble`] when it does not.
    pub async fn get(&self, rest: &str) -> Result<Reply, Trouble> {
        self.api.get(&format!("/conversations/{}{rest}", self.conversation)).await?.expect(200)
    }

    /// `POST /v1/conversations/{id}/…`.
    ///
    /// # Errors
    /// [`Trouble`] when the service is not there.
    pub async fn post(&self, what: &str, body: Value) -> Result<Reply, Trouble> {
        self.api.post(&format!("/conversations/{}/{what}", self.conversation), body).await
    }

    /// What the platform took for this customer, oldest first.
    pub fn ledger(&self) -> Vec<Send> {
        self.control.ledger().into_iter().filter(|send| send.customer == self.customer).collect()
    }

    /// Waits until the platform took something.
    ///
    /// # Errors
    /// [`Trouble`] when it does not come.
    pub async fn in_ledger(&self, what: &str, is_it: impl Fn(&Send) -> bool) -> Result<Send, Trouble> {
        let is_it = &is_it;
        self.world.until(what, || async { Ok(self.ledger().into_iter().rfind(|send| is_it(send))) }).await
    }

    /// An agent sends free text, and it gets through.
    ///
    /// # Errors
    /// [`Trouble`] when it does not.
    pub async fn sends_text(&self, text: &str, what: &str) -> Result<(), Trouble> {
        self.post("messages", json!({ "type": "reply", "text": text })).await?.expect(202)?;
        let arrived = self.in_ledger("the text arrives", |send| send.text == text).await?;
        check(arrived.kind == "text", what, &json!(arrived.text))
    }

    /// An agent tries free text; it is refused, and nothing leaves. Gives the refusal.
    ///
    /// # Errors
    /// [`Trouble`] when it gets through.
    pub async fn refuses_text(&self, text: &str, what: &str) -> Result<Reply, Trouble> {
        let before = self.ledger().len();
        let refused = self.post("messages", json!({ "type": "reply", "text": text })).await?.expect(409)?;
        check(self.ledger().len() == before, what, refused.body.get("code").unwrap_or(&Value::Null))?;
        Ok(refused)
    }

    /// An agent sends free text that we know no reason against, and the platform refuses it.
    ///
    /// # Errors
    /// [`Trouble`] when it gets through, or ends in another state.
    pub async fn platform_refuses(&self, text: &str, state: &str, what: &str) -> Result<(), Trouble> {
        let before = self.ledger().len();
        let sent = self.post("messages", json!({ "type": "reply", "text": text })).await?.expect(202)?;
        self.ends(&sent, state, what).await?;
        check(self.ledger().len() == before, "nothing reached the customer", &Value::Null)
    }

    /// The platform changes the account's settings, of which it tells nobody.
    ///
    /// # Errors
    /// [`Trouble`] when the sandbox refuses.
    pub fn account_is(&self, settings: Value) -> Result<(), Trouble> {
        let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
        self.control.patch_account(&self.at_sandbox, patch).map_err(Trouble::new).map(drop)
    }

    /// Two a day are what the platform takes from the account: it refuses the third, which is believed until the next day.
    ///
    /// # Errors
    /// [`Trouble`] when it is otherwise.
    pub async fn may_have_two_a_day(&self, refused: &str) -> Result<(), Trouble> {
        self.account_is(json!({ "daily_limit": 2 }))?;
        self.sends_text("We are open until five.", "the first goes out").await?;
        self.sends_text("On Fridays until six.", "and so does the second").await?;
        self.platform_refuses("And not on Sundays.", "not_sent", refused).await?;
        self.refuses_text("Nor on Mondays.", "the refusal is believed: the fourth is not even tried").await?;
        self.world.clock.advance(time::Duration::DAY);
        self.sends_text("We are open again.", "the day after it goes out again").await?;
        self.account_is(json!({ "daily_limit": null }))
    }

    /// The customer blocks the business where nobody is told of it, and comes back.
    ///
    /// # Errors
    /// [`Trouble`] when the refusal that tells of it is not believed, or their next message does not end it.
    pub async fn blocks_unheard(&self, who: &str) -> Result<(), Trouble> {
        heading(&format!("{who} blocks the account, of which nobody is told."));
        self.does(Act::Block)?;
        self.platform_refuses("Shall we post it?", "failed", "the platform refuses the next message").await?;
        self.refuses_text("Hello?", "the refusal is believed: the one after is not even tried").await?;
        self.does(Act::Unblock)?;
        self.writes("Here I am again.")?;
        self.until_permitted("whoever writes can be reached").await?;
        self.sends_text("Welcome back!", "and is answered").await
    }

    /// Waits until a message that was accepted is in a state; says why, where it failed.
    ///
    /// # Errors
    /// [`Trouble`] when that does not come.
    pub async fn ends(&self, sent: &Reply, state: &str, what: &str) -> Result<(), Trouble> {
        let path = format!("/messages/{}", sent.text("/id").unwrap_or_default());
        let message = self
            .world
            .until(what, || async {
                let message = self.api.get(&path).await?.expect(200)?;
                Ok((message.text("/state") == Some(state)).then_some(message))
            })
            .await?;
        check(true, what, message.body.pointer("/failure/code").unwrap_or(&json!(state)))
    }

    /// What a person of the team may send now.
    ///
    /// # Errors
    /// [`Trouble`] when the service is not there.
    pub async fn permits(&self) -> Result<Vec<Value>, Trouble> {
        let window = self.get("/window").await?;
        Ok(window.body.pointer("/human/permits").and_then(|permits| permits.as_array().cloned()).unwrap_or_default())
    }

    /// Waits until what a person of the team may send is so.
    ///
    /// # Errors
    /// [`Trouble`] when that does not come.
    pub async fn until_permits(&self, what: &str, are: impl Fn(&[Value]) -> bool) -> Result<(), Trouble> {
        let are = &are;
        self.world.until(what, || async { Ok(are(&self.permits().await?).then_some(())) }).await
    }

    /// Waits until a person of the team may send what is no template.
    ///
    /// # Errors
    /// [`Trouble`] when that does not come.
    pub async fn until_permitted(&self, what: &str) -> Result<(), Trouble> {
        let is_free = |permit: &Value| permit.get("basis") != Some(&json!("template"));
        self.until_permits(what, |permits| permits.iter().any(is_free)).await
    }

    /// Waits until nobody of the team may send anything.
    ///
    /// # Errors
    /// [`Trouble`] when that does not come.
    pub async fn until_barred(&self, what: &str) -> Result<(), Trouble> {
        self.until_permits(what, <[Value]>::is_empty).await
    }

    /// The platform keeps its word of what happens from us, or gives it after all.
    ///
    /// # Errors
    /// [`Trouble`] when the sandbox refuses.
    pub fn holds_webhooks(&self, on: bool) -> Result<(), Trouble> {
        let order = match on {
            true => WebhookOrder::Hold,
            false => WebhookOrder::Release { order: ReleaseOrder::Fifo },
        };
        self.control.webhooks(&self.at_sandbox, &order).map_err(Trouble::new).map(|_| ())
    }

    /// The window is in this state for people of the team.
    ///
    /// # Errors
    /// [`Trouble`] when it is not.
    pub async fn window_is(&self, state: &str, what: &str) -> Result<(), Trouble> {
        let window = self.get("/window").await?;
        let seen = window.body.pointer("/human/window").unwrap_or(&Value::Null);
        check(window.text("/human/window/state") == Some(state), what, seen)
    }

    /// Waits until the window is in this state.
    ///
    /// # Errors
    /// [`Trouble`] when that does not come.
    pub async fn until_window(&self, what: &str, state: &str) -> Result<Reply, Trouble> {
        self.world
            .until(what, || async {
                let window = self.get("/window").await?;
                Ok((window.text("/human/window/state") == Some(state)).then_some(window))
            })
            .await
    }

    /// Waits until a message is in one of the states.
    ///
    /// # Errors
    /// [`Trouble`] when that does not come.
    pub async fn wait_state(&self, message: &str, wanted: &[&str]) -> Result<(), Trouble> {
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

/// An id that stands as text or inside an object.
pub fn id_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("id").and_then(Value::as_str))
}

/// Prints what comes next.
pub fn heading(text: &str) {
    let bold = Style::new().bold();
    println!("\n{bold}{text}{bold:#}");
}

/// Prints a step that happened.
///
/// # Errors
/// [`Trouble`] when it did not.
pub fn check(happened: bool, what: &str, seen: &Value) -> Result<(), Trouble> {
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
