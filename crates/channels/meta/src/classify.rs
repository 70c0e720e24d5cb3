//! The codes that mean the same on every platform of Meta.

use transom_channel::SendError;

use crate::Refusal;

/// How long to wait after a call limit when no header says it: these limits count by the hour (messenger.md 3).
const CALL_LIMIT_MS: u64 = 60_000;

/// The meaning of a code that all three platforms share; `None` for one that a platform has for itself.
///
/// Sources: whatsapp.md 3, messenger.md 3, instagram.md 3. A platform asks its own table first, because some of these codes
/// get another meaning there by their subcode (10/2018278: window closed).
pub fn classify(refusal: &Refusal) -> Option<SendError> {
    let report = refusal.report();
    Some(match (refusal.error.code, refusal.error.subcode) {
        // 33: the node is not there, or not for this token.
        (0 | 3 | 10 | 33 | 190 | 200..=299, _) | (100, Some(33)) => SendError::AuthFailed { report },
        (100, _) => SendError::Invalid { report },
        // "Unknown" proves nothing when it comes with a breakdown; with a 4xx the request was at least refused.
        (1, _) if refusal.is_breakdown() => SendError::OutcomeUnknown { detail: report.to_string() },
        (1 | 2, _) => SendError::Temporary { report },
        (4 | 32 | 613 | 80_000..=80_099, _) => {
            SendError::RateLimited { retry_after_ms: Some(refusal.wish_ms.unwrap_or(CALL_LIMIT_MS)), report }
        }
        (368, _) => SendError::AccountStopped { report },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GraphError;
    use rstest::rstest;

    fn refusal(code: i64, subcode: Option<i64>, status: u16) -> Refusal {
        let error = GraphError { code, subcode, message: "words".into(), transient: false };
        Refusal { error, status: Some(status), wish_ms: None }
    }

    #[rstest]
    #[case(0, None, 401, "auth_failed")]
    #[case(3, None, 500, "auth_failed")]
    #[case(10, None, 403, "auth_failed")]
    #[case(190, Some(463), 401, "auth_failed")]
    #[case(200, None, 403, "auth_failed")]
    #[case(299, None, 403, "auth_failed")]
    #[case(33, None, 400, "auth_failed")]
    #[case(100, Some(33), 400, "auth_failed")]
    #[case(100, None, 400, "invalid_request")]
    #[case(1, None, 400, "temporary")]
    #[case(1, None, 500, "outcome_unknown")]
    #[case(2, None, 503, "temporary")]
    #[case(4, None, 400, "rate_limited")]
    #[case(613, None, 400, "rate_limited")]
    #[case(80_007, None, 400, "rate_limited")]
    #[case(368, None, 403, "account_stopped")]
    fn shared_codes(#[case] code: i64, #[case] subcode: Option<i64>, #[case] status: u16, #[case] expected: &str) {
        assert_eq!(classify(&refusal(code, subcode, status)).unwrap().code(), expected);
    }

    #[test]
    fn a_code_of_one_platform_is_left_to_it() {
        assert_eq!(classify(&refusal(131_047, None, 400)), None);
        assert_eq!(classify(&refusal(551, None, 400)), None);
    }

    #[test]
    fn the_headers_wish_is_taken() {
        let wished = Refusal { wish_ms: Some(300_000), ..refusal(4, None, 400) };
        assert!(matches!(classify(&wished), Some(SendError::RateLimited { retry_after_ms: Some(300_000), .. })));
        let none = classify(&refusal(4, None, 400));
        assert!(matches!(none, Some(SendError::RateLimited { retry_after_ms: Some(CALL_LIMIT_MS), .. })));
    }
}
