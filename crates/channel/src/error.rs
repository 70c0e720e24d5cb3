//! Errors that say what happens next.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use transom_domain::TemplateStatus;
use transom_windows::OptOutScope;

/// What a platform said when it refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformReport {
    /// The HTTP status, if an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The platform's own code, such as `131047` or `10/2018278`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The platform's words, cut to 500 characters; never an address, a token or a text of ours.
    pub message: String,
}

impl PlatformReport {
    /// A report with a code.
    pub fn new(status: Option<u16>, code: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self { status, code: Some(code.into()), message: message.as_ref().chars().take(500).collect() }
    }
}

impl fmt::Display for PlatformReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} (code {code})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Why a part did not go out, or may not have.
///
/// Plain data, so that attempts can be stored and compared. [`next_step`](Self::next_step) says what the dispatcher does,
/// [`evidence`](Self::evidence) what we learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SendError {
    /// The platform holds the window shut though ours said open: clocks differ, or an event was missed.
    #[error("the messaging window is closed: {report}")]
    WindowClosed {
        /// What the platform said.
        report: PlatformReport,
    },
    /// A quota is used up.
    #[error("a quota is used up: {report}")]
    QuotaReached {
        /// The quota's name in the policy, where the code tells which.
        quota: Option<String>,
        /// What the platform said.
        report: PlatformReport,
    },
    /// The platform wants a pause for this category and person.
    #[error("the platform wants a pause before the next message of this category: {report}")]
    CoolingDown {
        /// The template category, or `None` for everything.
        category: Option<String>,
        /// For how long, in seconds.
        seconds: u32,
        /// What the platform said.
        report: PlatformReport,
    },
    /// Too fast. Not accepted.
    #[error("rate limited by the platform: {report}")]
    RateLimited {
        /// The platform's wish in milliseconds, if it stated one.
        retry_after_ms: Option<u64>,
        /// What the platform said.
        report: PlatformReport,
    },
    /// A passing trouble of the platform, which says that it did not process the request.
    #[error("the platform is in trouble: {report}")]
    Temporary {
        /// What the platform said.
        report: PlatformReport,
    },
    /// No connection: provably nothing was written.
    #[error("no connection to the platform: {detail}")]
    NotConnected {
        /// What failed, without addresses.
        detail: String,
    },
    /// It may have been accepted: no answer came back, or none that can be read.
    #[error("no clear answer came back, the message may have arrived: {detail}")]
    OutcomeUnknown {
        /// What was seen instead.
        detail: String,
    },
    /// The customer blocks us, or we block them on the platform.
    #[error("blocked: {report}")]
    Blocked {
        /// What the platform said.
        report: PlatformReport,
    },
    /// The customer opted out.
    #[error("the customer opted out: {report}")]
    OptedOut {
        /// Of what.
        scope: OptOutScope,
        /// What the platform said.
        report: PlatformReport,
    },
    /// Nobody can be reached under this address now.
    #[error("the customer can't be reached: {report}")]
    Unreachable {
        /// What the platform said.
        report: PlatformReport,
    },
    /// The platform will never take this content.
    #[error("the platform refuses this content: {report}")]
    ContentRefused {
        /// What the platform said.
        report: PlatformReport,
    },
    /// The template is not what we thought.
    #[error("the template can't be sent: {report}")]
    TemplateRefused {
        /// Its status as the refusal shows it; `None` where only the parameters are wrong.
        status: Option<TemplateStatus>,
        /// What the platform said.
        report: PlatformReport,
    },
    /// The credentials no longer work.
    #[error("the account must be connected again: {report}")]
    AuthFailed {
        /// What the platform said.
        report: PlatformReport,
    },
    /// The platform stopped the account, or its settings forbid this.
    #[error("the account can't send: {report}")]
    AccountStopped {
        /// What the platform said.
        report: PlatformReport,
    },
    /// The request was wrong: a fault of ours.
    #[error("the request was refused as wrong: {report}")]
    Invalid {
        /// What the platform said.
        report: PlatformReport,
    },
}

