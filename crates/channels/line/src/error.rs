//! LINE's refusals, in our words: one table.

use transom_channel::{PlatformReport, SendError};

use crate::wire::Refusal;

/// The quotas of the policy.
pub(crate) const MONTHLY_MESSAGES: &str = "monthly_messages";
pub(crate) const REPLY_TOKEN_USES: &str = "reply_token_uses";

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The reply token's one use is gone: it was used, or it is too old.
    TokenSpent,
    /// The month's messages are used up, or held back for a delivery under way.
    MonthlyLimit,
    RateLimited,
    Unreachable,
    ContentRefused,
    Invalid,
    AuthFailed,
    AccountStopped,
    Unknown,
}

/// Status, words of the message in lower case, and what they mean; the first row that fits counts, no words fit all.
///
/// Source: line.md 3. What no row knows is refused for good and changes nothing about the person.
#[rustfmt::skip]
const REFUSALS: &[(u16, &str, Meaning)] = &[
    (400, "invalid reply token",               Meaning::TokenSpent),
    (400, "failed to send messages",           Meaning::Unreachable),
    (400, "the request body has",              Meaning::ContentRefused),
    (400, "in the request body is invalid",    Meaning::Invalid),
    (400, "could not be parsed as json",       Meaning::Invalid),
    (401, "",                                  Meaning::AuthFailed),
    (403, "",                                  Meaning::AccountStopped),
    (404, "",                                  Meaning::Unreachable),
    (410, "",                                  Meaning::ContentRefused),
    (413, "",                                  Meaning::ContentRefused),
    (415, "",                                  Meaning::ContentRefused),
    (429, "monthly limit",                     Meaning::MonthlyLimit),
    // The channel's own limit, and that of one user.
    (429, "",                                  Meaning::RateLimited),
    // Internal errors: the retry key tells whether the message went out first.
    (500, "",                                  Meaning::Unknown),
    (502, "",                                  Meaning::Unknown),
    (503, "",                                  Meaning::Unknown),
    (504, "",                                  Meaning::Unknown),
];

/// What an answer of LINE's own that is no success means.
pub(crate) fn refusal(status: u16, refusal: &Refusal) -> SendError {
    let report = PlatformReport { status: Some(status), code: None, message: words(refusal) };
    match meaning(status, &refusal.message) {
        Meaning::TokenSpent => SendError::QuotaReached { quota: Some(REPLY_TOKEN_USES.to_owned()), report },
        Meaning::MonthlyLimit => SendError::QuotaReached { quota: Some(MONTHLY_MESSAGES.to_owned()), report },
        // No `Retry-After` is documented (1.4): the dispatcher's own schedule backs off.
        Meaning::RateLimited => SendError::RateLimited { retry_after_ms: None, report },
        Meaning::Unreachable => SendError::Unreachable { report },
        Meaning::ContentRefused => SendError::ContentRefused { report },
        Meaning::Invalid => SendError::Invalid { report },
        Meaning::AuthFailed => SendError::AuthFailed { report },
        Meaning::AccountStopped => SendError::AccountStopped { report },
        Meaning::Unknown => SendError::OutcomeUnknown { detail: format!("the platform failed with {status}") },
    }
}

fn meaning(status: u16, message: &str) -> Meaning {
    let message = message.to_lowercase();
    let row = REFUSALS.iter().find(|(known, words, _)| *known == status && message.contains(words));
    match row {
        Some((_, _, meaning)) => *meaning,
        None if (400..500).contains(&status) => Meaning::Invalid,
        None => Meaning::Unknown,
    }
}

/// An answer that is not LINE's own: something in between spoke.
pub(crate) fn stranger(status: u16, retry_after_ms: Option<u64>) -> SendError {
    match status {
        413 => SendError::ContentRefused { report: own_report(Some(413), "the request is too large") },
        429 => SendError::RateLimited { retry_after_ms, report: own_report(Some(429), "too many requests") },
        _ => SendError::OutcomeUnknown { detail: format!("an answer that can't be read, with status {status}") },
    }
}

/// The month's messages are held back by another delivery (1.3): they come free within minutes.
pub(crate) fn held_back(report: PlatformReport) -> SendError {
    SendError::RateLimited { retry_after_ms: Some(5 * 60 * 1_000), report }
}

/// A failed read is tried again; only a send can have happened.
pub(crate) fn of_a_read(error: SendError) -> SendError {
    match error {
        SendError::OutcomeUnknown { detail } => SendError::Temporary { report: own_report(None, &detail) },
        error => error,
    }
}

/// What was wrong before anything left.
pub(crate) fn invalid(why: &str) -> SendError {
    SendError::Invalid { report: own_report(None, why) }
}

