//! What TikTok's codes mean: one table (3).

use transom_channel::{PlatformReport, SendError};

use crate::wire::Answer;

/// "Recovery about 5 minutes for a per-minute overage" (1.4), in milliseconds.
const THROTTLE_PAUSE_MS: u64 = 300_000;

/// What an access token that no longer works answers: it may only be old.
pub(crate) const TOKEN_EXPIRED: i64 = 40_105;

/// The error that a refusal is. `quotes`: the request referred to an earlier message.
pub(crate) fn refusal(status: u16, answer: &Answer, quotes: bool) -> SendError {
    let report = report(status, answer);
    match answer.code {
        // Closed window, used-up count, too many conversations or the customer's own settings: not to be told apart.
        40_064 => SendError::WindowClosed { report },
        40_100 => SendError::RateLimited { retry_after_ms: Some(THROTTLE_PAUSE_MS), report },
        TOKEN_EXPIRED => SendError::AuthFailed { report },
        40_001 => SendError::AccountStopped { report },
        40_007 if quotes => SendError::ContentRefused { report },
        40_007 => SendError::Unreachable { report },
        40_908 => SendError::ContentRefused { report },
        51_065 => SendError::Temporary { report },
        _ => SendError::Invalid { report },
    }
}

/// An answer that is not TikTok's own: something in between spoke.
pub(crate) fn stranger(status: u16, retry_after_ms: Option<u64>) -> SendError {
    match status {
        429 => {
            let report = PlatformReport::new(Some(status), "429", "too many requests");
            SendError::RateLimited { retry_after_ms, report }
        }
        _ => SendError::OutcomeUnknown { detail: format!("an answer that can't be read, with status {status}") },
    }
}

/// A failed read is tried again; only a send can have happened.
pub(crate) fn of_a_read(error: SendError) -> SendError {
    match error {
        SendError::OutcomeUnknown { detail } => SendError::Temporary { report: own_report(&detail) },
        error => error,
    }
}

pub(crate) fn invalid(why: &str) -> SendError {
    SendError::Invalid { report: own_report(why) }
}

pub(crate) fn own_report(why: &str) -> PlatformReport {
    PlatformReport { status: None, code: None, message: why.to_owned() }
}

/// TikTok's words may quote a value of ours: what is known is said in our words, with the request's id for their support.
fn report(status: u16, answer: &Answer) -> PlatformReport {
    let words = match answer.code {
        40_001 => "no permission: scope, approval or region",
        40_002 => "a parameter is wrong",
        40_007 => "the target does not exist",
        40_064 => "blocked by direct-message rules",
        40_100 => "requests too frequent",
        TOKEN_EXPIRED => "the access token is invalid or expired",
        40_908 => "unsupported file type",
        51_065 => "system error",
        _ => "an unknown refusal",
    };
    let id: String = answer.request_id.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    let said = if answer.message.contains("too fast") { ", too fast" } else { "" };
    PlatformReport::new(Some(status), answer.code.to_string(), format!("{words}{said} (request {id})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;
    use transom_channel::{Evidence, NextStep};

    fn refused(code: i64, quotes: bool) -> SendError {
        let answer = json!({"code": code, "message": "Sorry: \"private words\" usr-open-0055", "request_id": "2026", "data": {}});
        refusal(200, &serde_json::from_value(answer).unwrap(), quotes)
    }

    /// Every row of tiktok.md 3.
    #[rstest]
    #[case(40_001, "account_stopped")]
    #[case(40_002, "invalid_request")]
    #[case(40_007, "unreachable")]
    #[case(40_064, "window_closed")]
    #[case(40_100, "rate_limited")]
    #[case(40_105, "auth_failed")]
    #[case(40_908, "content_refused")]
    #[case(51_065, "temporary")]
    #[case(49_999, "invalid_request")]
    fn refusals_are_told_apart(#[case] code: i64, #[case] expected: &str) {
        let error = refused(code, false);
        assert_eq!(error.code(), expected);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("2026") && !shown.contains("private") && !shown.contains("usr-open"), "{shown}");
    }

    #[test]
    fn a_closed_window_is_believed_and_a_missing_quote_says_nothing_of_the_person() {
        assert_eq!(refused(40_064, false).evidence(), Some(Evidence::WindowClosed));
        assert_eq!(refused(40_007, true).evidence(), None);
    }

    #[test]
    fn a_throttle_states_its_pause() {
        let five = Some(time::Duration::minutes(5));
        assert_eq!(refused(40_100, false).next_step(), NextStep::Retry { after: five });
    }

    #[rstest]
    #[case(429, NextStep::Retry { after: None })]
    #[case(200, NextStep::Settle)]
    #[case(302, NextStep::Settle)]
    #[case(502, NextStep::Settle)]
    fn what_a_gateway_says_is_no_refusal(#[case] status: u16, #[case] next: NextStep) {
        assert_eq!(stranger(status, None).next_step(), next);
    }
}