/// What the dispatcher does after an attempt that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Not accepted: again, after this long or by the schedule.
    Retry {
        /// The platform's wish.
        after: Option<Duration>,
    },
    /// Not accepted: record the evidence, decide anew; no permit, no send.
    DecideAgain,
    /// Perhaps accepted: resend only inside the platform's dedupe span with the same key, else wait for evidence, then ask.
    Settle,
    /// Not accepted, and nothing will be until the account is mended.
    Reconnect,
    /// Not accepted, and never will be.
    GiveUp,
}

/// What a refusal proves, to be recorded before anything is decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The openings before the send no longer count.
    WindowClosed,
    /// The present opening or period is used up.
    QuotaReached {
        /// Which quota, where known.
        quota: Option<String>,
    },
    /// No more of this category until then.
    Cooling {
        /// The category; `None`: everything.
        category: Option<String>,
        /// For how long.
        span: Duration,
    },
    /// The customer blocks us.
    Blocked,
    /// The customer opted out.
    OptedOut(OptOutScope),
    /// The customer can't be reached.
    Unreachable {
        /// In the platform's word.
        reason: String,
    },
    /// The template's true status.
    Template(TemplateStatus),
}

impl SendError {
    /// What the dispatcher does next. A new variant does not compile until it answers this.
    pub fn next_step(&self) -> NextStep {
        match self {
            SendError::RateLimited { retry_after_ms, .. } => NextStep::Retry {
                after: retry_after_ms.map(|ms| Duration::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX))),
            },
            SendError::Temporary { .. } | SendError::NotConnected { .. } => NextStep::Retry { after: None },
            SendError::WindowClosed { .. } | SendError::QuotaReached { .. } | SendError::CoolingDown { .. } => {
                NextStep::DecideAgain
            }
            SendError::OutcomeUnknown { .. } => NextStep::Settle,
            SendError::AuthFailed { .. } | SendError::AccountStopped { .. } => NextStep::Reconnect,
            SendError::Blocked { .. }
            | SendError::OptedOut { .. }
            | SendError::Unreachable { .. }
            | SendError::ContentRefused { .. }
            | SendError::TemplateRefused { .. }
            | SendError::Invalid { .. } => NextStep::GiveUp,
        }
    }

    /// What the refusal proves, if anything.
    pub fn evidence(&self) -> Option<Evidence> {
        match self {
            SendError::WindowClosed { .. } => Some(Evidence::WindowClosed),
            SendError::QuotaReached { quota, .. } => Some(Evidence::QuotaReached { quota: quota.clone() }),
            SendError::CoolingDown { category, seconds, .. } => {
                Some(Evidence::Cooling { category: category.clone(), span: Duration::seconds(i64::from(*seconds)) })
            }
            SendError::Blocked { .. } => Some(Evidence::Blocked),
            SendError::OptedOut { scope, .. } => Some(Evidence::OptedOut(*scope)),
            SendError::Unreachable { report } => Some(Evidence::Unreachable { reason: report.message.clone() }),
            SendError::TemplateRefused { status, .. } => status.map(Evidence::Template),
            SendError::RateLimited { .. }
            | SendError::Temporary { .. }
            | SendError::NotConnected { .. }
            | SendError::OutcomeUnknown { .. }
            | SendError::ContentRefused { .. }
            | SendError::AuthFailed { .. }
            | SendError::AccountStopped { .. }
            | SendError::Invalid { .. } => None,
        }
    }

    /// A stable name for metrics, attempts and the API.
    pub fn code(&self) -> &'static str {
        match self {
            SendError::WindowClosed { .. } => "window_closed",
            SendError::QuotaReached { .. } => "quota_reached",
            SendError::CoolingDown { .. } => "cooling_down",
            SendError::RateLimited { .. } => "rate_limited",
            SendError::Temporary { .. } => "temporary",
            SendError::NotConnected { .. } => "not_connected",
            SendError::OutcomeUnknown { .. } => "outcome_unknown",
            SendError::Blocked { .. } => "blocked",
            SendError::OptedOut { .. } => "opted_out",
            SendError::Unreachable { .. } => "unreachable",
            SendError::ContentRefused { .. } => "content_refused",
            SendError::TemplateRefused { .. } => "template_refused",
            SendError::AuthFailed { .. } => "auth_failed",
            SendError::AccountStopped { .. } => "account_stopped",
            SendError::Invalid { .. } => "invalid_request",
        }
    }

    /// What the platform said, if it answered.
    pub fn report(&self) -> Option<&PlatformReport> {
        match self {
            SendError::WindowClosed { report }
            | SendError::QuotaReached { report, .. }
            | SendError::CoolingDown { report, .. }
            | SendError::RateLimited { report, .. }
            | SendError::Temporary { report }
            | SendError::Blocked { report }
            | SendError::OptedOut { report, .. }
            | SendError::Unreachable { report }
            | SendError::ContentRefused { report }
            | SendError::TemplateRefused { report, .. }
            | SendError::AuthFailed { report }
            | SendError::AccountStopped { report }
            | SendError::Invalid { report } => Some(report),
            SendError::NotConnected { .. } | SendError::OutcomeUnknown { .. } => None,
        }
    }
}

