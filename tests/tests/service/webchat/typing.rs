//! Who types, as the other side sees it.

use std::time::Duration;

use serde_json::{Value, json};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;

use crate::webchat::site::{Events, ORIGIN, Site, Socket, browser, client_id};

/// A visitor who has written, their conversation as they know it, and as agents do.
async fn written(site: &Site) -> (Socket, Value, String) {
    let (mut socket, welcome) = site.visit(json!({})).await;
    socket.say(json!({"type": "message", "client_id": client_id(1), "text": "Hi"})).await;
    socket.next_of("ack").await;
    let conversation = site.conversation().await;
    site.heard(&conversation, 1).await;
    (socket, welcome, conversation)
}

/// The conversation as its visitor names it.
fn of(welcome: &Value) -> String {
    format!("c_{}", welcome["visitor_id"].as_str().unwrap())
}

async fn types(site: &Site, conversation: &str, on: bool) {
    let said = site.api.post(&format!("/conversations/{conversation}/typing"), json!({ "on": on })).await.unwrap();
    said.expect(204).unwrap();
}

both_databases! {
    async fn who_types_is_seen_by_the_other_side_and_is_over_by_itself(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, welcome, conversation) = written(&site).await;
        let token = welcome["token"].as_str().unwrap();
        let ticket = browser().post(site.http("ticket")).header("origin", ORIGIN).bearer_auth(token).send().await.unwrap();
        let ticket: Value = ticket.json().await.unwrap();
        let path = site.http(&format!("events?ticket={}", ticket["ticket"].as_str().unwrap()));
        let answer = browser().get(path).header("origin", ORIGIN).send().await.unwrap();
        let mut tab = Events { answer, text: String::new() };
        tab.next_of("welcome").await;
        let mut desk = site.events().await;

        // The visitor types; what they have typed so far is theirs.
        socket.say(json!({"type": "typing", "conversation_id": of(&welcome), "on": true, "preview": "I would"})).await;
        let (id, event) = desk.next_of("conversation.typing").await;
        assert_eq!((id, &event["conversation"], event.get("id")), (None, &json!(conversation), None), "{event}");
        assert_eq!(event["data"], json!({ "by": { "kind": "customer" }, "on": true }));
        // The agent types: a socket and a stream of the visitor's show it.
        types(&site, &conversation, true).await;
        let shown = json!({ "type": "typing", "conversation_id": of(&welcome), "from": { "kind": "agent", "name": "Ada" }, "on": true });
        assert_eq!(socket.next_of("typing").await, shown);
        assert_eq!(tab.next_of("typing").await, (None, shown));

        // Both are over by themselves; colleagues see the agent's as well. Nothing of it has a number.
        assert_eq!((&socket.next_of("typing").await["on"], &tab.next_of("typing").await.1["on"]), (&json!(false), &json!(false)));
        let mut awaited = vec![("agent", true), ("customer", false), ("agent", false)];
        while !awaited.is_empty() {
            let (id, Value::Object(event)) = desk.next_of("conversation.typing").await else { panic!("an event") };
            assert_eq!(id, None);
            awaited.retain(|(by, on)| event["data"]["by"]["kind"] != *by || event["data"]["on"] != *on);
        }
        let (_, welcome) = site.visit(json!({ "token": token })).await;
        assert_eq!(welcome["last_seq"], 1, "the visitor's own message");

        // Whoever stops is seen to.
        types(&site, &conversation, true).await;
        types(&site, &conversation, false).await;
        assert_eq!(socket.next_of("typing").await["on"], true);
        assert_eq!(socket.next_of("typing").await["on"], false);
        // Another's conversation is none, to visitors as to agents.
        socket.say(json!({"type": "typing", "conversation_id": "c_x:somebody", "on": true})).await;
        assert_eq!(socket.next_of("error").await["code"], "bad_request");
        site.close().await;
    }

    async fn a_visitor_who_never_stops_typing_is_slowed(db: TestDatabase) {
        let site = Site::open(&db).await;
        let (mut socket, welcome, _) = written(&site).await;
        for n in 0..30 {
            socket.say(json!({"type": "typing", "conversation_id": of(&welcome), "on": n % 2 == 0})).await;
        }
        let refused = socket.next_of("error").await;
        assert_eq!(refused["code"], "rate_limited", "{refused}");
        site.close().await;
    }
}

/// Beginning and ending until one of it arrives: another replica may only just have begun to listen.
async fn until_seen<T>(site: &Site, conversation: &str, seen: impl Future<Output = T>) -> T {
    let again = async {
        loop {
            types(site, conversation, true).await;
            types(site, conversation, false).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        seen = seen => seen,
        () = again => unreachable!(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_types_over_one_replica_is_seen_on_another() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let here = Site::open(&database).await;
    let there = here.replica(&database).await;
    let (mut socket, welcome, conversation) = written(&there).await;
    let frame = until_seen(&here, &conversation, socket.next_of("typing")).await;
    assert_eq!(frame["from"]["name"], "Ada", "{frame}");
    let mut desk = here.events().await;
    until_seen(&there, &conversation, desk.next_of("conversation.typing")).await;
    socket.say(json!({"type": "typing", "conversation_id": of(&welcome), "on": true})).await;
    loop {
        let (_, event) = desk.next_of("conversation.typing").await;
        if event["data"] == json!({ "by": { "kind": "customer" }, "on": true }) {
            break;
        }
    }
    there.close().await;
    here.close().await;
}
