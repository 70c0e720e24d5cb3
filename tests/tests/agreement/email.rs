use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;
use transom_sandbox::Act;
use transom_storage::both_databases;

use crate::{NEW_THREAD, Part, USUAL, play};

static PART: Part = Part {
    platform: "email",
    limits: &[("daily_recipients", "daily_limit", 5)],
    categories: &[NEW_THREAD],
    acts: writes_or_lets_write,
    refuses: true,
    ..USUAL
};

/// Letters of people and of machines, new threads and answers, and complaints, after which only answers are welcome.
fn writes_or_lets_write(random: &mut StdRng, who: &str) -> Act {
    let other = |kind: &str, data| Act::Other { kind: kind.to_owned(), data };
    match random.random_range(0..24) {
        0 => other("auto_reply", json!({})),
        1 => other("list", json!({ "subject": "News" })),
        2..4 => other("mail", json!({ "subject": format!("{who} asks"), "text": "A new thread" })),
        4 => other("third_party", json!({ "address": "third@example.test", "text": "I know" })),
        5 => Act::Block,
        _ => Act::Text { text: format!("hello from {who}") },
    }
}

both_databases! {
    async fn email(db: TestDatabase) {
        play(&PART, db).await;
    }
}
