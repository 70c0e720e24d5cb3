//! The Bot API's refusals, in our words: one table.

use transom_channel::{PlatformReport, SendError};

use crate::wire::{Answer, ResponseParameters};

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    WindowClosed,
    Blocked,
    Unreachable,
    ContentRefused,
    AuthFailed,
    AccountStopped,
    RateLimited,
    Invalid,
    Unknown,
}

/// Code, words of the description in lower case, and what they mean; the first row that fits counts, no words fit all.
///
/// Source: telegram.md 3. "Match loosely": the texts are not documented. What no row knows is refused for good and changes
/// nothing about the person.
#[rustfmt::skip]
const REFUSALS: &[(u16, &str, Meaning)] = &[
    (400, "chat not found",                                     Meaning::Unreachable),
    (400, "peer_id_invalid",                                    Meaning::Unreachable),
    (400, "message text is empty",                              Meaning::ContentRefused),
    (400, "message is too long",                                Meaning::ContentRefused),
    (400, "message_too_long",                                   Meaning::ContentRefused),
    (400, "caption is too long",                                Meaning::ContentRefused),
    (400, "caption too long",                                   Meaning::ContentRefused),
    (400, "can't parse entities",                               Meaning::ContentRefused),
    (400, "message to be replied not found",                    Meaning::ContentRefused),
    (400, "reply message not found",                            Meaning::ContentRefused),
    (400, "message to react not found",                         Meaning::ContentRefused),
    (400, "reaction_invalid",                                   Meaning::ContentRefused),
    // The old id is dead; one-to-one chats are never upgraded.
    (400, "group chat was upgraded to a supergroup",            Meaning::Unreachable),
    (400, "wrong file identifier",                              Meaning::ContentRefused),
    (400, "failed to get http url content",                     Meaning::ContentRefused),
    (400, "wrong type of the web page content",                 Meaning::ContentRefused),
    (400, "photo_invalid_dimensions",                           Meaning::ContentRefused),
    (400, "image_process_failed",                               Meaning::ContentRefused),
    (400, "file is too big",                                    Meaning::ContentRefused),
    (400, "have no rights to send a message",                   Meaning::Unreachable),
    (400, "chat_write_forbidden",                               Meaning::Unreachable),
    (400, "not enough rights",                                  Meaning::Unreachable),
    (400, "need administrator rights",                          Meaning::Unreachable),
    (400, "button_data_invalid",                                Meaning::ContentRefused),
    (400, "button_url_invalid",                                 Meaning::ContentRefused),
    (400, "business_peer_usage_missing",                        Meaning::WindowClosed),
    (400, "business_peer_invalid",                              Meaning::Unreachable),
    (400, "business_connection_invalid",                        Meaning::AccountStopped),
    (400, "query is too old",                                   Meaning::Invalid),
    (401, "",                                                   Meaning::AuthFailed),
    (403, "bot was blocked by the user",                        Meaning::Blocked),
    (403, "user is deactivated",                                Meaning::Unreachable),
    (403, "bot can't initiate conversation",                    Meaning::Unreachable),
    (403, "bot can't send messages to bots",                    Meaning::Unreachable),
    (403, "bot was kicked from",                                Meaning::Unreachable),
    (403, "bot is not a member of",                             Meaning::Unreachable),
    (404, "",                                                   Meaning::AuthFailed),
    (409, "",                                                   Meaning::AccountStopped),
    (413, "",                                                   Meaning::ContentRefused),
    (429, "",                                                   Meaning::RateLimited),
    // Internal errors: whether the message went out first is not said.
    (500, "",                                                   Meaning::Unknown),
    (502, "",                                                   Meaning::Unknown),
    (503, "",                                                   Meaning::Unknown),
    (504, "",                                                   Meaning::Unknown),
];

/// What an answer with `ok: false` means.
pub(crate) fn refusal(status: u16, answer: Answer) -> SendError {
    let code = answer.error_code.unwrap_or(status);
    let description = answer.description.unwrap_or_default();
    let parameters = answer.parameters.unwrap_or_default();
    let report = PlatformReport::new(Some(status), code.to_string(), words(&description));
    match meaning(code, &description, &parameters) {
        Meaning::WindowClosed => SendError::WindowClosed { report },
        Meaning::Blocked => SendError::Blocked { report },
        Meaning::Unreachable => SendError::Unreachable { report },
        Meaning::ContentRefused => SendError::ContentRefused { report },
        Meaning::AuthFailed => SendError::AuthFailed { report },
        Meaning::AccountStopped => SendError::AccountStopped { report },
        Meaning::RateLimited => {
            // At most an hour (reliability.md 5).
            let retry_after_ms = parameters.retry_after.map(|seconds| seconds.min(3_600) * 1_000);
            SendError::RateLimited { retry_after_ms, report }
        }
        Meaning::Invalid => SendError::Invalid { report },
        Meaning::Unknown => SendError::OutcomeUnknown { detail: format!("the platform failed with {code}") },
    }
}

