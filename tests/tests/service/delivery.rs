//! What becomes of a message when the platform misbehaves: over real HTTP, on both databases.

use serde_json::{Value, json};
use time::Duration;
use transom_domain::{ConversationId, SettableClock};
use transom_sandbox::{
    AccountPatch, Act, Fault, FaultKind, Manual, NewCustomer, Progress, ReceiptOrder, Receipts, ReleaseOrder,
    WebhookOrder,
};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Stage, Trouble};

const NAME: &str = "Mara Klein";

struct Scene {
    stage: Stage,
    account: String,
    conversation: ConversationId,
}

impl Scene {
    /// Mara has just written on WhatsApp; receipts come only when the test says so.
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("whatsapp").unwrap().at_sandbox.clone();
        let control = stage.world.control();
        let patch = AccountPatch { receipts: Some(Receipts::Manual(Manual::Manual)), ..AccountPatch::default() };
        control.patch_account(&account, patch).unwrap();
        control.create_customer(NewCustomer::named("mara", NAME, "+4915550100001")).unwrap();
        control.writes(&account, "mara", "hello").unwrap();
        let (_, conversation) = stage.world.conversation_with("whatsapp", NAME).await.unwrap();
        Self { stage, account, conversation }
    }

    async fn send(&self, text: &str) -> String {
        let path = format!("/conversations/{}/messages", self.conversation);
        let reply = self.stage.api.post(&path, json!({ "type": "reply", "text": text })).await.unwrap();
        let reply = reply.expect(202).unwrap();
        reply.text("/id").unwrap().to_owned()
    }

    async fn message(&self, id: &str) -> Value {
        self.stage.api.get(&format!("/messages/{id}")).await.unwrap().expect(200).unwrap().body
    }

    async fn becomes(&self, id: &str, state: &str) -> Value {
        let what = format!("the message is {state}");
        let look = || async {
            let message = self.message(id).await;
            Ok((message["state"] == state).then_some(message))
        };
        self.stage.world.until(&what, look).await.unwrap()
    }

    fn fault(&self, kind: FaultKind) {
        self.stage.world.control().fault(&self.account, Fault::once(kind)).unwrap();
    }

    fn taken(&self, text: &str) -> Vec<transom_sandbox::Send> {
        self.stage.world.control().ledger().into_iter().filter(|send| send.text == text).collect()
    }

    fn receipt(&self, provider_id: &str, status: Progress) {
        self.stage.world.control().receipt(&self.account, &ReceiptOrder::new(provider_id, status)).unwrap();
    }

    async fn settle(&self, id: &str, choice: &str) -> u16 {
        self.stage.api.post(&format!("/messages/{id}/settle"), json!({ "choice": choice })).await.unwrap().status
    }
}

both_databases! {
    /// P4: an answer that was lost is called unknown, and a receipt is evidence that settles it.
    async fn a_lost_answer_is_unknown_until_a_receipt_proves_it(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.fault(FaultKind::LoseAnswer);
        let id = scene.send("did you get this?").await;
        scene.becomes(&id, "unknown").await;
        let taken = scene.taken("did you get this?");
        assert_eq!(taken.len(), 1, "never sent twice by itself");
        scene.receipt(&taken[0].provider_ids[0], Progress::Delivered);
        scene.becomes(&id, "delivered").await;
        scene.stage.strike().await;
    }
}

both_databases! {
    /// confirm, send again, give up; each counts once.
    async fn an_unknown_outcome_is_settled_by_a_person_once(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.fault(FaultKind::Garbage);
        let confirmed = scene.send("first").await;
        scene.becomes(&confirmed, "unknown").await;
        assert_eq!(scene.settle(&confirmed, "confirm").await, 200);
        scene.becomes(&confirmed, "sent").await;
        assert_eq!(scene.settle(&confirmed, "confirm").await, 409, "the second click finds nothing to settle");

        scene.fault(FaultKind::Drop);
        let again = scene.send("second").await;
        scene.becomes(&again, "unknown").await;
        assert_eq!(scene.taken("second").len(), 0);
        assert_eq!(scene.settle(&again, "send_again").await, 200);
        scene.becomes(&again, "sent").await;
        assert_eq!(scene.taken("second").len(), 1);

        scene.fault(FaultKind::Truncated);
        let given_up = scene.send("third").await;
        scene.becomes(&given_up, "unknown").await;
        assert_eq!(scene.settle(&given_up, "give_up").await, 200);
        scene.becomes(&given_up, "failed").await;
        scene.stage.strike().await;
    }
}

