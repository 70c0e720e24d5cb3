//! Comments under posts: one private reply each, and a conversation once the person answers; over real HTTP, on both databases.

use serde_json::{Value, json};
use time::Duration;
use transom_domain::SettableClock;
use transom_sandbox::{Act, NewCustomer};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::Stage;

const NAME: &str = "Mara Klein";

async fn answered_once_in_private(platform: &str, db: TestDatabase) {
    let stage = Stage::set(db, SettableClock::running()).await.unwrap();
    let account = stage.world.account(platform).unwrap().at_sandbox.clone();
    let control = stage.world.control();
    let new = NewCustomer::named("mara", NAME, "+4915550100001");
    control.create_customer(NewCustomer { username: Some("mara".to_owned()), ..new }).unwrap();
    let comment = || Act::Other { kind: "comment".to_owned(), data: json!({ "text": "price?" }) };
    control.act(&account, "mara", comment()).unwrap();
    stage.quiet().await.unwrap();

    // It stands in a conversation that waits for somebody, and opens no window.
    let list = stage.api.get("/conversations?tab=open").await.unwrap().expect(200).unwrap().body;
    let [conversation] = list["items"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!(conversation["preview"], "comment: price?");
    let path = format!("/conversations/{}", conversation["id"].as_str().unwrap());
    let window = stage.api.get(&format!("{path}/window")).await.unwrap().expect(200).unwrap().body;
    let grants = |window: &Value| -> Vec<String> {
        let permits = window["human"]["permits"].as_array().unwrap().iter();
        permits.map(|permit| permit["grant"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(grants(&window), ["private_reply"]);
    let reference = window["human"]["permits"][0]["ref"].clone();

    // One message, which names the comment.
    let messages = format!("{path}/messages");
    let sent = stage.api.post(&messages, json!({ "text": "We wrote you here." })).await.unwrap().expect(202).unwrap();
    assert_eq!(sent.body["permit"]["ref"], reference);
    let message = stage.settled(sent.text("/id").unwrap()).await.unwrap();
    assert!(["sent", "delivered"].contains(&message["state"].as_str().unwrap()), "{message}");
    assert_eq!(control.ledger()[0].body["recipient"], json!({ "comment_id": reference }));
    let second = stage.api.post(&messages, json!({ "text": "Still there?" })).await.unwrap();
    assert_eq!(second.status, 409, "{}", second.body);

    // Another comment is another right.
    stage.world.clock.advance(Duration::HOUR);
    control.act(&account, "mara", comment()).unwrap();
    stage.quiet().await.unwrap();
    let window = stage.api.get(&format!("{path}/window")).await.unwrap().expect(200).unwrap().body;
    assert_eq!(grants(&window), ["private_reply"]);
    assert_ne!(window["human"]["permits"][0]["ref"], reference);

    // They answer: the same person in the same conversation, with a window of their own.
    control.writes(&account, "mara", "thanks, the blue one").unwrap();
    stage.quiet().await.unwrap();
    let contacts = stage.api.get("/contacts").await.unwrap().expect(200).unwrap().body;
    assert_eq!(contacts["items"].as_array().unwrap().len(), 1, "{contacts}");
    let window = stage.api.get(&format!("{path}/window")).await.unwrap().expect(200).unwrap().body;
    assert_eq!(grants(&window)[0], "standard", "{window}");
    let sent = stage.api.post(&messages, json!({ "text": "It costs 5." })).await.unwrap().expect(202).unwrap();
    stage.settled(sent.text("/id").unwrap()).await.unwrap();
    let recipient = control.ledger()[1].body["recipient"].clone();
    assert!(recipient["id"].is_string() && recipient.get("comment_id").is_none(), "{recipient}");

    // The right of the second comment ends after seven days, whatever else happens.
    stage.world.clock.advance(Duration::days(8));
    let window = stage.api.get(&format!("{path}/window")).await.unwrap().expect(200).unwrap().body;
    assert!(!grants(&window).iter().any(|grant| grant == "private_reply"), "{window}");
    stage.strike().await;
}

both_databases! {
    async fn on_messenger(db: TestDatabase) {
        answered_once_in_private("messenger", db).await;
    }
}

both_databases! {
    async fn on_instagram(db: TestDatabase) {
        answered_once_in_private("instagram", db).await;
    }
}
