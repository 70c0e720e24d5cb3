//! Twilio's codes, in our words: one table for answers and for status callbacks.

use serde::Deserialize;
use transom_channel::{OptOutScope, PlatformReport, SendError};

/// The quota of the policy.
const DAILY_MESSAGES: &str = "daily_messages";

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    AuthFailed,
    AccountStopped,
    RateLimited,
    DailyCap,
    Unreachable,
    OptedOut,
    Blocked,
    ContentRefused,
    Temporary,
    Invalid,
    Unknown,
}

/// Code, and what it means. Source: sms.md 3.
#[rustfmt::skip]
const CODES: &[(i64, Meaning)] = &[
    (20003, Meaning::AuthFailed),
    (20005, Meaning::AccountStopped),
    (20404, Meaning::AccountStopped),
    (20429, Meaning::RateLimited),
    (20500, Meaning::Unknown),
    (21211, Meaning::Unreachable),
    (21212, Meaning::AccountStopped),
    // Not this sender, but this region and this number are not open to it: that stops nobody else's messages.
    (21408, Meaning::Invalid),
    (21602, Meaning::ContentRefused),
    (21603, Meaning::AccountStopped),
    (21604, Meaning::ContentRefused),
    (21606, Meaning::AccountStopped),
    (21608, Meaning::Invalid),
    (21610, Meaning::OptedOut),
    (21611, Meaning::RateLimited),
    (21612, Meaning::Unreachable),
    (21614, Meaning::Unreachable),
    (21617, Meaning::ContentRefused),
    (21619, Meaning::ContentRefused),
    (21620, Meaning::ContentRefused),
    (21623, Meaning::ContentRefused),
    (21635, Meaning::Unreachable),
    (21703, Meaning::AccountStopped),
    (30001, Meaning::RateLimited),
    (30002, Meaning::AccountStopped),
    // Off, or out of coverage: that passes, and proves nothing about the number.
    (30003, Meaning::Temporary),
    (30004, Meaning::Blocked),
    (30005, Meaning::Unreachable),
    (30006, Meaning::Unreachable),
    (30007, Meaning::ContentRefused),
    (30008, Meaning::Temporary),
    (30009, Meaning::Invalid),
    (30010, Meaning::ContentRefused),
    (30022, Meaning::RateLimited),
    (30023, Meaning::DailyCap),
    (30032, Meaning::AccountStopped),
    (30034, Meaning::AccountStopped),
    (30036, Meaning::Temporary),
    (30045, Meaning::AccountStopped),
    (30410, Meaning::Temporary),
    (63038, Meaning::DailyCap),
    // Twilio could not use our webhook: nothing about the message.
    (11200, Meaning::Invalid),
    (11205, Meaning::Invalid),
    (11215, Meaning::Invalid),
    (12300, Meaning::Invalid),
];

/// An error's body (sms.md 2).
#[derive(Deserialize)]
struct Body {
    code: i64,
    #[serde(default)]
    message: String,
}

/// What an answer that is no success means.
pub(super) fn refusal(status: u16, body: &[u8], retry_after_ms: Option<u64>) -> SendError {
    match (serde_json::from_slice::<Body>(body), status) {
        (Ok(body), _) => match of_code(body.code, Some(status), &body.message) {
            SendError::RateLimited { report, .. } => SendError::RateLimited { retry_after_ms, report },
            // Whatever the code: the server failed, and perhaps after accepting.
            _ if status >= 500 => unreadable(status),
            error => error,
        },
        // Not Twilio's own words: something in between spoke.
        (Err(_), 413) => SendError::ContentRefused { report: report(Some(413), 413, "the request is too large") },
        (Err(_), 429) => SendError::RateLimited { retry_after_ms, report: report(Some(429), 429, "too many requests") },
        (Err(_), _) => unreadable(status),
    }
}

/// What a code means: of an answer, or of a status callback. An unknown one is refused for good and proves nothing.
pub(super) fn of_code(code: i64, status: Option<u16>, message: &str) -> SendError {
    let report = report(status, code, message);
    let meaning = CODES.iter().find(|(known, _)| *known == code).map_or(Meaning::Invalid, |(_, meaning)| *meaning);
    match meaning {
        Meaning::AuthFailed => SendError::AuthFailed { report },
        Meaning::AccountStopped => SendError::AccountStopped { report },
        Meaning::RateLimited => SendError::RateLimited { retry_after_ms: None, report },
        Meaning::DailyCap => SendError::QuotaReached { quota: Some(DAILY_MESSAGES.to_owned()), report },
        Meaning::Unreachable => SendError::Unreachable { report },
        Meaning::OptedOut => SendError::OptedOut { scope: OptOutScope::All, report },
        Meaning::Blocked => SendError::Blocked { report },
        Meaning::ContentRefused => SendError::ContentRefused { report },
        Meaning::Temporary => SendError::Temporary { report },
        Meaning::Invalid => SendError::Invalid { report },
        Meaning::Unknown => SendError::OutcomeUnknown { detail: format!("the provider failed with {code}") },
    }
}

/// An answer that says nothing that could be relied on.
pub(super) fn unreadable(status: u16) -> SendError {
    SendError::OutcomeUnknown { detail: format!("an answer that can't be read, with status {status}") }
}

/// The account itself is suspended or closed.
pub(super) fn inactive() -> SendError {
    SendError::AccountStopped { report: report(None, 20_005, "the account is not active") }
}

