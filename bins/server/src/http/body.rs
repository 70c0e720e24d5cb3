//! Bodies: read whole, within a limit and a time, before anything else looks at them.

use std::time::Duration;

use poem::error::ReadBodyError;
use poem::http::{Method, header};
use poem::{Body, Request};

use super::problem::Problem;

/// Reads the body within its limits.
///
/// # Errors
/// 413 for too many bytes, announced or sent; 408 if it takes too long; 400 if it breaks off.
pub(crate) async fn read(
    body: Body,
    announced: Option<usize>,
    max: usize,
    time: Duration,
) -> Result<bytes::Bytes, Problem> {
    let too_large = || Problem::new("body_too_large", format!("the body is over {max} bytes"));
    if announced.is_some_and(|length| length > max) {
        return Err(too_large());
    }
    match tokio::time::timeout(time, body.into_bytes_limit(max)).await {
        Err(_) => {
            let seconds = time.as_secs();
            Err(Problem::new("body_too_slow", format!("the body was not there after {seconds} seconds")))
        }
        Ok(Err(ReadBodyError::PayloadTooLarge)) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new("body_malformed", "the body broke off")),
        Ok(Ok(bytes)) => Ok(bytes),
    }
}

/// The length that the request announces.
pub(crate) fn announced(request: &Request) -> Option<usize> {
    request.header(header::CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok())
}

/// Whether a method has a body here.
pub(crate) fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}
