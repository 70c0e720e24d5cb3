use transom_storage::both_databases;

use crate::{Part, play, writes};

/// The account follows `viber_business`.
static PART: Part = Part {
    platform: "http",
    limits: &[("unanswered", "unanswered", 2), ("session_messages", "session_messages", 4)],
    categories: &["utility", "marketing"],
    acts: writes,
    refuses: true,
};

both_databases! {
    async fn http(db: TestDatabase) {
        play(&PART, db).await;
    }
}
