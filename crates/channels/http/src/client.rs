//! The only I/O: signed requests to one address, and downloads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use transom_channel::http::{HttpAnswer, TransportError};
use transom_channel::outside::{OutsideClient, OutsideError};
use transom_channel::{MediaError, Ports, SendError};
use transom_domain::{Clock, Ids};
use url::Url;

use crate::error;
use crate::signing::{self, Key};
use crate::wire::{Answer, Request};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// The other side. Users typed its address, and its events name those of files: only the open internet is called, unless the
/// deployer allows more.
pub(crate) struct Peer {
    outside: OutsideClient,
    within: Duration,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    endpoint: Url,
    key: Key,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("host", &self.endpoint.host()).finish_non_exhaustive()
    }
}

impl Peer {
    pub(crate) fn new(ports: &Ports, endpoint: Url, key: Key) -> Self {
        let (clock, ids) = (Arc::clone(&ports.clock), Arc::clone(&ports.ids));
        Self { outside: ports.outside.clone(), within: ports.http.total_timeout(), clock, ids, endpoint, key }
    }

    /// Sends a message under its own id: sent again, it is known.
    pub(crate) async fn send(&self, id: &str, request: &Request<'_>) -> Result<Answer, SendError> {
        accepted(&self.post(id, request).await?)
    }

    /// Asks for something; nothing is sent to anybody.
    pub(crate) async fn read<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T, SendError> {
        let id = self.ids.next().to_string();
        let answer = self.post(&id, request).await.map_err(error::of_a_read)?;
        accepted(&answer).map_err(error::of_a_read)?;
        let unreadable = || error::of_a_read(SendError::OutcomeUnknown { detail: "an unreadable answer".to_owned() });
        answer.json().ok_or_else(unreadable)
    }

    async fn post(&self, id: &str, request: &Request<'_>) -> Result<HttpAnswer, SendError> {
        let unwritable = || SendError::NotConnected { detail: "the request can't be written".to_owned() };
        let body = serde_json::to_vec(request).map_err(|_| unwritable())?;
        let timestamp = self.clock.now().unix_timestamp();
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| unwritable());
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (HeaderName::from_static(signing::ID), value(id)?),
            (HeaderName::from_static(signing::TIMESTAMP), timestamp.into()),
            (HeaderName::from_static(signing::SIGNATURE), value(&self.key.sign(id, timestamp, &body))?),
        ]);
        let answer = self.outside.post(&self.endpoint, headers, body.into(), self.within, MAX_ANSWER).await;
        Ok(answer.map_err(TransportError::from)?)
    }

    /// The bytes of a customer's file, at most `max` of them.
    pub(crate) async fn download(&self, address: &str, max: u64) -> Result<HttpAnswer, MediaError> {
        let url = Url::parse(address).ok();
        let url = url.filter(|url| url.scheme() == "https" || url.origin() == self.endpoint.origin());
        let url = url.ok_or_else(|| MediaError::Unavailable("not an https address".to_owned()))?;
        let limit = usize::try_from(max).unwrap_or(usize::MAX);
        let answer = self.outside.get(&url, self.within, limit).await;
        let answer = answer.map_err(|error| too_large_or_away(error, max))?;
        match answer.status {
            200..300 => Ok(answer),
            403 | 404 | 410 => Err(MediaError::NotFound),
            status => Err(MediaError::Unavailable(format!("status {status}"))),
        }
    }
}

/// What an answer says: accepted, refused, or nothing that is certain. A refusal says why in `error`, whatever its status.
fn accepted(answer: &HttpAnswer) -> Result<Answer, SendError> {
    match answer.json::<Answer>() {
        Some(Answer { error: Some(why), .. }) => Err(error::refusal(Some(answer.status), &why)),
        Some(accepted) if answer.is_success() => Ok(accepted),
        _ => Err(error::stranger(answer.status, answer.retry_after_ms())),
    }
}

fn too_large_or_away(error: OutsideError, max: u64) -> MediaError {
    match error {
        OutsideError::TooLong { .. } => MediaError::TooLarge { max },
        other => MediaError::Unavailable(other.to_string()),
    }
}
