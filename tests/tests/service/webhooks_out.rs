//! Webhooks out: a real receiver that verifies signatures with code of its own, on both databases.

use std::time::Duration;

use crate::receiver::{Call, Receiver};
use serde_json::{Value, json};
use time::Duration as Span;
use transom_domain::SettableClock;
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::Stage;

struct Scene {
    stage: Stage,
    account: String,
}

impl Scene {
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("telegram").unwrap().at_sandbox.clone();
        stage.world.control().create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        Self { stage, account }
    }

    /// An endpoint; its id and its secret.
    async fn endpoint(&self, url: &str, kinds: &[&str]) -> (String, String) {
        let body = json!({ "url": url, "kinds": kinds, "description": "a test" });
        let made = self.stage.api.post("/webhook-endpoints", body).await.unwrap().expect(201).unwrap();
        (made.text("/id").unwrap().to_owned(), made.text("/secret").unwrap().to_owned())
    }

    fn writes(&self, text: &str) {
        self.stage.world.control().writes(&self.account, "mara", text).unwrap();
    }

    async fn read(&self, id: &str) -> Value {
        self.stage.api.get(&format!("/webhook-endpoints/{id}")).await.unwrap().expect(200).unwrap().body
    }

    async fn deliveries(&self, id: &str) -> Vec<Value> {
        let page = self.stage.api.get(&format!("/webhook-endpoints/{id}/deliveries?limit=100")).await.unwrap();
        page.expect(200).unwrap().body["items"].as_array().unwrap().clone()
    }

    /// Waits until so many attempts to tell the oldest event are on record: the next one is counted from there.
    async fn recorded(&self, id: &str, attempts: usize) {
        let look = || async {
            let told = self.deliveries(id).await;
            let known = told.last().map_or(0, |oldest| oldest["attempts"].as_array().unwrap().len());
            Ok((known == attempts).then_some(()))
        };
        self.stage.world.until("the attempt is on record", look).await.unwrap();
    }

    async fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        self.stage.world.until(what, || std::future::ready(Ok(so().then_some(())))).await.unwrap();
    }
}

both_databases! {
    /// Every event of the kinds that were asked for, in order, signed with the secret that was shown, and nothing else.
    async fn events_arrive_in_order_and_signed(db: TestDatabase) {
        let (scene, receiver) = (Scene::set(db).await, Receiver::start().await);
        let (id, secret) = scene.endpoint(&receiver.url(), &["message.*"]).await;
        for number in 0..12 {
            scene.writes(&format!("number {number}"));
        }
        scene.stage.quiet().await.unwrap();
        scene.until("all have arrived", || receiver.calls().len() >= 12).await;
        let calls = receiver.calls();
        let mut last = 0;
        for call in &calls {
            assert!(call.is_signed_with(&secret), "{call:?}");
            assert!(call.body["type"].as_str().unwrap().starts_with("message."), "{}", call.body);
            assert_eq!(call.id, call.body["id"], "the id is the event's");
            let seq = call.body["seq"].as_u64().unwrap();
            assert!(seq > last, "{seq} after {last}");
            last = seq;
            let reader = scene.stage.world.desk().storage().reader(&scene.stage.world.caller.scope);
            let event = reader.events_after(seq - 1, 1).await.unwrap().remove(0).event;
            assert_eq!((&call.body["data"], &call.body["type"]), (&event.data, &json!(event.kind)), "what streams show");
        }
        assert!(!calls[0].is_signed_with(&format!("whsec_{}=", "A".repeat(43))), "the check can fail");
        let stored = scene.read(&id).await;
        assert!(!stored.to_string().contains(secret.trim_start_matches("whsec_")), "the secret is shown once");
        let all_told = || async {
            let told = scene.deliveries(&id).await;
            Ok(told.iter().all(|delivery| delivery["state"] != "waiting").then_some(told))
        };
        for delivery in scene.stage.world.until("all are on record", all_told).await.unwrap() {
            assert_eq!(delivery["state"], "delivered");
            assert_eq!(delivery["attempts"][0]["status"], 200);
        }
        scene.stage.strike().await;
    }
}

