//! Twilio's errors: a code, a message, and the HTTP status that goes with it.

use serde_json::json;

use crate::http::Reply;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TwilioError {
    code: i64,
    message: String,
}

impl TwilioError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// With the usual words.
    pub(super) fn of(code: i64) -> Self {
        let message = match code {
            20_003 => "Authenticate",
            20_005 => "Account is not active",
            20_404 => "The requested resource was not found",
            20_429 => "Too Many Requests",
            20_500 => "Internal Server Error",
            21_211 => "Invalid 'To' Phone Number",
            21_408 => "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
            21_603 => "A 'From' phone number is required",
            21_604 => "A 'To' phone number is required",
            21_606 => "The 'From' phone number provided is not a valid, message-capable Twilio phone number",
            21_608 => "The number is unverified. Trial accounts cannot send messages to unverified numbers",
            21_609 => "The 'StatusCallback' URL is not a valid URL",
            21_610 => "Attempt to send to unsubscribed recipient",
            21_614 => "'To' number is not a valid mobile number",
            21_617 => "The concatenated message body exceeds the 1600 character limit",
            21_619 => "A text message body or media urls must be specified",
            21_620 => "Invalid media URL(s)",
            21_623 => "Number of media files exceeds allowed limit",
            63_038 => "Account exceeded the daily messages limit",
            _ => "as the sandbox was told",
        };
        Self::new(code, message)
    }

    fn status(&self) -> u16 {
        match self.code {
            20_003 => 401,
            20_005 => 403,
            20_404 => 404,
            20_429 | 63_038 => 429,
            20_500 => 500,
            _ => 400,
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let status = self.status();
        let more = format!("https://www.twilio.com/docs/errors/{}", self.code);
        let body = json!({"code": self.code, "message": self.message, "more_info": more, "status": status});
        Reply::json(status, &body).coded(self.code)
    }
}
