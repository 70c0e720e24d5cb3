//! Codes to [`SendError`]s: one table for answers and for failed statuses (whatsapp.md 3).
//!
//! Decided by the code alone: titles are unstable, subcodes are gone since v16, and HTTP statuses are not authoritative.

use serde_json::Value;
use transom_channel::{OptOutScope, PlatformReport, SendError, Unsendable};
use transom_domain::TemplateStatus;
use transom_meta::{GraphError, Refusal};

/// The quota of people reached outside a window, as the policy names it.
pub(crate) const MESSAGING_LIMIT: &str = "messaging_limit";

const MINUTE_MS: u64 = 60_000;
const DAY: u32 = 24 * 60 * 60;
/// No wait is longer, in milliseconds (reliability.md 5).
const LONGEST_WAIT_MS: u64 = 60 * MINUTE_MS;

/// What was sent, as far as a refusal's meaning depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'m> {
    /// The template's category; `None` for free-form, and where a status does not say.
    pub(crate) category: Option<&'m str>,
    /// Which attempt it was, from 1; 0 where a status reports.
    pub(crate) attempt: u32,
}

/// The meaning of a refusal; `None` for a code that neither WhatsApp's table nor Graph's has.
pub(crate) fn classify(refusal: &Refusal, about: About<'_>) -> Option<SendError> {
    let report = refusal.report();
    let wish = |default_ms: Option<u64>| refusal.wish_ms.or(default_ms);
    Some(match refusal.error.code {
        131_047 => SendError::WindowClosed { report },

        // Spam and quality limit of the number; also what was seen when the portfolio's messaging limit is used up.
        131_048 => SendError::QuotaReached { quota: Some(MESSAGING_LIMIT.to_owned()), report },
        // Meta's cap on marketing per person, and the pause for numbers of the United States: not before a day has passed.
        131_049 => SendError::CoolingDown { category: Some("marketing".to_owned()), seconds: DAY, report },
        // Templates of a wrong category: lifted by Meta without notice.
        131_064 => SendError::CoolingDown {
            category: Some(about.category.unwrap_or("utility").to_owned()),
            seconds: DAY,
            report,
        },

        130_429 => SendError::RateLimited { retry_after_ms: wish(None), report },
        131_056 => SendError::RateLimited { retry_after_ms: wish(Some(pair_wait_ms(about.attempt))), report },
        80_007 | 4 | 133_016 => SendError::RateLimited { retry_after_ms: wish(Some(MINUTE_MS)), report },
        // A Flow that is throttled takes ten messages an hour.
        132_069 => SendError::RateLimited { retry_after_ms: wish(Some(6 * MINUTE_MS)), report },
        134_101 => SendError::RateLimited { retry_after_ms: wish(Some(10 * MINUTE_MS)), report },

        // Vague: with a breakdown it proves nothing, with a 4xx or in a status the message is at least not on its way.
        131_000 if refusal.is_breakdown() => SendError::OutcomeUnknown { detail: report.to_string() },
        131_000 | 131_016 | 131_057 | 133_004 => SendError::Temporary { report },

        130_403 => SendError::Blocked { report },
        131_050 => SendError::OptedOut { scope: OptOutScope::Marketing, report },
        // Not on WhatsApp, terms not accepted, an old client; our own number; a country where this business may not write.
        131_026 | 131_021 | 130_497 => SendError::Unreachable { report },

        // The user is in an experiment without marketing; media; a Flow that is blocked; expired before it was delivered.
        // 131052 and 131060 concern received messages, never a send.
        130_472 | 131_053 | 132_068 | 131_043 | 131_052 | 131_060 => SendError::ContentRefused { report },

        132_001 => SendError::TemplateRefused { status: Some(TemplateStatus::Deleted), report },
        132_015 => SendError::TemplateRefused { status: Some(TemplateStatus::Paused), report },
        132_016 => SendError::TemplateRefused { status: Some(TemplateStatus::Disabled), report },
        // Parameters. From 131055 on: marketing is switched off for this account, or belongs to another API; others still go.
        132_000 | 132_005 | 132_007 | 132_012 | 132_018 | 131_055 | 131_063 | 134_100 | 134_102 => {
            SendError::TemplateRefused { status: None, report }
        }

        // A payment problem, a display name without approval, a number that is gone, locked or not registered, terms.
        33 | 131_031 | 131_037 | 131_042 | 131_045 | 133_006 | 133_010 | 134_011 | 368 => {
            SendError::AccountStopped { report }
        }
        131_005 => SendError::AuthFailed { report },

        131_008 | 131_009 | 131_051 | 131_062 | 135_000 => SendError::Invalid { report },

        _ => return transom_meta::classify(refusal),
    })
}

