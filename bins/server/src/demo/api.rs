//! The service's HTTP API as any client sees it.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use transom_channel::http::HttpClient;

use super::world::Trouble;

/// What says "not now" is asked again, as every client has to: the database of a busy machine may take too long.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// A client with one token.
#[derive(Debug, Clone)]
pub struct Api {
    http: HttpClient,
    base: String,
    token: String,
}

/// A status with its body.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body as JSON; null if it has none.
    pub body: Value,
}

impl Reply {
    /// The value at a JSON pointer, as text.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.body.pointer(pointer).and_then(Value::as_str)
    }

    /// The body, if the status is the expected one.
    ///
    /// # Errors
    /// [`Trouble`] with what came instead.
    pub fn expect(self, status: u16) -> Result<Self, Trouble> {
        if self.status == status {
            Ok(self)
        } else {
            Err(Trouble(format!("expected HTTP {status}, and got {}: {}", self.status, self.body)))
        }
    }
}

impl Api {
    /// For a service and a token.
    ///
    /// # Errors
    /// [`Trouble`] when no HTTP client can be built.
    pub fn new(base: &str, token: &str) -> Result<Self, Trouble> {
        let http = HttpClient::new().map_err(Trouble::new)?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token: token.to_owned() })
    }

    /// `GET /v1{path}`.
    ///
    /// # Errors
    /// [`Trouble`] when there is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply, Trouble> {
        self.call(Method::GET, path, None, None).await
    }

    /// `POST /v1{path}` with JSON.
    ///
    /// # Errors
    /// [`Trouble`] when there is no answer.
    pub async fn post(&self, path: &str, body: Value) -> Result<Reply, Trouble> {
        self.call(Method::POST, path, Some(body), None).await
    }

    /// The same with an `Idempotency-Key`.
    ///
    /// # Errors
    /// [`Trouble`] when there is no answer.
    pub async fn post_once(&self, path: &str, key: &str, body: Value) -> Result<Reply, Trouble> {
        self.call(Method::POST, path, Some(body), Some(key)).await
    }

    /// `PATCH /v1{path}` with JSON.
    ///
    /// # Errors
    /// [`Trouble`] when there is no answer.
    pub async fn patch(&self, path: &str, body: Value) -> Result<Reply, Trouble> {
        self.call(Method::PATCH, path, Some(body), None).await
    }

    /// `PUT /v1{path}`, with JSON or without.
    ///
    /// # Errors
    /// [`Trouble`] when there is no answer.
    pub async fn put(&self, path: &str, body: impl Into<Option<Value>>) -> Result<Reply, Trouble> {
        self.call(Method::PUT, path, body.into(), None).await
    }

    /// `DELETE /v1{path}`.
    ///
    /// # Errors
    /// [`Trouble`] when there is no answer.
    pub async fn delete(&self, path: &str) -> Result<Reply, Trouble> {
        self.call(Method::DELETE, path, None, None).await
    }

    /// `POST /v1{path}` with a form.
    ///
    /// # Errors
    /// [`Trouble`] when there is no answer.
    pub async fn upload(&self, path: &str, form: reqwest::multipart::Form) -> Result<Reply, Trouble> {
        let request = self.http.request(Method::POST, &format!("{}/v1{path}", self.base)).bearer_auth(&self.token);
        let answer = self.http.execute(request.multipart(form)).await.map_err(Trouble::new)?;
        Ok(Reply { status: answer.status, body: answer.json().unwrap_or(Value::Null) })
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>, key: Option<&str>) -> Result<Reply, Trouble> {
        let mut left = TRIES;
        loop {
            let mut request =
                self.http.request(method.clone(), &format!("{}/v1{path}", self.base)).bearer_auth(&self.token);
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            let request = match &body {
                Some(body) => request.json(body),
                None => request,
            };
            let answer = self.http.execute(request).await.map_err(Trouble::new)?;
            let reply = Reply { status: answer.status, body: answer.json().unwrap_or(Value::Null) };
            left -= 1;
            let is_busy = reply.status == 503 && reply.body.get("retryable") == Some(&Value::Bool(true));
            if left == 0 || !is_busy {
                return Ok(reply);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
