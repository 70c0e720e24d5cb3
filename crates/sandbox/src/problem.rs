//! Why the sandbox could not do what its operator asked. What a platform answers is another matter.

use std::fmt;

/// Why a control verb was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Problem {
    /// What sort of problem, for programs.
    pub kind: ProblemKind,
    /// What is wrong and what to do, for people.
    pub detail: String,
}

/// The sorts of [`Problem`], with the HTTP status each has in the control API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// No such account, customer, message, verb (404).
    NotFound,
    /// The request cannot be understood or makes no sense on this platform (422).
    Invalid,
    /// It makes sense, but not now: the name is taken, the customer has blocked the account (409).
    Conflict,
}

impl ProblemKind {
    /// The HTTP status of the control API's answer.
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Invalid => 422,
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
        })
    }
}

impl Problem {
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self { kind: ProblemKind::NotFound, detail: detail.into() }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self { kind: ProblemKind::Invalid, detail: detail.into() }
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self { kind: ProblemKind::Conflict, detail: detail.into() }
    }
}
