//! Who is in the demo: one file a platform, with its account, its people and its scene of the story.

mod email;
mod http;
mod instagram;
mod line;
mod messenger;
mod sms;
mod telegram;
mod tiktok;
mod viber;
mod webchat;
mod wechat;
mod whatsapp;

use async_trait::async_trait;
use time::Duration;
use transom_sandbox::Act;

use super::seed::Seeded;
use super::world::{Account, Trouble, World};

/// A platform's part of the demo.
#[async_trait]
pub trait Cast: Send + Sync {
    /// The platform.
    fn platform(&self) -> &'static str;

    /// Opens an account at the sandbox and connects it.
    ///
    /// # Errors
    /// [`Trouble`] when either side refuses.
    async fn join(&self, world: &World) -> Result<Account, Trouble>;

    /// Puts the templates of the demo into the platform's catalogue and syncs them. Can be done again.
    ///
    /// # Errors
    /// [`Trouble`] when either side refuses.
    async fn stock(&self, _world: &World) -> Result<(), Trouble> {
        Ok(())
    }

    /// People in the states that tell something about this platform.
    fn people(&self) -> &'static [Role];

    /// People who need more than an account and a role.
    ///
    /// # Errors
    /// [`Trouble`] says what did not happen.
    async fn others(&self, _world: &World) -> Result<Vec<Seeded>, Trouble> {
        Ok(Vec::new())
    }

    /// The scene on this platform, asserted on the API's answers and the sandbox's ledger.
    ///
    /// # Errors
    /// [`Trouble`] at the first step that did not happen.
    async fn play(&self, world: &World) -> Result<(), Trouble>;
}

/// All of them, in the order in which they are shown.
pub fn cast() -> Vec<&'static dyn Cast> {
    // One line each, so that two new ones do not meet.
    #[rustfmt::skip]
    let all: Vec<&'static dyn Cast> = vec![
        &whatsapp::WhatsApp,
        &telegram::Telegram,
        &tiktok::TikTok,
        &line::Line,
        &viber::Viber,
        &http::Http,
        &messenger::Messenger,
        &instagram::Instagram,
        &sms::Sms,
        &wechat::WeChat,
        &email::Email,
        &webchat::Webchat,
    ];
    all
}

/// Somebody of the demo: who did what, when, and what happened then.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// The name.
    pub name: &'static str,
    /// The sandbox's id of the customer.
    pub customer: &'static str,
    /// The telephone number, in E.164.
    pub phone: &'static str,
    /// What makes them interesting, for the table.
    pub story: &'static str,
    /// What they did first, and how long ago.
    pub began: Began,
    /// What happened then.
    pub then: Then,
}

impl Role {
    /// Somebody of a scene, who wrote so long ago and whom the table does not show.
    pub const fn wrote(
        name: &'static str,
        customer: &'static str,
        phone: &'static str,
        text: &'static str,
        ago: Duration,
    ) -> Self {
        Self { name, customer, phone, story: "", began: Began::Wrote(text, ago), then: Then::Nothing }
    }
}

/// What somebody did first.
#[derive(Debug, Clone, Copy)]
pub enum Began {
    /// Nothing: only the number is known.
    Never,
    /// Wrote a text, so long ago.
    Wrote(&'static str, Duration),
    /// Did something else, so long ago.
    Did(fn() -> Act, Duration),
    /// Nothing: our own systems know them by an id, and this was written to them.
    Registered(&'static str),
}

/// What happened then.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// An agent closed the conversation.
    Closed,
    /// An agent snoozed it until tomorrow.
    Snoozed,
    /// They did something after which nothing may be sent.
    Refuses(fn() -> Act),
    /// An agent answered this, and then they did something.
    Answered(&'static str, fn() -> Act),
    /// They did something more.
    Did(fn() -> Act),
    /// Agents answered so many times, which is all that may be sent.
    Exhausted(u32),
}
