//! Viber's refusals, in our words: one table.

use transom_channel::{PlatformReport, SendError};

use crate::wire::Answer;

/// The policy's quota of messages that a bot may start for free in a month.
const MONTHLY_FREE: &str = "monthly_free";

/// The policy's quota of messages to one person without a reply.
const UNANSWERED: &str = "unanswered_per_hour";
/// The status that is said of both, the pace and the quota.
const TOO_MANY: &str = "12";

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The month's free messages are used up; in a session nothing changes.
    FreeMessagesUsed,
    /// Nothing is left to pay with: neither free messages nor money. Which of both the message wanted is in its permit.
    NoBalance,
    RateLimited,
    Temporary,
    Unreachable,
    ContentRefused,
    AuthFailed,
    AccountStopped,
    Invalid,
}

/// Status, Viber's name for it, and what it means (3). Status texts vary between documents: only the number counts.
#[rustfmt::skip]
const REFUSALS: &[(i64, &str, Meaning)] = &[
    (1,  "invalidUrl",                   Meaning::Invalid),
    (2,  "invalidAuthToken",             Meaning::AuthFailed),
    (3,  "badData",                      Meaning::Invalid),
    (4,  "missingData",                  Meaning::Invalid),
    (5,  "receiverNotRegistered",        Meaning::Unreachable),
    // Until they write or subscribe again, as for any other who can't be reached: both make them reachable.
    (6,  "receiverNotSubscribed",        Meaning::Unreachable),
    (7,  "publicAccountBlocked",         Meaning::AccountStopped),
    (8,  "publicAccountNotFound",        Meaning::AuthFailed),
    (9,  "publicAccountSuspended",       Meaning::AccountStopped),
    (10, "webhookNotSet",                Meaning::AccountStopped),
    (11, "receiverNoSuitableDevice",     Meaning::Unreachable),
    (12, "tooManyRequests",              Meaning::RateLimited),
    (13, "apiVersionNotSupported",       Meaning::ContentRefused),
    (14, "incompatibleWithVersion",      Meaning::ContentRefused),
    (15, "publicAccountNotAuthorized",   Meaning::AccountStopped),
    (16, "inchatReplyMessageNotAllowed", Meaning::Invalid),
    (17, "publicAccountIsNotInline",     Meaning::Invalid),
    (18, "noPublicChat",                 Meaning::Invalid),
    (19, "cannotSendBroadcast",          Meaning::Temporary),
    // Broadcasts are never asked for: nothing to stop the account for.
    (20, "broadcastNotAllowed",          Meaning::Invalid),
    (21, "unsupportedCountry",           Meaning::Unreachable),
    (22, "paymentUnsupported",           Meaning::Invalid),
    (23, "freeMessagesExceeded",         Meaning::FreeMessagesUsed),
    (24, "noBalance",                    Meaning::NoBalance),
];

/// What an answer with another status than 0 means.
pub(crate) fn refusal(http_status: u16, answer: &Answer) -> SendError {
    let known = REFUSALS.iter().find(|(status, ..)| *status == answer.status);
    let said = answer.status_message.as_deref().map(words).filter(|said| !said.is_empty());
    let said = said.unwrap_or_else(|| known.map_or("general", |(_, name, _)| *name).to_owned());
    let report = PlatformReport::new(Some(http_status), answer.status.to_string(), said);
    // Statuses that the table does not know are "general": again later, a few times.
    match known.map_or(Meaning::Temporary, |(.., meaning)| *meaning) {
        Meaning::FreeMessagesUsed => SendError::QuotaReached { quota: Some(MONTHLY_FREE.to_owned()), report },
        Meaning::NoBalance => SendError::QuotaReached { quota: None, report },
        // Also said beyond 100 an hour without a reply; no wish is stated (1.4).
        Meaning::RateLimited => SendError::RateLimited { retry_after_ms: None, report },
        Meaning::Temporary => SendError::Temporary { report },
        Meaning::Unreachable => SendError::Unreachable { report },
        Meaning::ContentRefused => SendError::ContentRefused { report },
        Meaning::AuthFailed => SendError::AuthFailed { report },
        Meaning::AccountStopped => SendError::AccountStopped { report },
        Meaning::Invalid => SendError::Invalid { report },
    }
}

/// Too many requests, said again of a message that has waited since: it is not the pace, then, but the hundred in an hour that
/// one person has not answered (1.4). What holds up one person must not hold up all.
pub(crate) fn of_attempt(refused: SendError, attempt: u32) -> SendError {
    match refused {
        SendError::RateLimited { report, .. } if attempt > 1 && report.code.as_deref() == Some(TOO_MANY) => {
            SendError::QuotaReached { quota: Some(UNANSWERED.to_owned()), report }
        }
        other => other,
    }
}

