//! Message templates as the platforms have them: state at every send, and the catalogue without being asked.

use serde_json::{Value, json};
use time::Duration;
use transom_domain::SettableClock;
use transom_sandbox::{AccountPatch, Fault, FaultKind, NewCustomer, On};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::Stage;

/// A WhatsApp number with its templates, and a customer who never wrote.
struct Scene {
    stage: Stage,
    account: String,
    channel: String,
    contact: String,
}

impl Scene {
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        stage.world.add_templates().await.unwrap();
        let account = stage.world.account("whatsapp").unwrap().clone();
        stage.world.control().create_customer(NewCustomer::named("nora", "Nora Lind", "+46700000007")).unwrap();
        let nora = stage.api.post("/contacts", json!({ "phone": "+46700000007" })).await.unwrap().expect(201).unwrap();
        let (contact, channel) = (nora.text("/id").unwrap().to_owned(), account.ours.id.to_string());
        Self { stage, account: account.at_sandbox, channel, contact }
    }

    async fn sends(&self) -> String {
        let template =
            json!({ "name": "order_update", "language": "en_US", "parameters": { "body": ["Nora", "B-7"] } });
        let body = json!({ "channel": self.channel, "message": { "template": template } });
        let path = format!("/contacts/{}/messages", self.contact);
        let sent = self.stage.api.post(&path, body).await.unwrap().expect(202).unwrap();
        sent.text("/id").unwrap().to_owned()
    }

    /// The platform thinks otherwise of the template.
    async fn turns(&self, status: &str) {
        let body = json!({ "name": "order_update", "language": "en_US", "status": status });
        self.stage.world.control().platform(&self.account, "template_status", body).await.unwrap();
    }

    /// The platform's webhooks reach nobody.
    fn loses_webhooks(&self) {
        let nowhere = AccountPatch { webhook_url: Some("http://127.0.0.1:9/".to_owned()), ..AccountPatch::default() };
        self.stage.world.control().patch_account(&self.account, nowhere).unwrap();
    }

    async fn template(&self, name: &str) -> Option<Value> {
        let path = format!("/channels/{}/templates", self.channel);
        let all = self.stage.api.get(&path).await.unwrap().expect(200).unwrap().body;
        all["items"].as_array().unwrap().iter().find(|template| template["name"] == name).cloned()
    }

    async fn until(&self, what: &str, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let look = || async { Ok(self.template(name).await.filter(|template| is(template))) };
        self.stage.world.until(what, look).await.unwrap()
    }

    async fn becomes(&self, id: &str, state: &str) -> Value {
        let path = format!("/messages/{id}");
        let look = || async {
            let message = self.stage.api.get(&path).await?.expect(200)?.body;
            Ok(Some(message).filter(|message| message["state"] == state))
        };
        self.stage.world.until(&format!("the message is {state}"), look).await.unwrap()
    }

    async fn told(&self, kind: &str) -> Vec<Value> {
        let world = &self.stage.world;
        let events = world.desk().storage().reader(&world.caller.scope).events_after(0, 10_000).await.unwrap();
        let of_kind = events.into_iter().filter(|event| event.event.kind == kind);
        of_kind.map(|event| event.event.data).collect()
    }
}

both_databases! {
    /// A template that was paused after the message was accepted does not leave any more, and says why.
    async fn a_template_that_was_paused_meanwhile_stays(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let slow = Fault::once(FaultKind::RateLimited { retry_after: Some(600) });
        scene.stage.world.control().fault(&scene.account, slow).unwrap();
        let id = scene.sends().await;
        let tried = || async {
            let message = scene.stage.api.get(&format!("/messages/{id}")).await?.expect(200)?.body;
            let is_tried = message["parts"][0]["attempts"][0]["verdict"].is_string();
            Ok((message["state"] == "queued" && is_tried).then_some(()))
        };
        scene.stage.world.until("the platform was too busy", tried).await.unwrap();
        scene.turns("PAUSED").await;
        scene.until("it is paused", "order_update", |template| template["status"] == "paused").await;
        scene.stage.world.clock.advance(Duration::minutes(11));
        let message = scene.becomes(&id, "not_sent").await;
        assert_eq!(message["failure"]["reason"], "template_not_approved", "{message}");
        assert_eq!(message["failure"]["status"], "paused", "{message}");
        assert_eq!(scene.stage.world.control().ledger().iter().filter(|send| send.customer == "nora").count(), 0);

        // Approved again, a person may still want it.
        scene.turns("APPROVED").await;
        scene.until("it is approved", "order_update", |template| template["status"] == "approved").await;
        let retry = json!({ "choice": "retry" });
        scene.stage.api.post(&format!("/messages/{id}/settle"), retry).await.unwrap().expect(200).unwrap();
        let settled = scene.stage.settled(&id).await.unwrap();
        assert!(matches!(settled["state"].as_str(), Some("sent" | "delivered" | "read")), "{settled}");
        scene.stage.strike().await;
    }
}

both_databases! {
    /// The catalogue is asked for about once an hour: what is new comes, and what turned is told, without a webhook.
    async fn the_catalogue_is_kept_without_being_asked(db: TestDatabase) {
        let scene = Scene::set(db).await;
        assert_eq!(scene.template("order_update").await.unwrap()["stale"], false);
        scene.loses_webhooks();
        scene.turns("PAUSED").await;
        let fresh = json!({
            "name": "fresh", "language": "en_US", "category": "UTILITY",
            "components": [{ "type": "BODY", "text": "There is news." }],
        });
        scene.stage.world.control().platform(&scene.account, "template", fresh).await.unwrap();
        assert_eq!(scene.template("order_update").await.unwrap()["status"], "approved", "nobody has said so yet");
        scene.stage.world.clock.advance(Duration::minutes(75));
        scene.until("it is paused", "order_update", |template| template["status"] == "paused").await;
        assert_eq!(scene.template("fresh").await.unwrap()["status"], "approved");
        // Events get their numbers a moment after the change.
        let told = || async { Ok(Some(scene.told("template.changed").await).filter(|told| !told.is_empty())) };
        let told = scene.stage.world.until("it is told", told).await.unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&told[0]["name"], &told[0]["status"]), (&json!("order_update"), &json!("paused")));
        scene.stage.strike().await;
    }
}

both_databases! {
    /// What the platform could not confirm for a day is shown as stale, and may be sent; once it answers again, it is not.
    async fn what_nobody_confirms_is_stale(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let away = FaultKind::Error { code: 131_000, detail: None, asynchronous: false };
        let control = scene.stage.world.control();
        control.fault(&scene.account, Fault { kind: away, count: None, on: On::Any }).unwrap();
        scene.stage.world.clock.advance(Duration::hours(25));
        scene.until("it is stale", "order_update", |template| template["stale"] == true).await;
        control.clear_faults(&scene.account).unwrap();
        // Not before its pause is over.
        scene.stage.world.clock.advance(Duration::minutes(11));
        scene.until("it is confirmed", "order_update", |template| template["stale"] == false).await;
        scene.sends().await;
        scene.stage.strike().await;
    }
}
