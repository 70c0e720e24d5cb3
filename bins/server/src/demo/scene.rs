//! What a scene of the story is made of: one customer, one conversation, and steps that either happened or did not.

use anstream::println;
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use transom_domain::ConversationId;
use transom_sandbox::{Act, Action, Control, Send};

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