/// An event `failed`: the device would not take it, for good (4.3).
pub(crate) fn failed(description: Option<&str>) -> SendError {
    let said = description.map(words).filter(|said| !said.is_empty());
    let message = said.unwrap_or_else(|| "the device refused the message".to_owned());
    SendError::ContentRefused { report: PlatformReport::new(None, "failed", message) }
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

/// Their words without what they may quote of ours: anything in quotation marks, and words that may be ids.
fn words(said: &str) -> String {
    let unquoted = said.split('"').enumerate().map(|(n, piece)| if n % 2 == 0 { piece } else { "…" });
    let unquoted: String = unquoted.collect();
    let is_id =
        |word: &str| word.contains(['=', '/', '+', '@']) || word.chars().filter(char::is_ascii_digit).count() >= 5;
    let spared = unquoted.split_inclusive(' ').map(|word| if is_id(word) { "… " } else { word });
    spared.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use transom_channel::{Evidence, NextStep};

    fn refused(status: i64, said: Option<&str>) -> SendError {
        let answer =
            Answer { status, status_message: said.map(str::to_owned), message_token: None, billing_status: None };
        refusal(200, &answer)
    }

    /// Every row of the fact sheet's table (3).
    #[rstest]
    #[case(1, "invalidUrl", "invalid_request")]
    #[case(2, "invalidAuthToken", "auth_failed")]
    #[case(3, "badData", "invalid_request")]
    #[case(4, "missingData", "invalid_request")]
    #[case(5, "receiverNotRegistered", "unreachable")]
    #[case(6, "receiverNotSubscribed", "unreachable")]
    #[case(7, "publicAccountBlocked", "account_stopped")]
    #[case(8, "publicAccountNotFound", "auth_failed")]
    #[case(9, "publicAccountSuspended", "account_stopped")]
    #[case(10, "webhookNotSet", "account_stopped")]
    #[case(11, "receiverNoSuitableDevice", "unreachable")]
    #[case(12, "tooManyRequests", "rate_limited")]
    #[case(13, "apiVersionNotSupported", "content_refused")]
    #[case(14, "incompatibleWithVersion", "content_refused")]
    #[case(15, "publicAccountNotAuthorized", "account_stopped")]
    #[case(16, "inchatReplyMessageNotAllowed", "invalid_request")]
    #[case(17, "publicAccountIsNotInline", "invalid_request")]
    #[case(18, "noPublicChat", "invalid_request")]
    #[case(19, "cannotSendBroadcast", "temporary")]
    #[case(20, "broadcastNotAllowed", "invalid_request")]
    #[case(21, "unsupportedCountry", "unreachable")]
    #[case(22, "paymentUnsupported", "invalid_request")]
    #[case(23, "freeMessagesExceeded", "quota_reached")]
    #[case(24, "noBalance", "quota_reached")]
    // What nobody knows yet.
    #[case(25, "somethingNew", "temporary")]
    #[case(-1, "general", "temporary")]
    fn statuses_are_told_apart(#[case] status: i64, #[case] name: &str, #[case] expected: &str) {
        for said in [Some(name), Some("in other words"), Some(""), None] {
            let error = refused(status, said);
            assert_eq!(error.code(), expected, "{status} {said:?}");
            assert_eq!(error.report().unwrap().code, Some(status.to_string()));
        }
        let known = REFUSALS.iter().find(|(known, ..)| *known == status);
        assert!(known.is_none_or(|(_, known, _)| *known == name), "{status} is {known:?}");
    }

    #[test]
    fn every_row_is_tested_and_none_is_listed_twice() {
        let statuses: Vec<i64> = REFUSALS.iter().map(|(status, ..)| *status).collect();
        assert_eq!(statuses, (1..=24).collect::<Vec<_>>());
    }

    #[test]
    fn an_exhausted_month_is_the_quota_of_free_messages() {
        assert_eq!(refused(23, None).evidence(), Some(Evidence::QuotaReached { quota: Some(MONTHLY_FREE.to_owned()) }));
        assert_eq!(refused(24, None).evidence(), Some(Evidence::QuotaReached { quota: None }));
        for status in [23, 24] {
            assert_eq!(refused(status, None).next_step(), NextStep::DecideAgain);
        }
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
        let error = refused(3, Some("bad \"private words\" for uQ7vYdExample0001aA== near 12345"));
        let shown = error.to_string();
        assert!(!shown.contains("private") && !shown.contains("uQ7v") && shown.contains("bad"), "{shown}");
        assert_eq!(failed(Some("message validation failed")).code(), "content_refused");
    }

    #[test]
    fn too_many_said_twice_is_about_one_person() {
        assert_eq!(of_attempt(refused(12, None), 1).code(), "rate_limited");
        let again = of_attempt(refused(12, None), 2);
        assert_eq!(again.evidence(), Some(Evidence::QuotaReached { quota: Some(UNANSWERED.to_owned()) }));
        assert_eq!(of_attempt(stranger(429, None), 2).code(), "rate_limited");
    }
}