/// Between one sender and one recipient: 4^X seconds, X = 0, 1, 2, … (whatsapp.md 1.5).
fn pair_wait_ms(attempt: u32) -> u64 {
    4_u64.saturating_pow(attempt.saturating_sub(1)).saturating_mul(1_000).min(LONGEST_WAIT_MS)
}

/// What a failed status says: the message is not on its way any more.
pub(crate) fn failed(errors: &[Value], about: About<'_>) -> SendError {
    let Some(error) = errors.iter().find_map(GraphError::read) else {
        let report =
            PlatformReport { message: "failed, and no reason was given".to_owned(), ..PlatformReport::default() };
        return SendError::ContentRefused { report };
    };
    let refusal = Refusal::reported(error);
    classify(&refusal, about).unwrap_or_else(|| SendError::Invalid { report: refusal.report() })
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
    use serde_json::json;
    use transom_channel::{Evidence, NextStep};

    fn refusal(code: i64, status: Option<u16>) -> Refusal {
        Refusal { error: GraphError { code, message: "words".into(), ..GraphError::default() }, status, wish_ms: None }
    }

    /// Every row of the sheet's table, as an answer and as a failed status.
    #[rstest]
    #[case::window(&[131_047], "window_closed")]
    #[case::undeliverable(&[131_026], "unreachable")]
    #[case::we_blocked(&[130_403], "blocked")]
    #[case::stopped_marketing(&[131_050], "opted_out")]
    #[case::marketing_cap(&[131_049], "cooling_down")]
    #[case::experiment(&[130_472], "content_refused")]
    #[case::ourselves(&[131_021], "unreachable")]
    #[case::message_type(&[131_051], "invalid_request")]
    #[case::parameters(&[131_008, 131_009, 100, 135_000], "invalid_request")]
    #[case::number_deleted(&[33], "account_stopped")]
    #[case::parameter_count(&[132_000], "template_refused")]
    #[case::template_missing(&[132_001], "template_refused")]
    #[case::template_parameters(&[132_005, 132_007, 132_012, 132_018], "template_refused")]
    #[case::template_paused(&[132_015], "template_refused")]
    #[case::template_disabled(&[132_016], "template_refused")]
    #[case::flow_blocked(&[132_068], "content_refused")]
    #[case::flow_throttled(&[132_069], "rate_limited")]
    #[case::marketing_off(&[131_063], "template_refused")]
    #[case::other_api(&[131_055, 134_100, 134_102], "template_refused")]
    #[case::other_api_later(&[134_101], "rate_limited")]
    #[case::throughput(&[130_429], "rate_limited")]
    #[case::pair(&[131_056], "rate_limited")]
    #[case::spam(&[131_048], "quota_reached")]
    #[case::misclassified(&[131_064], "cooling_down")]
    #[case::call_limits(&[80_007, 4, 133_016], "rate_limited")]
    #[case::maintenance(&[131_057], "temporary")]
    #[case::outage(&[131_016, 133_004, 2], "temporary")]
    #[case::vague(&[131_000, 1], "temporary")]
    #[case::inbound_media(&[131_052], "content_refused")]
    #[case::media(&[131_053], "content_refused")]
    #[case::payment_and_name(&[131_042, 131_037], "account_stopped")]
    #[case::not_registered(&[131_045, 133_010, 133_006], "account_stopped")]
    #[case::locked(&[131_031, 368], "account_stopped")]
    #[case::country(&[130_497], "unreachable")]
    #[case::terms(&[134_011], "account_stopped")]
    #[case::token(&[0, 190, 200], "auth_failed")]
    #[case::permission(&[3, 10, 201, 250, 299, 131_005], "auth_failed")]
    #[case::scoped_id(&[131_062], "invalid_request")]
    #[case::expired(&[131_043], "content_refused")]
    #[case::inbound_content(&[131_060], "content_refused")]
    fn the_table(#[case] codes: &[i64], #[case] expected: &str) {
        for code in codes {
            let answered = classify(&refusal(*code, Some(400)), About::default()).unwrap();
            assert_eq!(
                (answered.code(), answered.report().unwrap().code.clone()),
                (expected, Some(code.to_string())),
                "{code} answered"
            );
            let reported = failed(&[json!({"code": code, "title": "words"})], About::default());
            assert_eq!(reported.code(), expected, "{code} reported");
        }
    }

    /// Of the codes that come with a 5xx only the vague ones leave it open whether the message was taken.
    #[rstest]
    #[case(131_000, "outcome_unknown", NextStep::Settle)]
    #[case(1, "outcome_unknown", NextStep::Settle)]
    #[case(131_016, "temporary", NextStep::Retry { after: None })]
    #[case(133_004, "temporary", NextStep::Retry { after: None })]
    #[case(2, "temporary", NextStep::Retry { after: None })]
    #[case(131_057, "temporary", NextStep::Retry { after: None })]
    #[case(3, "auth_failed", NextStep::Reconnect)]
    #[case(131_047, "window_closed", NextStep::DecideAgain)]
    fn a_breakdown_proves_only_what_its_code_says(#[case] code: i64, #[case] expected: &str, #[case] next: NextStep) {
        let error = classify(&refusal(code, Some(500)), About::default()).unwrap();
        assert_eq!((error.code(), error.next_step()), (expected, next));
    }

    #[rstest]
    #[case(0, 1_000)]
    #[case(1, 1_000)]
    #[case(2, 4_000)]
    #[case(3, 16_000)]
    #[case(6, 1_024_000)]
    #[case(7, 3_600_000)]
    #[case(u32::MAX, 3_600_000)]
    fn the_pair_rate_backs_off_by_powers_of_four(#[case] attempt: u32, #[case] wait: u64) {
        let error = classify(&refusal(131_056, Some(400)), About { attempt, ..About::default() });
        assert!(
            matches!(error, Some(SendError::RateLimited { retry_after_ms: Some(ms), .. }) if ms == wait),
            "{error:?}"
        );
    }

    #[test]
    fn the_headers_wish_comes_first() {
        let wished = Refusal { wish_ms: Some(7_000), ..refusal(131_056, Some(400)) };
        assert!(matches!(
            classify(&wished, About::default()),
            Some(SendError::RateLimited { retry_after_ms: Some(7_000), .. })
        ));
    }

    #[test]
    fn refusals_teach() {
        let evidence = |code, about| classify(&refusal(code, None), about).unwrap().evidence();
        let utility = About { category: Some("utility"), attempt: 1 };
        assert_eq!(evidence(131_047, utility), Some(Evidence::WindowClosed));
        assert_eq!(evidence(131_048, utility), Some(Evidence::QuotaReached { quota: Some("messaging_limit".into()) }));
        let day = time::Duration::DAY;
        assert_eq!(
            evidence(131_049, utility),
            Some(Evidence::Cooling { category: Some("marketing".into()), span: day })
        );
        assert_eq!(evidence(131_064, utility), Some(Evidence::Cooling { category: Some("utility".into()), span: day }));
        assert_eq!(evidence(131_050, utility), Some(Evidence::OptedOut(OptOutScope::Marketing)));
        assert_eq!(evidence(132_015, utility), Some(Evidence::Template(TemplateStatus::Paused)));
        assert_eq!(evidence(132_018, utility), None);
    }

    #[test]
    fn a_failure_without_a_reason_is_one_all_the_same() {
        assert_eq!(failed(&[], About::default()).next_step(), NextStep::GiveUp);
        assert_eq!(failed(&[json!({"title": "no code"})], About::default()).next_step(), NextStep::GiveUp);
        assert_eq!(failed(&[json!({"code": 987_654_321})], About::default()).code(), "invalid_request");
    }
}
