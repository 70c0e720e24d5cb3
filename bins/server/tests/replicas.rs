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

use process::{Service, people, whatsapp};
use serde_json::json;
use transom_domain::SettableClock;
use transom_sandbox::{Sandbox, SandboxConfig};
use transom_storage::test_support::TestDatabase;

const MESSAGES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_the_work_and_survive_each_other() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let sandbox = Sandbox::start(SandboxConfig::new(SettableClock::running())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut first = Service::start(&sandbox, folder.path(), Some(database.url())).await;
    let second = Service::start(&sandbox, folder.path(), Some(database.url())).await;
    let token = first.create_workspace();
    // Webhooks and receipts go to the one that lives on.
    let account = whatsapp(&second, &sandbox, &token).await;
    let customers = people(&second, &sandbox, &account, &token, MESSAGES).await;

    let mut accepted = Vec::new();
    for (index, conversation) in customers.iter().enumerate() {
        let replica = if index % 2 == 0 && index < MESSAGES / 2 { &first } else { &second };
        let (text, path) = (format!("message {index}"), format!("/conversations/{conversation}/messages"));
        let reply = replica.post(&token, &path, json!({ "type": "reply", "text": text })).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        accepted.push((text, reply.body["id"].as_str().or(reply.body["message"].as_str()).unwrap().to_owned()));
        if index == MESSAGES / 2 {
            first.kill_9();
        }
    }

    let mut unknown = 0;
    for (text, message) in &accepted {
        let state = second.settled(&token, message).await;
        let taken = sandbox.control().ledger().into_iter().filter(|send| send.text == *text).count();
        match state.as_str() {
            "sent" | "delivered" | "read" => assert_eq!(taken, 1, "{text} is {state}"),
            "unknown" => {
                unknown += 1;
                assert!(taken <= 1, "{text} was taken {taken} times");
            }
            other => panic!("{text} is {other}"),
        }
    }
    eprintln!("{unknown} of {MESSAGES} unknown after the kill");
    assert!(unknown <= 4, "more were unknown than can have been on the wire");

    events_have_no_gap(&second, &token).await;
    assert_eq!(second.stop().await, Some(0));
    sandbox.shutdown().await;
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
