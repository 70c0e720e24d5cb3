use transom_storage::both_databases;

use crate::{Part, USUAL, play, writes_or_turns};

static PART: Part = Part {
    platform: "line",
    limits: &[("monthly_messages", "monthly_limit", 12)],
    categories: &[],
    acts: writes_or_turns,
    occurs: &["text", "block", "unblock", "refused to who blocks"],
    refuses: true,
    ..USUAL
};

both_databases! {
    async fn line(db: TestDatabase) {
        play(&PART, db).await;
    }
}
