//! Bytes of files, outside the database: content-addressed, each workspace for itself.
//!
//! A blob is written under another name and renamed when it is whole and synced; only then a row names it. So a row never
//! names less than the whole, and the worst that a crash leaves behind is bytes that no row names.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWriteExt};

use crate::{StorageError, WorkspaceScope};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// Stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Blob {
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// How many there are.
    pub size: u64,
}

impl Blob {
    /// What these bytes are stored as.
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: Sha256::digest(bytes).into(), size: bytes.len() as u64 }
    }

    /// The SHA-256 in hexadecimal digits.
    pub fn sha256_hex(self) -> String {
        hex::encode(self.sha256)
    }
}

/// Why bytes can't be stored or had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is no such blob.
    #[error("the file's bytes are not there")]
    Missing,
    /// The bytes are not those that were stored.
    #[error("the file's bytes have changed since they were stored")]
    Corrupt,
    /// The disk or the store failed; nothing is half done.
    #[error("the blob store failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => BlobError::Missing,
            other => BlobError::Failed(Box::new(other)),
        }
    }
}

impl From<std::io::Error> for BlobError {
    fn from(error: std::io::Error) -> Self {
        BlobError::Failed(Box::new(error))
    }
}

impl From<BlobError> for StorageError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Failed(cause) if is_full(cause.as_ref()) => StorageError::Full,
            BlobError::Failed(cause) => StorageError::Unavailable(format!("the blob store: {cause}")),
            BlobError::Missing | BlobError::Corrupt => StorageError::Database(error.to_string()),
        }
    }
}

fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let is = |error: &std::io::Error| {
        matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    };
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.downcast_ref().is_some_and(is))
}

/// The blob store. Clones share it.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blobs({})", self.store)
    }
}

impl Blobs {
    /// In a folder, which is made if it is missing: readable by its owner only. Files are synced before they count.
    ///
    /// # Errors
    /// [`BlobError::Failed`] when the folder can't be made or read.
    pub fn in_folder(folder: impl AsRef<FilePath>) -> Result<Self, BlobError> {
        let mut options = std::fs::DirBuilder::new();
        options.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut options, 0o700);
        options.create(&folder)?;
        Ok(Self::on(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true))))
    }

    /// On another store.
    pub fn on(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// Stores bytes; when this returns they survive a power cut.
    ///
    /// # Errors
    /// [`BlobError::Failed`].
    pub async fn put(&self, scope: &WorkspaceScope, bytes: Bytes) -> Result<Blob, BlobError> {
        let blob = Blob::of(&bytes);
        // Written anew although it may be there: what is young is not swept away before a row names it.
        self.store.put(&path(scope, &blob.sha256), bytes.into()).await?;
        Ok(blob)
    }

    /// Stores a file of any size without holding it in memory; when this returns it survives a power cut.
    ///
    /// # Errors
    /// [`BlobError::Failed`], also if the file changes while it is read.
    pub async fn put_file<F>(&self, scope: &WorkspaceScope, file: &mut F) -> Result<Blob, BlobError>
    where
        F: AsyncRead + AsyncSeek + Unpin + Send,
    {
        let blob = digest(file).await?;
        let mut writer = BufWriter::new(Arc::clone(&self.store), path(scope, &blob.sha256));
        file.rewind().await?;
        match tokio::io::copy(file, &mut writer).await {
            Ok(size) if size == blob.size => writer.shutdown().await?,
            copied => {
                writer.abort().await?;
                let changed = || std::io::Error::other("the file changed while it was read");
                return Err(copied.err().unwrap_or_else(changed).into());
            }
        }
        Ok(blob)
    }

    /// The bytes, checked against their SHA-256.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn read(&self, scope: &WorkspaceScope, blob: Blob) -> Result<Bytes, BlobError> {
        let bytes = self.store.get(&path(scope, &blob.sha256)).await?.bytes().await?;
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        if sha256 == blob.sha256 { Ok(bytes) } else { Err(BlobError::Corrupt) }
    }

    /// The bytes as they are read.
    ///
    /// # Errors
    /// [`BlobError`], before the first byte or between two.
    pub async fn stream(
        &self,
        scope: &WorkspaceScope,
        blob: Blob,
    ) -> Result<BoxStream<'static, Result<Bytes, BlobError>>, BlobError> {
        let found = self.store.get(&path(scope, &blob.sha256)).await?;
        if found.meta.size != blob.size {
            return Err(BlobError::Corrupt);
        }
        Ok(found.into_stream().map(|chunk| chunk.map_err(Into::into)).boxed())
    }

    /// Deletes bytes that no row names any more; those that are not there are gone already.
    ///
    /// # Errors
    /// [`BlobError::Failed`].
    pub async fn delete(&self, scope: &WorkspaceScope, blob: Blob) -> Result<(), BlobError> {
        match self.store.delete(&path(scope, &blob.sha256)).await.map_err(BlobError::from) {
            Err(BlobError::Missing) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What was written before an instant, by the store's clock.
    ///
    /// # Errors
    /// [`BlobError::Failed`], before the first or between two.
    pub fn written_before(
        &self,
        scope: &WorkspaceScope,
        before: OffsetDateTime,
    ) -> BoxStream<'static, Result<Blob, BlobError>> {
        let folder = Path::from(scope.workspace().to_string());
        let written = self.store.list(Some(&folder)).try_filter_map(move |found| async move {
            let is_old = found.last_modified.timestamp() < before.unix_timestamp();
            let name = found.location.filename().filter(|_| is_old);
            let bytes = name.and_then(|name| hex::decode(name).ok());
            let sha256: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
            Ok(sha256.map(|sha256| Blob { sha256, size: found.size }))
        });
        written.map_err(Into::into).boxed()
    }
}

async fn digest<F>(file: &mut F) -> Result<Blob, BlobError>
where
    F: AsyncRead + AsyncSeek + Unpin + Send,
{
    file.rewind().await?;
    let (mut hash, mut size, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let read = file.read(&mut chunk).await?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(Blob { sha256: hash.finalize().into(), size });
        };
        hash.update(bytes);
        size += read as u64;
    }
}

/// Two levels, so that no folder holds more than a few thousand names.
fn path(scope: &WorkspaceScope, sha256: &[u8; 32]) -> Path {
    let name = hex::encode(sha256);
    Path::from_iter([scope.workspace().to_string().as_str(), name.get(..2).unwrap_or_default(), name.as_str()])
}
