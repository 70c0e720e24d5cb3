//! A sandbox, a receiver of its webhooks, and a client: all over real HTTP.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use transom_domain::SettableClock;
use transom_sandbox::{AccountView, Control, Customer, NewAccount, NewCustomer, Sandbox, SandboxConfig};

pub(crate) const START: OffsetDateTime = datetime!(2026-03-01 09:00 UTC);

/// A sandbox with a standing clock, and somebody to deliver to.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) control: Control,
    pub(crate) receiver: Receiver,
    pub(crate) http: reqwest::Client,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let mut config = SandboxConfig::new(SettableClock::frozen(START));
        config.redelivery.first = Duration::from_millis(5);
        config.redelivery.longest = Duration::from_millis(20);
        let sandbox = Sandbox::start(config).await.unwrap();
        let (control, receiver) = (sandbox.control(), Receiver::start().await);
        Self { sandbox, control, receiver, http: client() }
    }

    /// An account of the platform whose webhooks come to the receiver.
    pub(crate) fn account(&self, platform: &str, settings: Value) -> AccountView {
        self.control.create_account(NewAccount::on(platform).webhook(&self.receiver.url).settings(settings)).unwrap()
    }

    pub(crate) fn mara(&self) -> Customer {
        self.control.create_customer(NewCustomer::named("mara", "Mara K.", "+4915550100001")).unwrap()
    }

    pub(crate) async fn settled(&self) {
        assert!(self.control.idle(Duration::from_mins(1)).await, "webhooks still on their way");
    }

    /// The webhook bodies that arrived since the last look.
    pub(crate) async fn arrived(&self) -> Vec<Value> {
        self.settled().await;
        self.receiver.take().into_iter().map(|call| call.json()).collect()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.base_url())
    }

    /// A call to the control API.
    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(self.http.post(self.url(path)).json(&body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.http.get(self.url(path))).await
    }
}

/// Sends a request and reads status and JSON.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(json!(text)))
}

#[expect(clippy::disallowed_methods, reason = "the tests are a client of their own")]
fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_mins(1))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// A webhook call as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) query: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// Takes webhooks; answers 200 unless told otherwise, and a GET with the challenge.
pub(crate) struct Receiver {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<Received>>>,
    statuses: Arc<Mutex<VecDeque<u16>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (calls, statuses) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(VecDeque::new())));
        let shared = (Arc::clone(&calls), Arc::clone(&statuses));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (calls, statuses) = shared.clone();
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let (calls, statuses) = (Arc::clone(&calls), Arc::clone(&statuses));
                    async move { Ok::<_, Infallible>(take(request, &calls, &statuses).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, calls, statuses }
    }

    /// The next answers; after them 200.
    pub(crate) fn answers(&self, statuses: impl IntoIterator<Item = u16>) {
        self.statuses.lock().unwrap().extend(statuses);
    }

    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

async fn take(
    request: http::Request<Incoming>,
    calls: &Mutex<Vec<Received>>,
    statuses: &Mutex<VecDeque<u16>>,
) -> http::Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let challenge = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "hub.challenge")
        .map(|(_, value)| value.into_owned());
    let body = body.collect().await.unwrap().to_bytes();
    calls.lock().unwrap().push(Received { method: head.method.to_string(), query, headers: head.headers, body });
    let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
    let answer = Bytes::from(challenge.unwrap_or_default());
    http::Response::builder().status(status).body(Full::new(answer)).unwrap()
}
