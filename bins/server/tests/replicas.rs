//! Two service processes on one PostgreSQL share the work; kill -9 of one loses and doubles nothing.
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

use std::collections::BTreeSet;
use std::time::Duration;

use process::{Opening, Service, arrived, people, polled_bot};
use transom_storage::test_support::TestDatabase;

const MESSAGES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_the_work_and_survive_each_other() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut opening = Opening::of(2, Some(database.url())).await;
    let customers = people(opening.service(), &opening.sandbox, &opening.account, &opening.token, MESSAGES).await;

    let mut accepted = Vec::new();
    for (index, conversation) in customers.iter().enumerate() {
        let first = index % 2 == 0 && index < MESSAGES / 2;
        let replica = if first { &opening.replicas[0] } else { opening.service() };
        accepted.push(opening.reply(replica, conversation, format!("message {index}")).await);
        if index == MESSAGES / 2 {
            opening.replicas.remove(0).kill_9();
        }
    }

    let unknown = opening.tally(&accepted).await;
    eprintln!("{unknown} of {MESSAGES} unknown after the kill");
    assert!(unknown <= 4, "more were unknown than can have been on the wire");

    events_have_no_gap(opening.service(), &opening.token).await;
    assert_eq!(opening.close().await, [Some(0)]);
}

/// One lease an account: whoever of the two dies, the other goes on where it stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_fetched_account_is_taken_over() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut opening = Opening::of(2, Some(database.url())).await;
    let bot = polled_bot(opening.service(), &opening.sandbox, &opening.token).await;
    let control = opening.sandbox.control();
    let mut expected = Vec::new();
    let mut write = |part: &str| {
        for index in 0..10 {
            let text = format!("{part} {index}");
            control.writes(&bot.at_sandbox, "polly", &text).unwrap();
            expected.push(text);
        }
        expected.clone()
    };
    let both = write("a of both");
    assert_eq!(arrived(opening.service(), &bot, &opening.token, both.len()).await, both);
    opening.replicas[0].kill_9();
    let one = write("b of the second");
    assert_eq!(arrived(opening.service(), &bot, &opening.token, one.len()).await, one);
    opening.replicas[0].kill_and_restart().await;
    opening.replicas.pop().unwrap().kill_9();
    let other = write("c of the first");
    assert_eq!(arrived(opening.service(), &bot, &opening.token, other.len()).await, other);
    assert_eq!(opening.close().await, [Some(0)]);
}

/// P10: numbered without gap or repeat, whichever replica numbered them.
async fn events_have_no_gap(service: &Service, token: &str) {
    let http = transom_channel::http::HttpClient::new().unwrap();
    let request =
        http.request(reqwest::Method::GET, &format!("{}/v1/events?after=0", service.base())).bearer_auth(token);
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    let read = async {
        while let Some(chunk) = answer.chunk().await.unwrap() {
            text.push_str(&String::from_utf8_lossy(&chunk));
            seen = text.lines().filter_map(|line| line.strip_prefix("id:")?.trim().parse::<u64>().ok()).collect();
            if seen.len() > MESSAGES * 3 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
    let ids: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("id:")?.trim().parse().ok()).collect();
    assert_eq!(ids.len(), seen.len(), "an event came twice");
    let (first, last) = (*seen.first().unwrap(), *seen.last().unwrap());
    assert_eq!(last - first + 1, seen.len() as u64, "a gap between {first} and {last}");
}
