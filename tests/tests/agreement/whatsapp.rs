use transom_storage::both_databases;

use crate::{Part, USUAL, play, writes};

static PART: Part = Part {
    platform: "whatsapp",
    limits: &[("messaging_limit", "messaging_limit", 3)],
    categories: &["utility", "marketing"],
    acts: writes,
    refuses: true,
    ..USUAL
};

both_databases! {
    async fn whatsapp(db: TestDatabase) {
        play(&PART, db).await;
    }
}
