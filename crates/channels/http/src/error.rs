//! The other side's refusals: one table.

use transom_channel::{OptOutScope, PlatformReport, SendError};
use transom_domain::TemplateStatus;

use crate::wire::Error;

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    WindowClosed,
    QuotaReached,
    /// A quota of the policy `viber_business`: messages in a row without a reply.
    Unanswered,
    CoolingDown,
    RateLimited,
    Temporary,
    Unknown,
    Blocked,
    OptedOut,
    Unreachable,
    ContentRefused,
    TemplateRefused,
    AuthFailed,
    AccountStopped,
    Invalid,
}

/// The protocol's codes, then those that Viber Business partners use (viber.md 8), so that glue may pass them on as they are.
#[rustfmt::skip]
const REFUSALS: &[(&str, Meaning)] = &[
    ("window_closed",                  Meaning::WindowClosed),
    ("quota_reached",                  Meaning::QuotaReached),
    ("cooling_down",                   Meaning::CoolingDown),
    ("rate_limited",                   Meaning::RateLimited),
    ("temporary",                      Meaning::Temporary),
    ("unknown",                        Meaning::Unknown),
    ("blocked",                        Meaning::Blocked),
    ("opted_out",                      Meaning::OptedOut),
    ("unreachable",                    Meaning::Unreachable),
    ("content_refused",                Meaning::ContentRefused),
    ("template_refused",               Meaning::TemplateRefused),
    ("unauthorized",                   Meaning::AuthFailed),
    ("account_stopped",                Meaning::AccountStopped),
    ("invalid_request",                Meaning::Invalid),
    ("SRVC_INTERNAL_FAILURE",          Meaning::Unknown),
    ("SRVC_BAD_SERVICE_ID",            Meaning::AccountStopped),
    ("SRVC_BAD_DATA",                  Meaning::Invalid),
    ("SRVC_BAD_MESSAGE_TYPE",          Meaning::Invalid),
    ("SRVC_BAD_PARAMETERS",            Meaning::Invalid),
    ("SRVC_TIMEOUT",                   Meaning::Unknown),
    ("SRVC_USER_BLOCKED",              Meaning::Blocked),
    ("SRVC_NOT_VIBER_USER",            Meaning::Unreachable),
    ("SRVC_NO_SUITABLE_DEVICE",        Meaning::Unreachable),
    ("SRVC_UNAUTHORIZED_IP",           Meaning::AuthFailed),
    ("SRVC_NOT_PERMITTED",             Meaning::AccountStopped),
    ("SRVC_BAD_LABEL",                 Meaning::Invalid),
    ("SRVC_INVALID_TTL",               Meaning::Invalid),
    ("SRVC_WAIT_FOR_USER_RESPONSE",    Meaning::Unanswered),
];

/// No wait is longer, in seconds (reliability.md 5).
const LONGEST_WAIT: u64 = 3_600;