both_databases! {
    /// two people decide at the same moment: one decides, the other is told so, and one thing is done.
    async fn two_clicks_at_once_settle_once(db: TestDatabase) {
        let scene = Scene::set(db).await;
        for (fault, text, choices, taken) in [
            (FaultKind::Garbage, "it came", ["confirm", "confirm"], 1),
            (FaultKind::Drop, "once more", ["send_again", "send_again"], 1),
            (FaultKind::Drop, "never mind", ["give_up", "give_up"], 0),
            (FaultKind::Garbage, "two minds", ["confirm", "give_up"], 1),
        ] {
            scene.fault(fault);
            let id = scene.send(text).await;
            scene.becomes(&id, "unknown").await;
            let (api, path) = (&scene.stage.api, format!("/messages/{id}/settle"));
            let click = |choice: &'static str| {
                let path = path.clone();
                async move { api.post(&path, json!({ "choice": choice })).await.unwrap() }
            };
            let clicks = futures_util::future::join_all(choices.map(click)).await;
            let (done, refused): (Vec<_>, Vec<_>) = clicks.into_iter().partition(|reply| reply.status == 200);
            assert_eq!((done.len(), refused.len()), (1, 1), "{text}: {refused:?}");
            assert_eq!((refused[0].status, refused[0].text("/code")), (409, Some("nothing_to_settle")));
            let message = scene.stage.settled(&id).await.unwrap();
            assert_eq!(scene.taken(text).len(), taken, "{message}");
            let reader = scene.stage.world.desk().storage().reader(&scene.stage.world.caller.scope);
            let is_it = |event: &transom_storage::NumberedEvent| {
                event.event.kind == "message.settled" && event.event.data["message"] == json!(id)
            };
            // PostgreSQL numbers events a moment after their commit.
            let told = || async {
                let events = reader.events_after(0, 10_000).await.map_err(Trouble::new)?;
                let told = events.iter().filter(|event| is_it(event)).count();
                Ok((told > 0).then_some(told))
            };
            let told = scene.stage.world.until("it is told", told).await.unwrap();
            assert_eq!(told, 1, "told once");
        }
        scene.stage.strike().await;
    }
}

