//! An account that is fetched instead of called: over real HTTP, on both databases.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Value, json};
use transom_desk::channels::{self, NewChannel};
use transom_domain::{ChannelAccount, SettableClock};
use transom_sandbox::{AccountPatch, Fault, FaultKind, NewAccount, NewCustomer};
use transom_storage::test_support::TestDatabase;
use transom_storage::{ConversationQuery, both_databases};
use transom_tests::{Stage, Trouble};

struct Scene {
    stage: Stage,
    bot: String,
    ours: ChannelAccount,
}

impl Scene {
    /// A bot of its own, which has no webhook and is polled.
    async fn set(db: TestDatabase) -> Self {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let secret = "nobody-calls-with-it";
        let new = NewAccount::on("telegram").settings(json!({ "secret_token": secret }));
        let view = stage.world.control().create_account(new).unwrap();
        let text = |value: &Value| SecretString::from(value.as_str().unwrap().to_owned());
        let settings = BTreeMap::from([
            ("bot_token".to_owned(), text(&view.settings["token"])),
            ("webhook_secret".to_owned(), SecretString::from(secret)),
            ("account_id".to_owned(), SecretString::from(view.id.clone())),
            ("updates".to_owned(), SecretString::from("poll")),
        ]);
        let new = NewChannel {
            platform: "telegram".to_owned(),
            name: "Polled".to_owned(),
            settings,
            check: true,
            ..NewChannel::default()
        };
        let ours = channels::connect(stage.world.desk(), &stage.world.caller, new, None).await.unwrap();
        stage.world.control().create_customer(NewCustomer::named("polly", "Polly", "+4915550500001")).unwrap();
        Self { stage, bot: view.id, ours: ours.account }
    }

    fn writes(&self, text: &str) {
        self.stage.world.control().writes(&self.bot, "polly", text).unwrap();
    }

    /// What has arrived from Polly, in any order.
    async fn arrived(&self) -> Result<Vec<String>, Trouble> {
        let world = &self.stage.world;
        let reader = world.desk().storage().reader(&world.caller.scope);
        let query =
            ConversationQuery { accounts: vec![self.ours.id], limit: 10, ..ConversationQuery::new(world.now()) };
        let Some(stored) = reader.conversations(&query).await.map_err(Trouble::new)?.pop() else {
            return Ok(Vec::new());
        };
        let path = format!("/conversations/{}/messages?limit=100", stored.conversation.id);
        let page = self.stage.api.get(&path).await?.expect(200)?.body;
        let items: Vec<Value> = page["items"].as_array().cloned().unwrap_or_default();
        let inbound = items.iter().filter(|item| item["direction"] == "inbound");
        Ok(inbound.filter_map(|item| Some(item.pointer("/content/text")?.as_str()?.to_owned())).collect())
    }

    async fn until_arrived(&self, count: usize) -> Vec<String> {
        let look = || async { Ok(Some(self.arrived().await?).filter(|arrived| arrived.len() >= count)) };
        self.stage.world.until(&format!("{count} messages have arrived"), look).await.unwrap()
    }

    async fn event(&self, kind: &'static str) -> Value {
        let world = &self.stage.world;
        let look = || async {
            let reader = world.desk().storage().reader(&world.caller.scope);
            let events = reader.events_after(0, 1_000).await.map_err(Trouble::new)?;
            Ok(events.into_iter().find(|event| event.event.kind == kind).map(|event| event.event.data))
        };
        world.until(&format!("the event {kind}"), look).await.unwrap()
    }
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

both_databases! {
    /// Everything that is written arrives once; two workers share one account by its lease.
    async fn a_polled_account_gets_its_messages_once(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.writes("0");
        scene.until_arrived(1).await;
        for index in 1..30 {
            scene.writes(&index.to_string());
        }
        let arrived = scene.until_arrived(30).await;
        let expected: Vec<String> = (0..30).map(|index| index.to_string()).collect();
        assert_eq!(sorted(arrived), sorted(expected));
        let world = &scene.stage.world;
        let cursor = world.desk().storage().reader(&world.caller.scope).pull_cursor(scene.ours.id).await.unwrap();
        assert!(cursor.is_some(), "how far it was fetched is stored with what was fetched");
        scene.stage.strike().await;
    }

    /// A bot that has a webhook can't be polled: people are told, and told again when it works.
    async fn an_account_that_can_not_be_fetched_is_shown(db: TestDatabase) {
        let scene = Scene::set(db).await;
        let control = scene.stage.world.control();
        let hook = |url: Option<&str>| AccountPatch { webhook_url: Some(url.unwrap_or_default().to_owned()), ..AccountPatch::default() };
        control.patch_account(&scene.bot, hook(Some("http://127.0.0.1:9/nobody"))).unwrap();
        let failing = scene.event("channel.fetch_failing").await;
        assert_eq!(failing["error"]["code"], "account_stopped", "{failing}");
        assert_eq!(failing["account"], json!(scene.ours.id));
        control.patch_account(&scene.bot, hook(None)).unwrap();
        scene.writes("back again");
        assert_eq!(scene.until_arrived(1).await, ["back again"]);
        scene.event("channel.fetch_resumed").await;
        scene.stage.strike().await;
    }

    /// Answers that get lost on their way lose nothing: what was not stored is given again.
    async fn lost_answers_lose_no_message(db: TestDatabase) {
        let scene = Scene::set(db).await;
        scene.stage.world.control().fault(&scene.bot, Fault::times(FaultKind::LoseAnswer, 2)).unwrap();
        for index in 0..5 {
            scene.writes(&index.to_string());
        }
        let arrived = scene.until_arrived(5).await;
        assert_eq!(sorted(arrived), ["0", "1", "2", "3", "4"]);
        scene.stage.strike().await;
    }
}
