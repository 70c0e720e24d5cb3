//! What WeChat's codes mean: one table (3).

use std::ops::RangeInclusive;

use time::{Duration, OffsetDateTime, UtcOffset};
use transom_channel::{PlatformReport, SendError};

/// Names of the policy's quotas.
pub(crate) const PASSIVE_REPLIES: &str = "passive_replies";
const SUBSCRIPTION_COUNT: &str = "subscription_count";

/// "Per-minute quota: next minute" (3), in milliseconds.
const MINUTE_MS: u64 = 60_000;
/// Daily quotas turn at midnight in China (unsure, 1.2).
const CHINA: i8 = 8;

/// An uploaded file that is no longer there, or never was.
pub(crate) const MEDIA_GONE: &str = "40007";

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Temporary,
    Auth,
    Stopped,
    Invalid,
    Content,
    Template,
    NotGranted,
    Daily,
    Minutely,
    WindowClosed,
    CountReached,
    Blocked,
    Unreachable,
}

/// Codes, what they mean, and our words for them: WeChat's own may quote a value of ours.
#[rustfmt::skip]
const REFUSALS: &[(RangeInclusive<i64>, Meaning, &str)] = &[
    (-1..=-1,         Meaning::Temporary,    "the system is busy"),
    (40001..=40001,   Meaning::Auth,         "the secret is wrong, or the access token is not the latest"),
    (40002..=40002,   Meaning::Invalid,      "wrong grant type"),
    (40003..=40003,   Meaning::Invalid,      "not an openid of this account"),
    (40004..=40012,   Meaning::Content,      "wrong type, size or id of a file, or wrong type of message"),
    (40013..=40013,   Meaning::Auth,         "wrong AppID"),
    (40014..=40014,   Meaning::Auth,         "the access token is not valid"),
    (40033..=40033,   Meaning::Invalid,      "characters that are not allowed"),
    (40037..=40037,   Meaning::Template,     "wrong template id"),
    (40125..=40125,   Meaning::Auth,         "wrong AppSecret"),
    (40164..=40164,   Meaning::Stopped,      "this service's IP address is not on the account's list"),
    (41001..=41009,   Meaning::Invalid,      "a parameter is missing"),
    (42001..=42001,   Meaning::Auth,         "the access token has expired"),
    (42007..=42007,   Meaning::Auth,         "the authorisation ended with a change of password"),
    (43002..=43003,   Meaning::Invalid,      "POST over HTTPS is expected"),
    (43004..=43004,   Meaning::Unreachable,  "the customer does not follow the account"),
    (43019..=43019,   Meaning::Blocked,      "the customer is on the account's blacklist"),
    (43101..=43101,   Meaning::NotGranted,   "the customer did not allow this subscription template, or no longer"),
    (44002..=44002,   Meaning::Invalid,      "an empty request"),
    (44004..=44004,   Meaning::Content,      "an empty text"),
    (45001..=45004,   Meaning::Content,      "a file, text, title or description is too long"),
    (45008..=45008,   Meaning::Content,      "too many articles"),
    (45009..=45009,   Meaning::Daily,        "the day's calls are used up"),
    (45011..=45011,   Meaning::Minutely,     "the minute's calls are used up"),
    (45015..=45015,   Meaning::WindowClosed, "out of the time to answer, or no longer a follower"),
    (45047..=45047,   Meaning::CountReached, "out of the count of answers"),
    // Of the typing indicator, which is never sent.
    (45072..=45072,   Meaning::Invalid,      "wrong typing command"),
    (45080..=45081,   Meaning::Invalid,      "typing was not taken"),
    (46004..=46004,   Meaning::Invalid,      "there is no such user"),
    (47001..=47001,   Meaning::Invalid,      "the request can't be read"),
    (47003..=47003,   Meaning::Template,     "a template's parameter is wrong"),
    (48001..=48001,   Meaning::Stopped,      "the account may not use this interface: it must be verified"),
    (48002..=48002,   Meaning::Blocked,      "the follower switched messages off"),
    (48003..=48004,   Meaning::Stopped,      "the interface is not agreed to, or banned"),
    (48008..=48008,   Meaning::Stopped,      "the account may not send this type of message"),
    (50001..=50002,   Meaning::Stopped,      "not authorised, or the account is limited"),
    (50005..=50005,   Meaning::Unreachable,  "the customer does not follow the account"),
    (61450..=61500,   Meaning::Invalid,      "the customer-service account (kf_account) is wrong"),
    (65400..=65499,   Meaning::Invalid,      "the customer-service account (kf_account) can't be used"),
];

/// The error that a refusal is.
pub(crate) fn refusal(status: u16, code: i64, errmsg: &str, now: OffsetDateTime) -> SendError {
    let row = REFUSALS.iter().find(|(codes, ..)| codes.contains(&code));
    let (meaning, words) =
        row.map_or((Meaning::Invalid, "an unknown refusal"), |(_, meaning, words)| (*meaning, *words));
    let report = PlatformReport::new(Some(status), code.to_string(), format!("{words}{}", trace(errmsg)));
    match meaning {
        Meaning::Temporary => SendError::Temporary { report },
        Meaning::Auth => SendError::AuthFailed { report },
        Meaning::Stopped => SendError::AccountStopped { report },
        Meaning::Invalid => SendError::Invalid { report },
        Meaning::Content => SendError::ContentRefused { report },
        Meaning::Template => SendError::TemplateRefused { status: None, report },
        Meaning::NotGranted => SendError::QuotaReached { quota: Some(SUBSCRIPTION_COUNT.to_owned()), report },
        Meaning::Daily => SendError::RateLimited { retry_after_ms: Some(until_midnight_ms(now)), report },
        Meaning::Minutely => SendError::RateLimited { retry_after_ms: Some(MINUTE_MS), report },
        Meaning::WindowClosed => SendError::WindowClosed { report },
        // Which of the counts is the permit's to know.
        Meaning::CountReached => SendError::QuotaReached { quota: None, report },
        Meaning::Blocked => SendError::Blocked { report },
        Meaning::Unreachable => SendError::Unreachable { report },
    }
}

