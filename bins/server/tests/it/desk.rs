//! A support day over the API: messages, statuses, assignments, contacts, people.

use serde_json::json;

use super::support::{Bench, Client};

#[tokio::test]
async fn a_reply_opens_assigns_and_is_followed_to_its_receipt() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let path = format!("/conversations/{}", conversation["id"].as_str().unwrap());
    let closed = bench
        .admin
        .post(&format!("{path}/status"), json!({ "status": "closed", "category": "order", "note": "done" }))
        .await;
    assert_eq!(closed.expect(200)["tab"], "closed");

    let agent = bench.client("agent").await;
    let sent = agent.post(&format!("{path}/messages"), json!({ "text": "It left today." })).await.expect(202);
    assert_eq!(
        (&sent["opened"], &sent["state"], &sent["permit"]["basis"]),
        (&json!(true), &json!("queued"), &json!("free_form"))
    );
    let now = agent.get(&path).await.expect(200);
    let me = agent.get("/me").await.expect(200);
    assert_eq!(
        (&now["status"], &now["assignee"]["agent"], &now["episodes"]),
        (&json!("open"), &me["agent"]["id"], &json!(2))
    );

    let message = format!("/messages/{}", sent["id"].as_str().unwrap());
    let delivered = bench
        .until("it is delivered", || async {
            let message = agent.get(&message).await.expect(200);
            (message["state"] == "delivered").then_some(message)
        })
        .await;
    let attempt = &delivered["parts"][0]["attempts"][0];
    assert_eq!((&attempt["number"], &attempt["verdict"]), (&json!(1), &json!("sent")), "{delivered}");
    agent.post(&format!("{message}/settle"), json!({ "choice": "confirm" })).await.refused(409, "nothing_to_settle");

    let history = agent.get(&format!("{path}/messages")).await.expect(200);
    let kinds: Vec<&str> =
        history["items"].as_array().unwrap().iter().rev().map(|m| m["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"reply"));
    assert!(kinds.contains(&"activity"), "{history}");
    let episodes = agent.get(&format!("{path}/episodes")).await.expect(200);
    assert_eq!(episodes["items"][0]["category"], "order");
    assert_eq!(episodes["items"][1]["cause"], "outbound");
    bench.stop().await;
}

#[tokio::test]
async fn notes_stay_inside_and_statuses_follow_their_rules() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Ann", "+4915550100002", "hello").await;
    let path = format!("/conversations/{}", conversation["id"].as_str().unwrap());
    bench.admin.post(&format!("{path}/messages"), json!({ "type": "note", "text": "Calls back." })).await.expect(202);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(bench.sandbox.control().ledger().is_empty(), "a note never leaves");

    let to_status = format!("{path}/status");
    let status = |body| bench.admin.post(&to_status, body);
    status(json!({ "status": "snoozed" })).await.refused(422, "until_missing");
    status(json!({ "status": "snoozed", "until": "2001-01-01T00:00:00Z" })).await.refused(422, "snooze_into_past");
    status(json!({ "status": "open", "note": "why" })).await.refused(422, "invalid_value");
    status(json!({ "status": "open" })).await.refused(409, "status_unchanged");
    let until =
        (bench.now() + time::Duration::hours(2)).format(&time::format_description::well_known::Rfc3339).unwrap();
    let snoozed = status(json!({ "status": "snoozed", "until": until })).await.expect(200);
    assert_eq!(snoozed["tab"], "snoozed");
    bench.clock.advance(time::Duration::hours(3));
    bench
        .until("it wakes", || async { (bench.admin.get(&path).await.expect(200)["status"] == "open").then_some(()) })
        .await;

    let supervisor = bench.client("supervisor").await;
    let me = supervisor.get("/me").await.expect(200);
    let team = bench.admin.post("/teams", json!({ "name": "North", "members": [me["agent"]["id"]] })).await.expect(201);
    let to = json!({ "agent": me["agent"]["id"], "team": team["id"] });
    let assigned = bench.admin.post(&format!("{path}/assignee"), to.clone()).await.expect(200);
    assert_eq!(assigned["assignee"], to);
    assert_eq!(supervisor.get("/conversations?inbox=team").await.expect(200)["items"].as_array().unwrap().len(), 1);
    bench.admin.post(&format!("{path}/assignee"), json!({})).await.expect(200);
    assert_eq!(bench.admin.get(&path).await.expect(200)["assignee"], json!({}));
    bench.admin.patch("/settings", json!({ "close_note_required": true })).await.expect(200);
    status(json!({ "status": "closed" })).await.refused(422, "close_note_required");
    bench.stop().await;
}

