//! Text messages of which nobody tells us: what no webhook brought, and what became of a lost answer. On both databases.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use transom_domain::{ChannelAccountId, ConversationId, SettableClock};
use transom_sandbox::{AccountPatch, Fault, FaultKind, Manual, NewCustomer, Receipts, ReleaseOrder, WebhookOrder};
use transom_storage::both_databases;
use transom_storage::test_support::TestDatabase;
use transom_tests::{Stage, Trouble};

const NAME: &str = "Mara Klein";

struct Scene {
    stage: Stage,
    account: String,
    ours: ChannelAccountId,
}

impl Scene {
    /// Mara has a phone; receipts come only when the test says so.
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let account = stage.world.account("sms").unwrap();
        let (account, ours) = (account.at_sandbox.clone(), account.ours.id);
        let control = stage.world.control();
        let patch = AccountPatch { receipts: Some(Receipts::Manual(Manual::Manual)), ..AccountPatch::default() };
        control.patch_account(&account, patch).unwrap();
        control.create_customer(NewCustomer::named("mara", NAME, "+4915550100001")).unwrap();
        Self { stage, account, ours }
    }

    fn writes(&self, text: &str) {
        self.stage.world.control().writes(&self.account, "mara", text).unwrap();
    }

    async fn conversation(&self) -> ConversationId {
        self.stage.world.conversation_with("sms", NAME).await.unwrap().1
    }

    /// What Mara wrote, as it stands there.
    async fn arrived(&self) -> Vec<String> {
        let path = format!("/conversations/{}/messages?limit=100", self.conversation().await);
        let page = self.stage.api.get(&path).await.unwrap().expect(200).unwrap().body;
        let items = page["items"].as_array().unwrap().iter().filter(|item| item["direction"] == "inbound");
        let mut texts: Vec<String> =
            items.map(|item| item.pointer("/content/text").unwrap().as_str().unwrap().to_owned()).collect();
        texts.sort_unstable();
        texts
    }

    /// The provider's list has been read past an instant.
    async fn is_read_past(&self, at: OffsetDateTime) {
        let look = || async {
            let reader = self.stage.world.desk().storage().reader(&self.stage.world.caller.scope);
            let cursor = reader.pull_cursor(self.ours).await.map_err(Trouble::new)?;
            let read = cursor.and_then(|cursor| OffsetDateTime::parse(&cursor, &Rfc3339).ok());
            Ok(read.filter(|read| *read > at).map(|_| ()))
        };
        self.stage.world.until("the list is read", look).await.unwrap();
        self.stage.quiet().await.unwrap();
    }

    async fn send(&self, text: &str) -> String {
        let path = format!("/conversations/{}/messages", self.conversation().await);
        let reply = self.stage.api.post(&path, json!({ "type": "reply", "text": text })).await.unwrap();
        reply.expect(202).unwrap().text("/id").unwrap().to_owned()
    }

    async fn becomes(&self, id: &str, state: &str) -> Value {
        let look = || async {
            let message = self.stage.api.get(&format!("/messages/{id}")).await?.expect(200)?.body;
            Ok((message["state"] == state).then_some(message))
        };
        self.stage.world.until(&format!("the message is {state}"), look).await.unwrap()
    }

    /// So many times the platform was asked what became of a message.
    async fn is_looked_up(&self, id: &str, times: usize) {
        let look = || async {
            let reader = self.stage.world.desk().storage().reader(&self.stage.world.caller.scope);
            let message = reader.message(id.parse().unwrap()).await.map_err(Trouble::new)?.unwrap();
            let known = reader.part_evidence(message.parts[0].part.id).await.map_err(Trouble::new)?;
            Ok((known.iter().filter(|known| known.is_look_up()).count() >= times).then_some(()))
        };
        self.stage.world.until(&format!("it was looked up {times} times"), look).await.unwrap();
    }

    fn fault(&self, kind: FaultKind) {
        self.stage.world.control().fault(&self.account, Fault::once(kind)).unwrap();
    }

    fn later(&self, by: Duration) {
        self.stage.world.clock.advance(by);
    }

    fn taken(&self, text: &str) -> usize {
        self.stage.world.control().ledger().iter().filter(|send| send.text == text).count()
    }
}

both_databases! {
    /// sms.md 4: a lost webhook loses no message, and one that comes late doubles none.
    async fn what_no_webhook_brought_comes_by_the_list(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.stage.world.control().webhooks(&scene.account, &WebhookOrder::Hold).unwrap();
        scene.writes("are you there?");
        scene.later(Duration::minutes(6));
        assert_eq!(scene.arrived().await, ["are you there?"]);

        let late = WebhookOrder::Release { order: ReleaseOrder::default() };
        scene.stage.world.control().webhooks(&scene.account, &late).unwrap();
        scene.stage.quiet().await.unwrap();
        assert_eq!(scene.arrived().await, ["are you there?"]);

        // What came as usual stands on the list as well.
        scene.writes("hello?");
        let written = scene.stage.world.now();
        scene.stage.quiet().await.unwrap();
        scene.later(Duration::minutes(6));
        scene.is_read_past(written).await;
        assert_eq!(scene.arrived().await, ["are you there?", "hello?"]);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// reliability.md 5: the answer was lost, and the platform has the message.
    async fn a_message_that_had_arrived_is_found(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.writes("hello");
        scene.fault(FaultKind::LoseAnswer);
        let id = scene.send("Your parcel is here.").await;
        scene.becomes(&id, "unknown").await;
        scene.later(Duration::seconds(61));
        let found = scene.becomes(&id, "sent").await;
        assert_eq!(found["parts"][0]["attempts"][0]["verdict"], "sent", "{found}");
        assert_eq!(scene.taken("Your parcel is here."), 1);
        scene.stage.strike().await;
    }
}

both_databases! {
    /// The platform never got it: asked twice, it is tried again, once. Another message that says the same proves nothing.
    async fn a_message_that_had_not_arrived_is_tried_again_once(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.writes("hello");
        let first = scene.send("On my way.").await;
        scene.becomes(&first, "sent").await;
        scene.fault(FaultKind::Drop);
        let second = scene.send("On my way.").await;
        scene.becomes(&second, "unknown").await;
        scene.later(Duration::seconds(61));
        scene.is_looked_up(&second, 1).await;
        scene.becomes(&second, "unknown").await;
        assert_eq!(scene.taken("On my way."), 1);

        scene.later(Duration::seconds(241));
        let sent = scene.becomes(&second, "sent").await;
        assert_eq!(sent["parts"][0]["attempts"].as_array().map(Vec::len), Some(2), "{sent}");
        scene.later(Duration::minutes(10));
        scene.stage.quiet().await.unwrap();
        assert_eq!(scene.taken("On my way."), 2);
        scene.stage.strike().await;
    }
}
