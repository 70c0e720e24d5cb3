//! Codes to [`SendError`]s: one table (messenger.md 3).
//!
//! Decided by code and subcode: HTTP is mostly 400, whatever it is.

use transom_channel::{PlatformReport, SendError, Unsendable};
use transom_meta::Refusal;
use transom_meta::messaging::{self, About};

const DAY: u32 = 24 * 60 * 60;
const HOUR_MS: u64 = 60 * 60 * 1_000;
/// How often "temporary" is believed: it may also mean that the person blocked the Page.
const MOST_TEMPORARY: u32 = 3;

/// The meaning of a refusal; `None` for a code that neither Messenger's table nor Graph's has.
pub(crate) fn classify(refusal: &Refusal, about: About) -> Option<SendError> {
    let report = refusal.report();
    let sub = refusal.error.subcode;
    Some(match (refusal.error.code, sub.unwrap_or(refusal.error.code)) {
        // The Page is restricted; commerce messages are switched off.
        (10, 1_893_063 | 1_404_170) | (2022, _) => SendError::AccountStopped { report },
        (10, 1_893_015) => SendError::OptedOut { scope: transom_channel::OptOutScope::Marketing, report },
        (10, 2_018_336) => SendError::ContentRefused { report },

        // Marketing messages, which nobody here sends: not before their time.
        (4, 2_018_354) | (9, 2_018_352) => {
            SendError::CoolingDown { category: Some("marketing".to_owned()), seconds: DAY, report }
        }
        // Too much under a tag for this person.
        (613, 2_018_338) => SendError::RateLimited { retry_after_ms: Some(refusal.wish_ms.unwrap_or(HOUR_MS)), report },
        // Matching phones costs; account linking; a doubled opt-in request.
        (200, 2_018_021) | (613, 1_893_016) | (10303, _) => SendError::Invalid { report },

        (2, _) if about.attempt > MOST_TEMPORARY => SendError::ContentRefused { report },
        // An automated conversation is running.
        (_, 2_018_321) => SendError::Temporary { report },

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
    use transom_channel::NextStep;
    use transom_meta::GraphError;

    fn refusal(code: i64, subcode: Option<i64>, status: u16) -> Refusal {
        let error = GraphError { code, subcode, message: "words".into(), transient: false };
        Refusal { error, status: Some(status), wish_ms: None }
    }

    fn first(code: i64, subcode: Option<i64>) -> SendError {
        classify(&refusal(code, subcode, 400), About { attempt: 1, private_reply: false }).unwrap()
    }

    /// Every row of the sheet's table.
    #[rstest]
    #[case::window(&[(10, 2_018_278), (10, 2_018_065), (10, 2_534_022)], "window_closed")]
    #[case::cannot_receive_now(&[(10, 2_018_108)], "unreachable")]
    #[case::page_restricted(&[(10, 1_893_063)], "account_stopped")]
    #[case::topic_stopped(&[(10, 1_893_015)], "opted_out")]
    #[case::marketing_opt_ins(&[(10, 1_404_170)], "account_stopped")]
    #[case::feature_of_the_thread(&[(10, 2_018_336)], "content_refused")]
    #[case::permission(&[(10, 0)], "auth_failed")]
    #[case::tag_removed(&[(100, 0)], "invalid_request")]
    #[case::no_such_user(&[(100, 2_018_001)], "unreachable")]
    #[case::no_such_object(&[(100, 33)], "auth_failed")]
    #[case::media_not_fetched(&[(100, 2_018_008)], "temporary")]
    #[case::media_type(&[(100, 2_018_047)], "content_refused")]
    #[case::attachment_id(&[(100, 2_018_074)], "temporary")]
    #[case::media_size(&[(100, 2_018_109)], "content_refused")]
    #[case::video(&[(100, 2_018_294)], "temporary")]
    #[case::message_and_action(&[(100, 2_018_014)], "invalid_request")]
    #[case::parameter(&[(100, 1_234_567)], "invalid_request")]
    #[case::token(&[(190, 0), (190, 460), (190, 463), (190, 467)], "auth_failed")]
    #[case::app_not_live(&[(200, 2_018_028), (200, 2_018_027), (200, 0)], "auth_failed")]
    #[case::person_unavailable(&[(200, 1_545_041), (551, 0), (551, 1_545_041)], "unreachable")]
    #[case::the_same_alone(&[(1_545_041, 0)], "unreachable")]
    #[case::phone_matching(&[(200, 2_018_021)], "invalid_request")]
    #[case::temporary(&[(2, 0)], "temporary")]
    #[case::unknown(&[(1, 99), (1, 0)], "temporary")]
    #[case::perhaps_sent(&[(1, 1_357_046)], "outcome_unknown")]
    #[case::app_limit(&[(4, 0)], "rate_limited")]
    #[case::marketing_cadence(&[(4, 2_018_354)], "cooling_down")]
    #[case::marketing_opt_in_limit(&[(9, 2_018_352)], "cooling_down")]
    #[case::rate(&[(613, 0)], "rate_limited")]
    #[case::tag_overuse(&[(613, 2_018_338)], "rate_limited")]
    #[case::doubled_opt_in(&[(613, 1_893_016)], "invalid_request")]
    #[case::page_limit(&[(80_006, 0), (32, 0)], "rate_limited")]
    #[case::policy_block(&[(368, 0)], "account_stopped")]
    #[case::commerce(&[(2022, 0)], "account_stopped")]
    #[case::account_linking(&[(10303, 0)], "invalid_request")]
    #[case::thread(&[(2_018_300, 0), (100, 2_018_300)], "temporary")]
    #[case::handover_role(&[(2_018_171, 0), (2_018_234, 0)], "temporary")]
    #[case::automated_flow(&[(2_018_321, 0)], "temporary")]
    #[case::no_profile(&[(2_018_218, 0), (100, 2_018_218)], "invalid_request")]
    #[case::profile_permission(&[(2_018_247, 0)], "auth_failed")]
    #[case::message_deleted(&[(9_000_001, 0)], "content_refused")]
    fn the_table(#[case] codes: &[(i64, i64)], #[case] expected: &str) {
        for (code, subcode) in codes {
            let subcode = Some(*subcode).filter(|subcode| *subcode != 0);
            assert_eq!(first(*code, subcode).code(), expected, "{code}/{subcode:?}");
        }
    }

    /// What is worth another attempt is not worth any number of them.
    #[rstest]
    #[case(100, Some(2_018_008), 2, "content_refused")]
    #[case(100, Some(2_018_294), 2, "content_refused")]
    #[case(100, Some(2_018_074), 2, "content_refused")]
    #[case(2_018_300, None, 2, "content_refused")]
    #[case(1, Some(99), 2, "invalid_request")]
    #[case(2, None, 3, "temporary")]
    #[case(2, None, 4, "content_refused")]
    fn attempts_come_to_an_end(
        #[case] code: i64,
        #[case] sub: Option<i64>,
        #[case] attempt: u32,
        #[case] expected: &str,
    ) {
        let error = classify(&refusal(code, sub, 400), About { attempt, private_reply: false }).unwrap();
        assert_eq!(error.code(), expected);
    }

    #[test]
    fn a_window_without_its_subcode_is_known_by_its_words() {
        let mut closed = refusal(10, None, 400);
        closed.error.message = "(#10) This message is sent outside of allowed window.".into();
        assert_eq!(classify(&closed, About::default()).unwrap().next_step(), NextStep::DecideAgain);
    }

    #[test]
    fn a_breakdown_with_a_vague_code_proves_nothing() {
        let error = classify(&refusal(1, Some(99), 500), About { attempt: 1, private_reply: false }).unwrap();
        assert_eq!(error.next_step(), NextStep::Settle);
    }

    #[test]
    fn a_code_that_nobody_lists_is_left() {
        assert_eq!(classify(&refusal(987_654, None, 400), About::default()), None);
    }
}
