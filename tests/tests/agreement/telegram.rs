use transom_storage::both_databases;

use crate::{Part, USUAL, play, writes};

static PART: Part = Part { platform: "telegram", limits: &[], categories: &[], acts: writes, refuses: false, ..USUAL };

both_databases! {
    async fn telegram(db: TestDatabase) {
        play(&PART, db).await;
    }
}
