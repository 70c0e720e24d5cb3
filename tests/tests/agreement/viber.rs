use transom_storage::both_databases;

use crate::{Part, USUAL, play, writes};

static PART: Part = Part {
    platform: "viber",
    limits: &[("monthly_free", "free_messages", 12)],
    categories: &[],
    acts: writes,
    refuses: true,
    ..USUAL
};

both_databases! {
    async fn viber(db: TestDatabase) {
        play(&PART, db).await;
    }
}
