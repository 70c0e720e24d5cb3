//! The errors of the protocol, and what a mailbox that can't be used means for a send.

use transom_channel::{MailboxError, PlatformReport, SendError};

/// What a visitor's side is told: code, HTTP status, close code (webchat.md 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "the table is the protocol's: rows that nothing refuses with stand there for clients")]
pub(crate) enum Code {
    BadRequest,
    Unauthorized,
    IdentityRequired,
    IdentityInvalid,
    IdentityExpired,
    OriginNotAllowed,
    Blocked,
    ConversationClosed,
    ConversationOpen,
    TooLarge,
    TypeNotAllowed,
    RateLimited,
    VisitorGone,
    Unavailable,
}

impl Code {
    /// Its row: name, HTTP status, and the code with which a socket is closed where that follows.
    #[rustfmt::skip]
    pub(crate) const fn row(self) -> (&'static str, u16, Option<u16>) {
        match self {
            Code::BadRequest         => ("bad_request",         400, Some(4400)),
            Code::Unauthorized       => ("unauthorized",        401, Some(4401)),
            Code::IdentityRequired   => ("identity_required",   401, Some(4401)),
            Code::IdentityInvalid    => ("identity_invalid",    401, Some(4401)),
            Code::IdentityExpired    => ("identity_expired",    401, Some(4401)),
            Code::OriginNotAllowed   => ("origin_not_allowed",  403, Some(4403)),
            Code::Blocked            => ("blocked",             403, Some(4403)),
            Code::ConversationClosed => ("conversation_closed", 409, None),
            Code::ConversationOpen   => ("conversation_open",   409, None),
            Code::TooLarge           => ("too_large",           413, Some(1009)),
            Code::TypeNotAllowed     => ("type_not_allowed",    415, None),
            Code::RateLimited        => ("rate_limited",        429, Some(4429)),
            Code::VisitorGone        => ("visitor_gone",        410, None),
            Code::Unavailable        => ("unavailable",         503, Some(1012)),
        }
    }
}

/// What a send that the mailbox did not take means.
pub(crate) fn of_mailbox(error: MailboxError) -> SendError {
    match error {
        MailboxError::Unavailable(detail) => SendError::NotConnected { detail },
        MailboxError::Unknown(detail) => SendError::OutcomeUnknown { detail },
        MailboxError::Busy { retry_after_ms } => SendError::RateLimited {
            retry_after_ms: Some(retry_after_ms),
            report: own_report("busy", "the mailboxes take nothing more for a while"),
        },
        MailboxError::Closed => SendError::AuthFailed { report: own_report("closed", "the connection is gone") },
    }
}

/// A refusal of our own.
pub(crate) fn invalid(what: &str) -> SendError {
    SendError::Invalid { report: own_report("invalid", what) }
}

/// Nobody of that address.
pub(crate) fn unreachable() -> SendError {
    SendError::Unreachable { report: own_report("no_visitor", "no address of a visitor is known") }
}

/// A stranger whose token is over: nothing opens their mailbox any more (webchat.md 5, `visitor_gone`).
pub(crate) fn visitor_gone() -> SendError {
    let (code, _, _) = Code::VisitorGone.row();
    SendError::Unreachable {
        report: own_report(code, "the visitor's token is over: they can't be reached here any more"),
    }
}

fn own_report(code: &str, message: &str) -> PlatformReport {
    PlatformReport::new(None, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use transom_channel::NextStep;

    /// The sheet's table, row by row.
    #[rstest]
    #[case(Code::BadRequest, "bad_request", 400, Some(4400))]
    #[case(Code::Unauthorized, "unauthorized", 401, Some(4401))]
    #[case(Code::IdentityRequired, "identity_required", 401, Some(4401))]
    #[case(Code::IdentityInvalid, "identity_invalid", 401, Some(4401))]
    #[case(Code::IdentityExpired, "identity_expired", 401, Some(4401))]
    #[case(Code::OriginNotAllowed, "origin_not_allowed", 403, Some(4403))]
    #[case(Code::Blocked, "blocked", 403, Some(4403))]
    #[case(Code::ConversationClosed, "conversation_closed", 409, None)]
    #[case(Code::ConversationOpen, "conversation_open", 409, None)]
    #[case(Code::TooLarge, "too_large", 413, Some(1009))]
    #[case(Code::TypeNotAllowed, "type_not_allowed", 415, None)]
    #[case(Code::RateLimited, "rate_limited", 429, Some(4429))]
    #[case(Code::VisitorGone, "visitor_gone", 410, None)]
    #[case(Code::Unavailable, "unavailable", 503, Some(1012))]
    fn every_code_has_its_row(#[case] code: Code, #[case] name: &str, #[case] status: u16, #[case] close: Option<u16>) {
        assert_eq!(code.row(), (name, status, close));
    }

    #[rstest]
    #[case(MailboxError::Unavailable("x".into()), "not_connected", NextStep::Retry { after: None })]
    #[case(MailboxError::Unknown("x".into()), "outcome_unknown", NextStep::Settle)]
    #[case(MailboxError::Busy { retry_after_ms: 7_000 }, "rate_limited",
        NextStep::Retry { after: Some(time::Duration::seconds(7)) })]
    #[case(MailboxError::Closed, "auth_failed", NextStep::Reconnect)]
    fn a_mailbox_that_took_nothing_says_what_to_do(
        #[case] error: MailboxError,
        #[case] code: &str,
        #[case] next: NextStep,
    ) {
        let error = of_mailbox(error);
        assert_eq!((error.code(), error.next_step()), (code, next));
    }
}
