//! A call that kills the service each time: found, put aside, and its neighbours are applied. On both databases, with real
//! processes that really die (reliability.md 3).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, OutboundPart, ParseError, PlannedPart, Platform, Ports,
    RawInbound, Receipt, SendError, SettingField, SettingValues, SettingsError, Unsendable, VerifyError, WebhookCall,
};
use transom_desk::channels::{self, NewChannel};
use transom_desk::{Desk, Registry, receive, workspaces};
use transom_domain::{Content, JournalId, UuidV7};
use transom_storage::test_support::{NOON, TestDatabase};
use transom_storage::{CallSource, ConversationQuery, NewCall, Storage, both_databases};
use transom_windows::Policies;

/// Where the process that dies finds the database.
const DATABASE: &str = "TRANSOM_POISON_DATABASE";
/// The word that kills.
const WORD: &str = "kill -9";

/// A real platform whose accounts die when they read a certain word.
#[derive(Debug)]
struct Fragile(Arc<dyn Platform>);

#[derive(Debug)]
struct FragileChannel(Arc<dyn Channel>);

impl Platform for Fragile {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn label(&self) -> &'static str {
        self.0.label()
    }

    fn settings(&self) -> &'static [SettingField] {
        self.0.settings()
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        Ok(Arc::new(FragileChannel(self.0.connect(settings, ports)?)))
    }
}

#[async_trait]
impl Channel for FragileChannel {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        self.0.plan(content)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        self.0.send(part).await
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        self.0.verify(call)
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        if String::from_utf8_lossy(&raw.body).contains(WORD) {
            std::process::abort();
        }
        self.0.parse(raw)
    }

    fn external_key(&self) -> Option<String> {
        self.0.external_key()
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        self.0.check().await
    }
}

fn desk(storage: Storage) -> Desk {
    let telegram = transom_server::registry::registry().get("telegram").unwrap().clone();
    let registry = Registry::new([Arc::new(Fragile(telegram)) as Arc<dyn Platform>]);
    Desk::new(storage, Policies::builtin().unwrap(), registry, Ports::system().unwrap())
}

/// Not a test of its own: the process that the test starts, which dies of the call.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by `a_call_that_kills_the_service_is_put_aside`, which says on which database"]
async fn the_process_that_dies() {
    let url = std::env::var(DATABASE).expect("the test that starts it names a database");
    let desk = desk(Storage::open(TestDatabase::config_of(&url)).await.unwrap());
    while !desk.storage().scopes_with_unapplied_journal().await.unwrap().is_empty() {
        if receive::apply_waiting(&desk).await.unwrap().calls == 0 {
            // What the one before had in hand is left alone for a while.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Runs it until it has nothing to do; how often it died.
fn deaths(database: &TestDatabase) -> usize {
    let lives = (0..20).map(|_| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "the_process_that_dies", "--ignored", "--test-threads=1"])
            .env(DATABASE, database.url());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    });
    lives.take_while(|status| !status.success()).count()
}

both_databases! {
    async fn a_call_that_kills_the_service_is_put_aside(db: TestDatabase) {
        let storage = db.open().await;
        let desk = desk(storage.clone());
        let (caller, _) = workspaces::create(&desk, "Acme", "Ada").await.unwrap();
        let setting = |name: &str, value: &str| (name.to_owned(), SecretString::from(value.to_owned()));
        let new = NewChannel {
            platform: "telegram".to_owned(),
            name: "Bot".to_owned(),
            policy: None,
            connection: None,
            settings: BTreeMap::from([
                setting("bot_token", "4711:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"),
                setting("webhook_secret", "a-secret-of-the-webhook"),
            ]),
            features: BTreeSet::new(),
            limits: BTreeMap::new(),
            quota_group: None,
            country: None,
            check: false,
        };
        let connection = channels::connect(&desk, &caller, new, None).await.unwrap().account.connection;
        for (number, text) in ["one", "two", WORD, "four"].into_iter().enumerate() {
            let person = json!({ "id": 900 + number, "first_name": "Pat", "is_bot": false });
            let update = json!({
                "update_id": number,
                "message": {
                    "message_id": number, "date": NOON.unix_timestamp(), "text": text, "from": person,
                    "chat": { "id": 900 + number, "type": "private", "first_name": "Pat" },
                },
            });
            let call = NewCall {
                id: JournalId::new(&UuidV7),
                connection,
                account: None,
                source: CallSource::Webhook,
                headers: Vec::new(),
                body: update.to_string().into(),
                received_at: NOON,
            };
            storage.append_call(&caller.scope, &call).await.unwrap();
        }

        // Once with the others, three times alone.
        assert_eq!(deaths(&db), 4);
        let reader = storage.reader(&caller.scope);
        assert_eq!(reader.oldest_unapplied().await.unwrap(), None);
        let aside = reader.quarantine_page(None, 10).await.unwrap();
        assert_eq!(aside.iter().map(|entry| entry.entry.reason.as_str()).collect::<Vec<_>>(), ["poison"]);
        let counts = reader.tab_counts(&ConversationQuery::new(NOON)).await.unwrap();
        assert_eq!(counts.open + counts.assigned + counts.snoozed + counts.closed, 3, "one, two and four have their conversations");
    }
}