both_databases! {
    /// A receiver that fails gets the same event again, under the same id, before any later one; retries follow the schedule.
    async fn a_failure_is_tried_again_in_order_under_the_same_id(db: TestDatabase) {
        let (scene, receiver) = (Scene::set(db).await, Receiver::start().await);
        let (id, secret) = scene.endpoint(&receiver.url(), &["message.received"]).await;
        receiver.answers(503);
        scene.writes("one");
        scene.writes("two");
        scene.until("the first try", || receiver.calls().len() == 1).await;
        scene.stage.quiet().await.unwrap();
        scene.recorded(&id, 1).await;
        // The next try is in five seconds, by the service's clock.
        scene.stage.world.clock.advance(Span::seconds(6));
        scene.until("the second try", || receiver.calls().len() == 2).await;
        scene.recorded(&id, 2).await;
        receiver.answers(302);
        scene.stage.world.clock.advance(Span::minutes(6));
        scene.until("the third try", || receiver.calls().len() == 3).await;
        scene.recorded(&id, 3).await;
        receiver.answers(200);
        scene.stage.world.clock.advance(Span::minutes(34));
        scene.until("both were taken", || receiver.calls().len() == 5).await;
        let calls = receiver.calls();
        assert!(calls[..4].iter().all(|call| call.id == calls[0].id), "one event, until it was taken");
        assert_ne!(calls[3].id, calls[4].id);
        assert!(calls[0].timestamp < calls[1].timestamp, "each attempt has a time of its own");
        assert!(calls.iter().all(|call| call.is_signed_with(&secret)));
        scene.recorded(&id, 4).await;
        let told = scene.deliveries(&id).await;
        let attempts = told.last().unwrap()["attempts"].as_array().unwrap().clone();
        let outcomes: Vec<&str> = attempts.iter().map(|attempt| attempt["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["failed", "failed", "redirected", "delivered"]);
        let stored = scene.read(&id).await;
        assert_eq!(stored["failures"], 0, "{stored}");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// A new secret, and for a day the old one beside it.
    async fn a_rotation_signs_with_both_for_a_day(db: TestDatabase) {
        let (scene, receiver) = (Scene::set(db).await, Receiver::start().await);
        let (id, first) = scene.endpoint(&receiver.url(), &["message.received"]).await;
        let path = format!("/webhook-endpoints/{id}/rotate");
        let rotated = scene.stage.api.post(&path, json!({})).await.unwrap().expect(201).unwrap();
        let second = rotated.text("/secret").unwrap().to_owned();
        assert_ne!(first, second);
        scene.writes("with both");
        scene.until("it arrives", || receiver.calls().len() == 1).await;
        let call = receiver.calls().remove(0);
        assert!(call.is_signed_with(&first) && call.is_signed_with(&second));
        scene.stage.world.clock.advance(Span::hours(25));
        scene.writes("with the new one");
        scene.until("it arrives, too", || receiver.calls().len() == 2).await;
        let call = receiver.calls().remove(1);
        assert!(!call.is_signed_with(&first) && call.is_signed_with(&second));
        scene.stage.strike().await;
    }
}

both_databases! {
    /// 410 turns it off; turned on, it goes on where it stopped. A replay tells again what was told.
    async fn gone_is_the_end_and_nothing_is_lost(db: TestDatabase) {
        let (scene, receiver) = (Scene::set(db).await, Receiver::start().await);
        let (id, _) = scene.endpoint(&receiver.url(), &["message.received"]).await;
        receiver.answers(410);
        scene.writes("one");
        scene.until("it was told", || receiver.calls().len() == 1).await;
        let off = || async {
            let stored = scene.read(&id).await;
            Ok((stored["enabled"] == false).then_some(stored))
        };
        let stored = scene.stage.world.until("it is off", off).await.unwrap();
        assert_eq!(stored["disabled_because"], "gone");
        scene.writes("two");
        scene.stage.quiet().await.unwrap();
        receiver.answers(200);
        scene.stage.world.clock.advance(Span::hours(1));
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(receiver.calls().len(), 1, "one that is off gets nothing");
        let path = format!("/webhook-endpoints/{id}");
        scene.stage.api.patch(&path, json!({ "enabled": true })).await.unwrap().expect(200).unwrap();
        scene.until("both were told", || receiver.calls().len() == 3).await;
        let first = receiver.calls()[0].id.clone();
        assert_eq!(first, receiver.calls()[1].id);

        let replay = format!("/webhook-endpoints/{id}/replay");
        let one = scene.stage.api.post(&replay, json!({ "event": first })).await.unwrap().expect(200).unwrap();
        assert_eq!(one.body["queued"], 1);
        scene.until("one was told again", || receiver.calls().len() == 4).await;
        let all = scene.stage.api.post(&replay, json!({ "since": first })).await.unwrap().expect(200).unwrap();
        assert_eq!(all.body["queued"], 2);
        scene.until("both were told again", || receiver.calls().len() == 6).await;
        let told: Vec<String> = receiver.calls().into_iter().map(|call| call.id).collect();
        assert_eq!(told[1..3], told[4..6], "in their order, under their ids");
        scene.stage.api.post(&replay, json!({})).await.unwrap().expect(422).unwrap();
        scene.stage.strike().await;
    }
}

both_databases! {
    /// A test call goes out at once, by its own id; one endpoint's trouble is not another's.
    async fn a_test_says_how_it_went_and_endpoints_stand_alone(db: TestDatabase) {
        let (scene, good, bad) = (Scene::set(db).await, Receiver::start().await, Receiver::start().await);
        let (works, secret) = scene.endpoint(&good.url(), &["message.received"]).await;
        let (fails, _) = scene.endpoint(&bad.url(), &["message.received"]).await;
        bad.answers(500);
        let test = |id: &str| format!("/webhook-endpoints/{id}/test");
        let said = scene.stage.api.post(&test(&works), json!({})).await.unwrap().expect(200).unwrap();
        assert_eq!((said.text("/outcome").unwrap(), said.body["status"].as_u64()), ("delivered", Some(200)));
        let call = good.calls().remove(0);
        assert_eq!(call.body["type"], "webhook_endpoint.test");
        assert!(call.is_signed_with(&secret));
        let said = scene.stage.api.post(&test(&fails), json!({})).await.unwrap().expect(200).unwrap();
        assert_eq!((said.text("/outcome").unwrap(), said.body["status"].as_u64()), ("failed", Some(500)));
        for number in 0..3 {
            scene.writes(&format!("number {number}"));
        }
        scene.until("the good one has all", || good.calls().len() == 4).await;
        assert_eq!(bad.calls().len(), 2, "the test and one try");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// Addresses inside a network can't be typed in, and names that lead there are not called.
    async fn only_addresses_that_may_be_called_are_taken(db: TestDatabase) {
        let scene = Scene::set(db).await;
        for (url, code) in [
            ("http://10.0.0.1/hook", "url_refused"),
            ("http://169.254.169.254/latest/meta-data", "url_refused"),
            ("http://[::1]/", "url_refused"),
            ("ftp://example.com/", "url_refused"),
            ("https://user:secret@example.com/", "url_refused"),
            ("not an address", "url_invalid"),
        ] {
            let refused = scene.stage.api.post("/webhook-endpoints", json!({ "url": url })).await.unwrap();
            assert_eq!((refused.status, refused.body["code"].as_str()), (422, Some(code)), "{url}");
        }
        // localhost is ::1 as well, which is not allowed here: all addresses of a name have to be good.
        let (id, _) = scene.endpoint("http://ip6-localhost:9/", &[]).await;
        let said = scene.stage.api.post(&format!("/webhook-endpoints/{id}/test"), json!({})).await.unwrap();
        let outcome = said.expect(200).unwrap().body["outcome"].clone();
        assert!(outcome == "address_refused" || outcome == "not_connected", "{outcome}");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// Nobody waits for an event that can't happen: a kind that there is not is refused, and what there is is named.
    async fn kinds_that_there_are_not_are_refused(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let (id, _) = scene.endpoint("https://example.com/", &["window.*", "note.added"]).await;
        let path = format!("/webhook-endpoints/{id}");
        for (kinds, says) in [
            (json!(["note.added", "note.aded"]), "`note.aded` is no kind of event; there is `note.added`, or `note.*`"),
            (json!(["message.sent"]), "`message.sent` is no kind of event; there is `message.answered`, `message.brought`"),
            (json!(["massage.*"]), "`massage.*` is no kind of event; docs/events.md lists them all, which are of `agent.*`"),
            (json!(["everything"]), "`everything` is no kind of event"),
            (json!([""]), "`` is no kind of event"),
        ] {
            let new = json!({ "url": "https://example.com/other", "kinds": kinds });
            for refused in [
                scene.stage.api.post("/webhook-endpoints", new).await.unwrap(),
                scene.stage.api.patch(&path, json!({ "kinds": kinds })).await.unwrap(),
            ] {
                assert_eq!((refused.status, refused.text("/code")), (422, Some("kind_invalid")), "{}", refused.body);
                assert_eq!(refused.text("/field"), Some("kinds"), "{}", refused.body);
                assert!(refused.text("/detail").unwrap().starts_with(says), "{}", refused.body);
            }
        }
        assert_eq!(scene.read(&id).await["kinds"], json!(["window.*", "note.added"]));
        let all = scene.stage.api.get("/webhook-endpoints").await.unwrap().expect(200).unwrap().body;
        assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// every change: what is set up, made, changed and taken away of the workspace itself is told, and never a secret.
    async fn what_administrators_change_is_told(db: TestDatabase) {
        let (scene, receiver) = (Scene::set(db).await, Receiver::start().await);
        let api = &scene.stage.api;
        let post = async |path: &str, body: Value, status: u16| {
            api.post(path, body).await.unwrap().expect(status).unwrap().body
        };
        let patch = async |path: &str, body: Value| { api.patch(path, body).await.unwrap().expect(200).unwrap() };
        let delete = async |path: &str| assert!(api.delete(path).await.unwrap().status < 300, "{path}");
        let (own, _) = scene.endpoint(&receiver.url(), &[]).await;

        patch("/settings", json!({ "tags_required": true })).await;
        let bea = post("/agents", json!({ "name": "Bea", "role": "agent" }), 201).await;
        let agent = bea["agent"]["id"].as_str().unwrap().to_owned();
        patch(&format!("/agents/{agent}"), json!({ "alias": "B." })).await;
        let token = post("/tokens", json!({ "agent": agent, "name": "script" }), 201).await;
        delete(&format!("/tokens/{}", token["id"].as_str().unwrap())).await;
        let team = post("/teams", json!({ "name": "North", "members": [agent] }), 201).await;
        let path = format!("/teams/{}", team["id"].as_str().unwrap());
        patch(&path, json!({ "name": "South" })).await;
        delete(&path).await;
        post("/tags", json!({ "name": "delivery" }), 201).await;
        let rule = json!({ "name": "to Bea", "condition": {}, "target": { "to": "agent", "agent": agent } });
        let rule = post("/assignment-rules", rule, 201).await;
        let path = format!("/assignment-rules/{}", rule["id"].as_str().unwrap());
        patch(&path, json!({ "enabled": false })).await;
        delete(&path).await;
        let (other, _) = scene.endpoint(&receiver.url(), &["note.added"]).await;
        patch(&format!("/webhook-endpoints/{other}"), json!({ "kinds": ["note.*"] })).await;
        post(&format!("/webhook-endpoints/{other}/rotate"), json!({}), 201).await;
        delete(&format!("/webhook-endpoints/{other}")).await;

        scene.until("the last is told", || receiver.calls().iter().any(|call| call.body["type"] == "webhook_endpoint.deleted")).await;
        let ours = ["settings", "agent", "token", "team", "tag", "assignment_rule", "webhook_endpoint"];
        let about = |call: &Call| call.body["type"].as_str().unwrap().split('.').next().unwrap().to_owned();
        let mut calls = receiver.calls();
        // What was set up before may be numbered, and so told, a moment later.
        let begun = calls.iter().position(|call| call.body["data"]["endpoint"] == json!(own)).unwrap();
        calls.drain(..begun);
        calls.retain(|call| ours.contains(&about(call).as_str()));
        let told: Vec<&str> = calls.iter().map(|call| call.body["type"].as_str().unwrap()).collect();
        assert_eq!(told, [
            "webhook_endpoint.created", "settings.changed", "agent.created", "token.created", "agent.changed", "token.created",
            "token.revoked", "team.created", "team.changed", "team.deleted", "tag.created", "assignment_rule.created",
            "assignment_rule.changed", "assignment_rule.deleted", "webhook_endpoint.created", "webhook_endpoint.changed",
            "webhook_endpoint.rotated", "webhook_endpoint.deleted",
        ]);
        assert_eq!(calls[1].body["data"]["changed"], json!(["tags_required"]));
        let me = api.get("/me").await.unwrap().expect(200).unwrap().body["agent"]["id"].clone();
        for call in &calls {
            assert_eq!(call.body["data"]["by"]["id"], me, "{}", call.body);
            let text = call.body.to_string();
            assert!(!text.contains("trn_") && !text.contains("whsec_"), "{text}");
        }
        scene.stage.strike().await;
    }
}
