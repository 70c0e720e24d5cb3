//! One service on SQLite with a sandbox for its platforms, and a client that checks every answer against the document.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use transom_channel::http::HttpClient;
use transom_desk::{Caller, workspaces};
use transom_domain::{Clock, SettableClock};
use transom_sandbox::{AccountPatch, AccountView, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_server::http::schema::Document;
use transom_server::{Server, ServerConfig, api};

/// The longest that anything here takes to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A service, a sandbox, and a workspace with its administrator.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: SettableClock,
    pub(crate) caller: Caller,
    pub(crate) admin: Client,
    config: ServerConfig,
    // Dropped last: the folder goes with it.
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(|config| config).await
    }

    /// With a configuration of its own.
    pub(crate) async fn with(change: impl FnOnce(ServerConfig) -> ServerConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = SettableClock::running();
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        let endpoint = |platform: &str| format!("{}/{platform}", sandbox.base_url());
        let config = ServerConfig::in_folder(folder.path())
            .on_loopback(0)
            .with_endpoint("whatsapp", &endpoint("whatsapp"))
            .unwrap()
            .with_endpoint("telegram", &endpoint("telegram"))
            .unwrap();
        let config = change(config);
        let server = Server::start(config.clone(), Arc::new(clock.clone())).await.unwrap();
        let (caller, token) = workspaces::create(server.desk(), "Acme", "Ada").await.unwrap();
        let admin = Client::new(server.base_url(), token.expose_secret());
        Self { server, sandbox, clock, caller, admin, config, folder }
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
        self.sandbox.shutdown().await;
    }

    /// Stops the service and starts it again on the same data.
    pub(crate) async fn restarted(self) -> Self {
        self.server.stop().await;
        let server = Server::start(self.config.clone(), Arc::new(self.clock.clone())).await.unwrap();
        let admin = Client::new(server.base_url(), &self.admin.token);
        Self { server, admin, ..self }
    }

    /// Where the service keeps its files.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Another workspace on the same service.
    pub(crate) async fn neighbour(&self) -> Client {
        let (_, token) = workspaces::create(self.server.desk(), "Other", "Eve").await.unwrap();
        Client::new(self.server.base_url(), token.expose_secret())
    }

    /// A client for a new agent of that role.
    pub(crate) async fn client(&self, role: &str) -> Client {
        let made = self.admin.post("/agents", json!({ "name": format!("a {role}"), "role": role })).await.expect(201);
        Client::new(self.server.base_url(), made["token"].as_str().unwrap())
    }

    /// A WhatsApp number, connected over the API, with its twin in the sandbox.
    pub(crate) async fn whatsapp(&self) -> Account {
        let twin = self.sandbox.control().create_account(NewAccount::on("whatsapp")).unwrap();
        let names = ["app_secret", "verify_token", "access_token", "phone_number_id", "waba_id"];
        self.connect("whatsapp", twin, &names.map(|name| (name, name))).await
    }

    /// A Telegram bot, connected over the API, with its twin in the sandbox.
    pub(crate) async fn telegram(&self) -> Account {
        let new = NewAccount::on("telegram").settings(json!({ "secret_token": "a-long-random-text" }));
        let twin = self.sandbox.control().create_account(new).unwrap();
        let names = [("bot_token", "token"), ("webhook_secret", "secret_token")];
        self.connect("telegram", twin, &names).await
    }

    async fn connect(&self, platform: &str, twin: AccountView, names: &[(&str, &str)]) -> Account {
        let settings: BTreeMap<&str, &Value> =
            names.iter().map(|(ours, theirs)| (*ours, &twin.settings[*theirs])).collect();
        let body = json!({ "platform": platform, "name": "Acme", "settings": settings });
        let made = self.admin.post("/channels", body).await.expect(201);
        let webhook_url = made["webhook_url"].as_str().unwrap().to_owned();
        let patch = AccountPatch { webhook_url: Some(webhook_url.clone()), ..AccountPatch::default() };
        self.sandbox.control().patch_account(&twin.id, patch).unwrap();
        Account { id: made["id"].as_str().unwrap().to_owned(), twin, webhook_url }
    }

    /// A customer writes; the conversation that this makes.
    pub(crate) async fn hears(&self, account: &Account, name: &str, phone: &str, text: &str) -> Value {
        let control = self.sandbox.control();
        // Somebody who wrote before is known already.
        let _ = control.create_customer(NewCustomer::named(name, name, phone));
        control.writes(&account.twin.id, name, text).unwrap();
        let path = format!("/conversations?channel={}", account.id);
        self.until("the message arrives", || async {
            let list = self.admin.get(&path).await.expect(200);
            let found = list["items"].as_array().unwrap().iter().find(|item| item["contact_name"] == name);
            found.filter(|item| item["preview"] == text).cloned()
        })
        .await
    }

    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(&self, what: &str, mut look: impl FnMut() -> F) -> T {
        let began = tokio::time::Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain until {what}");
    }

    /// Whether the data folder holds a text anywhere, as it is.
    pub(crate) fn stores(&self, text: &str) -> bool {
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if holds(&std::fs::read(&path).unwrap(), text) {
                    return true;
                }
            }
        }
        false
    }

    pub(crate) fn now(&self) -> time::OffsetDateTime {
        self.clock.now()
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// An account on both sides.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Ours.
    pub(crate) id: String,
    /// As the sandbox knows it.
    pub(crate) twin: AccountView,
    pub(crate) webhook_url: String,
}

