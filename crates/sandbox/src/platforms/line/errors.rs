//! LINE's errors: a status and a message, sometimes with details.

use serde_json::{Value, json};

use crate::http::Reply;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LineError {
    status: u16,
    message: String,
    details: Vec<(String, &'static str)>,
}

impl LineError {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: Vec::new() }
    }

    /// What is wrong with the messages, property by property.
    pub(super) fn body(details: Vec<(String, &'static str)>) -> Self {
        Self { details: details.clone(), ..Self::new(400, format!("The request body has {} error(s)", details.len())) }
    }

    /// A property that has a value of another kind than it must have.
    pub(super) fn property(name: &str) -> Self {
        Self::new(400, format!("The property, '{name}', in the request body is invalid (line: -, column: -)"))
    }

    pub(super) fn not_json() -> Self {
        Self::new(400, "The request body could not be parsed as JSON (line: 1, column: 1)")
    }

    pub(super) fn unauthorized() -> Self {
        let why = "invalid token. Confirm that the access token in the authorization header is valid.";
        Self::new(401, format!("Authentication failed due to the following reason: {why}"))
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "Not found")
    }

    pub(super) fn too_fast() -> Self {
        Self::new(429, "The API rate limit has been exceeded. Try again later.")
    }

    pub(super) fn monthly_limit() -> Self {
        Self::new(429, "You have reached your monthly limit.")
    }

    pub(super) fn reply(&self) -> Reply {
        let detail = |(property, message): &(String, &str)| json!({"message": message, "property": property});
        let details: Vec<Value> = self.details.iter().map(detail).collect();
        let body = match details.as_slice() {
            [] => json!({"message": self.message}),
            details => json!({"message": self.message, "details": details}),
        };
        Reply::json(self.status, &body).coded(i64::from(self.status))
    }
}

/// The words that go with a status, for refusals made to order.
pub(super) fn made_to_order(status: i64, detail: Option<&str>) -> LineError {
    let status = u16::try_from(status).ok().filter(|status| (400..600).contains(status)).unwrap_or(400);
    let usual = match status {
        401 => return LineError::unauthorized(),
        403 => "Access to this API is not available for your account",
        404 => "Not found",
        410 => "Gone",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        429 => "You have reached your monthly limit.",
        500.. => "Internal Server Error",
        _ => "Failed to send messages",
    };
    LineError::new(status, detail.unwrap_or(usual))
}
