use rand::RngExt as _;
use rand::rngs::StdRng;
use transom_sandbox::Act;
use transom_storage::both_databases;

use crate::{Block, Part, USUAL, play, writes_or_turns};

static PART: Part = Part {
    platform: "whatsapp",
    limits: &[("messaging_limit", "messaging_limit", 3)],
    categories: &["utility", "marketing"],
    acts,
    occurs: &["text", "block", "unblock", "opt_out", "opt_in", "let through to who blocks"],
    block: Block::Hidden,
    refuses: true,
    ..USUAL
};

/// Some want no marketing for a while.
fn acts(random: &mut StdRng, who: &str) -> Act {
    match random.random_range(0..6) {
        0 => Act::OptOut,
        1 => Act::OptIn,
        _ => writes_or_turns(random, who),
    }
}

both_databases! {
    async fn whatsapp(db: TestDatabase) {
        play(&PART, db).await;
    }
}
