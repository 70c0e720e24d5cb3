use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;
use transom_sandbox::Act;
use transom_storage::both_databases;

use crate::{Part, USUAL, play};

static PART: Part = Part {
    platform: "wechat",
    limits: &[
        ("message_count", "message_limit", 3),
        ("interaction_count", "interaction_limit", 1),
        ("template_daily", "template_limit", 4),
    ],
    categories: &["utility"],
    acts: writes_or_taps,
    refuses: true,
    ..USUAL
};

/// Messages, taps on the menu and scans, each with its own count and time; links of the menu give nothing. Who leaves ends what
/// was open, also for when they follow again.
fn writes_or_taps(random: &mut StdRng, who: &str) -> Act {
    let entry = |kind: &str| Act::Other { kind: kind.to_owned(), data: json!({ "EventKey": "HELP" }) };
    match random.random_range(0..13) {
        0..5 => Act::Text { text: format!("hello from {who}") },
        5..7 => entry("CLICK"),
        7 => Act::Start { payload: Some("4711".to_owned()) },
        8 => entry("VIEW"),
        9 => Act::Block,
        10..12 => Act::Unblock,
        _ => Act::Location { latitude: 23.1, longitude: 113.3, name: None, address: None },
    }
}

both_databases! {
    async fn wechat(db: TestDatabase) {
        play(&PART, db).await;
    }
}
