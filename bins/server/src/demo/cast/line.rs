//! LINE: an answer within a minute is free, everything else is one of the month's messages.

use async_trait::async_trait;
use serde_json::json;
use time::Duration;
use transom_sandbox::{AccountPatch, Act, NewAccount};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct Line;

/// The free plan's messages of a month.
const MONTHLY: u32 = 200;

const PEOPLE: [Role; 3] = [
    Role {
        name: "Aki Tanaka",
        customer: "aki",
        phone: "+819000000001",
        story: "wrote just now: the answer costs nothing",
        began: Began::Wrote("Is my order on its way?", Duration::ZERO),
        then: Then::Nothing,
    },
    Role {
        name: "Yui Sato",
        customer: "yui",
        phone: "+819000000002",
        story: "a friend, wrote 40 days ago",
        began: Began::Wrote("Thank you!", Duration::days(40)),
        then: Then::Closed,
    },
    Role {
        name: "Ken Mori",
        customer: "ken",
        phone: "+819000000003",
        story: "blocked the account",
        began: Began::Wrote("Hello", Duration::days(3)),
        then: Then::Refuses(|| Act::Block),
    },
];

#[async_trait]
impl Cast for Line {
    fn platform(&self) -> &'static str {
        "line"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let new = NewAccount::on("line").settings(json!({ "monthly_limit": MONTHLY }));
        let view = world.control().create_account(new).map_err(Trouble::new)?;
        let settings = [
            ("channel_secret", text_of(&view.settings, "channel_secret")?),
            ("channel_access_token", text_of(&view.settings, "access_token")?),
        ];
        world.connect(self.platform(), "Acme on LINE", view.id, settings).await
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        heading("On LINE, Haru wrote just now.");
        let haru =
            Role::wrote("Haru Story", "haru-story", "+819000000101", "Can I change the address?", Duration::ZERO);
        let haru = Scene::set(world, self.platform(), &haru).await?;
        haru.sends_text("Of course. Where to?", "the answer goes out").await?;
        went_by(&haru, "reply", "with the token of Haru's message, which costs nothing")?;
        world.clock.advance(Duration::minutes(2));
        haru.sends_text("Just tell us here.", "two minutes later free text goes out all the same").await?;
        went_by(&haru, "push", "as one of the month's messages")?;
        the_month_is_used_up(world, &haru).await?;
        haru.does(Act::Block)?;
        haru.until_barred("the block arrives").await?;
        haru.refuses_text("Are you there?", "Haru blocks the account, and nothing leaves any more").await?;
        haru.does(Act::Unblock)?;
        haru.until_permitted("Haru is back").await?;
        check(true, "Haru comes back, and may be written to again", &json!(null))
    }
}

/// Broadcasts that Transom knows nothing of use the month up; an answer is free all the same, and so is the next month.
async fn the_month_is_used_up(world: &World, haru: &Scene<'_>) -> Result<(), Trouble> {
    let used = |elsewhere: u32| {
        let settings = Some(json!({ "used_elsewhere": elsewhere }));
        let patch = AccountPatch { settings, ..AccountPatch::default() };
        world.control().patch_account(&haru.at_sandbox, patch).map_err(Trouble::new)
    };
    heading("A colleague's broadcast uses the month's messages up.");
    used(MONTHLY)?;
    let before = haru.ledger().len();
    let queued = haru.post("messages", json!({ "type": "reply", "text": "One too many." })).await?.expect(202)?;
    haru.wait_state(queued.text("/id").unwrap_or_default(), &["not_sent"]).await?;
    check(haru.ledger().len() == before, "LINE says so, Transom believes it, and nothing leaves", &json!(null))?;
    haru.refuses_text("And again.", "from now on a push is refused at once").await?;
    haru.writes("12 Rose Lane, please.")?;
    haru.until_permitted("the token arrives").await?;
    haru.sends_text("Done!", "Haru writes, and the answer is free").await?;
    went_by(haru, "reply", "with the new token")?;
    world.clock.advance(Duration::days(31));
    used(0)?;
    haru.sends_text("A new month!", "in the next month there are messages again").await?;
    went_by(haru, "push", "counted")
}

fn went_by(scene: &Scene<'_>, method: &str, what: &str) -> Result<(), Trouble> {
    let last = scene.ledger().pop().ok_or_else(|| Trouble("the platform took nothing".to_owned()))?;
    check(last.method == method && last.counted == (method == "push"), what, &json!(last.method))
}
