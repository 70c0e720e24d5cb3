use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;
use transom_sandbox::Act;
use transom_storage::both_databases;

use crate::{Part, USUAL, play};

static PART: Part = Part { platform: "webchat", limits: &[], categories: &[], acts: does, refuses: false, ..USUAL };

/// Visitors write, come and go, and sometimes sign in or end the chat.
fn does(random: &mut StdRng, who: &str) -> Act {
    let other = |kind: &str| Act::Other { kind: kind.to_owned(), data: Value::Null };
    match random.random_range(0..20) {
        0..4 => other("visit"),
        4..8 => other("leave"),
        8 => other("identify"),
        9 => Act::OptOut,
        _ => Act::Text { text: format!("hello from {who}") },
    }
}

both_databases! {
    async fn webchat(db: TestDatabase) {
        play(&PART, db).await;
    }
}
