//! Webhook calls, before they are trusted.

use bytes::Bytes;
use http::{HeaderMap, Method};
use time::OffsetDateTime;
use url::Url;

/// A call as it came in: raw bytes, the public address under which the platform made it, and when.
#[derive(Debug, Clone, Copy)]
pub struct WebhookCall<'c> {
    /// The method.
    pub method: &'c Method,
    /// The public address, built from configuration and never from the `Host` header; the query is as it came.
    pub url: &'c Url,
    /// All headers.
    pub headers: &'c HeaderMap,
    /// The bytes.
    pub body: &'c Bytes,
    /// When it reached us.
    pub received_at: OffsetDateTime,
}

impl WebhookCall<'_> {
    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }

    /// The first query parameter of that name, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

/// What the platform wants to hear from a call that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// Whether the call holds events and goes to the journal before it is answered. A handshake does not.
    pub journal: bool,
    /// The proof of the call, where it says nothing of the words and so is good for one call only.
    pub once: Option<Once>,
}

/// A proof that is good for one call, and for that call again: the service remembers it, and refuses it under other words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The proof, unique on the connection.
    pub proof: String,
    /// A digest of what the call says, the same whenever the platform repeats it.
    pub said: [u8; 32],
    /// From when on the proof is too old by itself.
    pub kept_until: OffsetDateTime,
}

impl Answer {
    /// 200 with an empty body, after journalling.
    pub fn accepted() -> Self {
        Self { status: 200, content_type: "text/plain; charset=utf-8", body: String::new(), journal: true, once: None }
    }

    /// 200 with a text, for a handshake.
    pub fn handshake(body: impl Into<String>) -> Self {
        Self { status: 200, content_type: "text/plain; charset=utf-8", body: body.into(), journal: false, once: None }
    }
}
