use rand::RngExt as _;
use rand::rngs::StdRng;
use transom_sandbox::Act;
use transom_storage::both_databases;

use crate::{Part, USUAL, play};

static PART: Part = Part {
    platform: "sms",
    limits: &[("daily_messages", "daily_limit", 4)],
    categories: &[],
    acts: writes_or_stops,
    refuses: true,
    ..USUAL
};

/// Some texts are keywords, and some only look like one.
fn writes_or_stops(random: &mut StdRng, who: &str) -> Act {
    let text = match random.random_range(0..10) {
        0..2 => " stop ".to_owned(),
        2 => "Unsubscribe".to_owned(),
        3 => "stop it, please".to_owned(),
        4..7 => "START".to_owned(),
        _ => format!("hello from {who}"),
    };
    Act::Text { text }
}

both_databases! {
    async fn sms(db: TestDatabase) {
        play(&PART, db).await;
    }
}