fn meaning(code: u16, description: &str, parameters: &ResponseParameters) -> Meaning {
    if parameters.migrate_to_chat_id.is_some() {
        return Meaning::Unreachable;
    }
    let description = description.to_lowercase();
    let row = REFUSALS.iter().find(|(known, words, _)| *known == code && description.contains(words));
    match row {
        Some((_, _, meaning)) => *meaning,
        None if code >= 500 => Meaning::Unknown,
        None => Meaning::Invalid,
    }
}

/// An answer that is not the Bot API's own: something in between spoke.
pub(crate) fn stranger(status: u16, retry_after_ms: Option<u64>) -> SendError {
    let report = |words: &str| PlatformReport::new(Some(status), status.to_string(), words);
    match status {
        413 => SendError::ContentRefused { report: report("the request is too large") },
        429 => SendError::RateLimited { retry_after_ms, report: report("too many requests") },
        _ => SendError::OutcomeUnknown { detail: format!("an answer that can't be read, with status {status}") },
    }
}

/// A failed read is tried again; only a send can have happened.
pub(crate) fn of_a_read(error: SendError) -> SendError {
    match error {
        SendError::OutcomeUnknown { detail } => {
            SendError::Temporary { report: PlatformReport { status: None, code: None, message: detail } }
        }
        error => error,
    }
}