/// An answer that is not WeChat's own: something in between spoke.
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

/// `rid: 60000000-…` or `hint: […]` at the end of the words, for Tencent's support.
fn trace(errmsg: &str) -> String {
    let id = ["rid:", "hint:"].iter().find_map(|word| errmsg.rsplit_once(word).map(|(_, rest)| rest.trim()));
    let is_of_ids = |byte: &char| byte.is_ascii_alphanumeric() || *byte == '-';
    let id: String = id.unwrap_or_default().trim_start_matches('[').chars().take_while(is_of_ids).take(64).collect();
    if id.is_empty() { String::new() } else { format!(" (rid {id})") }
}

fn until_midnight_ms(now: OffsetDateTime) -> u64 {
    let there = now.to_offset(UtcOffset::from_hms(CHINA, 0, 0).unwrap_or(UtcOffset::UTC));
    let left = Duration::DAY - (there.time() - time::Time::MIDNIGHT);
    u64::try_from(left.whole_milliseconds()).unwrap_or(MINUTE_MS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use time::macros::datetime;
    use transom_channel::{Evidence, NextStep};

    const NOW: OffsetDateTime = datetime!(2026-11-21 15:30 UTC);

    fn refused(code: i64) -> SendError {
        let words = "private words oEXAMPLEopenid00000000000001 rid: 60000000-00000000-00000001";
        refusal(200, code, words, NOW)
    }

    /// Every row of wechat.md 3.
    #[rstest]
    #[case(&[-1], "temporary")]
    #[case(&[40_001, 40_013, 40_014, 40_125, 42_001, 42_007], "auth_failed")]
    #[case(&[40_002, 40_003, 40_033], "invalid_request")]
    #[case(&[40_004, 40_005, 40_006, 40_007, 40_008, 40_009, 40_010, 40_011, 40_012], "content_refused")]
    #[case(&[40_037, 47_003], "template_refused")]
    #[case(&[40_164], "account_stopped")]
    #[case(&[41_001, 41_002, 41_003, 41_004, 41_005, 41_006, 41_007, 41_008, 41_009], "invalid_request")]
    #[case(&[43_002, 43_003, 44_002, 46_004, 47_001], "invalid_request")]
    #[case(&[43_004, 50_005], "unreachable")]
    #[case(&[43_019, 48_002], "blocked")]
    #[case(&[43_101, 45_047], "quota_reached")]
    #[case(&[44_004, 45_001, 45_002, 45_003, 45_004, 45_008], "content_refused")]
    #[case(&[45_009, 45_011], "rate_limited")]
    #[case(&[45_015], "window_closed")]
    #[case(&[45_072, 45_080, 45_081], "invalid_request")]
    #[case(&[48_001, 48_003, 48_004, 48_008, 50_001, 50_002], "account_stopped")]
    #[case(&[61_451, 61_500, 65_400, 65_401, 99_999], "invalid_request")]
    fn refusals_are_told_apart(#[case] codes: &[i64], #[case] expected: &str) {
        for code in codes {
            let error = refused(*code);
            assert_eq!(error.code(), expected, "{code}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("60000000-00000000-00000001"), "{shown}");
            assert!(!shown.contains("private") && !shown.contains("oEXAMPLE"), "{shown}");
        }
    }

    #[test]
    fn no_code_has_two_rows() {
        for (n, (codes, ..)) in REFUSALS.iter().enumerate() {
            let clash = REFUSALS.iter().skip(n + 1).find(|(other, ..)| codes.clone().any(|code| other.contains(&code)));
            assert!(clash.is_none(), "{codes:?}");
        }
    }

    #[test]
    fn what_is_used_up_or_closed_is_believed() {
        assert_eq!(refused(45_047).evidence(), Some(Evidence::QuotaReached { quota: None }));
        assert_eq!(
            refused(43_101).evidence(),
            Some(Evidence::QuotaReached { quota: Some("subscription_count".into()) })
        );
        assert_eq!(refused(45_015).evidence(), Some(Evidence::WindowClosed));
    }

    #[test]
    fn quotas_of_calls_say_when_they_turn() {
        let after = |span| NextStep::Retry { after: Some(span) };
        // 23:30 in China.
        assert_eq!(refused(45_009).next_step(), after(Duration::minutes(30)));
        assert_eq!(refused(45_011).next_step(), after(Duration::MINUTE));
    }

    #[rstest]
    #[case("no trace", "")]
    #[case("bad rid: ", "")]
    #[case("ok hint: [Abc-12 x] more", " (rid Abc-12)")]
    fn a_trace_is_an_id_and_nothing_else(#[case] words: &str, #[case] traced: &str) {
        assert_eq!(trace(words), traced);
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
