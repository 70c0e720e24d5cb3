//! The Bot API's answers.

use serde_json::{Value, json};

use crate::http::Reply;

/// An error of the Bot API. Clients branch on the code first, then on how the description begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BotError {
    pub(super) code: u16,
    pub(super) description: String,
    pub(super) parameters: Option<Value>,
}

impl BotError {
    pub(super) fn new(code: u16, description: impl Into<String>) -> Self {
        Self { code, description: description.into(), parameters: None }
    }

    pub(super) fn bad(description: &str) -> Self {
        Self::new(400, format!("Bad Request: {description}"))
    }

    pub(super) fn forbidden(description: &str) -> Self {
        Self::new(403, format!("Forbidden: {description}"))
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    pub(super) fn too_fast(retry_after: u64) -> Self {
        let parameters = Some(json!({"retry_after": retry_after}));
        Self { code: 429, description: format!("Too Many Requests: retry after {retry_after}"), parameters }
    }

    pub(super) fn reply(&self) -> Reply {
        let mut body = json!({"ok": false, "error_code": self.code, "description": self.description});
        if let (Value::Object(body), Some(parameters)) = (&mut body, &self.parameters) {
            body.insert("parameters".to_owned(), parameters.clone());
        }
        Reply::json(self.code, &body).coded(i64::from(self.code))
    }
}

/// The answer of success.
pub(super) fn ok(result: &Value) -> Reply {
    Reply::json(200, &json!({"ok": true, "result": result}))
}
