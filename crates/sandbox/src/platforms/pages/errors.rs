//! Graph's errors as the Send API gives them: a code, and often a subcode that says more.

use serde_json::{Map, Value, json};

use crate::http::Reply;

/// An error of the Graph API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::platforms) struct GraphError {
    pub(in crate::platforms) code: i64,
    pub(in crate::platforms) subcode: Option<i64>,
    pub(in crate::platforms) message: String,
}

impl GraphError {
    pub(in crate::platforms) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, subcode: None, message: message.into() }
    }

    pub(in crate::platforms) fn sub(code: i64, subcode: i64, message: impl Into<String>) -> Self {
        Self { subcode: Some(subcode), ..Self::new(code, message) }
    }

    /// A parameter is missing or has a value that it must not have.
    pub(in crate::platforms) fn parameter(name: &str, why: &str) -> Self {
        Self::new(100, format!("Invalid parameter `{name}`: {why}"))
    }

    /// No such object, or not with this token.
    pub(in crate::platforms) fn no_such_object() -> Self {
        let message = "Unsupported request. The object does not exist, cannot be loaded due to missing permissions, or does \
                       not support this operation";
        Self::sub(100, 33, message)
    }

    /// An error by its most telling number: a code, or a subcode under the code that it comes with.
    pub(in crate::platforms) fn told(number: i64, message: &str) -> Self {
        let over = match number {
            2_018_278 | 2_018_065 | 2_534_022 | 2_018_108 | 1_893_063 | 2_018_336 | 2_534_077 => 10,
            2_018_001
            | 2_018_008
            | 2_018_047
            | 2_018_074
            | 2_018_109
            | 2_018_294
            | 2_018_014
            | 2_534_013..=2_534_015
            | 2_534_025
            | 2_534_029
            | 2_534_037 => 100,
            2_018_028 | 2_018_027 | 2_534_041 => 200,
            1_545_041 => 551,
            2_018_338 | 2_534_040 => 613,
            _ => return Self::new(number, message),
        };
        Self::sub(over, number, message)
    }

    /// What the control API shows as the code: the subcode where there is one.
    pub(in crate::platforms) fn number(&self) -> i64 {
        self.subcode.unwrap_or(self.code)
    }

    /// Mostly 400, whatever it is.
    fn status(&self) -> u16 {
        match self.code {
            1 | 2 => 500,
            10 | 200..=299 | 368 => 403,
            190 => 401,
            _ => 400,
        }
    }

    pub(in crate::platforms) fn reply(&self) -> Reply {
        let mut error = Map::from_iter([
            ("message".to_owned(), json!(format!("(#{}) {}", self.code, self.message))),
            ("type".to_owned(), json!("OAuthException")),
            ("code".to_owned(), json!(self.code)),
            ("fbtrace_id".to_owned(), json!("AsandboxTraceInvented00")),
        ]);
        if let Some(subcode) = self.subcode {
            error.insert("error_subcode".to_owned(), json!(subcode));
        }
        let body = Value::Object(Map::from_iter([("error".to_owned(), Value::Object(error))]));
        Reply::json(self.status(), &body).coded(self.number())
    }
}
