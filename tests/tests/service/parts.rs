//! A message of several files has parts, each with a fate of its own: over real HTTP, on both databases.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use time::Duration;
use transom_domain::{ConversationId, SettableClock};
use transom_sandbox::{AccountPatch, Fault, FaultKind, Manual, NewCustomer, Progress, ReceiptOrder, Receipts};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::Stage;

/// A picture's first bytes; what follows tells one from another.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x05\x00\x00\x00\x03\xc0\x08\x02\x00\x00\x00 picture ";

fn picture(number: u8) -> Vec<u8> {
    [PNG, &[b'0' + number]].concat()
}

struct Scene {
    stage: Stage,
    account: String,
    conversation: ConversationId,
    files: Vec<String>,
}

impl Scene {
    /// Mara has just written on WhatsApp, and there are three pictures. Receipts come when the test says so.
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("whatsapp").unwrap().at_sandbox.clone();
        let control = stage.world.control();
        let patch = AccountPatch {
            receipts: Some(Receipts::Manual(Manual::Manual)),
            settings: Some(json!({ "pacing": false })),
            ..AccountPatch::default()
        };
        control.patch_account(&account, patch).unwrap();
        control.create_customer(NewCustomer::named("mara", "Mara Klein", "+4915550100001")).unwrap();
        control.writes(&account, "mara", "hello").unwrap();
        let (_, conversation) = stage.world.conversation_with("whatsapp", "Mara Klein").await.unwrap();
        let mut files = Vec::new();
        for number in 0..3 {
            let form = Form::new().part("file", Part::bytes(picture(number)).file_name("box.png"));
            let made = stage.api.upload("/attachments", form).await.unwrap().expect(201).unwrap();
            files.push(made.text("/id").unwrap().to_owned());
        }
        Self { stage, account, conversation, files }
    }

    /// Words and all three, of which the second meets this fault; its path.
    async fn sends(&self, text: &str, fault: FaultKind) -> String {
        let control = self.stage.world.control();
        // Faults strike in their order: this one does nothing to the first.
        for kind in [FaultKind::Delay { ms: 0 }, fault] {
            control.fault(&self.account, Fault::once(kind)).unwrap();
        }
        let files: Vec<Value> = self.files.iter().map(|id| json!({ "kind": "image", "id": id })).collect();
        let body = json!({ "type": "reply", "text": text, "attachments": files });
        let path = format!("/conversations/{}/messages", self.conversation);
        let sent = self.stage.api.post(&path, body).await.unwrap().expect(202).unwrap();
        format!("/messages/{}", sent.text("/id").unwrap())
    }

    /// The message, once its parts stand so.
    async fn stand(&self, path: &str, states: [&str; 3]) -> Value {
        let look = || async {
            let message = self.stage.api.get(path).await?.expect(200)?.body;
            Ok((of_each(&message, "state") == states.map(|state| json!(state))).then_some(()))
        };
        self.stage.world.until(&format!("the parts are {states:?}"), look).await.unwrap();
        self.stage.quiet().await.unwrap();
        // Its attempts are read before them: they are of one moment only when nothing happens any more.
        self.stage.api.get(path).await.unwrap().expect(200).unwrap().body
    }

    async fn settle(&self, path: &str, choice: &str) -> u16 {
        self.stage.api.post(&format!("{path}/settle"), json!({ "choice": choice })).await.unwrap().status
    }

    /// What the platform took since so many sends: the words, the picture, and the id that it gave.
    fn taken(&self, since: usize) -> Vec<(String, u8, String)> {
        let control = self.stage.world.control();
        let one = |send: &transom_sandbox::Send| {
            let media = control.media(send.body["image"]["id"].as_str().unwrap()).unwrap();
            let number = (0..3).find(|number| media.bytes == picture(*number)).unwrap();
            (send.text.clone(), number, send.provider_ids[0].clone())
        };
        control.ledger()[since..].iter().map(one).collect()
    }

    fn delivered(&self, provider_id: &Value) {
        let order = ReceiptOrder::new(provider_id.as_str().unwrap(), Progress::Delivered);
        self.stage.world.control().receipt(&self.account, &order).unwrap();
    }
}

/// One field of each part, in their order.
fn of_each(message: &Value, field: &str) -> Vec<Value> {
    message["parts"].as_array().unwrap().iter().map(|part| part[field].clone()).collect()
}

