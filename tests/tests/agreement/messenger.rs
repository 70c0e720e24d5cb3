use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;
use transom_sandbox::Act;
use transom_storage::both_databases;

use crate::{Block, PRIVATE_REPLY, Part, USUAL, other, play, writes};

static PART: Part = Part {
    platform: "messenger",
    categories: &["utility"],
    acts,
    occurs: &["text", "block", "unblock", "block found out", "comment", "visitor_post", "by private_reply"],
    block: Block::FoundOut,
    refuses: true,
    tag: Some(PRIVATE_REPLY),
    ..USUAL
};

/// Mostly what opens nothing, or the seven days of a person's answer would hardly ever end.
fn acts(random: &mut StdRng, who: &str) -> Act {
    match random.random_range(0..30) {
        0..3 => writes(random, who),
        3 => Act::Start { payload: None },
        4 => other("referral", json!({ "ref": "qr7", "source": "SHORTLINK", "type": "OPEN_THREAD" })),
        5 => other("optin", json!({ "ref": "cart9" })),
        6..9 => other("referral", json!({ "ref": "spring", "source": "ADS", "type": "OPEN_THREAD" })),
        9..12 => other("optin", json!({ "type": "notification_messages" })),
        12..15 => Act::Echo { text: "a colleague in the Page's inbox".to_owned() },
        15..20 => Act::Read,
        20..23 => Act::Block,
        23..25 => other("comment", json!({ "text": "price?" })),
        25..27 => other("visitor_post", json!({ "text": "Nice shop" })),
        _ => Act::Unblock,
    }
}

both_databases! {
    async fn messenger(db: TestDatabase) {
        play(&PART, db).await;
    }
}
