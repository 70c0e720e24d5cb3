use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;
use time::Duration;
use transom_sandbox::{Act, Action};
use transom_storage::both_databases;
use transom_tests::Stage;

use crate::{Part, USUAL, hello, play};

static PART: Part = Part {
    platform: "webchat",
    begins,
    acts: does,
    occurs: &["text", "visit", "leave", "identify", "opt_out", "invited", "refused a second invitation"],
    refuses: true,
    tag: Some("invitation"),
    // That a page is open is told every half minute, so it counts for that much less at the end.
    margin: Duration::seconds(31),
    ..USUAL
};

/// Those who only look.
const PASSING: [&str; 3] = ["cleo", "dan", "eve"];

fn other(kind: &str) -> Act {
    Act::Other { kind: kind.to_owned(), data: Value::Null }
}

fn begins(who: &str) -> Act {
    if PASSING.contains(&who) { other("visit") } else { hello(who) }
}

/// Visitors write, come and go, and sometimes sign in or end the chat. Most of some is that they look.
fn does(random: &mut StdRng, who: &str) -> Act {
    match (PASSING.contains(&who), random.random_range(0..20)) {
        (true, 0) => Act::OptOut,
        (true, _) | (false, 0..4) => other("visit"),
        (false, 4..7) => other("leave"),
        (false, 7..10) => other("identify"),
        (false, 10..12) => Act::OptOut,
        (false, _) => hello(who),
    }
}

/// Before time leaps: a page that stayed open would tell of itself by a clock of its own.
pub(crate) async fn pages_close(stage: &Stage, account: &str, people: impl Iterator<Item = &&'static str>) {
    for who in people.filter(|who| PASSING.contains(who)) {
        stage.world.control().act(account, who, Action::from(other("leave"))).unwrap();
    }
    stage.quiet().await.unwrap();
}

/// What was sent stands on the visitor's screen.
pub(crate) async fn is_seen(stage: &Stage, who: &str, text: &str) {
    let control = stage.world.control();
    let on_screen = || control.ledger().iter().any(|send| send.customer == who && send.text == text);
    stage.world.until("the invitation arrives", || async { Ok(on_screen().then_some(())) }).await.unwrap();
}

both_databases! {
    async fn webchat(db: TestDatabase) {
        play(&PART, db).await;
    }
}