/// The description without what it may quote of ours: anything in quotation marks, and numbers that may be ids.
fn words(description: &str) -> String {
    let unquoted = description.split('"').enumerate().map(|(n, piece)| if n % 2 == 0 { piece } else { "…" });
    let unquoted: String = unquoted.collect();
    let is_id = |word: &str| word.chars().filter(char::is_ascii_digit).count() >= 5;
    unquoted.split_inclusive(' ').map(|word| if is_id(word) { "… " } else { word }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;
    use transom_channel::{Evidence, NextStep};

    fn refused(code: u16, description: &str, parameters: &serde_json::Value) -> SendError {
        let answer = json!({"ok": false, "error_code": code, "description": description, "parameters": parameters});
        refusal(code, serde_json::from_value(answer).unwrap())
    }

    /// Every row of telegram.md 3, as the platform words it.
    #[rstest]
    #[case(400, "Bad Request: chat not found", "unreachable")]
    #[case(400, "Bad Request: PEER_ID_INVALID", "unreachable")]
    #[case(400, "Bad Request: message text is empty", "content_refused")]
    #[case(400, "Bad Request: message is too long", "content_refused")]
    #[case(400, "Bad Request: MESSAGE_TOO_LONG", "content_refused")]
    #[case(400, "Bad Request: message caption is too long", "content_refused")]
    #[case(400, "Bad Request: media caption too long", "content_refused")]
    #[case(400, "Bad Request: can't parse entities: unsupported start tag", "content_refused")]
    #[case(400, "Bad Request: message to be replied not found", "content_refused")]
    #[case(400, "Bad Request: reply message not found", "content_refused")]
    #[case(400, "Bad Request: group chat was upgraded to a supergroup chat", "unreachable")]
    #[case(400, "Bad Request: wrong file identifier/HTTP URL specified", "content_refused")]
    #[case(400, "Bad Request: failed to get HTTP URL content", "content_refused")]
    #[case(400, "Bad Request: wrong type of the web page content", "content_refused")]
    #[case(400, "Bad Request: PHOTO_INVALID_DIMENSIONS", "content_refused")]
    #[case(400, "Bad Request: IMAGE_PROCESS_FAILED", "content_refused")]
    #[case(400, "Bad Request: file is too big", "content_refused")]
    #[case(400, "Bad Request: have no rights to send a message", "unreachable")]
    #[case(400, "Bad Request: CHAT_WRITE_FORBIDDEN", "unreachable")]
    #[case(400, "Bad Request: not enough rights to send text messages to the chat", "unreachable")]
    #[case(400, "Bad Request: need administrator rights in the channel chat", "unreachable")]
    #[case(400, "Bad Request: BUTTON_DATA_INVALID", "content_refused")]
    #[case(400, "Bad Request: BUTTON_URL_INVALID", "content_refused")]
    #[case(400, "Bad Request: BUSINESS_PEER_USAGE_MISSING", "window_closed")]
    #[case(400, "Bad Request: BUSINESS_PEER_INVALID", "unreachable")]
    #[case(400, "Bad Request: BUSINESS_CONNECTION_INVALID", "account_stopped")]
    #[case(400, "Bad Request: query is too old and response timeout expired or query ID is invalid", "invalid_request")]
    #[case(401, "Unauthorized", "auth_failed")]
    #[case(403, "Forbidden: bot was blocked by the user", "blocked")]
    #[case(403, "Forbidden: user is deactivated", "unreachable")]
    #[case(403, "Forbidden: bot can't initiate conversation with a user", "unreachable")]
    #[case(403, "Forbidden: bot can't send messages to bots", "unreachable")]
    #[case(403, "Forbidden: bot was kicked from the supergroup chat", "unreachable")]
    #[case(403, "Forbidden: bot is not a member of the channel chat", "unreachable")]
    #[case(404, "Not Found", "auth_failed")]
    #[case(409, "Conflict: terminated by other getUpdates request", "account_stopped")]
    #[case(413, "Request Entity Too Large", "content_refused")]
    #[case(429, "Too Many Requests: retry after 14", "rate_limited")]
    #[case(500, "Internal Server Error", "outcome_unknown")]
    #[case(502, "Bad Gateway", "outcome_unknown")]
    #[case(503, "Service Unavailable", "outcome_unknown")]
    #[case(504, "Gateway Timeout", "outcome_unknown")]
    // Texts that nobody knows yet.
    #[case(400, "Bad Request: the stars are wrong", "invalid_request")]
    #[case(403, "Forbidden: not today", "invalid_request")]
    #[case(418, "I'm a teapot", "invalid_request")]
    #[case(599, "who knows", "outcome_unknown")]
    fn refusals_are_told_apart(#[case] code: u16, #[case] description: &str, #[case] expected: &str) {
        let error = refused(code, description, &json!(null));
        assert_eq!(error.code(), expected);
        assert!(error.report().is_none_or(|report| report.code == Some(code.to_string())));
    }

    #[test]
    fn every_row_is_reached() {
        for (code, words, expected) in REFUSALS {
            let description = words.to_uppercase();
            assert_eq!(meaning(*code, &description, &ResponseParameters::default()), *expected, "{code} {words}");
        }
    }

    #[test]
    fn an_unknown_refusal_says_nothing_about_the_person() {
        assert_eq!(refused(403, "Forbidden: not today", &json!(null)).evidence(), None);
        assert_eq!(
            refused(403, "Forbidden: bot was blocked by the user", &json!(null)).evidence(),
            Some(Evidence::Blocked)
        );
        assert_eq!(
            refused(400, "Bad Request: BUSINESS_PEER_USAGE_MISSING", &json!(null)).evidence(),
            Some(Evidence::WindowClosed)
        );
    }

    #[rstest]
    #[case(json!({"retry_after": 14}), Some(14_000))]
    #[case(json!({"retry_after": 86_400}), Some(3_600_000))]
    #[case(json!(null), None)]
    fn the_wish_is_passed_on(#[case] parameters: serde_json::Value, #[case] expected: Option<u64>) {
        match refused(429, "Too Many Requests", &parameters) {
            SendError::RateLimited { retry_after_ms, .. } => assert_eq!(retry_after_ms, expected),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_chat_that_moved_is_gone_whatever_the_text() {
        let error = refused(400, "Bad Request: moved", &json!({"migrate_to_chat_id": -100_123_456_789_i64}));
        assert_eq!(error.code(), "unreachable");
    }

    #[rstest]
    #[case(413, "content_refused", NextStep::GiveUp)]
    #[case(429, "rate_limited", NextStep::Retry { after: None })]
    #[case(200, "outcome_unknown", NextStep::Settle)]
    #[case(302, "outcome_unknown", NextStep::Settle)]
    #[case(404, "outcome_unknown", NextStep::Settle)]
    #[case(502, "outcome_unknown", NextStep::Settle)]
    fn what_a_gateway_says_is_no_refusal(#[case] status: u16, #[case] code: &str, #[case] next: NextStep) {
        let error = stranger(status, None);
        assert_eq!((error.code(), error.next_step()), (code, next));
    }

    #[test]
    fn a_report_quotes_neither_texts_nor_ids() {
        let error =
            refused(400, "Bad Request: can't parse \"private words\" in chat 700100200 at offset 14", &json!(null));
        let shown = error.to_string();
        assert!(!shown.contains("private") && !shown.contains("700100200") && shown.contains("offset 14"), "{shown}");
    }
}
