//! Files for platforms that fetch by address.

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};
use transom_channel::conformance::SampleFiles;
use transom_channel::{MediaBytes, MediaError, MediaPort, public_name};
use transom_domain::AttachmentId;
use url::Url;

/// The suite's files, at public addresses of the shape that the service gives them.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublicFiles;

#[async_trait]
impl MediaPort for PublicFiles {
    async fn read(&self, id: AttachmentId) -> Result<MediaBytes, MediaError> {
        SampleFiles.read(id).await
    }

    async fn public_url(&self, id: AttachmentId, accepted_at: OffsetDateTime) -> Result<Option<Url>, MediaError> {
        let file = SampleFiles.read(id).await?;
        let name = public_name(&file.mime, file.file_name.as_deref());
        let expires = (accepted_at + Duration::days(365)).unix_timestamp();
        let address =
            format!("https://files.example/attachments/{id}/{name}?expires={expires}&signature={}", "x".repeat(43));
        Ok(Url::parse(&address).ok())
    }
}
