//! Codes to [`SendError`]s: one table (instagram.md 3).
//!
//! Decided by code and subcode: the two hosts answer the same refusal with different statuses.

use transom_channel::{PlatformReport, SendError, Unsendable};
use transom_meta::Refusal;
use transom_meta::messaging::{self, About};

/// The quota of private replies, as the policy names it.
const PRIVATE_REPLIES: &str = "private_replies";

/// The meaning of a refusal; `None` for a code that neither Instagram's table nor Graph's has.
pub(crate) fn classify(refusal: &Refusal, about: About) -> Option<SendError> {
    let report = refusal.report();
    let sub = refusal.error.subcode;
    Some(match (refusal.error.code, sub.unwrap_or(refusal.error.code)) {
        // Seen on private replies as a limit, where the table has it for a Page without an account.
        (_, 2_534_013) if about.private_reply => SendError::RateLimited { retry_after_ms: refusal.wish_ms, report },
        // No linked account; the business is shut out; the account is not eligible.
        (_, 2_534_013 | 2_534_029) | (36103, _) => SendError::AccountStopped { report },

        // The link to the Page or two-factor; the owner switched message access off.
        (10, 2_534_077) | (200, 2_534_041) => SendError::AuthFailed { report },

        // No such person, or none that can be told from one; the thread was put away by its owner.
        (_, 2_534_014 | 2_534_001) => SendError::Unreachable { report },
        (_, 2_534_015) => SendError::Invalid { report },
        // Answered before, or too old: this comment gives no right any more.
        (_, 2_534_025) => SendError::QuotaReached { quota: Some(PRIVATE_REPLIES.to_owned()), report },

        // Another app has the thread: it was asked for, and the next attempt tells.
        (_, 2_534_037) if about.is_first() => SendError::Temporary { report },
        (_, 2_534_037) => SendError::ContentRefused { report },

        // Consent to see a profile: nothing that a send needs.
        (230, _) => SendError::Invalid { report },

        _ => return messaging::classify(refusal, about),
    })
}

/// Found before a byte went out.
pub(crate) fn unsendable(error: &Unsendable) -> SendError {
    let report = PlatformReport { status: None, code: Some(error.code().to_owned()), message: error.to_string() };
    SendError::ContentRefused { report }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use transom_channel::{Evidence, NextStep};
    use transom_meta::GraphError;

    fn refusal(code: i64, subcode: Option<i64>, status: u16) -> Refusal {
        let error = GraphError { code, subcode, message: "words".into(), transient: false };
        Refusal { error, status: Some(status), wish_ms: None }
    }

    /// Every row of the sheet's table, under both hosts' statuses.
    #[rstest]
    #[case::window(&[(10, 2_534_022), (10, 2_018_278)], "window_closed")]
    #[case::link(&[(10, 2_534_077)], "auth_failed")]
    #[case::permission(&[(10, 0)], "auth_failed")]
    #[case::no_account(&[(100, 2_534_013)], "account_stopped")]
    #[case::no_such_user(&[(100, 2_534_014)], "unreachable")]
    #[case::message_data(&[(100, 2_534_015)], "invalid_request")]
    #[case::comment(&[(100, 2_534_025)], "quota_reached")]
    #[case::shut_out(&[(100, 2_534_029)], "account_stopped")]
    #[case::thread_owner(&[(100, 2_534_037)], "temporary")]
    #[case::thread_put_away(&[(2_534_001, 0)], "unreachable")]
    #[case::tag(&[(100, 0)], "invalid_request")]
    #[case::no_such_object(&[(100, 33)], "auth_failed")]
    #[case::media(&[(100, 2_018_047), (100, 2_018_109)], "content_refused")]
    #[case::media_fetch(&[(100, 2_018_008), (100, 2_018_294)], "temporary")]
    #[case::token(&[(190, 0), (190, 460), (190, 463), (190, 467)], "auth_failed")]
    #[case::message_access(&[(200, 2_534_041)], "auth_failed")]
    #[case::role(&[(200, 0)], "auth_failed")]
    #[case::person_unavailable(&[(551, 0), (200, 1_545_041)], "unreachable")]
    #[case::rate(&[(613, 2_534_040), (613, 0), (4, 0), (80_002, 0)], "rate_limited")]
    #[case::outage(&[(2, 0), (2, 1_545_133)], "temporary")]
    #[case::unknown(&[(1, 0)], "temporary")]
    #[case::consent(&[(230, 0)], "invalid_request")]
    #[case::no_profile(&[(2_018_218, 0)], "invalid_request")]
    #[case::profile_permission(&[(2_018_247, 0)], "auth_failed")]
    #[case::not_eligible(&[(36103, 0)], "account_stopped")]
    #[case::message_deleted(&[(9_000_001, 0)], "content_refused")]
    #[case::thread(&[(2_018_300, 0)], "temporary")]
    #[case::policy_block(&[(368, 0)], "account_stopped")]
    fn the_table(#[case] codes: &[(i64, i64)], #[case] expected: &str) {
        for (code, subcode) in codes {
            let subcode = Some(*subcode).filter(|subcode| *subcode != 0);
            for status in [400, 403] {
                let about = About { attempt: 1, private_reply: false };
                let error = classify(&refusal(*code, subcode, status), about).unwrap();
                assert_eq!(error.code(), expected, "{code}/{subcode:?}");
            }
        }
    }

    #[test]
    fn on_private_replies_one_code_is_a_limit() {
        let about = About { attempt: 1, private_reply: true };
        assert_eq!(classify(&refusal(2_534_013, None, 400), about).unwrap().code(), "rate_limited");
    }

    /// Instagram's "temporary" is no word for blocked.
    #[rstest]
    #[case(2, None, 9, "temporary")]
    #[case(1, None, 2, "invalid_request")]
    #[case(100, Some(2_018_008), 2, "content_refused")]
    #[case(100, Some(2_534_037), 2, "content_refused")]
    fn later_attempts(#[case] code: i64, #[case] sub: Option<i64>, #[case] attempt: u32, #[case] expected: &str) {
        let error = classify(&refusal(code, sub, 400), About { attempt, private_reply: false }).unwrap();
        assert_eq!(error.code(), expected);
    }

    #[test]
    fn refusals_teach() {
        let error = |code, sub| classify(&refusal(code, sub, 403), About::default()).unwrap();
        assert_eq!(error(10, Some(2_534_022)).evidence(), Some(Evidence::WindowClosed));
        assert_eq!(
            error(100, Some(2_534_025)).evidence(),
            Some(Evidence::QuotaReached { quota: Some("private_replies".into()) })
        );
        let mut words = refusal(10, None, 403);
        words.error.message = "(#10) This message is sent outside of allowed window.".into();
        assert_eq!(classify(&words, About::default()).unwrap().next_step(), NextStep::DecideAgain);
    }
}
