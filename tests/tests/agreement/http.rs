use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;
use transom_sandbox::Act;
use transom_storage::both_databases;

use crate::{Part, USUAL, play, writes_or_turns};

const PART_OF_BOTH: Part = Part {
    platform: "http",
    categories: &["utility", "marketing"],
    acts: writes_or_leaves,
    occurs: &["text", "block", "unblock", "opt_out", "opt_in", "refused to who blocks"],
    refuses: true,
    wants_nothing: true,
    ..USUAL
};

/// The account follows `viber_business`.
static PART: Part =
    Part { limits: &[("unanswered", "unanswered", 2), ("session_messages", "session_messages", 4)], ..PART_OF_BOTH };

/// The same account by the channel's own policy: free text for a day after each message, and so many messages a day.
static IN_HOUSE: Part = Part {
    limits: &[("daily_messages", "daily_messages", 6)],
    instead: Some(("http", || json!({ "rules": "in_house" }))),
    ..PART_OF_BOTH
};

/// Some block, and some say that they want nothing for a while.
fn writes_or_leaves(random: &mut StdRng, who: &str) -> Act {
    match random.random_range(0..8) {
        0 => Act::OptOut,
        1 | 2 => Act::OptIn,
        _ => writes_or_turns(random, who),
    }
}

both_databases! {
    async fn in_house(db: TestDatabase) {
        play(&IN_HOUSE, db).await;
    }
}

both_databases! {
    async fn http(db: TestDatabase) {
        play(&PART, db).await;
    }
}
