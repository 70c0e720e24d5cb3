use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;
use transom_sandbox::Act;
use transom_storage::both_databases;

use crate::{Block, PRIVATE_REPLY, Part, USUAL, other, play, writes};

static PART: Part = Part {
    platform: "instagram",
    acts,
    occurs: &["text", "block", "unblock", "block found out", "comment", "by private_reply"],
    block: Block::FoundOut,
    refuses: true,
    tag: Some(PRIVATE_REPLY),
    ..USUAL
};

/// Mostly what opens nothing, or the seven days of a person's answer would hardly ever end.
fn acts(random: &mut StdRng, who: &str) -> Act {
    match random.random_range(0..30) {
        0..2 => writes(random, who),
        2 => Act::Start { payload: None },
        3 => other("referral", json!({ "ref": "qr7", "source": "https://ig.me/m/shop", "type": "OPEN_THREAD" })),
        4 => other("story_mention", json!({})),
        5 => other("story_reply", json!({ "text": "nice!" })),
        6..10 => other("referral", json!({ "ref": "spring", "source": "ADS", "type": "OPEN_THREAD" })),
        10..14 => Act::Echo { text: "a colleague in the app".to_owned() },
        14..20 => Act::Read,
        20..23 => Act::Block,
        23..27 => other("comment", json!({ "text": "price?" })),
        _ => Act::Unblock,
    }
}

both_databases! {
    async fn instagram(db: TestDatabase) {
        play(&PART, db).await;
    }
}
