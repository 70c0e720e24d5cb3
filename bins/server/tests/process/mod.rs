//! The real binary as a process of its own.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "each test binary uses its share"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use transom_desk::Desk;
use transom_domain::{ChannelAccountId, ConversationId, SettableClock, SystemClock};
use transom_sandbox::{AccountPatch, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_server::demo::api::{Api, Reply};
use transom_server::{Server, ServerConfig};
use transom_storage::WorkspaceScope;
use transom_storage::test_support::inbox;

/// A running service. Killed when it goes out of scope.
pub struct Service {
    child: Child,
    port: u16,
    folder: PathBuf,
    database_url: Option<String>,
    endpoints: Vec<(&'static str, String)>,
}

/// Where a test with processes begins: a sandbox, replicas on one data folder and database, a workspace with a number.
pub struct Opening {
    pub sandbox: Sandbox,
    pub replicas: Vec<Service>,
    pub token: String,
    pub account: Account,
    folder: tempfile::TempDir,
}

impl Opening {
    /// So many replicas, on the embedded database or another one. Webhooks and receipts go to the last of them.
    pub async fn of(replicas: usize, database_url: Option<&str>) -> Self {
        let sandbox = Sandbox::start(SandboxConfig::new(SettableClock::running())).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut running = Vec::new();
        for _ in 0..replicas {
            running.push(Service::start(&sandbox, folder.path(), database_url).await);
        }
        let last = running.last().unwrap();
        let token = last.create_workspace();
        let account = whatsapp(last, &sandbox, &token).await;
        Self { sandbox, replicas: running, token, account, folder }
    }

    /// Fills the workspace with so many conversations of so many messages while no process runs; the conversations, by id.
    pub async fn fill(&mut self, count: usize, messages: usize) -> Vec<ConversationId> {
        for service in &mut self.replicas {
            service.kill_9();
        }
        let server = at_rest(self.folder.path(), self.service().database_url.as_deref()).await;
        let desk = server.desk();
        let scope = desk.storage().all_scopes().await.unwrap().remove(0);
        let (account, version) = derived_by(desk, &scope, &self.account.channel).await;
        let now = desk.now();
        let filled = inbox::fill(desk.storage(), &scope, account, (count, messages), &version, now).await.unwrap();
        server.stop().await;
        for service in &mut self.replicas {
            service.kill_and_restart().await;
        }
        filled
    }

    /// The one that webhooks go to.
    pub fn service(&self) -> &Service {
        self.replicas.last().unwrap()
    }

    /// Accepts a reply; its text and id.
    pub async fn reply(&self, service: &Service, conversation: &str, text: String) -> (String, String) {
        let path = format!("/conversations/{conversation}/messages");
        let reply = service.post(&self.token, &path, json!({ "type": "reply", "text": text })).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        (text, reply.body["id"].as_str().unwrap().to_owned())
    }

    /// Waits for each of them, and holds it against the platform's own ledger: sent once, or unknown and taken once at most.
    /// How many are unknown.
    pub async fn tally(&self, accepted: &[(String, String)]) -> usize {
        let mut unknown = 0;
        for (text, message) in accepted {
            let state = self.service().settled(&self.token, message).await;
            let taken = self.sandbox.control().ledger().into_iter().filter(|send| send.text == *text).count();
            match state.as_str() {
                "sent" | "delivered" | "read" => assert_eq!(taken, 1, "{text} is {state}"),
                "unknown" => {
                    unknown += 1;
                    assert!(taken <= 1, "{text} is unknown and was taken {taken} times");
                }
                other => panic!("{text} is {other}, and was taken {taken} times"),
            }
        }
        unknown
    }

    /// Stops everything; the exit code of each replica that still runs.
    pub async fn close(self) -> Vec<Option<i32>> {
        let mut codes = Vec::new();
        for service in self.replicas {
            codes.push(service.stop().await);
        }
        self.sandbox.shutdown().await;
        drop(self.folder);
        codes
    }
}

/// The service's inside over the same data, for storing much while no process runs.
pub async fn at_rest(folder: &Path, database_url: Option<&str>) -> Server {
    let mut config = ServerConfig::in_folder(folder).on_loopback(0);
    config.database_url = database_url.map(str::to_owned);
    Server::start_without_background(config, Arc::new(SystemClock)).await.unwrap()
}

/// The account of a channel, and what the windows of its conversations are derived by: `policy@version`.
pub async fn derived_by(desk: &Desk, scope: &WorkspaceScope, channel: &str) -> (ChannelAccountId, String) {
    let account = desk.storage().reader(scope).account(channel.parse().unwrap()).await.unwrap().unwrap();
    let policy = desk.policies().get(&account.policy).unwrap();
    (account.id, format!("{}@{}", policy.name(), policy.version()))
}

/// Without a time limit: what it reads may take minutes.
#[expect(clippy::disallowed_methods, reason = "it looks from outside, as any client does")]
pub fn client() -> reqwest::Client {
    reqwest::Client::new()
}

/// An account on both sides.
pub struct Account {
    pub at_sandbox: String,
    pub channel: String,
}

impl Service {
    /// Starts it and waits until it is ready. Short time limits, so that a lapsed lease is soon recovered.
    pub async fn start(sandbox: &Sandbox, folder: &Path, database_url: Option<&str>) -> Self {
        // A free port: taken, and given back at once.
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let endpoints = vec![
            ("TRANSOM_PLATFORMS__WHATSAPP__ENDPOINT", format!("{}/whatsapp", sandbox.base_url())),
            ("TRANSOM_PLATFORMS__TELEGRAM__ENDPOINT", format!("{}/telegram", sandbox.base_url())),
        ];
        let (folder, database_url) = (folder.to_owned(), database_url.map(str::to_owned));
        let child = spawn(port, &folder, database_url.as_deref(), &endpoints);
        let service = Self { child, port, folder, database_url, endpoints };
        service.ready().await;
        service
    }

    /// SIGKILL, and a new process on the same data and the same port.
    pub async fn kill_and_restart(&mut self) {
        self.kill_9();
        self.child = spawn(self.port, &self.folder, self.database_url.as_deref(), &self.endpoints);
        self.ready().await;
    }

    /// SIGKILL.
    pub fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn ready(&self) {
        let began = Instant::now();
        let http = transom_channel::http::HttpClient::new().unwrap();
        while began.elapsed() < Duration::from_mins(1) {
            let asked =
                http.execute(http.request(reqwest::Method::GET, &format!("{}/health/ready", self.base()))).await;
            if asked.is_ok_and(|answer| answer.is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the service did not become ready");
    }

    /// Makes a workspace by the command line, as a deployer would; gives the token.
    pub fn create_workspace(&self) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transom"));
        command.args(["workspace", "create", "Acme", "--json"]).env("TRANSOM_DATA_DIR", &self.folder);
        if let Some(url) = &self.database_url {
            command.env("TRANSOM_DATABASE_URL", url);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub async fn post_once(&self, token: &str, path: &str, key: &str, body: Value) -> Reply {
        Api::new(&self.base(), token).unwrap().post_once(path, key, body).await.unwrap()
    }

    pub async fn get(&self, token: &str, path: &str) -> Reply {
        Api::new(&self.base(), token).unwrap().get(path).await.unwrap()
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> Reply {
        Api::new(&self.base(), token).unwrap().post(path, body).await.unwrap()
    }

    /// The state of a message, once nothing more happens to it by itself.
    pub async fn settled(&self, token: &str, message: &str) -> String {
        let began = Instant::now();
        loop {
            let reply = self.get(token, &format!("/messages/{message}")).await;
            let state = reply.text("/state").unwrap_or_default().to_owned();
            if !["queued", "sending", ""].contains(&state.as_str()) {
                return state;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "{message} stays {state}: {}", reply.body);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGTERM, and the exit code.
    pub async fn stop(mut self) -> Option<i32> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_mins(1) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the service did not stop in time");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &Path, database_url: Option<&str>, endpoints: &[(&'static str, String)]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transom"));
    command
        .arg("serve")
        .env("TRANSOM_DATA_DIR", folder)
        .env("TRANSOM_LISTEN", format!("127.0.0.1:{port}"))
        .env("TRANSOM_PUBLIC_URL", format!("http://127.0.0.1:{port}"))
        .env("TRANSOM_HTTP__TIMEOUT_SECONDS", "2")
        .env("TRANSOM_DISPATCH__LEASE_SECONDS", "4")
        .envs(endpoints.iter().map(|(name, url)| (*name, url.as_str())))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    if let Some(url) = database_url {
        command.env("TRANSOM_DATABASE_URL", url);
    }
    command.spawn().unwrap()
}

/// Connects a number over the API, as an administrator would. Receipts and webhooks go to this service.
pub async fn whatsapp(service: &Service, sandbox: &Sandbox, token: &str) -> Account {
    let control = sandbox.control();
    let view = control.create_account(NewAccount::on("whatsapp")).unwrap();
    control
        .patch_account(&view.id, AccountPatch { settings: Some(json!({ "pacing": false })), ..AccountPatch::default() })
        .unwrap();
    let mut settings = json!({});
    for name in ["app_secret", "verify_token", "access_token", "phone_number_id", "waba_id"] {
        settings[name] = view.settings[name].clone();
    }
    let body = json!({ "platform": "whatsapp", "name": "Acme", "settings": settings });
    let made = service.post(token, "/channels", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let webhook_url = Some(made.text("/webhook_url").unwrap().to_owned());
    control.patch_account(&view.id, AccountPatch { webhook_url, ..AccountPatch::default() }).unwrap();
    Account { at_sandbox: view.id, channel: made.text("/id").unwrap().to_owned() }
}

/// Connects a bot that is fetched instead of called, and a customer who may write to it.
pub async fn polled_bot(service: &Service, sandbox: &Sandbox, token: &str) -> Account {
    let control = sandbox.control();
    let view = control.create_account(NewAccount::on("telegram")).unwrap();
    let settings = json!({
        "bot_token": view.settings["token"],
        "webhook_secret": "nobody-calls-with-it",
        "account_id": view.id,
        "updates": "poll",
    });
    let body = json!({ "platform": "telegram", "name": "Polled", "settings": settings });
    let made = service.post(token, "/channels", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    control.create_customer(NewCustomer::named("polly", "Polly", "+4915550500001")).unwrap();
    Account { at_sandbox: view.id, channel: made.text("/id").unwrap().to_owned() }
}

/// What the account's one customer has written, sorted, once it is so many.
pub async fn arrived(service: &Service, account: &Account, token: &str, count: usize) -> Vec<String> {
    let began = Instant::now();
    loop {
        let mut texts = Vec::new();
        let list = service.get(token, &format!("/conversations?limit=10&channel={}", account.channel)).await;
        if let Some(id) = list.body.pointer("/items/0/id").and_then(Value::as_str) {
            let page = service.get(token, &format!("/conversations/{id}/messages?limit=100")).await;
            let items = page.body["items"].as_array().cloned().unwrap_or_default();
            let inbound = items.iter().filter(|item| item["direction"] == "inbound");
            texts = inbound.filter_map(|item| Some(item.pointer("/content/text")?.as_str()?.to_owned())).collect();
        }
        if texts.len() >= count {
            texts.sort();
            return texts;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{} of {count} arrived: {texts:?}", texts.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The conversations of so many customers who have just written, so that free text is allowed.
pub async fn people(service: &Service, sandbox: &Sandbox, account: &Account, token: &str, count: usize) -> Vec<String> {
    let control = sandbox.control();
    for index in 0..count {
        let (id, name) = (format!("customer-{index}"), format!("Customer {index}"));
        control.create_customer(NewCustomer::named(&id, &name, &format!("+491555030{index:04}"))).unwrap();
        control.writes(&account.at_sandbox, &id, "hello").unwrap();
    }
    let began = Instant::now();
    loop {
        let reply = service.get(token, &format!("/conversations?limit=100&channel={}", account.channel)).await;
        let items = reply.body["items"].as_array().cloned().unwrap_or_default();
        if items.len() >= count {
            return items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        }
        assert!(began.elapsed() < Duration::from_mins(1), "only {} of {count} arrived: {}", items.len(), reply.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