/// A failed read is tried again; only a send can have happened.
pub(super) fn of_a_read(error: SendError) -> SendError {
    match error {
        SendError::OutcomeUnknown { detail } => {
            SendError::Temporary { report: PlatformReport { status: None, code: None, message: detail } }
        }
        error => error,
    }
}

/// The message without what it may quote of ours: numbers, addresses, anything in quotation marks.
fn report(status: Option<u16>, code: i64, message: &str) -> PlatformReport {
    let unquoted = message.split('"').enumerate().map(|(n, piece)| if n % 2 == 0 { piece } else { "…" });
    let unquoted: String = unquoted.collect();
    let quotes = |word: &str| word.chars().filter(char::is_ascii_digit).count() >= 5 || word.contains("://");
    let words = unquoted.split_inclusive(' ').map(|word| if quotes(word) { "… " } else { word });
    let kept: String = words.collect();
    let message = if kept.trim().is_empty() { "the provider gave no reason".to_owned() } else { kept };
    PlatformReport::new(status, code.to_string(), message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;
    use transom_channel::{Evidence, NextStep};

    /// Every code of sms.md 3.
    #[rstest]
    #[case(20003, "auth_failed")]
    #[case(20005, "account_stopped")]
    #[case(30002, "account_stopped")]
    #[case(20404, "account_stopped")]
    #[case(20429, "rate_limited")]
    #[case(20500, "outcome_unknown")]
    #[case(21211, "unreachable")]
    #[case(21212, "account_stopped")]
    #[case(21603, "account_stopped")]
    #[case(21606, "account_stopped")]
    #[case(21408, "invalid_request")]
    #[case(21602, "content_refused")]
    #[case(21619, "content_refused")]
    #[case(21604, "content_refused")]
    #[case(21608, "invalid_request")]
    #[case(21610, "opted_out")]
    #[case(21611, "rate_limited")]
    #[case(21612, "unreachable")]
    #[case(21614, "unreachable")]
    #[case(21635, "unreachable")]
    #[case(21617, "content_refused")]
    #[case(21620, "content_refused")]
    #[case(21623, "content_refused")]
    #[case(21703, "account_stopped")]
    #[case(30001, "rate_limited")]
    #[case(30003, "temporary")]
    #[case(30004, "blocked")]
    #[case(30005, "unreachable")]
    #[case(30006, "unreachable")]
    #[case(30007, "content_refused")]
    #[case(30008, "temporary")]
    #[case(30009, "invalid_request")]
    #[case(30010, "content_refused")]
    #[case(30022, "rate_limited")]
    #[case(30023, "quota_reached")]
    #[case(30032, "account_stopped")]
    #[case(30034, "account_stopped")]
    #[case(30036, "temporary")]
    #[case(30045, "account_stopped")]
    #[case(30410, "temporary")]
    #[case(63038, "quota_reached")]
    #[case(11200, "invalid_request")]
    #[case(11205, "invalid_request")]
    #[case(11215, "invalid_request")]
    #[case(12300, "invalid_request")]
    // Codes that nobody knows yet.
    #[case(29999, "invalid_request")]
    #[case(39999, "invalid_request")]
    fn codes_are_told_apart(#[case] code: i64, #[case] expected: &str) {
        assert_eq!(of_code(code, None, "").code(), expected);
    }

    #[test]
    fn no_code_stands_twice() {
        let different: std::collections::BTreeSet<i64> = CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(different.len(), CODES.len());
    }

    #[test]
    fn refusals_are_evidence() {
        let evidence = |code| of_code(code, None, "").evidence();
        assert_eq!(evidence(21_610), Some(Evidence::OptedOut(OptOutScope::All)));
        assert_eq!(evidence(30_004), Some(Evidence::Blocked));
        assert_eq!(evidence(63_038), Some(Evidence::QuotaReached { quota: Some("daily_messages".into()) }));
        assert_eq!(evidence(30_003), None);
        assert_eq!(evidence(29_999), None);
    }

    #[rstest]
    #[case(400, json!({"code": 21_211, "message": "x"}).to_string(), "unreachable", NextStep::GiveUp)]
    #[case(429, json!({"code": 20_429}).to_string(), "rate_limited", NextStep::Retry { after: None })]
    #[case(503, json!({"code": 20_503}).to_string(), "outcome_unknown", NextStep::Settle)]
    #[case(413, "too large".to_owned(), "content_refused", NextStep::GiveUp)]
    #[case(429, "slow down".to_owned(), "rate_limited", NextStep::Retry { after: None })]
    #[case(502, "<html>".to_owned(), "outcome_unknown", NextStep::Settle)]
    #[case(404, "<html>".to_owned(), "outcome_unknown", NextStep::Settle)]
    fn answers_are_told_apart(#[case] status: u16, #[case] body: String, #[case] code: &str, #[case] next: NextStep) {
        let error = refusal(status, body.as_bytes(), None);
        assert_eq!((error.code(), error.next_step()), (code, next));
    }

    #[test]
    fn a_report_quotes_neither_texts_nor_numbers() {
        let shown = of_code(
            21_211,
            None,
            "Invalid 'To' Phone Number: +12025550123 for \"private words\" see https://a.example/x",
        )
        .to_string();
        assert!(!shown.contains("2025550123") && !shown.contains("private") && !shown.contains("a.example"), "{shown}");
        assert!(shown.contains("Phone Number") && shown.contains("21211"), "{shown}");
    }
}