#[tokio::test]
async fn contacts_are_added_changed_blocked_and_reached() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let add = |body| bench.admin.post("/contacts", body);
    add(json!({})).await.refused(422, "contact_empty");
    assert_eq!(add(json!({ "phone": "0155" })).await.refused(422, "phone_invalid")["field"], "phone");
    add(json!({ "email": "nobody" })).await.refused(422, "email_invalid");
    let made = add(json!({ "display_name": "Nora", "phone": "+49 (1555) 010-0007" })).await.expect(201);
    assert_eq!(made["profile"]["phone"], "+4915550100007");
    let path = format!("/contacts/{}", made["id"].as_str().unwrap());

    // Nobody may write free text to a stranger; a message over a channel that is not there is 404.
    let to_messages = format!("{path}/messages");
    let write = |body| bench.admin.post(&to_messages, body);
    let refused = write(json!({ "channel": account.id, "message": { "text": "hello" } })).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    let nowhere = json!({ "channel": made["id"], "message": { "text": "hello" } });
    write(nowhere).await.refused(404, "not_found");
    let note = json!({ "channel": account.id, "message": { "type": "note", "text": "hello" } });
    write(note).await.refused(422, "invalid_value");

    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let mara = format!("/contacts/{}", conversation["contact"].as_str().unwrap());
    let reach = bench.admin.get(&format!("{mara}/reachability")).await.expect(200);
    assert_eq!(reach["channels"][0]["decision"]["permits"][0]["basis"], "free_form");
    assert_eq!(bench.admin.post(&format!("{mara}/block"), json!({})).await.expect(200)["blocked"], true);
    let body = json!({ "channel": account.id, "message": { "text": "hello" } });
    let blocked = bench.admin.post(&format!("{mara}/messages"), body.clone()).await.refused(409, "not_permitted");
    assert_eq!(blocked["decision"]["refusals"][0]["because"][0]["reason"], "blocked");
    assert_eq!(bench.admin.post(&format!("{mara}/unblock"), json!({})).await.expect(200)["blocked"], false);
    bench.admin.post(&format!("{mara}/messages"), body).await.expect(202);
    bench.stop().await;
}

#[tokio::test]
async fn agents_and_tokens_come_and_go() {
    let bench = Bench::start().await;
    let made = bench.admin.post("/agents", json!({ "name": "Bo", "role": "agent" })).await.expect(201);
    let bo = Client::new(bench.server.base_url(), made["token"].as_str().unwrap());
    let me = bo.get("/me").await.expect(200);
    assert_eq!((&me["agent"]["name"], &me["agent"]["role"]), (&json!("Bo"), &json!("agent")));
    assert!(me["may"].as_array().unwrap().contains(&json!("send messages")));

    let second = bench.admin.post("/tokens", json!({ "agent": me["agent"]["id"], "name": "script" })).await.expect(201);
    let script = bo.with_token(second["token"].as_str().unwrap());
    script.get("/me").await.expect(200);
    let listed = bench.admin.get("/tokens").await.expect(200);
    assert!(!listed.to_string().contains("trn_"), "tokens are shown once");
    assert_eq!(bench.admin.delete(&format!("/tokens/{}", second["id"].as_str().unwrap())).await.status, 204);
    script.get("/me").await.refused(401, "unauthenticated");
    bo.get("/me").await.expect(200);

    let path = format!("/agents/{}", me["agent"]["id"].as_str().unwrap());
    bench.admin.patch(&path, json!({ "active": false })).await.expect(200);
    bo.get("/me").await.refused(401, "unauthenticated");
    let own = bench.admin.get("/me").await.expect(200);
    let own = format!("/agents/{}", own["agent"]["id"].as_str().unwrap());
    bench.admin.patch(&own, json!({ "role": "bot" })).await.refused(409, "own_rights");
    bench.stop().await;
}

