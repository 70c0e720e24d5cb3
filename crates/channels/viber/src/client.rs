//! The only I/O: calls of the Bot API and downloads.

use std::fmt;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use transom_channel::http::{HttpAnswer, HttpClient, Phase, TransportError};
use transom_channel::outside::OutsideClient;
use transom_channel::{MediaError, Ports, SendError};
use url::Url;

use crate::error;
use crate::wire::Answer;

/// Viber's own server (2).
const VIBER: &str = "https://chatapi.viber.com/pa";

/// The Bot API, as one bot sees it.
pub(crate) struct Api {
    http: HttpClient,
    outside: OutsideClient,
    base: String,
    token: SecretString,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(ports: &Ports, token: SecretString) -> Self {
        Self { http: ports.http.clone(), outside: ports.outside.clone(), base: ports.endpoint("viber", VIBER), token }
    }

    /// Sends a message.
    pub(crate) async fn send(&self, message: &impl Serialize) -> Result<Answer, SendError> {
        let answer = self.post("send_message", message).await?;
        accepted(&answer)
    }

    /// Asks for something; nothing is sent to anybody.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<T, SendError> {
        let answer = self.post(path, query).await.map_err(error::of_a_read)?;
        accepted(&answer).map_err(error::of_a_read)?;
        let unreadable =
            || error::of_a_read(SendError::OutcomeUnknown { detail: format!("{path}: an unreadable answer") });
        answer.json().ok_or_else(unreadable)
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<HttpAnswer, SendError> {
        let request = self.http.request(Method::POST, &format!("{}/{path}", self.base));
        let request = request.header("x-viber-auth-token", self.token.expose_secret()).json(body);
        Ok(self.http.execute(request).await?)
    }

    /// The bytes of a customer's file, at most `max` of them. The address works for about an hour and needs no token (6).
    pub(crate) async fn download(&self, address: &str, max: u64) -> Result<HttpAnswer, MediaError> {
        let limit = usize::try_from(max).unwrap_or(usize::MAX);
        let answer = if self.is_ours(address) {
            self.http.execute_up_to(self.http.request(Method::GET, address), limit).await
        } else {
            let url = Url::parse(address).ok().filter(|url| url.scheme() == "https");
            let url = url.ok_or_else(|| MediaError::Unavailable("not an https address".to_owned()))?;
            self.outside.get(&url, self.http.total_timeout(), limit).await.map_err(Into::into)
        };
        let answer = answer.map_err(|error| too_large_or_away(&error, max))?;
        match answer.status {
            200..300 => Ok(answer),
            403 | 404 | 410 => Err(MediaError::NotFound),
            status => Err(MediaError::Unavailable(format!("status {status}"))),
        }
    }

    /// Whether an address is at Viber's own server, or what stands in for it; any other is the call's word only.
    fn is_ours(&self, address: &str) -> bool {
        let (Ok(address), Ok(base)) = (Url::parse(address), Url::parse(&self.base)) else { return false };
        address.origin() == base.origin()
    }
}

/// What an answer says: accepted, refused, or nothing that is certain. HTTP is 200 even for a refusal (2).
fn accepted(answer: &HttpAnswer) -> Result<Answer, SendError> {
    match answer.json::<Answer>() {
        Some(accepted) if accepted.status == 0 && answer.is_success() => Ok(accepted),
        Some(refused) if refused.status != 0 => Err(error::refusal(answer.status, &refused)),
        _ => Err(error::stranger(answer.status, answer.retry_after_ms())),
    }
}

fn too_large_or_away(error: &TransportError, max: u64) -> MediaError {
    match error.phase {
        Phase::Answered if error.detail.contains("bytes") => MediaError::TooLarge { max },
        _ => MediaError::Unavailable(error.detail.clone()),
    }
}