/// Content that a channel can't carry; found before anything leaves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsendable {
    /// There is nothing in it.
    #[error("the message is empty: give a text, a file or a template")]
    Empty,
    /// A text is too long.
    #[error("{place} is too long: {length} {unit}, and at most {max} are taken")]
    TooLong {
        /// Which text: `text`, `caption`, `button`, ...
        place: &'static str,
        /// Its length.
        length: u64,
        /// The limit.
        max: u32,
        /// The unit of both.
        unit: &'static str,
    },
    /// The channel has nothing of this sort.
    #[error("this channel can't carry {what}")]
    NotSupported {
        /// What.
        what: String,
    },
    /// The file's type is not taken.
    #[error("this channel takes no {kind} of type `{mime}`; it takes {}", .accepted.join(", "))]
    MediaType {
        /// What it is to the reader.
        kind: &'static str,
        /// Its MIME type.
        mime: String,
        /// What is taken instead.
        accepted: Vec<&'static str>,
    },
    /// The file is too large.
    #[error("the file is too large: {size} bytes, and at most {max} are taken for {kind}")]
    MediaSize {
        /// What it is to the reader.
        kind: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// Too many of something.
    #[error("too many {what}: {count}, and at most {max} are taken")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A value that the platform would refuse.
    #[error("{field}: {reason}")]
    Malformed {
        /// Where.
        field: String,
        /// What is wrong with it, and what is expected.
        reason: String,
    },
}

impl Unsendable {
    /// A stable name for the API.
    pub fn code(&self) -> &'static str {
        match self {
            Unsendable::Empty => "message_empty",
            Unsendable::TooLong { .. } => "text_too_long",
            Unsendable::NotSupported { .. } => "not_supported_by_channel",
            Unsendable::MediaType { .. } => "media_type_not_accepted",
            Unsendable::MediaSize { .. } => "media_too_large",
            Unsendable::TooMany { .. } => "too_many",
            Unsendable::Malformed { .. } => "content_malformed",
        }
    }
}

/// A part that must not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// The permit was given for somebody else.
    #[error("the permit was given for another person")]
    ForeignPermit,
    /// The permit's time is over.
    #[error("the permit lapsed: sends had to start before {send_before}")]
    Lapsed {
        /// Until when a send could have started.
        send_before: OffsetDateTime,
    },
    /// The content needs another permit, such as a template's.
    #[error("the permit is not for this content: {reason}")]
    OtherContent {
        /// Why.
        reason: &'static str,
    },
}

/// A webhook call that can't be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The proof is missing.
    #[error("the signature is missing")]
    Missing,
    /// The proof is wrong.
    #[error("the signature is wrong")]
    Wrong,
    /// There is no secret to check with: the account can't be enabled like this.
    #[error("no secret is configured to check signatures with")]
    NoSecret,
    /// The proof is too old.
    #[error("the signed time is too far from ours")]
    Stale,
    /// The proof came before, with other words.
    #[error("the proof was used for another call")]
    Reused,
    /// Not a call that this platform makes.
    #[error("this platform makes no such call: {0}")]
    Unexpected(&'static str),
}

/// A journalled call that can't be read at all. It goes to quarantine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable: {detail}")]
pub struct ParseError {
    /// What is wrong with it.
    pub detail: String,
}

impl ParseError {
    /// With what is wrong.
    pub fn new(detail: impl fmt::Display) -> Self {
        Self { detail: detail.to_string() }
    }
}
