//! Text messages: no window; consent and STOP decide, and each segment costs.

use std::collections::BTreeMap;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;
use time::{Duration, Time};
use transom::sms::Segments;
use transom_desk::channels::{ChannelPatch, change};
use transom_sandbox::{Act, NewAccount};

use super::{Began, Cast, Role, Then};
use crate::demo::scene::{Scene, check, heading};
use crate::demo::world::{Account, Trouble, World, text_of};

pub(super) struct Sms;

const PEOPLE: [Role; 3] = [
    Role {
        name: "Joan Miller",
        customer: "joan",
        phone: "+14155550111",
        story: "wrote, and may be written to at any time",
        began: Began::Wrote("When are you open?", Duration::ZERO),
        then: Then::Closed,
    },
    Role {
        name: "Sam Brooks",
        customer: "sam",
        phone: "+14155550112",
        story: "sent STOP",
        began: Began::Wrote("Who is this?", Duration::ZERO),
        then: Then::Refuses(|| Act::OptOut),
    },
    Role {
        name: "Eva Lang",
        customer: "eva",
        phone: "+4915550100113",
        story: "never wrote, only the number is known",
        began: Began::Never,
        then: Then::Nothing,
    },
];

#[async_trait]
impl Cast for Sms {
    fn platform(&self) -> &'static str {
        "sms"
    }

    async fn join(&self, world: &World) -> Result<Account, Trouble> {
        let view = world.control().create_account(NewAccount::on("sms")).map_err(Trouble::new)?;
        let setting = |name| Ok((name, text_of(&view.settings, name)?));
        let settings = [setting("account_sid")?, setting("auth_token")?, setting("sender")?];
        let account = world.connect(self.platform(), "Acme by SMS", view.id, settings).await?;
        // Receipts are asked for with each message, to this address.
        let hook = world.control().account(&account.at_sandbox).map_err(Trouble::new)?.webhook_url;
        let hook = hook.ok_or_else(|| Trouble("the sender has no webhook address".to_owned()))?;
        let settings = BTreeMap::from([("webhook_url".to_owned(), SecretString::from(hook))]);
        let patch = ChannelPatch { settings, ..ChannelPatch::default() };
        change(world.desk(), &world.caller, account.ours.id, patch).await.map_err(Trouble::new)?;
        Ok(account)
    }

    fn people(&self) -> &'static [Role] {
        &PEOPLE
    }

    async fn play(&self, world: &World) -> Result<(), Trouble> {
        heading("Lee asked something by text message, and a month went by.");
        let lee = Role::wrote("Lee Story", "lee-story", "+14155550101", "Do you repair clocks?", Duration::ZERO);
        let lee = Scene::set(world, self.platform(), &lee).await?;
        world.clock.advance(Duration::days(30));
        let text = "We do – bring it in and we will have a look at it. The workshop is open from nine to five.";
        let segments = Segments::of(text);
        check(segments.count == 2, "its cost is known before it leaves: 2 segments", &json!(segments.units))?;
        let sent = lee.post("messages", json!({ "type": "reply", "text": text })).await?.expect(202)?;
        let arrived = lee.in_ledger("the text arrives", |send| send.text == text).await?;
        check(arrived.text == text, "free text goes out, whenever", &json!(arrived.recipient))?;
        lee.wait_state(sent.text("/id").unwrap_or_default(), &["delivered"]).await?;
        lee.does(Act::OptOut)?;
        lee.until_barred("STOP arrives").await?;
        lee.refuses_text("Your clock is ready.", "Lee sends STOP, and nothing leaves any more").await?;
        lee.writes("is it ready?")?;
        lee.refuses_text("Your clock is ready.", "another text of Lee's does not change that").await?;
        lee.does(Act::OptIn)?;
        lee.until_permitted("START arrives").await?;
        lee.sends_text("Your clock is ready.", "Lee sends START, and is written to again").await?;
        the_day_is_used_up(world, &lee).await
    }
}

/// 63038: what the provider takes in a day (UTC) is used up, and it tells by refusing.
async fn the_day_is_used_up(world: &World, lee: &Scene<'_>) -> Result<(), Trouble> {
    heading("The provider takes only two segments a day from this account; nobody told us.");
    // An hour into the next day: all of this is to happen within one.
    let now = world.now();
    world.clock.advance(Duration::hours(25) - (now - now.replace_time(Time::MIDNIGHT)));
    lee.may_have_two_a_day("Twilio refuses the third (63038)").await
}
