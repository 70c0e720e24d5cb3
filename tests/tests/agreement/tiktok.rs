use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::Act;
use transom_storage::both_databases;
use transom_tests::Stage;

use crate::{Block, PRIVATE_REPLY, Part, USUAL, hello, other, play, writes_or_turns};

const TIKTOK: Part = Part { platform: "tiktok", refuses: true, ..USUAL };

static PART: Part = Part {
    limits: &[("reply_count", "reply_limit", 3)],
    acts: writes_or_turns,
    occurs: &["text", "block", "unblock", "block found out"],
    block: Block::FoundShut,
    ..TIKTOK
};

/// A refusal does not say whether it is for a block, so a reply to a comment is tried after it: blocks are not among these.
static COMMENTS: Part = Part {
    limits: &[("reply_count", "reply_limit", 3)],
    acts: writes_or_comments,
    occurs: &["text", "ad", "comment", "echo", "read", "by reply", "by private_reply"],
    tag: Some(PRIVATE_REPLY),
    ..TIKTOK
};

/// The other reading of the count: it ends when the customer has answered, and a few may go into the silence.
static READING_B: Part = Part {
    limits: &[("initial_count", "reply_limit", 3)],
    occurs: &["text", "block", "unblock", "block found out", "by initial", "by dialogue", "by inactive"],
    instead: Some(("tiktok_b", || json!({ "reading": "b" }))),
    ..PART
};

/// A private reply is a message of the business too: what the customer writes after it is an answer.
static READING_B_COMMENTS: Part = Part {
    limits: READING_B.limits,
    occurs: &["text", "ad", "comment", "echo", "read", "by dialogue", "by inactive", "by private_reply"],
    instead: READING_B.instead,
    ..COMMENTS
};

/// Mostly what opens no window.
fn writes_or_comments(random: &mut StdRng, who: &str) -> Act {
    match random.random_range(0..10) {
        0..2 => hello(who),
        2 => Act::Ad { text: format!("hello from {who}"), headline: None },
        3 => Act::Read,
        4 => Act::Echo { text: "a colleague in the app".to_owned() },
        _ => other("comment", Value::Null),
    }
}

/// TikTok calls a block a closed window: where ours is open it is asked once more, a minute later.
pub(crate) async fn is_looked_at_again(stage: &Stage, message: &str) {
    let path = format!("/messages/{message}");
    let is_refused = || async {
        let tried = stage.api.get(&path).await?.expect(200)?;
        Ok(tried.text("/parts/0/attempts/0/ended_at").map(drop))
    };
    stage.world.until("the platform refuses it", is_refused).await.unwrap();
    stage.world.clock.advance(Duration::minutes(2));
}

both_databases! {
    async fn tiktok(db: TestDatabase) {
        play(&PART, db).await;
    }

    async fn tiktok_comments(db: TestDatabase) {
        play(&COMMENTS, db).await;
    }

    async fn tiktok_reading_b(db: TestDatabase) {
        play(&READING_B, db).await;
    }

    async fn tiktok_reading_b_comments(db: TestDatabase) {
        play(&READING_B_COMMENTS, db).await;
    }
}
