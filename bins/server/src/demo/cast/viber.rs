//! Viber: free in a session of 24 hours, outside of it one of the month's messages, and only to subscribers.

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;
use time::Duration;
use transom_sandbox::{AccountPatch, Act, NewAccount, NewCustomer};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct Viber;

const WELCOME: &str = "Welcome to Acme! Ask us anything.";
/// What a bot may start in a month.
const MONTHLY: u32 = 10_000;

const PEOPLE: [Role; 3] = [
    Role {
        name: "Petra Horvat",
        customer: "petra-v",
        phone: "+385910000001",
        story: "wrote 2 hours ago: a session, free until tomorrow",
        began: Began::Wrote("Do you have it in blue?", Duration::hours(2)),
        then: Then::Nothing,
    },
    Role {
        name: "Iva Kos",
        customer: "iva",
        phone: "+385910000002",
        story: "wrote 3 days ago: each message is one of the month's",
        began: Began::Wrote("Thanks!", Duration::days(3)),
        then: Then::Closed,
    },
    Role {
        name: "Georgi Petrov",
        customer: "georgi",
        phone: "+359880000003",
        story: "unsubscribed",
        began: Began::Wrote("No more news please", Duration::days(1)),
        then: Then::Refuses(|| Act::OptOut),
    },
];

#[async_trait]
impl Cast for Viber {
    fn platform(&self) -> &'static str {
        "viber"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let view = world.control().create_account(NewAccount::on("viber")).map_err(Trouble::new)?;
        let settings = [
            ("auth_token", text_of(&view.settings, "token")?),
            ("bot_id", SecretString::from(view.id.clone())),
            ("sender_name", SecretString::from("Acme Support")),
            ("welcome_text", SecretString::from(WELCOME)),
        ];
        world.connect(self.platform(), "Acme on Viber", view.id, settings).await
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        a_chat_is_opened(world).await?;
        heading("On Viber, Vesna wrote 2 hours ago.");
        let vesna =
            Role::wrote("Vesna Story", "vesna-story", "+385910000101", "Where is my parcel?", Duration::hours(2));
        let vesna = Scene::set(world, self.platform(), &vesna).await?;
        vesna.sends_text("On its way!", "in the session free text goes out").await?;
        booked(&vesna, false, "and costs nothing")?;
        world.clock.advance(Duration::hours(23));
        vesna.window_is("closed", "a day after her message the session is over").await?;
        vesna.sends_text("Did it arrive?", "free text goes out all the same").await?;
        booked(&vesna, true, "as one of the month's messages")?;
        the_10001st(world, &vesna).await?;
        vesna.does(Act::OptOut)?;
        vesna.until_barred("she unsubscribes").await?;
        vesna.refuses_text("Are you there?", "Vesna unsubscribes, and nothing leaves any more").await?;
        vesna.does(Act::OptIn)?;
        vesna.until_permitted("she subscribes").await?;
        vesna.sends_text("Nice to have you back!", "Vesna subscribes, and may be written to").await?;
        booked(&vesna, true, "as one of the month's messages: that opens no session")?;
        vesna.does(Act::OptOut)?;
        vesna.until_barred("she unsubscribes").await?;
        vesna.writes("I am back.")?;
        vesna.until_window("her message opens a session", "open").await?;
        vesna.sends_text("Welcome back!", "whoever writes is a subscriber again").await
    }
}

/// Before somebody wrote or subscribed, the answer to the event is all that they can be shown.
async fn a_chat_is_opened(world: &World) -> Result<(), Trouble> {
    heading("On Viber, Luka opens the chat.");
    let account = world.account("viber")?.at_sandbox.clone();
    world
        .control()
        .create_customer(NewCustomer::named("luka-story", "Luka Story", "+385910000102"))
        .map_err(Trouble::new)?;
    let start = Act::Start { payload: Some("promo-7".to_owned()) };
    world.control().act(&account, "luka-story", start).map_err(Trouble::new)?;
    let shown = world
        .until("the welcome is on the phone", || async {
            let chats = world.control().conversations();
            let mut entries =
                chats.into_iter().filter(|chat| chat.customer == "luka-story").flat_map(|chat| chat.entries);
            Ok(entries.next().map(|entry| entry.text))
        })
        .await?;
    check(shown == WELCOME, "he is shown the welcome message", &json!(shown))
}

/// Viber has counted more than Transom knows of: it says so, and Transom believes it.
async fn the_10001st(world: &World, vesna: &Scene<'_>) -> Result<(), Trouble> {
    let used = |before: u32| {
        let settings = Some(json!({ "used_before": before }));
        let patch = AccountPatch { settings, ..AccountPatch::default() };
        world.control().patch_account(&vesna.at_sandbox, patch).map_err(Trouble::new).map(|_| ())
    };
    heading("The bot has started 9,999 messages this month.");
    let counted = vesna.control.ledger().iter().filter(|send| send.account == vesna.at_sandbox && send.counted).count();
    used(MONTHLY - 1 - u32::try_from(counted).unwrap_or_default())?;
    vesna.sends_text("One more thing.", "the 10,000th goes out").await?;
    let before = vesna.ledger().len();
    let queued = vesna.post("messages", json!({ "type": "reply", "text": "And another." })).await?.expect(202)?;
    vesna.wait_state(queued.text("/id").unwrap_or_default(), &["not_sent"]).await?;
    check(vesna.ledger().len() == before, "Viber refuses the 10,001st, and Transom believes it", &json!(null))?;
    vesna.refuses_text("And again.", "from now on nothing leaves out of session").await?;
    vesna.writes("Yes, it is here.")?;
    vesna.until_window("Vesna answers", "open").await?;
    vesna.sends_text("Great!", "in the session that opens, free text goes out").await?;
    booked(vesna, false, "and costs nothing")?;
    world.clock.advance(Duration::days(32));
    used(0)?;
    vesna.sends_text("A new month!", "in the next month there are messages again").await?;
    booked(vesna, true, "counted")
}

fn booked(scene: &Scene<'_>, counted: bool, what: &str) -> Result<(), Trouble> {
    let last = scene.ledger().pop().ok_or_else(|| Trouble("the platform took nothing".to_owned()))?;
    check(last.counted == counted, what, &json!(null))
}
