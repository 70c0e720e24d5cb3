//! Errors as `application/problem+json` (RFC 9457), each with a stable code that docs/errors.md lists.

use std::fmt;
use std::marker::PhantomData;

use poem::error::ResponseError;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};
use serde_json::{Value, json};
use transom_desk::DeskError;
use transom_storage::StorageError;

use super::codes;
use crate::api::contract::DecisionBody;

/// Where each code is explained.
const EXPLAINED_AT: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/errors.md");

/// Something that was not done, and why.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<String>,
    retryable: bool,
    retry_after: Option<u32>,
    /// Members of their own: `decision` and `house`.
    more: serde_json::Map<String, Value>,
}

impl Problem {
    /// A problem of a code; its status is the one that the table of codes gives.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self::with_status(codes::status_of(code), code, detail)
    }

    /// A problem whose code can stand for several statuses.
    pub fn with_status(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retryable = matches!(status.as_u16(), 408 | 429 | 502 | 503);
        Self {
            status,
            code,
            detail: detail.into(),
            field: None,
            retryable,
            retry_after: None,
            more: serde_json::Map::new(),
        }
    }

    /// A fault of ours. What it was goes to the log, never to the caller.
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new("internal", "something went wrong here; the log of the service says what, under the request's id")
    }

    /// Which field is wrong.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// After how many seconds to ask again.
    #[must_use]
    pub fn after(self, seconds: u32) -> Self {
        Self { retryable: true, retry_after: Some(seconds), ..self }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// The HTTP status.
    pub fn status_code(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// It as JSON.
    pub(super) fn to_value(&self) -> Value {
        let mut body = self.more.clone();
        body.insert("type".into(), json!(format!("{EXPLAINED_AT}#{}", self.code)));
        body.insert("title".into(), json!(codes::title_of(self.code, self.status)));
        body.insert("status".into(), json!(self.status.as_u16()));
        body.insert("detail".into(), json!(self.detail));
        body.insert("code".into(), json!(self.code));
        body.insert("retryable".into(), json!(self.retryable));
        if let Some(field) = &self.field {
            body.insert("field".into(), json!(field));
        }
        if let Some(seconds) = self.retry_after {
            body.insert("retry_after".into(), json!(seconds));
        }
        Value::Object(body)
    }

    /// It as an answer.
    pub fn to_response(&self) -> Response {
        let mut response = Response::builder()
            .status(self.status)
            .content_type("application/problem+json")
            .body(self.to_value().to_string());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn as_response(&self) -> Response {
        self.to_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.to_response()
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            DeskError::NotFound { .. } => Problem::with_status(404, code, detail),
            DeskError::Forbidden { .. } => Problem::with_status(403, code, detail),
            DeskError::Invalid { field, .. } => {
                let status = codes::find(code).map_or(422, |known| known.status);
                let problem = Problem::with_status(status, code, detail);
                field.map_or(problem.clone(), |field| problem.at(field))
            }
            DeskError::NotPermitted(verdict) => Problem::with_status(409, code, detail)
                .with("decision", serde_json::to_value(&verdict.decision).unwrap_or_default())
                .with("house", serde_json::to_value(&verdict.house).unwrap_or_default()),
            DeskError::Conflict { .. } if code == "idempotency_key_running" => {
                Problem::with_status(409, code, detail).after(1)
            }
            DeskError::Conflict { .. } => Problem::with_status(409, code, detail),
            DeskError::VersionMismatch => Problem::with_status(412, code, detail),
            DeskError::Replayed(_) => Problem::internal(&"a stored answer was not given back"),
            DeskError::Platform(error) => of_platform(&error),
            DeskError::Storage(error) => error.into(),
        }
    }
}

/// What a platform said while somebody waited for it: it may pass, or what was given to us is wrong.
fn of_platform(error: &transom_channel::SendError) -> Problem {
    use transom_channel::NextStep as N;
    match error.next_step() {
        N::Retry { after } => {
            let seconds = after.map_or(1, |after| u32::try_from(after.whole_seconds()).unwrap_or(1).max(1));
            Problem::with_status(502, error.code(), error.to_string()).after(seconds)
        }
        N::Settle => Problem::with_status(502, error.code(), error.to_string()),
        N::DecideAgain | N::Reconnect | N::GiveUp => Problem::with_status(422, error.code(), error.to_string()),
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        let code = error.code();
        match error {
            StorageError::Duplicate(_) => {
                Problem::with_status(409, code, "there is one already with this name or address")
            }
            StorageError::MissingReference(_) => {
                Problem::with_status(409, code, "something that this refers to is gone, or is still in use")
            }
            StorageError::Full => {
                Problem::with_status(503, code, "the disk of the service is full: nothing was stored").after(30)
            }
            StorageError::CommitUnknown => Problem::with_status(
                503,
                code,
                "it may have been stored: ask again with the same Idempotency-Key, or read it back",
            )
            .after(1),
            StorageError::Unavailable(_) | StorageError::Conflict | StorageError::Timeout => {
                tracing::warn!(%error, "the database did not answer in time");
                Problem::with_status(
                    503,
                    code,
                    "the database or the store of files did not answer in time: nothing was stored",
                )
                .after(1)
            }
            other => {
                tracing::error!(error = %other, code, "the database failed");
                Problem::with_status(500, code, "the database failed; the log of the service says how")
            }
        }
    }
}

/// Why something was not done (RFC 9457). `code` is for programs, `detail` for people.
#[derive(Debug, Object)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
pub struct ProblemBody {
    /// Where the code is explained.
    #[oai(rename = "type")]
    kind: String,
    /// The code in a few words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what to do.
    detail: String,
    /// Stable: docs/errors.md lists them all.
    code: String,
    /// Which field, parameter or header is wrong, where it is one.
    field: Option<String>,
    /// Whether the same request may work later.
    retryable: bool,
    /// After how many seconds to ask again.
    retry_after: Option<u32>,
    /// For a message that nothing permits: grant by grant why not, and what would change it.
    decision: Option<DecisionBody>,
    /// For a message that nothing permits: what the workspace's own rules say against it.
    house: Option<Vec<HouseBody>>,
}

/// What a rule of the workspace says against a message.
#[derive(Debug, Object)]
#[oai(rename = "HouseReason", skip_serializing_if_is_none)]
pub struct HouseBody {
    /// `bot_paused`, `bot_unbound`, `active_conversation`, `tag_required`, `account_disabled`, `channel_removed`, `quiet_hours` or
    /// `answers_only`.
    reason: String,
    /// What would lift it.
    remedy: String,
    /// The conversation that is in the way.
    conversation: Option<uuid::Uuid>,
    /// Until when the customer's quiet hours last.
    until: Option<time::OffsetDateTime>,
}

/// Which statuses an operation may refuse with, besides what it answers.
pub trait Refusals: fmt::Debug + Send + Sync + 'static {
    /// The statuses.
    const STATUSES: &'static [u16];
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $($status:literal)*;)*) => { $(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Refusals for $name {
            const STATUSES: &'static [u16] = &[$($status,)*];
        }
    )* };
}

