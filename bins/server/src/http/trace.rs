//! One line of the log and one metric a request: pattern, status, time. Never a body, a token or a query.

use std::time::Instant;

use poem::http::{HeaderName, HeaderValue, Method};
use poem::{Endpoint, PathPattern, Request, Response, Result};
use tracing::Instrument;
use uuid::Uuid;

use super::signed_in::RequestId;

/// The header that carries a request's id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs a request in a span with its id, and tells what became of it.
pub(crate) async fn traced<E>(next: &E, mut request: Request, id: Uuid) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let started = Instant::now();
    request.set_data(RequestId(id));
    let method = request.method().clone();
    let peer = request.remote_addr().to_string();
    let span = tracing::info_span!("request", %id, %method);
    let mut response = next.get_response(request).instrument(span.clone()).await;
    let pattern = response.data::<PathPattern>().map_or_else(|| "none".to_owned(), |pattern| pattern.0.to_string());
    let (status, took) = (response.status(), started.elapsed());
    span.in_scope(|| {
        let (status, ms) = (status.as_u16(), took.as_secs_f64() * 1_000.0);
        // What asks all the time, and is of interest when it fails.
        if status < 400 && (pattern.starts_with("/health") || pattern == "/metrics") {
            tracing::debug!(pattern, status, ms, %peer, "answered");
        } else {
            tracing::info!(pattern, status, ms, %peer, "answered");
        }
    });
    let class = match status.as_u16() {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("transom_http_requests_total", "method" => method_name(&method), "pattern" => pattern, "status" => class)
        .increment(1);
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(response)
}

/// A closed set, whatever callers invent.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
