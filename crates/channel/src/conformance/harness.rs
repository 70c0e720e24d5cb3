//! What a channel crate hands to the suite: its platform, a stand-in over real HTTP, and how webhooks are signed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use time::OffsetDateTime;
use transom_domain::{Content, Identity};
use url::Url;

use crate::{Platform, Ports, SettingValues, WebhookCall};

/// A channel and all that is needed to judge it. Each law gets a fresh one.
pub struct Harness {
    /// The platform under test.
    pub platform: Arc<dyn Platform>,
    /// Settings with which it connects to the stand-in.
    pub settings: SettingValues,
    /// The same with a credential that the stand-in refuses.
    pub revoked: SettingValues,
    /// Clock, network, files. The endpoint leads to the stand-in, [`SampleFiles`](super::SampleFiles) are the files, and the
    /// HTTP client gives up after [`PATIENCE`](super::PATIENCE).
    pub ports: Ports,
    /// How the platform names the account in its webhooks.
    pub account: String,
    /// A customer whom the stand-in knows, and to whom free text may be sent now.
    pub identity: Identity,
    /// The platform's id of a message from that customer, to quote and to react to; `None` where there is neither.
    pub quotable: Option<String>,
    /// A template that the stand-in takes; `None` where the platform has none.
    pub template: Option<Content>,
    /// The policy by which permits are given.
    pub policy: &'static str,
    /// The customer's event that opens the window, as that policy names it, and what the answer must refer to.
    pub opening: (&'static str, Option<String>),
    /// The platform's webhooks.
    pub webhooks: Webhooks,
    /// The platform itself, as far as the suite must see behind the scenes.
    pub double: Arc<dyn Double>,
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("platform", &self.platform)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// The platform's side, over real HTTP.
#[async_trait]
pub trait Double: Send + Sync + 'static {
    /// How many requests that could have reached a customer came in so far, whatever became of them; uploads are none.
    /// Requests that found no connection can't be counted and are not.
    async fn requests(&self) -> usize;

    /// What was accepted so far, oldest first.
    async fn accepted(&self) -> Vec<Accepted>;

    /// What becomes of the next request that could reach a customer.
    async fn fail_next(&self, fault: Fault);
}

/// A message that the platform accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Its id, as [`Receipt::provider_id`](crate::Receipt::provider_id) should say it.
    pub provider_id: Option<String>,
    /// Its words, where there are some.
    pub text: Option<String>,
}

/// What can happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Accepted, and the connection breaks before a byte of the answer.
    LoseAnswer,
    /// Accepted, and 200 with something that nobody can read.
    Garbage,
    /// Accepted, and 200 with an answer that breaks off.
    Truncated,
    /// Accepted, and the answer comes after [`PATIENCE`](super::PATIENCE).
    Silence,
    /// Not processed: a gateway in between answers 502 with a page for people.
    Gateway,
    /// Not processed: too fast. The wish is stated where [`states_retry_after`](Webhooks::states_retry_after) says so.
    RateLimited {
        /// After how many seconds to come again.
        retry_after: u32,
    },
    /// Nobody listens, until the next call of `fail_next` or the end of the harness.
    Refused,
}

/// Makes a genuine call out of a body.
pub type Sign = Box<dyn Fn(&[u8]) -> SignedCall + Send + Sync>;

/// How the platform calls us.
pub struct Webhooks {
    /// The name of the setting that holds what calls are checked with.
    pub secret: &'static str,
    /// Makes a genuine call out of a body.
    pub sign: Sign,
    /// Where the proof of a call stands.
    pub proof: Proof,
    /// Whether the proof covers the body; a shared token does not.
    pub covers_body: bool,
    /// One sample of each kind of event that the channel reads, no two of them the same event.
    pub events: Vec<Sample>,
    /// Events of types and with contents that do not exist yet, in the platform's envelope.
    pub unknown: Vec<Sample>,
    /// Whether a "too fast" states when to come again.
    pub states_retry_after: bool,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").field("secret", &self.secret).field("proof", &self.proof).finish_non_exhaustive()
    }
}

/// Where the proof of a webhook call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// In a header.
    Header(&'static str),
    /// In the query.
    Query(&'static str),
}

/// A body as the platform would post it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What it is, for the message of a broken law.
    pub name: &'static str,
    /// The body.
    pub body: Bytes,
    /// When its first item happened, by the platform's clock; `None` where the body does not say.
    pub at: Option<OffsetDateTime>,
}

impl Sample {
    /// A sample that states its time.
    pub fn at(name: &'static str, at: OffsetDateTime, body: impl Into<Bytes>) -> Self {
        Self { name, body: body.into(), at: Some(at) }
    }

    /// A sample that states no time.
    pub fn timeless(name: &'static str, body: impl Into<Bytes>) -> Self {
        Self { name, body: body.into(), at: None }
    }
}

/// A webhook call with its proof.
#[derive(Debug, Clone)]
pub struct SignedCall {
    /// The method.
    pub method: Method,
    /// The public address.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl SignedCall {
    /// A JSON call by POST to an invented address.
    #[expect(clippy::expect_used, reason = "the address is a constant")]
    pub fn json(body: impl Into<Bytes>) -> Self {
        let url = Url::parse("https://hooks.example/webhooks/1").expect("a constant address");
        let headers =
            HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Self { method: Method::POST, url, headers, body: body.into() }
    }

    /// With a header. A name or value that HTTP does not know is left out.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// As the channel gets it.
    pub fn received_at(&self, at: OffsetDateTime) -> WebhookCall<'_> {
        WebhookCall { method: &self.method, url: &self.url, headers: &self.headers, body: &self.body, received_at: at }
    }
}
