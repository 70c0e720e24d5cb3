//! The same request twice has one effect and one answer.

use serde_json::json;

use super::support::Bench;

#[tokio::test]
async fn a_repeated_send_is_answered_as_the_first_and_sent_once() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let id = conversation["id"].as_str().unwrap();
    let path = format!("/conversations/{id}/messages");
    let (body, key) = (json!({ "text": "Your parcel left." }), [("idempotency-key", "order-17")]);

    let first = bench.admin.post_with(&path, body.clone(), &key).await;
    assert_eq!(first.header("idempotency-replayed"), None);
    let first = first.expect(202);
    for _ in 0..3 {
        let again = bench.admin.post_with(&path, body.clone(), &key).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.expect(202), first);
    }
    let other = bench.admin.post_with(&path, json!({ "text": "Something else." }), &key).await;
    other.refused(422, "idempotency_key_reused");

    // Ten at once: one message.
    let together: Vec<_> = (0..10)
        .map(|_| {
            let (client, path, body) = (bench.admin.clone(), path.clone(), json!({ "text": "At once." }));
            tokio::spawn(async move { client.post_with(&path, body, &[("idempotency-key", "once")]).await.expect(202) })
        })
        .collect();
    let mut ids = Vec::new();
    for task in together {
        ids.push(task.await.unwrap()["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");

    bench.until("both arrive", || async { (bench.sandbox.control().ledger().len() >= 2).then_some(()) }).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let sent: Vec<String> = bench.sandbox.control().ledger().into_iter().map(|send| send.text).collect();
    assert_eq!(sent, ["Your parcel left.", "At once."]);
    bench.stop().await;
}

#[tokio::test]
async fn keys_belong_to_their_agent_and_path_and_have_a_form() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let path = format!("/conversations/{}/messages", conversation["id"].as_str().unwrap());
    let note = |text: &str| json!({ "type": "note", "text": text });
    let key = [("idempotency-key", "k")];

    let first = bench.admin.post_with(&path, note("one"), &key).await.expect(202);
    assert_eq!(bench.admin.post_with(&path, note("one"), &key).await.expect(202), first);
    let colleague = bench.client("agent").await;
    let theirs = colleague.post_with(&path, note("two"), &key).await.expect(202);
    assert_ne!(theirs["id"], first["id"], "another agent's key is another key");

    for wrong in ["", " ", "a b", &"x".repeat(256)] {
        let reply = bench.admin.post_with(&path, note("three"), &[("idempotency-key", wrong)]).await;
        assert_eq!(reply.refused(400, "parameter_invalid")["field"], "Idempotency-Key");
    }
    // A refused request stores nothing: the key is free for the mended one.
    let key = [("idempotency-key", "mended")];
    bench.admin.post_with(&path, note(""), &key).await.refused(422, "message_empty");
    bench.admin.post_with(&path, note("mended"), &key).await.expect(202);
    bench.stop().await;
}
