use serde_json::json;
use transom_storage::both_databases;

use crate::{Part, USUAL, play, writes_or_turns};

/// Viber has no blocks: who turns away unsubscribes.
const VIBER: Part = Part { platform: "viber", acts: writes_or_turns, refuses: true, ..USUAL };

static PART: Part = Part {
    limits: &[("monthly_free", "free_messages", 12)],
    occurs: &["text", "block", "unblock", "by session", "by initiated"],
    ..VIBER
};

/// Each message prolongs the session.
static SLIDING: Part = Part { instead: Some(("viber_sliding", || json!({ "session": "sliding" }))), ..PART };

/// What is beyond the month's free messages is paid.
static PAID: Part = Part {
    occurs: &["text", "block", "unblock", "by session", "by initiated", "by initiated_paid"],
    features: &["commercial_terms"],
    instead: Some(("viber", || json!({ "billable": true }))),
    ..PART
};

/// A bot made since 2024-02-05 has no free messages, and this one pays for none.
static SESSIONS_ALONE: Part = Part {
    occurs: &["text", "block", "unblock", "by session"],
    features: &["no_free_messages"],
    instead: Some(("viber", || json!({ "free_messages": 0 }))),
    ..VIBER
};

both_databases! {
    async fn viber(db: TestDatabase) {
        play(&PART, db).await;
    }

    async fn viber_sliding(db: TestDatabase) {
        play(&SLIDING, db).await;
    }

    async fn viber_paid(db: TestDatabase) {
        play(&PAID, db).await;
    }

    async fn viber_without_free_messages(db: TestDatabase) {
        play(&SESSIONS_ALONE, db).await;
    }
}
