//! What may leave, at the very moment at which it leaves: over real HTTP, on both databases.

use serde_json::{Value, json};
use transom_channel::{OptOutScope, subject_of};
use transom_domain::{ConversationId, DeliveryState, MessageId, SettableClock};
use transom_sandbox::{AccountPatch, Fault, FaultKind, Manual, NewCustomer, Receipts};
use transom_storage::test_support::TestDatabase;
use transom_storage::{StorageError, both_databases};
use transom_tests::Stage;
use transom_windows::{Account, Event, Facts, Snapshot, What};

struct Scene {
    stage: Stage,
    whatsapp: String,
}

impl Scene {
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let whatsapp = stage.world.account("whatsapp").unwrap().at_sandbox.clone();
        let unpaced = AccountPatch {
            settings: Some(json!({ "pacing": false })),
            receipts: Some(Receipts::Manual(Manual::Manual)),
            ..AccountPatch::default()
        };
        stage.world.control().patch_account(&whatsapp, unpaced).unwrap();
        Self { stage, whatsapp }
    }

    /// The conversations of so many customers on WhatsApp who have just written.
    async fn people(&self, count: usize) -> Vec<ConversationId> {
        let control = self.stage.world.control();
        for index in 0..count {
            let (id, name) = (format!("person-{index}"), format!("Person {index}"));
            control.create_customer(NewCustomer::named(&id, &name, &format!("+491555040{index:04}"))).unwrap();
            control.writes(&self.whatsapp, &id, "hello").unwrap();
        }
        self.stage.quiet().await.unwrap();
        let mut conversations = Vec::new();
        for index in 0..count {
            let (_, found) = self.stage.world.conversation_with("whatsapp", &format!("Person {index}")).await.unwrap();
            conversations.push(found);
        }
        conversations
    }

    async fn send(&self, conversation: ConversationId, text: &str) -> MessageId {
        let path = format!("/conversations/{conversation}/messages");
        let reply = self.stage.api.post(&path, json!({ "type": "reply", "text": text })).await.unwrap();
        reply.expect(202).unwrap().text("/id").unwrap().parse().unwrap()
    }

    async fn message(&self, id: MessageId) -> Value {
        self.stage.api.get(&format!("/messages/{id}")).await.unwrap().expect(200).unwrap().body
    }

    async fn states(&self, messages: &[MessageId]) -> Vec<String> {
        let mut states = Vec::new();
        for message in messages {
            states.push(self.message(*message).await["state"].as_str().unwrap().to_owned());
        }
        states
    }

    /// The customer opts out, as when their word arrives; tells how their message stood at that instant.
    async fn opt_out(&self, conversation: ConversationId, message: MessageId) -> DeliveryState {
        let world = &self.stage.world;
        let storage = world.desk().storage().clone();
        let identity = storage.reader(&world.caller.scope).conversation(conversation).await.unwrap().unwrap();
        let identity = identity.conversation.identity;
        let (policy, now) = (world.desk().policies().get("whatsapp").unwrap().clone(), world.now());
        let seen: Result<DeliveryState, StorageError> = storage
            .transact(&world.caller.scope, move |tx| {
                let policy = policy.clone();
                Box::pin(async move {
                    let person = tx.lock_identity(identity).await?.unwrap();
                    let snapshot = Snapshot { person: tx.person_facts(person.id).await?, account: Account::default() };
                    let (mut facts, _) = Facts::restore(subject_of(&person), &policy, &snapshot);
                    let what = What::OptOut { scope: OptOutScope::All };
                    facts.apply(&policy, &Event { at: now, what }).unwrap();
                    tx.save_person_facts(person.id, &facts.snapshot().person, now).await?;
                    Ok(tx.message(message).await?.unwrap().message.state.unwrap())
                })
            })
            .await;
        seen.unwrap()
    }
}

both_databases! {
    /// P6: whoever opts out while their message is in the dispatcher's hands gets it only if it was on the wire before.
    async fn nothing_leaves_after_an_opt_out_has_committed(db: TestDatabase) {
        const PEOPLE: usize = 40;
        let scene = Scene::set(db).await;
        let conversations = scene.people(PEOPLE).await;
        let one = async |index: usize| {
            let message = scene.send(conversations[index], &format!("offer {index}")).await;
            // From at once to after it has left; where each falls does not matter, only that they fall everywhere.
            tokio::time::sleep(std::time::Duration::from_millis(index as u64 * 3)).await;
            (index, message, scene.opt_out(conversations[index], message).await)
        };
        let all = futures_util::future::join_all((0..PEOPLE).map(one)).await;
        let mut withheld = 0;
        for (index, message, seen) in all {
            let settled = scene.stage.settled(&message.to_string()).await.unwrap();
            let state = settled["state"].as_str().unwrap().to_owned();
            let text = format!("offer {index}");
            let taken = scene.stage.world.control().ledger().iter().filter(|send| send.text == text).count();
            if seen == DeliveryState::Queued {
                withheld += 1;
                assert_eq!((state.as_str(), taken), ("not_sent", 0), "{text} had not begun when its reader opted out");
            } else {
                assert_eq!(taken, 1, "{text} was {seen:?} and is {state}");
            }
        }
        eprintln!("{withheld} of {PEOPLE} opted out in time");
        assert!(withheld > 0, "nobody was in time: the test shows nothing");
        scene.stage.strike().await;
    }

    /// An account that answers slowly fills its own lane, and nobody waits for it.
    async fn a_slow_account_keeps_nobody_waiting(db: TestDatabase) {
        const PEOPLE: usize = 24;
        const LANE: usize = 16;
        let scene = Scene::set(db).await;
        let conversations = scene.people(PEOPLE).await;
        let control = scene.stage.world.control();
        let telegram = scene.stage.world.account("telegram").unwrap().at_sandbox.clone();
        control.create_customer(NewCustomer::named("tess", "Tess Fast", "+4915550409999")).unwrap();
        control.writes(&telegram, "tess", "hello").unwrap();
        let (_, fast) = scene.stage.world.conversation_with("telegram", "Tess Fast").await.unwrap();
        control.fault(&scene.whatsapp, Fault::times(FaultKind::SlowAnswer { ms: 6_000 }, 24)).unwrap();

        let slow = futures_util::future::join_all(conversations.iter().map(|to| scene.send(*to, "slow"))).await;
        let in_lane = || async {
            let states = scene.states(&slow).await;
            Ok((states.iter().filter(|state| *state == "sending").count() == LANE).then_some(()))
        };
        scene.stage.world.until("the slow account's lane is full", in_lane).await.unwrap();
        let quick = scene.send(fast, "quick").await;
        let sent = || async { Ok((scene.message(quick).await["state"] == "sent").then_some(())) };
        scene.stage.world.until("the fast account's message is sent", sent).await.unwrap();
        let states = scene.states(&slow).await;
        let count = |wanted: &str| states.iter().filter(|state| *state == wanted).count();
        assert_eq!((count("sending"), count("queued")), (LANE, PEOPLE - LANE), "none of the slow ones is through yet");

        let all_sent = || async {
            let states = scene.states(&slow).await;
            Ok(states.iter().all(|state| state != "sending" && state != "queued").then_some(()))
        };
        scene.stage.world.until("the slow ones are through", all_sent).await.unwrap();
        scene.stage.strike().await;
    }
}
