//! What is told to a visitor's side that can't have what it asked for.

use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use transom_channel::{HostError, MailboxError};

use crate::error::Code;
use crate::protocol::{ErrorFrame, ServerFrame};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: Code,
    pub(super) message: String,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
}

impl Refused {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(Code::Unauthorized, "the token is unknown or over: begin a new session")
    }

    pub(super) fn too_fast(retry_after: u64) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Code::RateLimited, "too fast: come again later") }
    }

    fn frame(&self, client_id: Option<String>) -> ErrorFrame {
        let (code, ..) = self.code.row();
        ErrorFrame { code: code.to_owned(), message: self.message.clone(), client_id, retry_after: self.retry_after }
    }

    /// As a frame about the message with that key.
    pub(super) fn about(&self, client_id: Option<String>) -> ServerFrame {
        ServerFrame::Error(self.frame(client_id))
    }
}

impl From<MailboxError> for Refused {
    fn from(error: MailboxError) -> Self {
        match error {
            MailboxError::Closed => Self::new(Code::OriginNotAllowed, "there is no such widget"),
            MailboxError::Busy { retry_after_ms } => Self {
                retry_after: Some(retry_after_ms.div_ceil(1_000)),
                ..Self::new(Code::Unavailable, "try again later")
            },
            MailboxError::Unavailable(_) | MailboxError::Unknown(_) => unavailable(),
        }
    }
}

impl From<HostError> for Refused {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Unavailable(_) => unavailable(),
            HostError::Refused(_) => Self::bad("it can't be used"),
            HostError::MediaType { mime } => {
                Self::new(Code::TypeNotAllowed, format!("files of type {mime} are not taken"))
            }
            HostError::TooLarge { max } => Self::new(Code::TooLarge, format!("files over {max} bytes are not taken")),
        }
    }
}

fn unavailable() -> Refused {
    Refused { retry_after: Some(2), ..Refused::new(Code::Unavailable, "try again: nothing was stored") }
}

/// A refusal over HTTP.
pub(super) fn refused(error: &Refused) -> Response {
    let (_, status, _) = error.code.row();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = super::json(status, &error.frame(None));
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
