//! kill -9 at any moment between accepting a send and its receipt: after a restart the message was sent once, or is shown as
//! unknown; never lost, never doubled. The real binary, the real wire, and the sandbox's ledger as the truth.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod process;

use std::time::Duration;

use process::{Opening, arrived, people, polled_bot};
use rand::RngExt as _;
use transom_sandbox::{Fault, FaultKind};

/// How often it is killed.
const ROUNDS: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_and_doubles_nothing() {
    let mut opening = Opening::of(1, None).await;
    let Opening { sandbox, token, account, .. } = &opening;
    let customers = people(opening.service(), sandbox, account, token, ROUNDS).await;
    let control = sandbox.control();

    let mut accepted = Vec::new();
    for (round, conversation) in customers.iter().enumerate() {
        if round % 3 == 0 {
            // The platform takes its time: the process dies with the request on the wire.
            let slow = Fault::once(FaultKind::SlowAnswer { ms: 80 });
            control.fault(&opening.account.at_sandbox, slow).unwrap();
        }
        accepted.push(opening.reply(opening.service(), conversation, format!("round {round}")).await);
        let pause = rand::rng().random_range(0..60);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        opening.replicas[0].kill_and_restart().await;
        control.clear_faults(&opening.account.at_sandbox).unwrap();
    }

    let unknown = opening.tally(&accepted).await;
    eprintln!("{ROUNDS} kills: {unknown} unknown, the rest sent once");
    assert!(unknown < ROUNDS, "nothing got through at all");
    opening.close().await;
}

/// What is fetched is stored with the cursor before the platform hears of it, so that a kill between the two costs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_fetching_loses_no_message_and_doubles_none() {
    const EACH: usize = 4;
    let mut opening = Opening::of(1, None).await;
    let bot = polled_bot(opening.service(), &opening.sandbox, &opening.token).await;
    let mut expected = Vec::new();
    for round in 0..12 {
        for index in 0..EACH {
            let text = format!("round {round:02} message {index}");
            opening.sandbox.control().writes(&bot.at_sandbox, "polly", &text).unwrap();
            expected.push(text);
        }
        // Long enough for some rounds to fetch, too short for others.
        let pause = rand::rng().random_range(0..80);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        opening.replicas[0].kill_and_restart().await;
    }
    assert_eq!(arrived(opening.service(), &bot, &opening.token, expected.len()).await, expected);
    opening.close().await;
}