refusals! {
    /// For lists and for what is always there.
    Listing = 400 401 403 429 431 500 503;
    /// For one thing, which may not be there.
    Reading = 400 401 403 404 429 431 500 503;
    /// For what makes something.
    Making = 400 401 403 404 408 409 413 415 422 429 431 500 503;
    /// For what changes something that has a version.
    Changing = 400 401 403 404 408 409 412 413 415 422 429 431 500 503;
    /// For what asks a platform while somebody waits.
    Asking = 400 401 403 404 408 409 412 413 415 422 429 431 500 502 503;
}

/// A refusal of an operation whose document lists the statuses `S`.
#[derive(Debug)]
pub struct Refused<S> {
    problem: Problem,
    statuses: PhantomData<S>,
}

impl<S: Refusals, E: Into<Problem>> From<E> for Refused<S> {
    fn from(error: E) -> Self {
        Self { problem: error.into(), statuses: PhantomData }
    }
}

impl<S: Refusals> From<Refused<S>> for poem::Error {
    fn from(refused: Refused<S>) -> Self {
        refused.problem.into()
    }
}

impl<S: Refusals> ApiResponse for Refused<S> {
    fn meta() -> MetaResponses {
        let response = |status: &u16| MetaResponse {
            description: codes::meaning_of(*status),
            status: Some(*status),
            status_range: None,
            content: vec![MetaMediaType { content_type: ProblemJson::CONTENT_TYPE, schema: ProblemJson::schema_ref() }],
            headers: Vec::new(),
        };
        MetaResponses { responses: S::STATUSES.iter().map(response).collect() }
    }

    fn register(registry: &mut Registry) {
        ProblemJson::register(registry);
    }
}

/// The media type of a problem.
struct ProblemJson;

impl Payload for ProblemJson {
    const CONTENT_TYPE: &'static str = "application/problem+json";

    fn schema_ref() -> MetaSchemaRef {
        ProblemBody::schema_ref()
    }

    fn register(registry: &mut Registry) {
        ProblemBody::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_thing_is_404_and_a_full_disk_can_be_tried_again() {
        let missing = Problem::from(DeskError::NotFound { what: "contact" });
        assert_eq!((missing.status_code().as_u16(), missing.code(), missing.retryable), (404, "not_found", false));
        let full = Problem::from(StorageError::Full);
        assert_eq!((full.status_code().as_u16(), full.code(), full.retryable), (503, "storage_full", true));
        assert_eq!(full.to_response().header("retry-after"), Some("30"));
    }

    #[test]
    fn a_failure_of_ours_tells_nothing_of_itself() {
        let broken = Problem::from(StorageError::Database("relation secrets, column x".to_owned()));
        assert_eq!(broken.status_code().as_u16(), 500);
        assert!(!broken.to_value().to_string().contains("relation"));
    }
}
