use rand::RngExt as _;
use rand::rngs::StdRng;
use secrecy::SecretString;
use serde_json::json;
use transom_desk::channels::NewChannel;
use transom_sandbox::{Act, NewCustomer};
use transom_storage::both_databases;
use transom_tests::World;

use crate::{Part, USUAL, hello, play, writes_or_turns};

const BLOCKS: &[&str] = &["text", "block", "unblock", "refused to who blocks"];

static PART: Part = Part { platform: "telegram", acts: writes_or_turns, occurs: BLOCKS, refuses: true, ..USUAL };

/// In a business owner's name: 24 hours, whatever the owner types.
static BUSINESS: Part = Part {
    platform: "telegram",
    acts: writes_or_hears_the_owner,
    occurs: &["text", "echo", "location"],
    refuses: true,
    via: Some("bc-77"),
    ..USUAL
};

fn writes_or_hears_the_owner(random: &mut StdRng, who: &str) -> Act {
    match random.random_range(0..10) {
        0..2 => hello(who),
        2 => Act::Location { latitude: 52.5, longitude: 13.4, name: None, address: None },
        _ => Act::Echo { text: "the owner answers".to_owned() },
    }
}

/// Puts the owner's account into the place of the bot's.
pub(crate) async fn connect(world: &mut World, via: &str) {
    let (bot, control) = (world.account("telegram").unwrap().clone(), world.control());
    control.create_customer(NewCustomer::named("owner", "Olga Owner", "+4915550102099")).unwrap();
    let new = NewChannel {
        platform: "telegram".to_owned(),
        name: "The owner's".to_owned(),
        policy: Some("telegram_business".to_owned()),
        connection: Some(bot.ours.connection),
        settings: [("account_id".to_owned(), SecretString::from(via))].into(),
        ..NewChannel::default()
    };
    let order = json!({ "id": via, "owner": "owner" });
    control.platform(&bot.at_sandbox, "business_connection", order).await.unwrap();
    let owners = world.connect_as(new, bot.at_sandbox).await.unwrap();
    world.accounts.insert("telegram", owners);
}

both_databases! {
    async fn telegram(db: TestDatabase) {
        play(&PART, db).await;
    }

    async fn telegram_business(db: TestDatabase) {
        play(&BUSINESS, db).await;
    }
}
