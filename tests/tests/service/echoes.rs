//! Our own messages come back without our name, before the answer or instead of it: they stand there once, on both databases.

use serde_json::{Value, json};
use time::Duration;
use transom_domain::SettableClock;
use transom_sandbox::{AccountPatch, Act, Fault, FaultKind, Manual, NewCustomer, Receipts};
use transom_server::demo::world::Trouble;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::Stage;

/// Mara has written; the account at the sandbox, and where her messages are.
async fn begun(db: TestDatabase) -> (Stage, String, String) {
    let stage = Stage::set(db, SettableClock::running()).await.unwrap();
    let account = stage.world.account("tiktok").unwrap().at_sandbox.clone();
    stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
    stage.world.control().writes(&account, "mara", "hello").unwrap();
    let conversation = stage.world.conversation_with("tiktok", "Mara Klein").await.unwrap().1;
    (stage, account, format!("/conversations/{conversation}/messages"))
}

both_databases! {
    async fn a_message_that_comes_back_stands_there_once(db: TestDatabase) {
        let (stage, account, path) = begun(db).await;
        let control = stage.world.control();
        // The answer never comes; it comes after the echo; it comes as usual.
        let faults = [Some(FaultKind::LoseAnswer), Some(FaultKind::SlowAnswer { ms: 2_000 }), None];
        for (n, fault) in faults.into_iter().enumerate() {
            if let Some(fault) = fault {
                control.fault(&account, Fault::once(fault)).unwrap();
            }
            sends(&stage, &path, &format!("message {n}"), &["sent", "read"]).await;
            stage.quiet().await.unwrap();
        }
        let texts = said(&stage, &path).await.unwrap();
        assert_eq!(texts, ["hello", "message 0", "message 1", "message 2"]);
        assert_eq!(control.ledger().iter().filter(|send| send.customer == "mara").count(), 3);

        // What nobody here sent was written elsewhere.
        control.act(&account, "mara", Act::Echo { text: "from the app".to_owned() }).unwrap();
        stage
            .world
            .until("it is filed", || async {
                Ok(said(&stage, &path).await?.contains(&"from the app".to_owned()).then_some(()))
            })
            .await
            .unwrap();
        assert_eq!(said(&stage, &path).await.unwrap().len(), 5);
        stage.strike().await;
    }

    async fn an_echo_that_may_be_of_either_of_two_becomes_one_with_its_answer(db: TestDatabase) {
        let (stage, account, path) = begun(db).await;
        let control = stage.world.control();
        let with = |receipts| {
            let patch = AccountPatch { receipts: Some(receipts), ..AccountPatch::default() };
            control.patch_account(&account, patch).unwrap();
        };

        with(Receipts::Manual(Manual::Manual));
        control.fault(&account, Fault::once(FaultKind::LoseAnswer)).unwrap();
        sends(&stage, &path, "on its way", &["unknown"]).await;
        // It holds up the next for half a minute. That one's echo comes before its answer, and says what both say.
        stage.world.clock.advance(Duration::seconds(31));
        with(Receipts::default());
        control.fault(&account, Fault::once(FaultKind::SlowAnswer { ms: 4_000 })).unwrap();
        sends(&stage, &path, "on its way", &["sent", "read"]).await;
        stage.quiet().await.unwrap();
        assert_eq!(said(&stage, &path).await.unwrap(), ["hello", "on its way", "on its way"]);
        stage.strike().await;
    }
}

/// Sends a text, and waits until it is in one of the states.
async fn sends(stage: &Stage, path: &str, text: &str, states: &[&str]) {
    let sent = stage.api.post(path, json!({ "text": text })).await.unwrap();
    let id = sent.expect(202).unwrap().text("/id").unwrap().to_owned();
    stage
        .world
        .until("the platform's word is known", || async {
            let message = stage.api.get(&format!("/messages/{id}")).await?.expect(200)?.body;
            Ok(states.contains(&message["state"].as_str().unwrap_or_default()).then_some(()))
        })
        .await
        .unwrap();
}

/// What stands in the conversation, sorted.
async fn said(stage: &Stage, path: &str) -> Result<Vec<String>, Trouble> {
    let page = stage.api.get(path).await?.expect(200)?.body;
    let text = |item: &Value| item["content"]["text"].as_str().map(str::to_owned);
    let mut texts: Vec<String> = page["items"].as_array().into_iter().flatten().filter_map(text).collect();
    texts.sort_unstable();
    Ok(texts)
}
