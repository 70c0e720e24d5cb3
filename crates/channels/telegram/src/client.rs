//! The only I/O: calls of the Bot API and downloads.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use transom_channel::http::{HttpAnswer, HttpClient, Phase, TransportError};
use transom_channel::{MediaBytes, MediaError, Ports, SendError};
use url::Url;

use crate::error;
use crate::wire::{Answer, FilePath};

/// Telegram's own server.
const TELEGRAM: &str = "https://api.telegram.org";
/// A batch of a hundred updates may be long.
const MAX_UPDATES: usize = 8 * 1024 * 1024;

/// The Bot API, as one bot sees it. Its addresses hold the token: they are made here and never leave.
pub(crate) struct Api {
    http: HttpClient,
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
        Self { http: ports.http.clone(), base: ports.endpoint("telegram", TELEGRAM), token }
    }

    /// Calls a method and gives its result.
    pub(crate) async fn call(&self, method: &str, fields: &Map<String, Value>) -> Result<Value, SendError> {
        let request = self.http.request(Method::POST, &self.address(method)).json(fields);
        result_of(&self.http.execute_up_to(request, MAX_UPDATES).await?)
    }

    /// Asks for something that comes when it is there, within `patience`: however short other requests must be.
    pub(crate) async fn wait_for<T: DeserializeOwned>(
        &self,
        method: &str,
        fields: Value,
        patience: Duration,
    ) -> Result<T, SendError> {
        let request = self.http.request(Method::POST, &self.address(method)).json(&fields).timeout(patience);
        let answer = self.http.execute_up_to(request, MAX_UPDATES).await.map_err(SendError::from);
        let result = answer.and_then(|answer| result_of(&answer)).map_err(error::of_a_read)?;
        readable(method, result)
    }

    /// Calls a method with a file.
    pub(crate) async fn upload(
        &self,
        method: &str,
        fields: &Map<String, Value>,
        field: &'static str,
        file: MediaBytes,
    ) -> Result<Value, SendError> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            // In forms, nested objects are JSON texts (2).
            other => other.to_string(),
        };
        let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text(name.clone(), text(value)));
        let request = self.http.request(Method::POST, &self.address(method)).multipart(form.part(field, part(file)));
        result_of(&self.http.execute(request).await?)
    }

    /// Asks for something; nothing is sent to anybody.
    pub(crate) async fn read<T: DeserializeOwned>(&self, method: &str, fields: Value) -> Result<T, SendError> {
        let fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
        let result = self.call(method, &fields).await.map_err(error::of_a_read)?;
        readable(method, result)
    }

    /// The bytes of a file, at most `max` of them.
    pub(crate) async fn download(&self, file_id: &str, max: u64) -> Result<HttpAnswer, MediaError> {
        let file: FilePath =
            self.read("getFile", serde_json::json!({"file_id": file_id})).await.map_err(|error| match &error {
                SendError::ContentRefused { report } if report.message.contains("too big") => {
                    MediaError::TooLarge { max }
                }
                SendError::ContentRefused { .. } | SendError::Invalid { .. } => MediaError::NotFound,
                other => MediaError::Unavailable(other.code().to_owned()),
            })?;
        if file.file_size.is_some_and(|size| size > max) {
            return Err(MediaError::TooLarge { max });
        }
        let path = file.file_path.ok_or(MediaError::NotFound)?;
        let address =
            self.file_address(&path).ok_or_else(|| MediaError::Unavailable("a path that is none".to_owned()))?;
        let request = self.http.request(Method::GET, &address);
        let limit = usize::try_from(max).unwrap_or(usize::MAX);
        let answer = self.http.execute_up_to(request, limit).await.map_err(|error| too_large_or_away(&error, max))?;
        match answer.status {
            200..300 => Ok(answer),
            404 => Err(MediaError::NotFound),
            status => Err(MediaError::Unavailable(format!("status {status}"))),
        }
    }

    fn address(&self, method: &str) -> String {
        format!("{}/bot{}/{method}", self.base, self.token.expose_secret())
    }

    /// The address of a file; `None` for a path that leaves its folder, or that a server of one's own gives for its disk.
    fn file_address(&self, path: &str) -> Option<String> {
        let pieces: Vec<&str> = path.split('/').collect();
        if pieces.iter().any(|piece| matches!(*piece, "" | "." | "..")) {
            return None;
        }
        let mut url = Url::parse(&format!("{}/file/bot{}", self.base, self.token.expose_secret())).ok()?;
        url.path_segments_mut().ok()?.extend(pieces);
        Some(url.into())
    }
}

fn readable<T: DeserializeOwned>(method: &str, result: Value) -> Result<T, SendError> {
    let unreadable = || SendError::OutcomeUnknown { detail: format!("{method}: an unreadable answer") };
    serde_json::from_value(result).map_err(|_| error::of_a_read(unreadable()))
}

/// What an answer says: a result, a refusal, or nothing that is certain.
fn result_of(answer: &HttpAnswer) -> Result<Value, SendError> {
    match answer.json::<Answer>() {
        Some(Answer { ok: true, result, .. }) if answer.is_success() => Ok(result),
        Some(refused) if !refused.ok => Err(error::refusal(answer.status, refused)),
        _ => Err(error::stranger(answer.status, answer.retry_after_ms())),
    }
}

fn too_large_or_away(error: &TransportError, max: u64) -> MediaError {
    match error.phase {
        Phase::Answered if error.detail.contains("bytes") => MediaError::TooLarge { max },
        _ => MediaError::Unavailable(error.detail.clone()),
    }
}

fn part(file: MediaBytes) -> Part {
    let length = file.bytes.len() as u64;
    let name = file.file_name.unwrap_or_else(|| "file".to_owned());
    let bare = |bytes: bytes::Bytes| Part::stream_with_length(bytes, length).file_name(name.clone());
    // A type that is none is left to Telegram, which looks at the file's name.
    bare(file.bytes.clone()).mime_str(&file.mime).unwrap_or_else(|_| bare(file.bytes))
}
