//! Files for platforms that fetch by address.

use async_trait::async_trait;
use transom_channel::conformance::SampleFiles;
use transom_channel::{MediaBytes, MediaError, MediaPort};
use transom_domain::AttachmentId;
use url::Url;

/// The suite's files, at public addresses that end as their names do.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublicFiles;

#[async_trait]
impl MediaPort for PublicFiles {
    async fn read(&self, id: AttachmentId) -> Result<MediaBytes, MediaError> {
        SampleFiles.read(id).await
    }

    async fn public_url(&self, id: AttachmentId) -> Result<Option<Url>, MediaError> {
        let name = SampleFiles.read(id).await?.file_name.unwrap_or_default();
        Ok(Url::parse(&format!("https://files.example/{id}/{name}")).ok())
    }
}
