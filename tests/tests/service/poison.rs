//! A call that kills the service each time: found, put aside, and its neighbours are applied. On both databases, with real
//! processes that really die (reliability.md 3).

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

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
use transom_storage::{
    CallSource, ConversationQuery, NewCall, QuarantineQuery, Storage, WorkspaceScope, both_databases,
};
use transom_windows::Policies;

/// Where the process that dies finds the database.
const DATABASE: &str = "TRANSOM_POISON_DATABASE";
/// The word that kills.
const WORD: &str = "kill -9";
/// The word that is in hand whenever the process is ended soon after its start.
const EARLY: &str = "kill -9 in the first second";

/// When this process began to read.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

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
        let text = String::from_utf8_lossy(&raw.body);
        if text.contains(EARLY) {
            if BEGAN.elapsed() < Duration::from_secs(1) {
                std::process::abort();
            }
        } else if text.contains(WORD) {
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
    LazyLock::force(&BEGAN);
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
            .args(["--exact", "poison::the_process_that_dies", "--ignored", "--test-threads=1"])
            .env(DATABASE, database.url());
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    });
    lives.take_while(|status| !status.success()).count()
}

/// A workspace in whose journal four people's words wait.
async fn four_wait(db: &TestDatabase, third: &str) -> (Storage, WorkspaceScope) {
    let storage = db.open().await;
    let desk = desk(storage.clone());
    let (caller, _) = workspaces::create(&desk, "Acme", "Ada").await.unwrap();
    let setting = |name: &str, value: &str| (name.to_owned(), SecretString::from(value.to_owned()));
    let new = NewChannel {
        platform: "telegram".to_owned(),
        name: "Bot".to_owned(),
        settings: BTreeMap::from([
            setting("bot_token", "4711:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"),
            setting("webhook_secret", "a-secret-of-the-webhook"),
        ]),
        ..NewChannel::default()
    };
    let connection = channels::connect(&desk, &caller, new, None).await.unwrap().account.connection;
    for (number, text) in ["one", "two", third, "four"].into_iter().enumerate() {
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
    (storage, caller.scope)
}

/// Why calls were put aside, and how many conversations there are.
async fn came_of_it(storage: &Storage, scope: &WorkspaceScope) -> (Vec<String>, u32) {
    let reader = storage.reader(scope);
    assert_eq!(reader.oldest_unapplied().await.unwrap(), None);
    let aside = reader.quarantine_page(&QuarantineQuery::default(), None, 10).await.unwrap();
    let counts = reader.tab_counts(&ConversationQuery::new(NOON)).await.unwrap();
    let conversations = counts.open + counts.assigned + counts.snoozed + counts.closed;
    (aside.into_iter().map(|entry| entry.entry.reason).collect(), conversations)
}

both_databases! {
    async fn a_call_that_kills_the_service_is_put_aside(db: TestDatabase) {
        let (storage, scope) = four_wait(&db, WORD).await;
        // Once with the others, three times alone.
        assert_eq!(deaths(&db), 4);
        assert_eq!(came_of_it(&storage, &scope).await, (vec!["poison".to_owned()], 3));
    }

    async fn a_call_that_was_in_hand_whenever_the_service_was_killed_is_applied(db: TestDatabase) {
        let (storage, scope) = four_wait(&db, EARLY).await;
        // Once with the others, twice alone; then it waits until the process has lived for a while. Where replicas may share
        // the database, the second try already comes late: it could be in the hand of another.
        assert_eq!(deaths(&db), if storage.is_shared() { 1 } else { 3 });
        assert_eq!(came_of_it(&storage, &scope).await, (Vec::new(), 4));
    }
}
