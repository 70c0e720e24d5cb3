//! Versions: `ETag` on what can be changed, `If-Match` on the change.

use poem::{FromRequest, Request, RequestBody};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Json;
use poem_openapi::types::ToJSON;

use crate::http::problem::Problem;

/// The version that the caller saw, if it says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IfMatch(pub(crate) Option<u64>);

impl<'r> FromRequest<'r> for IfMatch {
    async fn from_request(request: &'r Request, _: &mut RequestBody) -> poem::Result<Self> {
        match request.header("If-Match").map(str::trim) {
            None | Some("*") => Ok(Self(None)),
            Some(tag) => {
                let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')?.parse().ok());
                let wrong = || {
                    let detail = "`If-Match` takes the `ETag` of the last answer, quotes included, such as \"7\"";
                    Problem::new("parameter_invalid", detail).at("If-Match")
                };
                Ok(Self(Some(version.ok_or_else(wrong)?)))
            }
        }
    }
}

/// Something with a version.
#[derive(Debug, ApiResponse)]
pub(crate) enum Versioned<T: ToJSON> {
    /// As it is now.
    #[oai(status = 200)]
    Found(
        Json<T>,
        /// Its version: give it as `If-Match` with the next change.
        #[oai(header = "ETag")]
        String,
    ),
}

impl<T: ToJSON> Versioned<T> {
    pub(crate) fn new(value: T, version: u64) -> Self {
        Versioned::Found(Json(value), format!("\"{version}\""))
    }
}

/// Something that was made.
#[derive(Debug, ApiResponse)]
pub(crate) enum Made<T: ToJSON> {
    /// Made.
    #[oai(status = 201)]
    Made(
        Json<T>,
        /// `true` when this is the answer to an earlier request with the same `Idempotency-Key`.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
}

/// Something that is on its way.
#[derive(Debug, ApiResponse)]
pub(crate) enum Accepted<T: ToJSON> {
    /// Stored and on its way: follow it on `GET /v1/events`.
    #[oai(status = 202)]
    Accepted(
        Json<T>,
        /// `true` when this is the answer to an earlier request with the same `Idempotency-Key`.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
}

/// Something that is gone.
#[derive(Debug, ApiResponse)]
pub(crate) enum Gone {
    /// It is gone.
    #[oai(status = 204)]
    Gone,
}