#[tokio::test]
async fn a_bot_answers_in_closed_conversations_only() {
    let bench = Bench::start().await;
    let account = bench.telegram().await;
    let conversation = bench.hears(&account, "Ann", "+4915550100002", "hello").await;
    let path = format!("/conversations/{}", conversation["id"].as_str().unwrap());
    let bot = bench.client("bot").await;
    let me = bot.get("/me").await.expect(200)["agent"]["id"].clone();
    let bindings = json!({ "bindings": [{ "channel": account.id }] });
    bench.admin.put(&format!("/agents/{}/bindings", me.as_str().unwrap()), bindings).await.expect(200);
    let refused = bot.post(&format!("{path}/messages"), json!({ "text": "beep" })).await.refused(409, "bot_paused");
    assert_eq!(refused["house"][0]["reason"], "bot_paused");
    bench.admin.post(&format!("{path}/status"), json!({ "status": "closed" })).await.expect(200);
    bot.post(&format!("{path}/messages"), json!({ "text": "beep" })).await.expect(202);
    assert_eq!(bench.admin.get(&path).await.expect(200)["status"], "closed", "a bot opens nothing");
    bench.stop().await;
}

#[tokio::test]
async fn questions_about_what_may_be_sent() {
    let bench = Bench::start().await;
    let ask = |body| bench.admin.post("/windows/evaluate", body);
    let question = json!({ "platform": "whatsapp", "now": "2026-11-20T10:00:00Z",
        "openings": [{ "kind": "message", "at": "2026-11-20T09:00:00Z" }] });
    let decision = ask(question).await.expect(200);
    assert_eq!((&decision["window"]["state"], &decision["permits"][0]["basis"]), (&json!("open"), &json!("free_form")));
    assert_eq!(decision["window"]["closes_at"], "2026-11-21T09:00:00Z");
    let now = "2026-11-20T10:00:00Z";
    let unknown = ask(json!({ "platform": "pigeon", "now": now })).await.refused(422, "unknown_platform");
    assert_eq!(unknown["field"], "platform");
    let body = json!({ "platform": "whatsapp", "now": now, "openings": [{ "kind": "wave", "at": now }] });
    assert_eq!(ask(body).await.refused(422, "unknown_kind")["field"], "openings[0].kind");
    let body = json!({ "platform": "whatsapp", "now": now, "account": { "limits": { "none": 1 } } });
    ask(body).await.refused(422, "unknown_quota");
    ask(json!({ "platform": "whatsapp" })).await.refused(400, "body_malformed");
    ask(json!({ "platform": "whatsapp", "now": now, "openings": [{ "kind": "message", "at": "yesterday" }] }))
        .await
        .refused(400, "body_malformed");
    let policies = bench.admin.get("/policies").await.expect(200);
    assert!(policies["items"].as_array().unwrap().iter().any(|policy| policy["name"] == "whatsapp"));
    let policy = bench.admin.get("/policies/whatsapp").await.expect(200);
    assert!(policy["text"].as_str().unwrap().contains("[[grant]]"));
    bench.stop().await;
}

#[tokio::test]
async fn windows_and_timelines_of_a_conversation() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let path = format!("/conversations/{}", conversation["id"].as_str().unwrap());
    let window = bench.admin.get(&format!("{path}/window")).await.expect(200);
    assert_eq!(window["human"]["window"]["state"], "open");
    assert_eq!(window["human"]["house"], json!([]));
    assert!(window["capabilities"]["media"].is_array());
    let timeline = bench.admin.get(&format!("{path}/timeline")).await.expect(200);
    let intervals = timeline["intervals"].as_array().unwrap();
    assert_eq!(intervals[0]["until"], window["human"]["window"]["closes_at"]);
    assert_eq!(intervals[0]["until"], intervals[1]["from"]);
    assert_eq!(intervals.last().unwrap()["until"], json!(null));
    let templates = bench.admin.get(&format!("{path}/timeline?sender=broadcast&category=marketing")).await.expect(200);
    assert_ne!(templates, timeline);
    bench.admin.get(&format!("{path}/timeline?sender=nobody")).await.refused(400, "parameter_invalid");
    bench.stop().await;
}

/// Where the platform can't show it, nobody is told that it was shown.
#[tokio::test]
async fn typing_is_refused_where_no_customer_could_see_it() {
    let bench = Bench::start().await;
    let account = bench.whatsapp().await;
    let conversation = bench.hears(&account, "Mara", "+4915550100001", "hello").await;
    let path = format!("/conversations/{}/typing", conversation["id"].as_str().unwrap());
    bench.admin.post(&path, json!({ "on": true })).await.refused(409, "typing_not_shown");
    bench.admin.post(&path, json!({})).await.refused(400, "body_malformed");
    bench.stop().await;
}
