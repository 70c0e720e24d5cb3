//! The API document, and a page that shows it. Both are made when somebody asks.

use poem::Response;
use poem::http::{HeaderName, HeaderValue};

use crate::api;

/// The page carries its own script and style, and talks to this service only.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                      font-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The document as JSON.
pub(super) fn json() -> Response {
    Response::builder().content_type("application/json").body(api::document_text())
}

/// The page.
pub(super) fn page() -> Response {
    let mut response = Response::builder().content_type("text/html; charset=utf-8").body(api::page());
    let name = HeaderName::from_static("content-security-policy");
    response.headers_mut().insert(name, HeaderValue::from_static(POLICY));
    response
}
