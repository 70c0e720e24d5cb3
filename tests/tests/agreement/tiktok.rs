use transom_storage::both_databases;

use crate::{Part, USUAL, play, writes};

static PART: Part = Part {
    platform: "tiktok",
    limits: &[("reply_count", "reply_limit", 3)],
    categories: &[],
    acts: writes,
    refuses: true,
    ..USUAL
};

both_databases! {
    async fn tiktok(db: TestDatabase) {
        play(&PART, db).await;
    }
}
