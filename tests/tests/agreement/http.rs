use serde_json::json;
use transom_storage::both_databases;

use crate::{Part, USUAL, play, writes};

const PART_OF_BOTH: Part =
    Part { platform: "http", categories: &["utility", "marketing"], acts: writes, refuses: true, ..USUAL };

/// The account follows `viber_business`.
static PART: Part =
    Part { limits: &[("unanswered", "unanswered", 2), ("session_messages", "session_messages", 4)], ..PART_OF_BOTH };

/// The same account by the channel's own policy: free text for a day after each message, and so many messages a day.
static IN_HOUSE: Part = Part {
    limits: &[("daily_messages", "daily_messages", 6)],
    instead: Some(("http", || json!({ "rules": "in_house" }))),
    ..PART_OF_BOTH
};

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