both_databases! {
    /// A 429 and a refused connection were provably not accepted: tried again, sent once.
    async fn what_was_not_accepted_is_tried_again(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.fault(FaultKind::RateLimited { retry_after: Some(1) });
        let id = scene.send("too fast").await;
        scene.becomes(&id, "sent").await;
        assert_eq!(scene.taken("too fast").len(), 1);

        scene.stage.world.control().refuse_connections(true).await;
        let id = scene.send("nobody there").await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        scene.stage.world.control().refuse_connections(false).await;
        let message = scene.becomes(&id, "sent").await;
        assert_eq!(scene.taken("nobody there").len(), 1, "{message}");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// The platform says "closed" although our window is open: one more look after a minute, then evidence, and the message
    /// is withheld with its reason.
    async fn a_window_that_the_platform_holds_shut_is_believed_after_a_second_look(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let closed = || FaultKind::Error { code: 131_047, detail: None, asynchronous: false };
        scene.stage.world.control().fault(&scene.account, Fault::times(closed(), 2)).unwrap();
        let id = scene.send("are you there?").await;
        // A try that is still under way has no verdict, and its next one would be counted from the clock as it is put then.
        let refused_once = || async {
            let message = scene.message(&id).await;
            Ok((message.pointer("/parts/0/attempts/0/verdict") == Some(&json!("retry"))).then_some(()))
        };
        scene.stage.world.until("one refusal is not enough", refused_once).await.unwrap();
        scene.stage.world.clock.advance(Duration::seconds(61));
        let message = scene.becomes(&id, "not_sent").await;
        assert!(message.to_string().contains("refused_by_platform"), "the reason is shown: {message}");
        let window = scene.stage.api.get(&format!("/conversations/{}/window", scene.conversation)).await.unwrap();
        assert_eq!(window.body.pointer("/human/window/state"), Some(&json!("closed")), "{}", window.body);
        // A later message of the customer opens it again; the platform's clock counts whole seconds.
        scene.stage.world.clock.advance(Duration::seconds(2));
        scene.stage.world.control().writes(&scene.account, "mara", "yes, I am").unwrap();
        scene.stage.quiet().await.unwrap();
        let id = scene.send("good").await;
        scene.becomes(&id, "sent").await;
        scene.stage.strike().await;
    }
}

both_databases! {
    /// P7: receipts and messages in any order, with repeats, end in one state.
    async fn repeated_and_reordered_webhooks_have_one_effect(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let control = scene.stage.world.control();
        let id = scene.send("in order?").await;
        scene.becomes(&id, "sent").await;
        let provider_id = scene.taken("in order?")[0].provider_ids[0].clone();
        control.webhooks(&scene.account, &WebhookOrder::Hold).unwrap();
        scene.receipt(&provider_id, Progress::Delivered);
        scene.receipt(&provider_id, Progress::Read);
        control.writes(&scene.account, "mara", "one").unwrap();
        control.writes(&scene.account, "mara", "two").unwrap();
        control.webhooks(&scene.account, &WebhookOrder::Duplicate { count: 3 }).unwrap();
        control.webhooks(&scene.account, &WebhookOrder::Release { order: ReleaseOrder::Reverse }).unwrap();
        scene.stage.quiet().await.unwrap();
        scene.becomes(&id, "read").await;
        let messages = scene.stage.api.get(&format!("/conversations/{}/messages", scene.conversation)).await.unwrap();
        let inbound = messages.body["items"].as_array().unwrap().iter().filter(|m| m["direction"] == "inbound").count();
        assert_eq!(inbound, 3, "{}", messages.body);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// This process may still hold the account as it was before another one changed it.
    async fn a_notice_keeps_what_another_replica_changed(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let world = &scene.stage.world;
        let id = world.account("whatsapp").unwrap().ours.id;
        world
            .desk()
            .storage()
            .transact(&world.caller.scope, move |tx| {
                Box::pin(async move {
                    let mut account = tx.lock_account(id).await?.expect("the account is there");
                    "Renamed elsewhere".clone_into(&mut account.name);
                    tx.put_account(&account, time::OffsetDateTime::UNIX_EPOCH).await
                })
            })
            .await
            .unwrap();
        let alert = json!({ "field": "phone_number_quality_update", "value": { "current_limit": "TIER_250" } });
        world.control().platform(&scene.account, "alert", alert).await.unwrap();
        let learnt = || async {
            let reader = world.desk().storage().reader(&world.caller.scope);
            let account = reader.account(id).await.unwrap().unwrap();
            Ok((account.limits.get("messaging_limit") == Some(&Some(250))).then_some(account))
        };
        let account = world.until("the limit is known", learnt).await.unwrap();
        assert_eq!(account.name, "Renamed elsewhere");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// A receipt that arrives before the send's answer is not lost.
    async fn an_early_receipt_is_joined(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let auto = AccountPatch {
            receipts: Some(serde_json::from_value(json!({ "sent_ms": 0, "delivered_ms": 0, "read_ms": null })).unwrap()),
            ..AccountPatch::default()
        };
        scene.stage.world.control().patch_account(&scene.account, auto).unwrap();
        scene.fault(FaultKind::SlowAnswer { ms: 400 });
        let id = scene.send("the receipt is faster").await;
        let message = scene.becomes(&id, "delivered").await;
        assert_eq!(scene.taken("the receipt is faster").len(), 1, "{message}");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// P6: what is queued for somebody who opts out, or whom we block, does not leave.
    async fn a_block_withholds_what_is_queued(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.stage.world.control().refuse_connections(true).await;
        let id = scene.send("too late").await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let conversation = scene.stage.api.get(&format!("/conversations/{}", scene.conversation)).await.unwrap();
        let contact = conversation.text("/contact").unwrap().to_owned();
        scene.stage.api.post(&format!("/contacts/{contact}/block"), json!({})).await.unwrap().expect(200).unwrap();
        scene.stage.world.control().refuse_connections(false).await;
        scene.becomes(&id, "not_sent").await;
        assert!(scene.taken("too late").is_empty());
        let path = format!("/conversations/{}/messages", scene.conversation);
        let refused = scene.stage.api.post(&path, json!({ "type": "reply", "text": "hello?" })).await.unwrap();
        assert_eq!(refused.status, 409);
        assert!(refused.body.to_string().contains("\"blocked\""), "{}", refused.body);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// an event that the platform delivers late counts from its own time.
    async fn a_late_message_opens_no_window_that_its_time_does_not_cover(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let control = scene.stage.world.control();
        control.create_customer(NewCustomer::named("late", "Late Larry", "+4915550100009")).unwrap();
        let wrote = transom_sandbox::Action::from(Act::Text { text: "long ago".into() });
        control.act(&scene.account, "late", wrote.at(scene.stage.world.now() - Duration::hours(25))).unwrap();
        let (_, conversation) = scene.stage.world.conversation_with("whatsapp", "Late Larry").await.unwrap();
        let window = scene.stage.api.get(&format!("/conversations/{conversation}/window")).await.unwrap();
        assert_eq!(window.body.pointer("/human/window/state"), Some(&json!("closed")), "{}", window.body);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// the platform says how it counted each message, and the ledger follows, whoever sends at once.
    async fn the_platforms_own_count_is_booked(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("viber").unwrap().clone();
        let control = stage.world.control();
        let channel = format!("/channels/{}", account.ours.id);
        let limited = json!({ "limits": { "monthly_free": 40 } });
        stage.api.patch(&channel, limited).await.unwrap().expect(200).unwrap();
        let sessions = |kind: &str| {
            let settings = Some(json!({ "session": kind, "free_messages": 40 }));
            control.patch_account(&account.at_sandbox, AccountPatch { settings, ..AccountPatch::default() }).unwrap();
        };
        let names: Vec<String> = (0..8).map(|n| format!("Person {n}")).collect();
        for (n, name) in names.iter().enumerate() {
            control.create_customer(NewCustomer::named(name, name, &format!("+49155501030{n:02}"))).unwrap();
        }
        let all_write = async || {
            for name in &names {
                control.writes(&account.at_sandbox, name, "hello").unwrap();
            }
            stage.quiet().await.unwrap();
        };
        all_write().await;
        let mut conversations = Vec::new();
        for name in &names {
            conversations.push(stage.world.conversation_with("viber", name).await.unwrap().1);
        }
        // The second message, after 20 hours, prolongs a session only where sessions slide.
        let later = async || {
            stage.world.clock.advance(Duration::hours(20));
            all_write().await;
            stage.world.clock.advance(Duration::hours(6));
        };
        let answered = async |grant: &str| {
            let sends = conversations.iter().map(async |conversation| {
                let path = format!("/conversations/{conversation}/messages");
                let sent = stage.api.post(&path, json!({ "text": "an answer" })).await.unwrap().expect(202).unwrap();
                assert_eq!(sent.text("/permit/grant"), Some(grant), "{}", sent.body);
                stage.settled(sent.text("/id").unwrap()).await.unwrap()
            });
            futures_util::future::join_all(sends).await
        };
        let left = async || {
            let path = format!("/conversations/{}/window", conversations[0]);
            let window = stage.api.get(&path).await.unwrap().expect(200).unwrap().body;
            let permits = window["human"]["permits"].as_array().unwrap().clone();
            permits.into_iter().find(|permit| permit["grant"] == "initiated").map(|permit| permit["remaining"].clone())
        };

        sessions("sliding");
        later().await;
        for message in answered("initiated").await {
            assert_eq!(message["parts"][0]["attempts"][0]["billing"], "in session", "{message}");
        }
        assert_eq!(left().await, Some(json!(40)), "none of the month's was used");

        sessions("fixed");
        stage.api.patch(&channel, json!({ "policy": "viber_sliding" })).await.unwrap().expect(200).unwrap();
        stage.world.clock.advance(Duration::days(2));
        all_write().await;
        later().await;
        for message in answered("session").await {
            assert_eq!(message["parts"][0]["attempts"][0]["billing"], "out of session, free", "{message}");
        }
        assert_eq!(left().await, Some(json!(32)), "each was one of the month's");
        let seen = stage.platform_says(&account.at_sandbox, &names[0], &transom_sandbox::Ask::default()).unwrap();
        assert_eq!(seen["quota"]["used"], 8, "{seen}");
        stage.strike().await;
    }
}
