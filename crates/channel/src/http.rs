//! The one tuned HTTP client, which knows how far a request got.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;

use crate::SendError;

/// The longest time for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time for a whole request; leases last longer (reliability.md 6).
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// A pool of connections for sends and reads: no redirects (tokens travel in headers), no retries, bounded answers.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    total: Duration,
}

/// The client can't be built.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client: {0}")]
pub struct HttpSetupError(#[from] reqwest::Error);

impl HttpClient {
    /// A client with the house's limits.
    ///
    /// # Errors
    /// [`HttpSetupError`], such as without root certificates.
    pub fn new() -> Result<Self, HttpSetupError> {
        Self::with_total_timeout(TOTAL_TIMEOUT)
    }

    /// A client that gives up after another time: for tests of lost answers.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[expect(clippy::disallowed_methods, reason = "the one place that builds a client")]
    pub fn with_total_timeout(total: Duration) -> Result<Self, HttpSetupError> {
        // A second call finds the provider installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(total)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_mins(1))
            .user_agent(concat!("transom/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(HttpSetupError)?;
        Ok(Self { client, total })
    }

    /// How long a whole request may take.
    pub fn total_timeout(&self) -> Duration {
        self.total
    }

    /// Starts a request; [`execute`](Self::execute) sends it.
    pub fn request(&self, method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request and reads the whole answer, at most 1 MiB.
    ///
    /// # Errors
    /// [`TransportError`], which says whether the request may have arrived.
    pub async fn execute(&self, request: reqwest::RequestBuilder) -> Result<HttpAnswer, TransportError> {
        self.execute_up_to(request, MAX_ANSWER).await
    }

    /// The same for answers of another size, in bytes: downloads.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn execute_up_to(
        &self,
        request: reqwest::RequestBuilder,
        max: usize,
    ) -> Result<HttpAnswer, TransportError> {
        let request = request.build().map_err(|error| TransportError::not_written(&error))?;
        let mut answer = self.client.execute(request).await.map_err(|error| TransportError::of(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| TransportError::after_answer(&error))? {
            if body.len() + chunk.len() > max {
                return Err(TransportError {
                    phase: Phase::Answered,
                    detail: format!("the answer is over {max} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpAnswer { status: status.as_u16(), headers, body: body.freeze() })
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl HttpAnswer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON, if it is that.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Retry-After` in whole seconds, as milliseconds, at most an hour (reliability.md 5).
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.header("retry-after")
            .and_then(|value| value.trim().parse::<u64>().ok())
            .map(|secs| secs.min(3_600) * 1_000)
    }
}

/// How far a request got before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No byte of it was written: it can't have arrived.
    NothingWritten,
    /// Bytes were written, no answer began.
    Written,
    /// An answer began and could not be read to its end.
    Answered,
}

/// A request without a whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct TransportError {
    /// How far it got.
    pub phase: Phase,
    /// What happened, without addresses: platforms put tokens into them.
    pub detail: String,
}

impl TransportError {
    fn not_written(error: &reqwest::Error) -> Self {
        Self { phase: Phase::NothingWritten, detail: describe(error) }
    }

    fn of(error: &reqwest::Error) -> Self {
        let phase = if error.is_connect() || error.is_builder() { Phase::NothingWritten } else { Phase::Written };
        Self { phase, detail: describe(error) }
    }

    fn after_answer(error: &reqwest::Error) -> Self {
        Self { phase: Phase::Answered, detail: describe(error) }
    }
}

impl From<TransportError> for SendError {
    fn from(error: TransportError) -> Self {
        match error.phase {
            Phase::NothingWritten => SendError::NotConnected { detail: error.detail },
            Phase::Written | Phase::Answered => SendError::OutcomeUnknown { detail: error.detail },
        }
    }
}

/// What went wrong, by kind: the error's own text holds the address.
fn describe(error: &reqwest::Error) -> String {
    let what = match (error.is_connect(), error.is_timeout()) {
        (true, true) => "connecting took too long",
        (true, false) => "the connection was refused or could not be made",
        (false, true) => "no answer within the time limit",
        (false, false) if error.is_builder() => "the request could not be written",
        (false, false) if error.is_body() || error.is_decode() => "the answer broke off",
        (false, false) => "the connection broke",
    };
    what.to_owned()
}
