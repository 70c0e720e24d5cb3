//! Why a use case did not do what was asked, with a stable code for the API (docs/errors.md).

use transom_channel::{SettingsError, Unsendable};
use transom_domain::{MissingFields, StatusError, TemplateError};
use transom_storage::{StorageError, StoredAnswer};

use crate::may_send::Verdict;

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is nothing of that id in this workspace.
    #[error("there is no such {what}")]
    NotFound {
        /// `conversation`, `contact`, ...
        what: &'static str,
    },
    /// The caller's role does not allow it.
    #[error("the role `{role}` may not {action}")]
    Forbidden {
        /// The role.
        role: &'static str,
        /// What was tried, as a verb.
        action: &'static str,
    },
    /// What was asked makes no sense as it stands.
    #[error("{detail}")]
    Invalid {
        /// Stable.
        code: &'static str,
        /// Which field, where it is one.
        field: Option<&'static str>,
        /// What is wrong and what to do.
        detail: String,
    },
    /// Nothing permits the message now.
    #[error("{}", .0.sentence())]
    NotPermitted(Box<Verdict>),
    /// It can't be done in the present state.
    #[error("{detail}")]
    Conflict {
        /// Stable.
        code: &'static str,
        /// What is in the way and what to do.
        detail: String,
    },
    /// The caller saw an older version.
    #[error("somebody changed it meanwhile: read it again")]
    VersionMismatch,
    /// The same request was answered before.
    #[error("this request was answered before")]
    Replayed(StoredAnswer),
    /// The platform did not answer as hoped.
    #[error("the platform: {0}")]
    Platform(#[from] transom_channel::SendError),
    /// The database did not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl DeskError {
    /// [`DeskError::Invalid`] in short.
    pub fn invalid(code: &'static str, field: &'static str, detail: impl ToString) -> Self {
        DeskError::Invalid { code, field: Some(field), detail: detail.to_string() }
    }

    /// [`DeskError::Conflict`] in short.
    pub fn conflict(code: &'static str, detail: impl ToString) -> Self {
        DeskError::Conflict { code, detail: detail.to_string() }
    }

    /// The same with the field that is wrong, where it names none.
    pub(crate) fn in_field(self, name: &'static str) -> Self {
        match self {
            DeskError::Invalid { code, field: None, detail } => DeskError::invalid(code, name, detail),
            other => other,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            DeskError::NotFound { .. } => "not_found",
            DeskError::Forbidden { .. } => "forbidden",
            DeskError::Invalid { code, .. } | DeskError::Conflict { code, .. } => code,
            DeskError::NotPermitted(verdict) => verdict.code(),
            DeskError::VersionMismatch => "version_mismatch",
            DeskError::Replayed(_) => "replayed",
            DeskError::Platform(error) => error.code(),
            DeskError::Storage(error) => error.code(),
        }
    }
}

impl From<Unsendable> for DeskError {
    fn from(error: Unsendable) -> Self {
        DeskError::Invalid { code: error.code(), field: None, detail: error.to_string() }
    }
}

impl From<TemplateError> for DeskError {
    fn from(error: TemplateError) -> Self {
        let code = match error {
            TemplateError::NotApproved { .. } => return DeskError::conflict("template_not_approved", error),
            TemplateError::Text { .. }
            | TemplateError::Header { .. }
            | TemplateError::HeaderTakesNone
            | TemplateError::ButtonMissing { .. }
            | TemplateError::ButtonTakesNone { .. } => "template_parameters",
        };
        DeskError::invalid(code, "template.parameters", error)
    }
}

impl From<MissingFields> for DeskError {
    fn from(error: MissingFields) -> Self {
        let detail = format!("these fields are unknown, or have no value here: {}", error.0.join(", "));
        DeskError::invalid("saved_reply_fields_missing", "text", detail)
    }
}

impl From<StatusError> for DeskError {
    fn from(error: StatusError) -> Self {
        match error {
            StatusError::SnoozeIntoPast { .. } => DeskError::invalid("snooze_into_past", "until", error),
            StatusError::SnoozeClosed => DeskError::conflict("conversation_closed", error),
            StatusError::Unchanged(_) => DeskError::conflict("status_unchanged", error),
        }
    }
}

impl From<SettingsError> for DeskError {
    fn from(error: SettingsError) -> Self {
        DeskError::invalid("settings_invalid", "settings", error)
    }
}