both_databases! {
    async fn a_part_that_fails_is_tried_again_and_no_other(db: TestDatabase) {
        let scene = Scene::set(db).await;
        // Not a picture, says the platform.
        let refusal = FaultKind::Error { code: 131_053, detail: None, asynchronous: false };
        let path = scene.sends("like this?", refusal).await;
        let message = scene.stand(&path, ["sent", "failed", "sent"]).await;
        assert_eq!((&message["state"], of_each(&message, "index")), (&json!("failed"), vec![json!(0), json!(1), json!(2)]), "{message}");
        let ids = of_each(&message, "provider_id");
        assert!(ids[0].is_string() && ids[1].is_null() && ids[2].is_string() && ids[0] != ids[2], "{ids:?}");
        assert!(message["parts"][1]["failure"].is_object() && message["parts"][0]["failure"].is_null(), "{message}");
        let id = |at: usize| ids[at].as_str().unwrap().to_owned();
        let first = [("like this?".to_owned(), 0, id(0)), (String::new(), 2, id(2))];
        assert_eq!(scene.taken(0), first, "in their order, and what follows a refused one is not lost");

        assert_eq!(scene.settle(&path, "send_again").await, 409, "nothing of it is unknown");
        assert_eq!(scene.settle(&path, "retry").await, 200);
        let message = scene.stand(&path, ["sent", "sent", "sent"]).await;
        assert_eq!((&message["state"], of_each(&message, "tries")), (&json!("sent"), vec![json!(1), json!(2), json!(1)]), "{message}");
        let again = of_each(&message, "provider_id");
        assert_eq!((&again[0], &again[2]), (&ids[0], &ids[2]), "the others are as they were");
        assert!(![&ids[0], &ids[2]].contains(&&again[1]), "{again:?}");
        assert_eq!(scene.taken(2), [(String::new(), 1, again[1].as_str().unwrap().to_owned())], "that one, once");
        assert_eq!(scene.settle(&path, "retry").await, 409, "nothing is left to try");

        // The message is as far as the part that is least far.
        for part in [2, 0, 1] {
            let now = scene.stage.api.get(&path).await.unwrap().expect(200).unwrap().body;
            assert_eq!(now["state"], "sent", "{now}");
            scene.delivered(&again[part]);
            let so = || async {
                let now = scene.stage.api.get(&path).await?.expect(200)?.body;
                Ok((now["parts"][part]["state"] == "delivered").then_some(()))
            };
            scene.stage.world.until("it is delivered", so).await.unwrap();
        }
        assert_eq!(scene.stage.api.get(&path).await.unwrap().expect(200).unwrap().body["state"], "delivered");
        scene.stage.strike().await;
    }
}

both_databases! {
    async fn a_part_that_nobody_knows_of_is_sent_again_and_no_other(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let path = scene.sends("like this?", FaultKind::Drop).await;
        let unknown = || async {
            let message = scene.stage.api.get(&path).await?.expect(200)?.body;
            let is_settled = message.pointer("/parts/1/attempts/0/verdict") == Some(&json!("unknown"));
            Ok((is_settled && message["parts"][1]["state"] == "unknown").then_some(message))
        };
        let message = scene.stage.world.until("nobody knows of the second", unknown).await.unwrap();
        assert_eq!(of_each(&message, "state"), ["sent", "unknown", "queued"], "{message}");
        assert_eq!(scene.taken(0).len(), 1, "what follows waits a while for it");
        // So long, and then it goes on without.
        scene.stage.world.clock.advance(Duration::seconds(31));
        let message = scene.stand(&path, ["sent", "unknown", "sent"]).await;
        assert_eq!(message["state"], "unknown", "{message}");
        assert_eq!(scene.taken(0).iter().map(|(_, number, _)| *number).collect::<Vec<_>>(), [0, 2]);

        assert_eq!(scene.settle(&path, "send_again").await, 200);
        let message = scene.stand(&path, ["sent", "sent", "sent"]).await;
        assert_eq!((&message["state"], of_each(&message, "tries")), (&json!("sent"), vec![json!(1), json!(2), json!(1)]), "{message}");
        let taken = scene.taken(0);
        assert_eq!(taken.iter().map(|(_, number, _)| *number).collect::<Vec<_>>(), [0, 2, 1]);
        let of_part = |at: usize| message["parts"][at]["provider_id"].as_str().unwrap();
        let ids: Vec<&str> = taken.iter().map(|(_, _, id)| id.as_str()).collect();
        assert_eq!(ids, [of_part(0), of_part(2), of_part(1)]);
        scene.stage.strike().await;
    }
}
