//! What Graph says when it refuses.

use serde_json::Value;
use transom_channel::PlatformReport;

use crate::redact;

/// One error of the Graph API, from an answer's `error` or an entry of a webhook's `errors`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphError {
    /// What to decide by.
    pub code: i64,
    /// A closer word; Messenger and Instagram still send it, WhatsApp has not since v16.
    pub subcode: Option<i64>,
    /// The platform's words, with `error_data.details` behind them; addresses and tokens are taken out.
    pub message: String,
    /// The platform itself calls it passing.
    pub transient: bool,
}

impl GraphError {
    /// Reads the object that holds `code`; `None` without one.
    ///
    /// Titles are unstable and HTTP statuses not authoritative (whatsapp.md 3), so neither decides anything.
    pub fn read(object: &Value) -> Option<Self> {
        let code = object.get("code").and_then(integer)?;
        let words = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        // Mostly an object with `details`; some endpoints send a text.
        let details = object.get("error_data").and_then(|data| data.get("details").unwrap_or(data).as_str());
        let mut message = redact(words("message").or_else(|| words("title")).unwrap_or("no message"));
        if let Some(details) = details.filter(|details| !details.is_empty()) {
            message.push_str(": ");
            message.push_str(&redact(details));
        }
        Some(Self {
            code,
            subcode: object.get("error_subcode").and_then(integer).filter(|subcode| *subcode != 0),
            message,
            transient: object.get("is_transient").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// Code and subcode as reports show them: `131047` or `10/2018278`.
    pub fn full_code(&self) -> String {
        match self.subcode {
            Some(subcode) => format!("{}/{subcode}", self.code),
            None => self.code.to_string(),
        }
    }
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A structured refusal: the error and how it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// What Graph said.
    pub error: GraphError,
    /// The HTTP status; `None` when it came in a webhook, after the request had been accepted.
    pub status: Option<u16>,
    /// When to come again, in milliseconds, where headers say so.
    pub wish_ms: Option<u64>,
}

impl Refusal {
    /// A failure that a webhook reports: the message is certainly not on its way.
    pub fn reported(error: GraphError) -> Self {
        Self { error, status: None, wish_ms: None }
    }

    /// The error for people and records.
    pub fn report(&self) -> PlatformReport {
        PlatformReport::new(self.status, self.error.full_code(), &self.error.message)
    }

    /// Whether the platform broke down while it answered: then a vague code proves nothing (reliability.md 5).
    pub fn is_breakdown(&self) -> bool {
        self.status.is_some_and(|status| status >= 500)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_and_webhooks_are_read_alike() {
        let answer = json!({"message": "(#131056) pair rate", "type": "OAuthException", "code": 131_056,
            "error_data": {"messaging_product": "whatsapp", "details": "Too many to +4915550100001"}, "fbtrace_id": "Ainvented"});
        let read = GraphError::read(&answer).unwrap();
        assert_eq!((read.code, read.message.as_str()), (131_056, "(#131056) pair rate: Too many to …"));

        let webhook = json!({"code": 131_026, "title": "Message undeliverable", "href": "/documentation"});
        assert_eq!(GraphError::read(&webhook).unwrap().message, "Message undeliverable");
    }

    #[test]
    fn odd_shapes_are_read_or_left() {
        let error = GraphError::read(
            &json!({"code": "10", "error_subcode": 2_018_278, "error_data": "words", "message": null}),
        )
        .unwrap();
        assert_eq!((error.full_code().as_str(), error.message.as_str()), ("10/2018278", "no message: words"));
        assert_eq!(GraphError::read(&json!({"message": "no code"})), None);
        assert_eq!(GraphError::read(&json!([1])), None);
    }
}
