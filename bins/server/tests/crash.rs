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

use process::{Service, people, whatsapp};
use rand::RngExt as _;
use serde_json::json;
use transom_domain::SettableClock;
use transom_sandbox::{Fault, FaultKind, Sandbox, SandboxConfig};

/// How often it is killed.
const ROUNDS: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_and_doubles_nothing() {
    let sandbox = Sandbox::start(SandboxConfig::new(SettableClock::running())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(&sandbox, folder.path(), None).await;
    let token = service.create_workspace();
    let account = whatsapp(&service, &sandbox, &token).await;
    let customers = people(&service, &sandbox, &account, &token, ROUNDS).await;

    let mut accepted = Vec::new();
    for (round, conversation) in customers.iter().enumerate() {
        if round % 3 == 0 {
            // The platform takes its time: the process dies with the request on the wire.
            let slow = Fault::once(FaultKind::SlowAnswer { ms: 80 });
            sandbox.control().fault(&account.at_sandbox, slow).unwrap();
        }
        let text = format!("round {round}");
        let path = format!("/conversations/{conversation}/messages");
        let reply = service.post(&token, &path, json!({ "type": "reply", "text": text })).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        accepted.push((text, reply.body["id"].as_str().or(reply.body["message"].as_str()).unwrap().to_owned()));
        let pause = rand::rng().random_range(0..60);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        service.kill_and_restart().await;
        sandbox.control().clear_faults(&account.at_sandbox).unwrap();
    }

    let mut unknown = 0;
    for (text, message) in &accepted {
        let state = service.settled(&token, message).await;
        let taken = sandbox.control().ledger().into_iter().filter(|send| send.text == *text).count();
        match state.as_str() {
            "sent" | "delivered" | "read" => assert_eq!(taken, 1, "{text} is {state}"),
            "unknown" => {
                unknown += 1;
                assert!(taken <= 1, "{text} is unknown and was taken {taken} times");
            }
            other => panic!("{text} is {other}, and was taken {taken} times"),
        }
    }
    eprintln!("{ROUNDS} kills: {unknown} unknown, the rest sent once");
    assert!(unknown < ROUNDS, "nothing got through at all");
    service.stop().await;
    sandbox.shutdown().await;
}