pub(crate) fn own_report(status: Option<u16>, why: &str) -> PlatformReport {
    PlatformReport { status, code: None, message: why.chars().take(500).collect() }
}

/// The message and its first detail, without what they may quote of ours: anything in quotation marks, and long ids.
fn words(refusal: &Refusal) -> String {
    let detail = refusal.details.first().map(|detail| {
        let parts = [detail.property.as_deref(), detail.message.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    });
    let whole = [Some(refusal.message.clone()), detail].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let unquoted = whole.split(['"', '\'']).enumerate().map(|(n, piece)| if n % 2 == 0 { piece } else { "…" });
    let unquoted: String = unquoted.collect();
    let is_id = |word: &str| word.chars().filter(char::is_ascii_digit).count() >= 5 || word.len() > 40;
    let kept: String = unquoted.split_inclusive(' ').map(|word| if is_id(word) { "… " } else { word }).collect();
    kept.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;
    use transom_channel::{Evidence, NextStep};

    fn refused(status: u16, message: &str) -> SendError {
        refusal(status, &serde_json::from_value(json!({"message": message})).unwrap())
    }

    /// Every row of line.md 3, as the platform words it. 200 and 409 are no errors and stand with the client.
    #[rstest]
    #[case(400, "The request body has 1 error(s)", "content_refused")]
    #[case(400, "The property, messages, in the request body is invalid (line: 1, column: 9)", "invalid_request")]
    #[case(400, "The request body could not be parsed as JSON (line: 1, column: 1)", "invalid_request")]
    #[case(400, "Invalid reply token", "quota_reached")]
    #[case(400, "Failed to send messages", "unreachable")]
    #[case(401, "Authentication failed due to the following reason: expired", "auth_failed")]
    #[case(403, "Access to this API is not available for your account", "account_stopped")]
    #[case(404, "Not found", "unreachable")]
    #[case(410, "Gone", "content_refused")]
    #[case(413, "Payload Too Large", "content_refused")]
    #[case(415, "Unsupported media type", "content_refused")]
    #[case(429, "The API rate limit has been exceeded. Try again later.", "rate_limited")]
    #[case(429, "You have reached your monthly limit.", "quota_reached")]
    #[case(429, "Too many messages were sent to the same user", "rate_limited")]
    #[case(500, "Internal Server Error", "outcome_unknown")]
    #[case(502, "Bad Gateway", "outcome_unknown")]
    #[case(503, "Service Unavailable", "outcome_unknown")]
    #[case(504, "Gateway Timeout", "outcome_unknown")]
    // Texts that nobody knows yet.
    #[case(400, "The stars are wrong", "invalid_request")]
    #[case(418, "I'm a teapot", "invalid_request")]
    #[case(599, "who knows", "outcome_unknown")]
    fn refusals_are_told_apart(#[case] status: u16, #[case] message: &str, #[case] expected: &str) {
        assert_eq!(refused(status, message).code(), expected);
    }

    #[test]
    fn every_row_is_reached() {
        for (status, words, expected) in REFUSALS {
            assert_eq!(meaning(*status, &words.to_uppercase()), *expected, "{status} {words}");
        }
    }

    #[rstest]
    #[case(400, "Invalid reply token", REPLY_TOKEN_USES)]
    #[case(429, "You have reached your monthly limit.", MONTHLY_MESSAGES)]
    fn what_is_used_up_is_evidence(#[case] status: u16, #[case] message: &str, #[case] quota: &str) {
        let error = refused(status, message);
        assert_eq!(error.evidence(), Some(Evidence::QuotaReached { quota: Some(quota.to_owned()) }));
        assert_eq!(error.next_step(), NextStep::DecideAgain);
    }

    #[rstest]
    #[case(413, "content_refused", NextStep::GiveUp)]
    #[case(429, "rate_limited", NextStep::Retry { after: None })]
    #[case(200, "outcome_unknown", NextStep::Settle)]
    #[case(404, "outcome_unknown", NextStep::Settle)]
    #[case(502, "outcome_unknown", NextStep::Settle)]
    fn what_a_gateway_says_is_no_refusal(#[case] status: u16, #[case] code: &str, #[case] next: NextStep) {
        let error = stranger(status, None);
        assert_eq!((error.code(), error.next_step()), (code, next));
    }

    #[test]
    fn a_report_quotes_neither_texts_nor_ids() {
        let body = json!({"message": "The request body has 1 error(s)", "details": [
            {"message": "'private words' for U0000000000000000000000000000a001 is too long", "property": "messages[0].text"}]});
        let shown = refusal(400, &serde_json::from_value(body).unwrap()).to_string();
        assert!(!shown.contains("private") && !shown.contains("a001") && shown.contains("messages[0].text"), "{shown}");
    }
}
