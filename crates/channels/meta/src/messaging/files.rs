//! Files: what we send is uploaded first, what customers sent is fetched (messenger.md 6, instagram.md 6).

use serde::Deserialize;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_channel::{Capabilities, MediaBytes, MediaError, PlatformReport, Ports, SendError, Unsendable};
use transom_domain::{Attachment, MediaSource};

use super::FileRef;
use super::plan::check_bytes;
use super::request::type_of;
use crate::{Graph, GraphFailure, Refusal, Upload, Uploads, bare_mime, envelope, unreadable_file};

/// An uploaded file can be sent for this long (messenger.md 2.5).
const UPLOAD_LIFE: Duration = Duration::days(90);
/// Subcodes of 100 after which an upload is made anew: not owned, type, size (messenger.md 3).
const SUSPECT: [i64; 3] = [2_018_074, 2_018_047, 2_018_109];

/// An account's files.
#[derive(Debug)]
pub struct Files {
    ports: Ports,
    /// Fields that go along with every upload.
    fields: &'static [(&'static str, &'static str)],
    /// The platform fetches from our public address where there is one, which is what it documents.
    by_url: bool,
    uploads: Uploads,
}

#[derive(Deserialize)]
struct Uploaded {
    attachment_id: Value,
}

impl Files {
    /// Files that are uploaded with these form fields.
    pub fn uploaded(ports: Ports, fields: &'static [(&'static str, &'static str)]) -> Self {
        Self { ports, fields, by_url: false, uploads: Uploads::kept_for(UPLOAD_LIFE) }
    }

    /// Files that the platform fetches from our public address, and that are uploaded only where there is none.
    pub fn by_url(ports: Ports, fields: &'static [(&'static str, &'static str)]) -> Self {
        Self { by_url: true, ..Self::uploaded(ports, fields) }
    }

    /// Where the platform finds the files of a part, in their order.
    ///
    /// # Errors
    /// [`SendError`]; nothing that a customer could notice has happened.
    pub async fn references(
        &self,
        graph: &Graph,
        node: &str,
        (files, accepted): (&[Attachment], OffsetDateTime),
        account: &Capabilities,
        table: impl Fn(&Refusal) -> Option<SendError>,
    ) -> Result<Vec<FileRef>, SendError> {
        let mut references = Vec::with_capacity(files.len());
        for file in files {
            references.push(self.reference(graph, node, (file, accepted), account, &table).await?);
        }
        Ok(references)
    }

    async fn reference(
        &self,
        graph: &Graph,
        node: &str,
        (file, accepted): (&Attachment, OffsetDateTime),
        account: &Capabilities,
        table: impl Fn(&Refusal) -> Option<SendError>,
    ) -> Result<FileRef, SendError> {
        let id = match &file.source {
            MediaSource::Url { url } => return Ok(FileRef::Link { url: url.clone() }),
            MediaSource::Platform { id, .. } => return Ok(FileRef::Uploaded { attachment_id: id.clone() }),
            MediaSource::Stored { id } => *id,
            MediaSource::Enclosed { .. } => return Err(unreadable_file(&MediaError::NotFound)),
        };
        let (key, now) = ((id, file.kind), self.ports.clock.now());
        if let Some(attachment_id) = self.uploads.get(key, now) {
            return Ok(FileRef::Uploaded { attachment_id });
        }
        if self.by_url {
            let public = self.ports.media.public_url(id, accepted).await.map_err(|error| unreadable_file(&error))?;
            if let Some(url) = public.filter(|url| url.scheme() == "https") {
                return Ok(FileRef::Link { url: url.into() });
            }
        }
        let stored = self.ports.media.read(id).await.map_err(|error| unreadable_file(&error))?;
        let mime = bare_mime(&stored.mime);
        check_bytes(file.kind, &mime, stored.bytes.len() as u64, account).map_err(|error| unsendable(&error))?;
        // Only what is reusable can be named by its id later (messenger.md 6).
        let message = json!({"attachment": {"type": type_of(file.kind), "payload": {"is_reusable": true}}}).to_string();
        let fields: Vec<_> = self.fields.iter().copied().chain([("message", message.as_str())]).collect();
        let name = file.file_name.as_deref().or(stored.file_name.as_deref()).unwrap_or("file");
        let upload = Upload { bytes: stored.bytes, mime: &mime, file_name: name };
        let uploaded: Uploaded = graph
            .upload_as("filedata", &format!("{node}/message_attachments"), &fields, upload)
            .await
            .map_err(|failure| failure.of_read(table))?;
        let Some(attachment_id) = envelope::text(&uploaded.attachment_id).filter(|id| !id.is_empty()) else {
            let report = PlatformReport { message: "an upload without an id".to_owned(), ..PlatformReport::default() };
            return Err(SendError::Temporary { report });
        };
        self.uploads.keep(key, attachment_id.clone(), now);
        Ok(FileRef::Uploaded { attachment_id })
    }

    /// Forgets the uploads behind a refused message, if the refusal may be about them.
    pub fn doubt(&self, files: &[Attachment], refusal: &Refusal) {
        if refusal.error.subcode.is_some_and(|subcode| SUSPECT.contains(&subcode)) {
            for file in files {
                self.uploads.forget(file);
            }
        }
    }

    /// The bytes of what a customer sent. The address in the webhook is the file's only name; it needs no token, gets none,
    /// and lives for a short time.
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn download(graph: &Graph, file: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        let MediaSource::Platform { url: Some(url), .. } = &file.source else { return Err(MediaError::NotFound) };
        let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let answer = match graph.fetch(url, max).await {
            // A CDN's word for an address that has run out.
            Err(GraphFailure::Unreadable { status: 403, .. }) => return Err(MediaError::NotFound),
            answered => answered.map_err(|failure| failure.of_download())?,
        };
        let mime = answer.header("content-type").map(bare_mime).filter(|mime| mime.contains('/'));
        let mime = mime.or_else(|| file.mime.clone()).unwrap_or_else(|| "application/octet-stream".to_owned());
        Ok(MediaBytes { bytes: answer.body, mime, file_name: file.file_name.clone() })
    }
}

/// Found before a byte went out.
fn unsendable(error: &Unsendable) -> SendError {
    let report = PlatformReport { status: None, code: Some(error.code().to_owned()), message: error.to_string() };
    SendError::ContentRefused { report }
}
