//! The only I/O: calls of the Messaging API and downloads.

use std::fmt;

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use transom_channel::http::{HttpAnswer, HttpClient, Phase, TransportError};
use transom_channel::outside::OutsideClient;
use transom_channel::{MediaBytes, MediaError, Ports, Receipt, SendError};
use url::Url;

use crate::error;
use crate::wire::{Refusal, Sent, Transcoding};

/// LINE's own servers: one for calls, one for files (2).
const LINE: &str = "https://api.line.me";
const LINE_DATA: &str = "https://api-data.line.me";

/// Names each request at LINE; for their support.
const REQUEST_ID: &str = "x-line-request-id";
/// Names the request that an earlier attempt made and LINE took (2.3).
const ACCEPTED_REQUEST_ID: &str = "x-line-accepted-request-id";

/// The Messaging API, as one account sees it.
pub(crate) struct Api {
    http: HttpClient,
    outside: OutsideClient,
    base: String,
    data_base: String,
    token: SecretString,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(ports: &Ports, token: SecretString) -> Self {
        Self {
            http: ports.http.clone(),
            outside: ports.outside.clone(),
            base: ports.endpoint("line", LINE),
            data_base: ports.endpoint("line", LINE_DATA),
            token,
        }
    }

    /// Sends messages. With a retry key a repeated request is answered by 409 and makes no second message; only pushes take one.
    pub(crate) async fn send<B: Serialize + Sync>(
        &self,
        path: &str,
        body: &B,
        retry_key: Option<&str>,
    ) -> Result<Receipt, SendError> {
        let request = self.request(Method::POST, &self.base, path).json(body);
        let request = match retry_key {
            Some(key) => request.header("x-line-retry-key", key),
            None => request,
        };
        let answer = self.http.execute(request).await?;
        receipt(&answer)
    }

    /// Asks for something; nothing is sent to anybody.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, SendError> {
        let answer = self.http.execute(self.request(Method::GET, &self.base, path)).await;
        let answer = answer.map_err(|error| error::of_a_read(error.into()))?;
        if !answer.is_success() {
            return Err(error::of_a_read(refused(&answer)));
        }
        let unreadable = || SendError::OutcomeUnknown { detail: "an answer that can't be read".to_owned() };
        answer.json().ok_or_else(|| error::of_a_read(unreadable()))
    }

    /// The bytes of a message's file, at most `max` of them (6).
    pub(crate) async fn download(&self, message: &str, max: u64) -> Result<MediaBytes, MediaError> {
        let most = usize::try_from(max).unwrap_or(usize::MAX);
        let request = self.request(Method::GET, &self.data_base, &format!("/v2/bot/message/{message}/content"));
        let answer = self.http.execute_up_to(request, most).await.map_err(|error| of_a_download(&error, max))?;
        match answer.status {
            200 => Ok(MediaBytes { mime: mime_of(&answer), bytes: answer.body, file_name: None }),
            // Large films and sounds are converted first.
            202 => Err(self.not_ready(message).await),
            404 | 410 => Err(MediaError::NotFound),
            status => Err(MediaError::Unavailable(format!("the platform answered {status}"))),
        }
    }

    /// The bytes behind an address that a call named; LINE's token does not go there.
    pub(crate) async fn download_elsewhere(&self, address: &str, max: u64) -> Result<MediaBytes, MediaError> {
        let most = usize::try_from(max).unwrap_or(usize::MAX);
        let url = Url::parse(address).map_err(|_| MediaError::NotFound)?;
        let answer = self.outside.get(&url, self.http.total_timeout(), most).await;
        let answer = answer.map_err(|error| of_a_download(&error.into(), max))?;
        match answer.status {
            200 => Ok(MediaBytes { mime: mime_of(&answer), bytes: answer.body, file_name: None }),
            404 | 410 => Err(MediaError::NotFound),
            status => Err(MediaError::Unavailable(format!("the address answered {status}"))),
        }
    }

    async fn not_ready(&self, message: &str) -> MediaError {
        let request =
            self.request(Method::GET, &self.data_base, &format!("/v2/bot/message/{message}/content/transcoding"));
        let answer = self.http.execute(request).await.ok();
        match answer.and_then(|answer| answer.json::<Transcoding>()) {
            Some(Transcoding { status }) if status == "failed" => MediaError::NotFound,
            _ => MediaError::Unavailable("the platform is still converting it".to_owned()),
        }
    }

    fn request(&self, method: Method, base: &str, path: &str) -> RequestBuilder {
        self.http.request(method, &format!("{base}{path}")).bearer_auth(self.token.expose_secret())
    }
}

