use transom_storage::both_databases;

use crate::{Part, USUAL, play, writes_or_turns};

/// Viber has no blocks: who turns away unsubscribes.
static PART: Part = Part {
    platform: "viber",
    limits: &[("monthly_free", "free_messages", 12)],
    categories: &[],
    acts: writes_or_turns,
    occurs: &["text", "block", "unblock"],
    refuses: true,
    ..USUAL
};

both_databases! {
    async fn viber(db: TestDatabase) {
        play(&PART, db).await;
    }
}
