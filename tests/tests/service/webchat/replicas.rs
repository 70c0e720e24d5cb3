//! Two replicas on one database.

use serde_json::json;
use transom_storage::test_support::TestDatabase;

use crate::webchat::site::{Site, client_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_sends_over_one_replica_reaches_a_visitor_on_another() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let here = Site::open(&database).await;
    let there = here.replica(&database).await;
    let (mut socket, welcome) = there.visit(json!({})).await;
    let (mut tab, _) = here.visit(json!({"token": welcome["token"]})).await;
    socket.say(json!({"type": "message", "client_id": client_id(1), "text": "Hi"})).await;
    socket.next_of("ack").await;
    assert_eq!(tab.next_of("message").await["message"]["text"], "Hi", "a tab on the other replica");
    let conversation = here.conversation().await;
    for n in 0..10 {
        let site = if n % 2 == 0 { &here } else { &there };
        site.writes(&conversation, json!({"text": format!("answer {n}")})).await;
    }
    for socket in [&mut socket, &mut tab] {
        for n in 0..10 {
            let frame = socket.next_of("message").await;
            assert_eq!((&frame["seq"], &frame["message"]["text"]), (&json!(n + 2), &json!(format!("answer {n}"))));
        }
    }
    // The replica stops: whoever is on it goes to the other, and resumes there.
    there.close().await;
    assert_eq!(socket.closed().await.1, 1012);
    here.writes(&conversation, json!({"text": "still there?"})).await;
    let (mut socket, welcome) = here.visit(json!({"token": welcome["token"], "last_seq": 11})).await;
    assert_eq!(welcome["resume"], "ok");
    assert_eq!(socket.next_of("message").await["message"]["text"], "still there?");
    here.close().await;
}
