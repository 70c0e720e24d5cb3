//! A site with a chat: the service, its agents, and visitors' browsers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use transom_desk::channels::{self, NewChannel};
use transom_desk::{Caller, workspaces};
use transom_domain::SettableClock;
use transom_server::{Server, ServerConfig};
use transom_storage::test_support::TestDatabase;
use transom_tests::Api;

pub(crate) const ORIGIN: &str = "https://shop.example";
pub(crate) const SECRET: &str = "idsecret-of-the-shop";
pub(crate) const EVENT_SECRET: &str = "an-event-secret-of-the-shop";
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) api: Api,
    pub(crate) caller: Caller,
    pub(crate) clock: SettableClock,
    /// The widget's key.
    pub(crate) key: String,
    pub(crate) channel: String,
    token: String,
    folder: Arc<TempDir>,
}

fn config(folder: &TempDir, database: &TestDatabase) -> ServerConfig {
    let mut config = ServerConfig::in_folder(folder.path()).on_loopback(0);
    config.database_url = Some(database.url().to_owned());
    config
}

impl Site {
    pub(crate) async fn open(database: &TestDatabase) -> Self {
        Self::with(database, &[]).await
    }

    pub(crate) async fn with(database: &TestDatabase, more: &[(&str, &str)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = SettableClock::running();
        let server = Server::start(config(&folder, database), Arc::new(clock.clone())).await.unwrap();
        let (caller, token) = workspaces::create(server.desk(), "Acme", "Ada").await.unwrap();
        let token = token.expose_secret().to_owned();
        let mut settings: BTreeMap<String, SecretString> =
            [("widget_id", "wgt_1"), ("event_secret", EVENT_SECRET), ("origins", ORIGIN), ("identity_secrets", SECRET)]
                .into_iter()
                .chain(more.iter().copied())
                .map(|(name, value)| (name.to_owned(), SecretString::from(value)))
                .collect();
        settings.retain(|_, value| !value.expose_secret().is_empty());
        let new = NewChannel {
            platform: "webchat".into(),
            name: "Shop".into(),
            settings,
            check: true,
            ..NewChannel::default()
        };
        let account = channels::connect(server.desk(), &caller, new, None).await.unwrap().account;
        let key = server.desk().storage().public_id(&caller.scope, account.connection);
        let api = Api::new(server.base_url(), &token).unwrap();
        Self { server, api, caller, clock, key, channel: account.id.to_string(), token, folder }
    }

    /// Another replica on the same database.
    pub(crate) async fn replica(&self, database: &TestDatabase) -> Self {
        let server = Server::start(config(&self.folder, database), Arc::new(self.clock.clone())).await.unwrap();
        let api = Api::new(server.base_url(), &self.token).unwrap();
        let (caller, key, channel) = (self.caller.clone(), self.key.clone(), self.channel.clone());
        let (clock, token, folder) = (self.clock.clone(), self.token.clone(), Arc::clone(&self.folder));
        Self { server, api, caller, clock, key, channel, token, folder }
    }

    pub(crate) fn http(&self, path: &str) -> String {
        let glue = if path.contains('?') { '&' } else { '?' };
        format!("{}/widget/v1/{path}{glue}widget={}", self.server.base_url(), self.key)
    }

    /// A handshake from a page of that origin.
    pub(crate) async fn handshake(&self, origin: Option<&str>) -> Result<Socket, WsError> {
        Socket::open(&self.http("ws"), origin).await
    }

    /// A visitor's socket that has said `hello` with these fields; with its `welcome`.
    pub(crate) async fn visit(&self, hello: Value) -> (Socket, Value) {
        let mut socket = self.handshake(Some(ORIGIN)).await.unwrap();
        let welcome = socket.hello(hello).await;
        (socket, welcome)
    }

    /// Waits until an API answer has what is looked for.
    pub(crate) async fn until<T>(&self, path: &str, what: impl Fn(&Value) -> Option<T>) -> T {
        let begun = tokio::time::Instant::now();
        loop {
            let reply = self.api.get(path).await.unwrap().expect(200).unwrap().body;
            if let Some(found) = what(&reply) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {path} says {reply}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// The one conversation, once it is there.
    pub(crate) async fn conversation(&self) -> String {
        let first = |list: &Value| Some(list["items"].as_array()?.first()?["id"].as_str()?.to_owned());
        self.until("/conversations?tab=all", first).await
    }

    /// The conversation's messages from visitors, oldest first, once there are so many.
    pub(crate) async fn heard(&self, conversation: &str, count: usize) -> Vec<Value> {
        let path = format!("/conversations/{conversation}/messages?limit=100");
        self.until(&path, |list| {
            let inbound = |message: &&Value| message["direction"] == "inbound";
            let mut found: Vec<Value> = list["items"].as_array()?.iter().filter(inbound).cloned().collect();
            found.reverse();
            (found.len() >= count).then_some(found)
        })
        .await
    }

    /// Waits until everything that was journalled has been applied.
    pub(crate) async fn everything_is_applied(&self) {
        let reader = self.server.desk().storage().reader(&self.caller.scope);
        while reader.oldest_unapplied().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// An agent writes into a conversation; the message's id.
    pub(crate) async fn writes(&self, conversation: &str, message: Value) -> String {
        let path = format!("/conversations/{conversation}/messages");
        let reply = self.api.post(&path, message).await.unwrap().expect(202).unwrap();
        reply.body["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a message is in that state.
    pub(crate) async fn becomes(&self, message: &str, state: &str) {
        self.until(&format!("/messages/{message}"), |found| (found["state"] == state).then_some(())).await;
    }

    /// What the agent's own stream of events tells from now on.
    pub(crate) async fn events(&self) -> Events {
        let url = format!("{}/v1/events", self.server.base_url());
        let answer = transom_tests::http().get(url).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Events { answer, text: String::new() }
    }

    pub(crate) async fn close(self) {
        self.server.stop().await;
    }
}

/// A stream of server-sent events.
pub(crate) struct Events {
    pub(crate) answer: reqwest::Response,
    pub(crate) text: String,
}

impl Events {
    /// The next event of that type, with its `id:`; others before it are dropped.
    pub(crate) async fn next_of(&mut self, kind: &str) -> (Option<String>, Value) {
        loop {
            let event = self.next().await;
            let field =
                |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(|said| said.trim().to_owned());
            if field("event:").as_deref() == Some(kind) {
                return (field("id:"), serde_json::from_str(&field("data:").unwrap()).unwrap());
            }
        }
    }

    async fn next(&mut self) -> String {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                return event;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.answer.chunk()).await.expect("an event in time");
            self.text.push_str(std::str::from_utf8(&chunk.unwrap().expect("the stream goes on")).unwrap());
        }
    }
}

/// A visitor's socket.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// A handshake at that address, from a page of that origin.
    pub(crate) async fn open(address: &str, origin: Option<&str>) -> Result<Self, WsError> {
        let mut request = address.replace("http://", "ws://").into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "chat.v1.json".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        let (stream, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self { stream })
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.stream.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// Says `hello` with these fields; the `welcome`.
    pub(crate) async fn hello(&mut self, mut hello: Value) -> Value {
        hello["type"] = json!("hello");
        hello["v"] = json!(1);
        self.say(hello).await;
        let first = self.next().await;
        assert_eq!(first["type"], "welcome", "{first}");
        first
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        match self.frame().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The next frame of that type; others before it are dropped.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The error and the code with which it is closed.
    pub(crate) async fn closed(&mut self) -> (Value, u16) {
        let mut error = Value::Null;
        loop {
            match self.frame().await {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["type"] == "error" {
                        error = frame["code"].clone();
                    }
                }
                Message::Close(frame) => return (error, frame.expect("a code").code.into()),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn frame(&mut self) -> Message {
        let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
        next.expect("a frame in time").expect("an open socket").unwrap()
    }
}

/// An id of a visitor's side.
pub(crate) fn client_id(n: usize) -> String {
    format!("0b6e4c1e-0000-4000-8000-{n:012}")
}

/// The site's back end proves who somebody is.
pub(crate) fn user_hash(id: &str) -> String {
    use hmac::{KeyInit as _, Mac as _};
    let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(id);
    hex::encode(mac.finalize().into_bytes())
}

/// The site's back end states who somebody is.
pub(crate) fn jwt(header: &Value, claims: &Value) -> String {
    use base64::Engine as _;
    use hmac::{KeyInit as _, Mac as _};
    let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&signed);
    format!("{signed}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// Seconds of now.
pub(crate) fn now() -> i64 {
    use transom_domain::Clock as _;
    SettableClock::running().now().unix_timestamp()
}

/// A stranger's HTTP client, without the service's own rules.
#[expect(clippy::disallowed_methods, reason = "a browser is no client of ours")]
pub(crate) fn browser() -> reqwest::Client {
    reqwest::Client::new()
}
