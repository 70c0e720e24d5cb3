//! Refusals: a status in the body, under HTTP 200.

use serde_json::json;

use crate::http::Reply;

/// A refusal.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: i64,
    words: String,
}

impl Refused {
    /// With Viber's usual words.
    pub(super) fn of(status: i64) -> Self {
        let words = match status {
            1 => "invalidUrl",
            2 => "invalidAuthToken",
            3 => "badData",
            4 => "missingData",
            5 => "receiverNotRegistered",
            6 => "receiverNotSubscribed",
            7 => "publicAccountBlocked",
            8 => "publicAccountNotFound",
            9 => "publicAccountSuspended",
            10 => "webhookNotSet",
            11 => "receiverNoSuitableDevice",
            12 => "tooManyRequests",
            13 => "apiVersionNotSupported",
            14 => "incompatibleWithVersion",
            15 => "publicAccountNotAuthorized",
            20 => "broadcastNotAllowed",
            21 => "unsupportedCountry",
            23 => "freeMessagesExceeded",
            24 => "noBalance",
            _ => "general",
        };
        Self::with(status, words)
    }

    pub(super) fn with(status: i64, words: &str) -> Self {
        Self { status, words: words.to_owned() }
    }

    pub(super) fn reply(&self) -> Reply {
        let body = json!({"status": self.status, "status_message": self.words, "chat_hostname": super::bot::HOST});
        Reply::json(200, &body).coded(self.status)
    }
}
