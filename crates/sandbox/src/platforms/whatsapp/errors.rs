//! Graph's errors, as answers and as failed statuses.

use serde_json::{Value, json};

use crate::http::Reply;

/// An error of the Graph API: its code, and the sentence in `error_data.details`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platforms) struct GraphError {
    pub(super) code: i64,
    pub(in crate::platforms) details: String,
}

impl GraphError {
    pub(super) fn new(code: i64, details: impl Into<String>) -> Self {
        Self { code, details: details.into() }
    }

    /// A parameter that must be there is not.
    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(131_008, format!("Parameter '{parameter}' is mandatory"))
    }

    /// A parameter has a value that it must not have.
    pub(super) fn invalid(parameter: &str, why: &str) -> Self {
        Self::new(131_009, format!("Parameter '{parameter}': {why}"))
    }

    /// A text is longer than allowed.
    pub(super) fn too_long(parameter: &str, limit: usize) -> Self {
        Self::new(100, format!("Param {parameter} must be at most {limit} characters long."))
    }

    /// No such object, or not with this token.
    pub(super) fn no_such_object(id: &str) -> Self {
        let details = format!(
            "Unsupported request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, \
             or does not support this operation"
        );
        Self::new(100, details)
    }

    /// One of those that mostly arrive as a failed status, after a 200.
    pub(super) fn comes_later(&self) -> bool {
        matches!(self.code, 131_026 | 131_047 | 131_049 | 131_050 | 131_053 | 130_472)
    }

    /// The title and the HTTP status that go with the code. Titles change at the platform; a client must not read them.
    fn title(&self) -> (&'static str, u16) {
        match self.code {
            0 => ("AuthException", 401),
            2 => ("API Service", 503),
            3 => ("API Method", 500),
            4 => ("API Too Many Calls", 400),
            10 => ("Permission Denied", 403),
            100 => ("Invalid parameter", 400),
            190 => ("Access token has expired", 401),
            200..=299 => ("API Permission", 403),
            368 => ("Temporarily blocked for policies violations", 403),
            80_007 => ("Rate limit issues", 400),
            130_403 => ("User is blocked by the business", 400),
            130_429 => ("Rate limit hit", 400),
            130_472 => ("User's number is part of an experiment", 400),
            130_497 => ("Business account is restricted from messaging users in this country", 403),
            131_005 => ("Access denied", 403),
            131_008 => ("Required parameter is missing", 400),
            33 | 131_009 => ("Parameter value is not valid", 400),
            131_016 => ("Service unavailable", 503),
            131_021 => ("Recipient cannot be sender", 400),
            131_026 => ("Message undeliverable", 400),
            131_031 => ("Account has been locked", 403),
            131_037 => ("Display name approval needed", 400),
            131_042 => ("Business eligibility payment issue", 400),
            131_045 => ("Incorrect certificate", 500),
            131_047 => ("Re-engagement message", 400),
            131_048 => ("Spam rate limit hit", 400),
            131_049 => ("Meta chose not to deliver", 400),
            131_050 => ("User has stopped marketing messages from this business", 400),
            131_051 => ("Unsupported message type", 400),
            131_052 => ("Media download error", 400),
            131_053 => ("Media upload error", 400),
            131_056 => ("(Business Account, Consumer Account) pair rate limit hit", 400),
            131_057 => ("Account in maintenance mode", 500),
            131_063 => ("Marketing messages are disabled", 400),
            132_000 => ("Template parameter count mismatch", 400),
            132_001 => ("Template does not exist", 404),
            132_005 => ("Template hydrated text too long", 400),
            132_007 => ("Template format character policy violated", 400),
            132_012 => ("Template parameter format mismatch", 400),
            132_015 => ("Template is paused", 400),
            132_016 => ("Template is disabled", 400),
            132_018 => ("Template parameter validation failed", 400),
            133_004 => ("Server temporarily unavailable", 503),
            133_010 => ("Phone number not registered", 400),
            135_000 => ("Generic user error", 400),
            _ => ("Something went wrong", 500),
        }
    }

    /// As the answer to the call.
    pub(super) fn reply(&self) -> Reply {
        let (title, status) = self.title();
        let body = json!({"error": {
            "message": format!("(#{}) {title}", self.code),
            "type": "OAuthException",
            "code": self.code,
            "error_data": {"messaging_product": "whatsapp", "details": self.details},
            "fbtrace_id": "AsandboxTraceInvented00",
        }});
        Reply::json(status, &body).coded(self.code)
    }

    /// As an entry of `errors` in a webhook.
    pub(super) fn in_webhook(&self) -> Value {
        let (title, _) = self.title();
        json!({
            "code": self.code,
            "title": title,
            "message": title,
            "error_data": {"details": self.details},
            "href": "/documentation/business-messaging/whatsapp/support/error-codes",
        })
    }
}