/// A client with a token.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: HttpClient,
    pub(crate) base: String,
    pub(crate) token: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
    asked: String,
}

impl Reply {
    /// The body, if the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.body);
        self.body
    }

    /// The problem, if status and code are these.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}: {}", self.asked, self.body);
        self.body
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Client {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        Self { http: HttpClient::new().unwrap(), base: base.to_owned(), token: token.to_owned() }
    }

    /// The same without a valid token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path, Some(body.to_string().into_bytes()), &[]).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PATCH, path, Some(body.to_string().into_bytes()), &[]).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PUT, path, Some(body.to_string().into_bytes()), &[]).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, None, &[]).await
    }

    pub(crate) async fn post_with(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        self.call(Method::POST, path, Some(body.to_string().into_bytes()), headers).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, &format!("{}/v1{path}", self.base)).bearer_auth(&self.token)
    }

    /// Any request, with the answer checked against the document.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = self.request(method.clone(), path);
        if let Some(body) = body {
            request = request.body(body).header("content-type", "application/json");
        }
        for (name, value) in headers {
            // A later value of the same name stands instead of the former.
            let mut one = http::HeaderMap::new();
            one.insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
            request = request.headers(one);
        }
        let answer = self.http.execute(request).await.unwrap();
        let is_table = ["text/csv", "application/x-ndjson"].iter().any(|mime| {
            answer.headers.get("content-type").is_some_and(|told| told.as_bytes().starts_with(mime.as_bytes()))
        });
        let body = if is_table {
            Value::String(String::from_utf8_lossy(&answer.body).into_owned())
        } else {
            answer.json().unwrap_or(Value::Null)
        };
        let asked = format!("{method} {path}");
        let reply = Reply { status: answer.status, headers: answer.headers, body, asked };
        is_as_documented(&method, path, &reply);
        reply
    }

    /// A request outside of the API.
    pub(crate) async fn raw(&self, method: Method, url: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.http.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.http.execute_up_to(request, 8 * 1024 * 1024).await.unwrap();
        let body = answer.json().unwrap_or_else(|| Value::String(String::from_utf8_lossy(&answer.body).into_owned()));
        Reply { status: answer.status, headers: answer.headers, body, asked: url.to_owned() }
    }
}

/// Every answer of the API is one that the document describes: its status, and every field of its body.
fn is_as_documented(method: &Method, path: &str, reply: &Reply) {
    let document = Document::new(api::document());
    let template = path.split('?').next().unwrap_or_default();
    let Some(operation) = document.operation_at(method.as_str(), template) else { return };
    let (status, body) = (reply.status, &reply.body);
    assert!(
        operation["responses"].get(status.to_string()).is_some(),
        "{method} {path} answers {status}, which the document lacks: {body}"
    );
    let document = document.closed();
    if let Some(schema) = document.answer_of(operation, status) {
        let difference = document.mismatch(schema, body);
        assert_eq!(difference, None, "{method} {path} answers {status} with another body than documented: {body}");
    }
    if status >= 400 {
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{method} {path}");
        assert!(body["code"].is_string() && body["type"].as_str().unwrap().ends_with(body["code"].as_str().unwrap()));
        let known = transom_server::http::codes::find(body["code"].as_str().unwrap());
        assert!(known.is_some(), "{} is not in the table of codes", body["code"]);
    }
    assert!(status < 500 || status == 502, "{method} {path} fails: {body}");
}
