//! Files as the API shows them.

use poem_openapi::Object;
use time::OffsetDateTime;
use transom_desk::{Caller, DeskError, attachments};
use transom_storage::{Blob, StoredAttachment, StoredMessage};
use uuid::Uuid;

use super::message::MessageView;
use crate::state::State;

/// A file that is kept, or to be fetched from a platform.
#[derive(Debug, Object)]
#[oai(rename = "File", skip_serializing_if_is_none)]
pub(crate) struct FileView {
    /// Its id: give it with a message to send it.
    id: Uuid,
    /// `stored`, `remote` (the platform has it, and it is being fetched) or `failed`.
    pub(super) state: String,
    /// Why it can't be had: `not_found`, `too_large`, `corrupt`, `unavailable`, `not_supported`, `channel_gone`,
    /// `empty` or `poison`; for one that is still tried, why the last try failed.
    pub(super) reason: Option<String>,
    /// MIME type without parameters, read from the bytes.
    pub(super) mime: Option<String>,
    /// Size in bytes.
    pub(super) size: Option<u64>,
    /// SHA-256 of the bytes, in hexadecimal digits.
    sha256: Option<String>,
    /// The file's name.
    pub(super) file_name: Option<String>,
    /// Who uploaded it; left out for what customers sent.
    uploaded_by: Option<Uuid>,
    /// The message that it came with.
    message: Option<Uuid>,
    /// Where its bytes can be read without a token; it ends after `attachments.link_seconds`.
    pub(super) content_url: Option<String>,
    /// When it became known.
    created_at: OffsetDateTime,
}

impl FileView {
    pub(crate) fn of(state: &State, caller: &Caller, stored: &StoredAttachment) -> Self {
        let blob = stored.blob;
        Self {
            id: stored.id.uuid(),
            state: stored.state.as_str().to_owned(),
            reason: stored.reason.clone(),
            mime: stored.mime.clone(),
            size: blob.map(|blob| blob.size),
            sha256: blob.map(Blob::sha256_hex),
            file_name: stored.file_name.clone(),
            uploaded_by: stored.uploaded_by.map(Into::into),
            message: stored.message.map(Into::into),
            content_url: blob.and_then(|_| state.file_url(&caller.scope, stored.id)).map(String::from),
            created_at: stored.created_at,
        }
    }
}

/// Messages with what is known of their files.
pub(crate) async fn messages(
    state: &State,
    caller: &Caller,
    rows: &[StoredMessage],
) -> Result<Vec<MessageView>, DeskError> {
    let files = attachments::of_messages(&state.desk, caller, rows).await?;
    let look = |id: Uuid| files.get(&id.into()).map(|stored| FileView::of(state, caller, stored));
    Ok(rows.iter().map(|row| MessageView::from(row).with_files(&look)).collect())
}

/// A message with what is known of its files.
pub(crate) async fn message(state: &State, caller: &Caller, row: &StoredMessage) -> Result<MessageView, DeskError> {
    let files = attachments::of_messages(&state.desk, caller, [row]).await?;
    let look = |id: Uuid| files.get(&id.into()).map(|stored| FileView::of(state, caller, stored));
    Ok(MessageView::from(row).with_files(&look))
}
