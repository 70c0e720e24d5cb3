//! Files: what their failures mean, the same on all three platforms.

use transom_channel::{MediaError, PlatformReport, SendError};

use crate::GraphFailure;

/// A MIME type in lower case, without parameters.
pub fn bare_mime(mime: &str) -> String {
    mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

impl GraphFailure {
    /// The failure of a download.
    pub fn of_download(&self) -> MediaError {
        match self {
            // The node is gone, or not for this token.
            GraphFailure::Refused(refusal) if matches!(refusal.error.code, 100 | 33) => MediaError::NotFound,
            GraphFailure::Unreadable { status: 404 | 410, .. } => MediaError::NotFound,
            GraphFailure::Refused(refusal) => MediaError::Unavailable(refusal.report().to_string()),
            GraphFailure::Transport(error) => MediaError::Unavailable(error.detail.clone()),
            GraphFailure::Unreadable { status, .. } => {
                MediaError::Unavailable(format!("an unreadable answer with status {status}"))
            }
            GraphFailure::Endless { .. } => MediaError::Unavailable("an answer without end".to_owned()),
        }
    }
}

/// A file of ours that can't be read was not sent: later, or never.
pub fn unreadable_file(error: &MediaError) -> SendError {
    let report = PlatformReport { status: None, code: None, message: error.to_string() };
    match error {
        MediaError::Unavailable(_) => SendError::Temporary { report },
        MediaError::NotFound | MediaError::TooLarge { .. } | MediaError::Corrupt => {
            SendError::ContentRefused { report }
        }
    }
}
