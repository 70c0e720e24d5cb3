//! Our own files, as channels of one workspace see them.

use async_trait::async_trait;
use time::OffsetDateTime;
use transom_channel::{MediaBytes, MediaError, MediaPort, public_name};
use transom_domain::AttachmentId;
use transom_storage::{AttachmentState, BlobError, Storage, StorageError, StoredAttachment, WorkspaceScope};
use url::Url;

use crate::attachments::{Files, mime_of};

/// The files of one workspace.
#[derive(Debug)]
pub(super) struct StoredMedia {
    pub(super) storage: Storage,
    pub(super) scope: WorkspaceScope,
    pub(super) files: Files,
}

impl StoredMedia {
    async fn find(&self, id: AttachmentId) -> Result<StoredAttachment, MediaError> {
        let found = self.storage.reader(&self.scope).attachment(id).await;
        let found = found.map_err(|error: StorageError| MediaError::Unavailable(error.code().to_owned()))?;
        match found {
            Some(file) if file.state == AttachmentState::Remote => {
                Err(MediaError::Unavailable("it is still being fetched".to_owned()))
            }
            Some(file) => Ok(file),
            None => Err(MediaError::NotFound),
        }
    }
}

#[async_trait]
impl MediaPort for StoredMedia {
    async fn read(&self, id: AttachmentId) -> Result<MediaBytes, MediaError> {
        let file = self.find(id).await?;
        let blob = file.blob.ok_or(MediaError::NotFound)?;
        let bytes = self.files.blobs.read(&self.scope, blob).await.map_err(|error| {
            tracing::error!(attachment = %id, %error, "a stored file can't be read");
            match error {
                BlobError::Missing => MediaError::NotFound,
                BlobError::Corrupt => MediaError::Corrupt,
                _ => MediaError::Unavailable("the blob store failed".to_owned()),
            }
        })?;
        Ok(MediaBytes { bytes, mime: mime_of(&file), file_name: file.file_name })
    }

    async fn public_url(&self, id: AttachmentId, accepted_at: OffsetDateTime) -> Result<Option<Url>, MediaError> {
        let file = self.find(id).await?;
        file.blob.ok_or(MediaError::NotFound)?;
        let public_id = self.storage.public_file_id(&self.scope, id);
        let name = public_name(&mime_of(&file), file.file_name.as_deref());
        Ok(self.files.links.public_url(&public_id, &name, accepted_at))
    }
}