/// What a refusal means. A code that nobody knows refuses for good and changes nothing about the person.
pub(crate) fn refusal(status: Option<u16>, error: &Error) -> SendError {
    let report = PlatformReport::new(status, &error.code, words(&error.message));
    let known = REFUSALS.iter().find(|(code, _)| *code == error.code);
    let wait = error.retry_after.map(|seconds| seconds.min(LONGEST_WAIT));
    match known.map_or(Meaning::Invalid, |(_, meaning)| *meaning) {
        Meaning::WindowClosed => SendError::WindowClosed { report },
        Meaning::QuotaReached => SendError::QuotaReached { quota: error.quota.clone(), report },
        Meaning::Unanswered => SendError::QuotaReached { quota: Some("unanswered".to_owned()), report },
        Meaning::CoolingDown => SendError::CoolingDown {
            category: error.category.clone(),
            // A pause may be long; without a number it is a day.
            seconds: error.retry_after.map_or(86_400, |seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
            report,
        },
        Meaning::RateLimited => SendError::RateLimited { retry_after_ms: wait.map(|seconds| seconds * 1_000), report },
        Meaning::Temporary => SendError::Temporary { report },
        Meaning::Unknown => SendError::OutcomeUnknown { detail: format!("the other side answered {}", error.code) },
        Meaning::Blocked => SendError::Blocked { report },
        Meaning::OptedOut => SendError::OptedOut { scope: scope(error.scope.as_deref()), report },
        Meaning::Unreachable => SendError::Unreachable { report },
        Meaning::ContentRefused => SendError::ContentRefused { report },
        Meaning::TemplateRefused => {
            let status = error.template_status.as_deref().and_then(TemplateStatus::parse);
            SendError::TemplateRefused { status, report }
        }
        Meaning::AuthFailed => SendError::AuthFailed { report },
        Meaning::AccountStopped => SendError::AccountStopped { report },
        Meaning::Invalid => SendError::Invalid { report },
    }
}

/// Of everything, unless it is said to be of marketing alone.
pub(crate) fn scope(name: Option<&str>) -> OptOutScope {
    if name == Some("marketing") { OptOutScope::Marketing } else { OptOutScope::All }
}

/// An answer that is not the protocol's: something in between spoke.
pub(crate) fn stranger(status: u16, retry_after_ms: Option<u64>) -> SendError {
    let report = |words: &str| PlatformReport::new(Some(status), status.to_string(), words);
    match status {
        401 | 403 => SendError::AuthFailed { report: report("the signature was refused") },
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

/// Their words without what they may quote of ours: anything in quotation marks, and words that may be addresses.
fn words(said: &str) -> String {
    let unquoted = said.split('"').enumerate().map(|(n, piece)| if n % 2 == 0 { piece } else { "…" });
    let unquoted: String = unquoted.collect();
    let is_address = |word: &str| word.contains('@') || word.chars().filter(char::is_ascii_digit).count() >= 5;
    let spared = unquoted.split_inclusive(' ').map(|word| if is_address(word) { "… " } else { word });
    spared.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use transom_channel::{Evidence, NextStep};

    fn refused(code: &str) -> SendError {
        refusal(Some(422), &Error { code: code.to_owned(), ..Error::default() })
    }

    /// Every code of docs/channels/http.md and of the fact sheet (viber.md 8).
    #[rstest]
    #[case("window_closed", "window_closed")]
    #[case("quota_reached", "quota_reached")]
    #[case("cooling_down", "cooling_down")]
    #[case("rate_limited", "rate_limited")]
    #[case("temporary", "temporary")]
    #[case("unknown", "outcome_unknown")]
    #[case("blocked", "blocked")]
    #[case("opted_out", "opted_out")]
    #[case("unreachable", "unreachable")]
    #[case("content_refused", "content_refused")]
    #[case("template_refused", "template_refused")]
    #[case("unauthorized", "auth_failed")]
    #[case("account_stopped", "account_stopped")]
    #[case("invalid_request", "invalid_request")]
    #[case("SRVC_INTERNAL_FAILURE", "outcome_unknown")]
    #[case("SRVC_BAD_SERVICE_ID", "account_stopped")]
    #[case("SRVC_BAD_DATA", "invalid_request")]
    #[case("SRVC_BAD_MESSAGE_TYPE", "invalid_request")]
    #[case("SRVC_BAD_PARAMETERS", "invalid_request")]
    #[case("SRVC_TIMEOUT", "outcome_unknown")]
    #[case("SRVC_USER_BLOCKED", "blocked")]
    #[case("SRVC_NOT_VIBER_USER", "unreachable")]
    #[case("SRVC_NO_SUITABLE_DEVICE", "unreachable")]
    #[case("SRVC_UNAUTHORIZED_IP", "auth_failed")]
    #[case("SRVC_NOT_PERMITTED", "account_stopped")]
    #[case("SRVC_BAD_LABEL", "invalid_request")]
    #[case("SRVC_INVALID_TTL", "invalid_request")]
    #[case("SRVC_WAIT_FOR_USER_RESPONSE", "quota_reached")]
    #[case("something_new", "invalid_request")]
    fn codes_are_told_apart(#[case] code: &str, #[case] expected: &str) {
        assert_eq!(refused(code).code(), expected);
    }

    #[test]
    fn every_row_is_tested() {
        assert_eq!(REFUSALS.len(), 28);
    }

    #[test]
    fn details_are_passed_on() {
        let error = Error { quota: Some("daily_messages".into()), ..Error::default() };
        let quota = refusal(None, &Error { code: "quota_reached".into(), ..error.clone() });
        assert_eq!(quota.evidence(), Some(Evidence::QuotaReached { quota: Some("daily_messages".into()) }));
        let slow = Error { code: "rate_limited".into(), retry_after: Some(86_400), ..error.clone() };
        assert_eq!(refusal(None, &slow).next_step(), NextStep::Retry { after: Some(time::Duration::HOUR) });
        let pause = Error { code: "cooling_down".into(), category: Some("marketing".into()), ..error.clone() };
        let span = time::Duration::DAY;
        assert_eq!(
            refusal(None, &pause).evidence(),
            Some(Evidence::Cooling { category: Some("marketing".into()), span })
        );
        let out = Error { code: "opted_out".into(), scope: Some("marketing".into()), ..error.clone() };
        assert_eq!(refusal(None, &out).evidence(), Some(Evidence::OptedOut(OptOutScope::Marketing)));
        let template = Error { code: "template_refused".into(), template_status: Some("paused".into()), ..error };
        assert_eq!(refusal(None, &template).evidence(), Some(Evidence::Template(TemplateStatus::Paused)));
    }

    #[rstest]
    #[case(401, "auth_failed")]
    #[case(413, "content_refused")]
    #[case(429, "rate_limited")]
    #[case(200, "outcome_unknown")]
    #[case(404, "outcome_unknown")]
    #[case(502, "outcome_unknown")]
    fn what_a_gateway_says_is_no_refusal(#[case] status: u16, #[case] code: &str) {
        assert_eq!(stranger(status, None).code(), code);
    }

    #[test]
    fn a_report_quotes_neither_texts_nor_addresses() {
        let message = "bad \"private words\" for +15005550006 or a@b.example".to_owned();
        let shown = refusal(None, &Error { code: "blocked".into(), message, ..Error::default() }).to_string();
        assert!(!shown.contains("private") && !shown.contains("5550006") && !shown.contains("a@b"), "{shown}");
    }
}
