//! Files for the suite's messages.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use time::OffsetDateTime;
use transom_domain::{Attachment, AttachmentId, MediaKind, MediaSource};
use url::Url;
use uuid::Uuid;

use crate::{MediaBytes, MediaError, MediaPort};

/// Every file made so far; its place is its id.
static FILES: Mutex<Vec<MediaBytes>> = Mutex::new(Vec::new());

/// The files of the suite's messages, for [`Ports::media`](crate::Ports::media).
#[derive(Debug, Clone, Copy, Default)]
pub struct SampleFiles;

impl SampleFiles {
    /// A small stored file. It begins like one of its type, which is all that anybody looks at.
    pub fn attachment(kind: MediaKind, mime: &str) -> Attachment {
        let bytes = Bytes::from_static(beginning(mime));
        let file_name = Some(format!("sample.{}", mime.rsplit(['/', '-', '.']).next().unwrap_or("bin")));
        let size = Some(bytes.len() as u64);
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let id = AttachmentId::from(Uuid::from_u128(files.len() as u128 + 1));
        files.push(MediaBytes { bytes, mime: mime.to_owned(), file_name: file_name.clone() });
        Attachment { kind, source: MediaSource::Stored { id }, mime: Some(mime.to_owned()), file_name, size }
    }
}

#[async_trait]
impl MediaPort for SampleFiles {
    async fn read(&self, id: AttachmentId) -> Result<MediaBytes, MediaError> {
        let place = usize::try_from(id.uuid().as_u128().wrapping_sub(1)).map_err(|_| MediaError::NotFound)?;
        let files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(place).cloned().ok_or(MediaError::NotFound)
    }

    async fn public_url(&self, _: AttachmentId, _: OffsetDateTime) -> Result<Option<Url>, MediaError> {
        Ok(None)
    }
}

/// How a file of a type begins.
fn beginning(mime: &str) -> &'static [u8] {
    match mime {
        "image/jpeg" => b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x0b\x08\0\x01\0\x01\x01\x01\x11\0\xff\xd9",
        "image/png" => {
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\0IEND\xaeB`\x82"
        }
        "image/gif" => b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;",
        "image/webp" => b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0/\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0",
        "video/mp4" => b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "audio/ogg" => b"OggS\0\x02\0\0\0\0\0\0\0\0OpusHead",
        "audio/mpeg" => b"ID3\x03\0\0\0\0\0\0",
        "application/pdf" => b"%PDF-1.4\n%%EOF\n",
        _ => b"a sample file\n",
    }
}