/// What became of a send.
fn receipt(answer: &HttpAnswer) -> Result<Receipt, SendError> {
    let deduplicated = answer.status == 409 && answer.header(ACCEPTED_REQUEST_ID).is_some();
    if !answer.is_success() && !deduplicated {
        return Err(refused(answer));
    }
    let sent: Option<Sent> = answer.json();
    match sent {
        Some(sent) => {
            // The customer sees several messages; the first stands for all of them.
            let provider_id = sent.sent_messages.into_iter().next().map(|message| message.id);
            Ok(Receipt { provider_id: provider_id.filter(|id| !id.is_empty()), ..Receipt::default() })
        }
        // LINE has it, whatever the body says.
        None if deduplicated => Ok(Receipt::default()),
        None => Err(SendError::OutcomeUnknown { detail: "an answer that can't be read".to_owned() }),
    }
}

fn refused(answer: &HttpAnswer) -> SendError {
    let request_id = answer.header(REQUEST_ID).unwrap_or_default();
    tracing::info!(status = answer.status, request_id, "the platform refused a call");
    match answer.json::<Refusal>() {
        Some(refusal) => error::refusal(answer.status, &refusal),
        None => error::stranger(answer.status, answer.retry_after_ms()),
    }
}

fn mime_of(answer: &HttpAnswer) -> String {
    let stated = answer.header("content-type").and_then(|value| value.split(';').next()).map(str::trim);
    stated.filter(|mime| !mime.is_empty()).unwrap_or("application/octet-stream").to_owned()
}

fn of_a_download(error: &TransportError, max: u64) -> MediaError {
    match error.phase {
        Phase::Answered if error.detail.contains("is over") => MediaError::TooLarge { max },
        _ => MediaError::Unavailable(error.detail.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use rstest::rstest;

    fn answer(status: u16, accepted: bool, body: &'static str) -> HttpAnswer {
        let mut headers = HeaderMap::new();
        if accepted {
            headers.insert(ACCEPTED_REQUEST_ID, "6ab5c5c2".parse().unwrap());
        }
        HttpAnswer { status, headers, body: body.as_bytes().into() }
    }

    /// line.md 2.2 and 2.3: accepted, accepted before, and neither.
    #[rstest]
    #[case(
        200,
        false,
        r#"{"sentMessages":[{"id":"500000000000000101","quoteToken":"qt"},{"id":"2"}]}"#,
        Ok(Some("500000000000000101"))
    )]
    #[case(200, false, "{}", Ok(None))]
    #[case(
        409,
        true,
        r#"{"message":"The retry key is already accepted","sentMessages":[{"id":"7","quoteToken":"q"}]}"#,
        Ok(Some("7"))
    )]
    #[case(409, true, r#"{"message":"The retry key is already accepted"}"#, Ok(None))]
    #[case(409, true, "gone", Ok(None))]
    #[case(409, false, r#"{"message":"Conflict"}"#, Err("invalid_request"))]
    #[case(409, false, "a proxy's page", Err("outcome_unknown"))]
    #[case(200, false, "<html>", Err("outcome_unknown"))]
    #[case(200, false, r#"{"sentMessages":[{"i"#, Err("outcome_unknown"))]
    #[case(400, false, r#"{"message":"Invalid reply token"}"#, Err("quota_reached"))]
    fn what_was_accepted_is_told_from_what_was_not(
        #[case] status: u16,
        #[case] accepted: bool,
        #[case] body: &'static str,
        #[case] expected: Result<Option<&str>, &str>,
    ) {
        let read = receipt(&answer(status, accepted, body));
        let read = read.as_ref().map(|receipt| receipt.provider_id.as_deref()).map_err(SendError::code);
        assert_eq!(read, expected);
    }
}
