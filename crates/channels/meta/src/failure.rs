//! What it means that Graph did not do what was asked.

use transom_channel::http::{Phase, TransportError};
use transom_channel::{PlatformReport, SendError};

use crate::Refusal;

/// A request that did not succeed, as far as can be seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphFailure {
    /// No whole answer.
    Transport(TransportError),
    /// Graph refused and said why.
    Refused(Refusal),
    /// An answer that is not Graph's: a gateway's page, or JSON of another shape.
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// When to come again, in milliseconds, where a header says so.
        wish_ms: Option<u64>,
    },
    /// More pages than a list can sensibly have.
    Endless {
        /// How many were read.
        pages: usize,
    },
}

impl GraphFailure {
    /// The failure of a request that could have reached a customer. `table` is the platform's own; what it does not know is
    /// judged by the status.
    pub fn of_send(self, table: impl FnOnce(&Refusal) -> Option<SendError>) -> SendError {
        match self {
            GraphFailure::Transport(error) => error.into(),
            GraphFailure::Refused(refusal) => table(&refusal).unwrap_or_else(|| unknown_code(&refusal)),
            GraphFailure::Unreadable { status: 429, wish_ms } => too_many(wish_ms),
            // Refused before Graph looked at it. 408 says that somebody in between gave up waiting: nothing is proved by that.
            GraphFailure::Unreadable { status, .. } if (400..500).contains(&status) && status != 408 => {
                SendError::Invalid { report: not_graphs(status) }
            }
            GraphFailure::Unreadable { status, .. } => {
                SendError::OutcomeUnknown { detail: format!("an unreadable answer with status {status}") }
            }
            GraphFailure::Endless { pages } => {
                SendError::OutcomeUnknown { detail: format!("{pages} pages and no end") }
            }
        }
    }

    /// The failure of a request that no customer can notice: a read, an upload. It can always be made again.
    pub fn of_read(self, table: impl FnOnce(&Refusal) -> Option<SendError>) -> SendError {
        match self {
            GraphFailure::Transport(TransportError { phase: Phase::Written | Phase::Answered, detail }) => {
                SendError::Temporary { report: PlatformReport { status: None, code: None, message: detail } }
            }
            GraphFailure::Unreadable { status, .. } if status != 429 && !(400..500).contains(&status) => {
                SendError::Temporary { report: not_graphs(status) }
            }
            GraphFailure::Endless { pages } => SendError::Temporary {
                report: PlatformReport { status: None, code: None, message: format!("{pages} pages and no end") },
            },
            other => match other.of_send(table) {
                SendError::OutcomeUnknown { detail } => {
                    SendError::Temporary { report: PlatformReport { status: None, code: None, message: detail } }
                }
                certain => certain,
            },
        }
    }
}

/// A code that the sheet does not list.
fn unknown_code(refusal: &Refusal) -> SendError {
    let report = refusal.report();
    match refusal.status {
        Some(429) => SendError::RateLimited { retry_after_ms: refusal.wish_ms, report },
        _ if refusal.is_breakdown() => SendError::OutcomeUnknown { detail: report.to_string() },
        _ if refusal.error.transient => SendError::Temporary { report },
        _ => SendError::Invalid { report },
    }
}

fn too_many(wish_ms: Option<u64>) -> SendError {
    SendError::RateLimited { retry_after_ms: wish_ms, report: not_graphs(429) }
}

fn not_graphs(status: u16) -> PlatformReport {
    PlatformReport { status: Some(status), code: None, message: format!("status {status} without Graph's error") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GraphError, classify};
    use rstest::rstest;

    fn unreadable(status: u16) -> GraphFailure {
        GraphFailure::Unreadable { status, wish_ms: None }
    }

    fn refused(status: u16, code: i64) -> GraphFailure {
        GraphFailure::Refused(Refusal {
            error: GraphError { code, ..GraphError::default() },
            status: Some(status),
            wish_ms: None,
        })
    }

    #[rstest]
    #[case(unreadable(200), "outcome_unknown", "temporary")]
    #[case(unreadable(302), "outcome_unknown", "temporary")]
    #[case(unreadable(400), "invalid_request", "invalid_request")]
    #[case(unreadable(408), "outcome_unknown", "temporary")]
    #[case(unreadable(429), "rate_limited", "rate_limited")]
    #[case(unreadable(500), "outcome_unknown", "temporary")]
    #[case(unreadable(502), "outcome_unknown", "temporary")]
    #[case(refused(400, 987_654), "invalid_request", "invalid_request")]
    #[case(refused(500, 987_654), "outcome_unknown", "temporary")]
    #[case(refused(429, 987_654), "rate_limited", "rate_limited")]
    #[case(refused(500, 1), "outcome_unknown", "temporary")]
    #[case(refused(400, 1), "temporary", "temporary")]
    #[case(refused(503, 2), "temporary", "temporary")]
    #[case(refused(500, 190), "auth_failed", "auth_failed")]
    fn only_what_is_proved_is_said(#[case] failure: GraphFailure, #[case] send: &str, #[case] read: &str) {
        assert_eq!(failure.clone().of_send(classify).code(), send);
        assert_eq!(failure.of_read(classify).code(), read);
    }

    #[test]
    fn a_broken_connection_is_judged_by_how_far_it_got() {
        let broke = |phase| GraphFailure::Transport(TransportError { phase, detail: "broke".into() });
        assert_eq!(broke(Phase::NothingWritten).of_send(classify).code(), "not_connected");
        assert_eq!(broke(Phase::Written).of_send(classify).code(), "outcome_unknown");
        assert_eq!(broke(Phase::Answered).of_send(classify).code(), "outcome_unknown");
        assert_eq!(broke(Phase::NothingWritten).of_read(classify).code(), "not_connected");
        assert_eq!(broke(Phase::Written).of_read(classify).code(), "temporary");
    }
}
