//! Files: uploaded, shown, handed out by signed links; what customers sent is fetched behind their messages.

mod brought;
mod fetch;
mod link;
mod sniff;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use transom_domain::template::HeaderParameter;
use transom_domain::{
    Attachment, AttachmentId, Body, ChannelAccountId, Content, Ids, MediaSource, MessageId, TemplateParameters,
};
use transom_storage::{
    AttachmentState, BlobError, Blobs, NewAttachment, Reader, StorageError, StoredAttachment, StoredMessage, Tx,
    WorkspaceScope,
};

use crate::authorise::{Action, Caller, authorise};
use crate::idempotency::only_once;
use crate::{Desk, DeskError, Once};

pub(crate) use brought::Brought;
pub(crate) use fetch::run;
pub use link::{FileLink, Links};
pub(crate) use sniff::mime as sniff_mime;

/// The longest name of a file, in characters.
const LONGEST_NAME: usize = 255;
/// How many of the first bytes tell a type.
const HEAD: u64 = 8 * 1024;

/// Where files are kept, and how they are reached from outside.
#[derive(Debug, Clone)]
pub struct Files {
    /// The bytes.
    pub blobs: Blobs,
    /// The largest file, in bytes: uploaded, or fetched from a platform.
    pub max_bytes: u64,
    /// Addresses that work without a token, for a while.
    pub links: Links,
}

/// A file as it was uploaded.
#[derive(Debug)]
pub struct Upload {
    /// The bytes.
    pub file: File,
    /// What its sender calls it.
    pub file_name: Option<String>,
    /// The MIME type that its sender claims: believed only where the bytes don't say otherwise.
    pub mime: Option<String>,
}

/// A file on its way out.
pub struct Download {
    /// MIME type without parameters.
    pub mime: String,
    /// The file's name, where it has one.
    pub file_name: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// The bytes as they are read.
    pub bytes: BoxStream<'static, Result<Bytes, BlobError>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("mime", &self.mime).field("size", &self.size).finish_non_exhaustive()
    }
}

/// Stores a file: its bytes first, then the row that names them.
///
/// # Errors
/// [`DeskError::Invalid`] for an empty or too large file, [`DeskError::Conflict`] where no files are kept.
pub async fn upload(
    desk: &Desk,
    caller: &Caller,
    upload: Upload,
    once: Option<Once<StoredAttachment>>,
) -> Result<StoredAttachment, DeskError> {
    authorise(caller, Action::UploadFiles)?;
    let files = desk.require_files()?;
    let Upload { mut file, file_name, mime } = upload;
    let size = file.metadata().await.map_err(unread)?.len();
    if size == 0 {
        return Err(DeskError::invalid("file_empty", "file", "the file is empty"));
    }
    if size > files.max_bytes {
        return Err(too_large(files.max_bytes));
    }
    let mut head = Vec::new();
    file.rewind().await.map_err(unread)?;
    (&mut file).take(HEAD).read_to_end(&mut head).await.map_err(unread)?;
    let blob = files.blobs.put_file(&caller.scope, &mut file).await.map_err(StorageError::from)?;
    let new = NewAttachment {
        id: AttachmentId::new(desk.ids()),
        blob,
        mime: sniff::mime(&head, mime.as_deref()),
        file_name: file_name.as_deref().and_then(plain_name),
        uploaded_by: Some(caller.agent.id),
    };
    let (id, now) = (new.id, desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (new, once) = (new.clone(), once.clone());
            Box::pin(async move {
                let stored = async {
                    tx.insert_attachment(&new, now).await?;
                    tx.attachment(id).await?.ok_or(DeskError::NotFound { what: "attachment" })
                };
                only_once(once.as_ref(), tx, now, stored).await
            })
        })
        .await
}

/// That a file is over the limit of the service.
pub fn too_large(max: u64) -> DeskError {
    DeskError::invalid("file_too_large", "file", format!("the file is over {max} bytes, the largest that is kept"))
}

fn unread(error: std::io::Error) -> DeskError {
    DeskError::Storage(BlobError::from(error).into())
}

/// A file.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn attachment(desk: &Desk, caller: &Caller, id: AttachmentId) -> Result<StoredAttachment, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    desk.reader(&caller.scope).attachment(id).await?.ok_or(DeskError::NotFound { what: "attachment" })
}

/// A file's bytes.
///
/// # Errors
/// [`DeskError::Conflict`] while they are not here.
pub async fn download(desk: &Desk, caller: &Caller, id: AttachmentId) -> Result<Download, DeskError> {
    let stored = attachment(desk, caller, id).await?;
    open(desk, &caller.scope, stored).await
}

/// The bytes behind a signed address.
///
/// # Errors
/// [`DeskError::NotFound`] for whatever is wrong with it.
pub async fn download_by_link(desk: &Desk, link: &FileLink<'_>) -> Result<Download, DeskError> {
    let nothing = || DeskError::NotFound { what: "file" };
    if !desk.require_files()?.links.is_signed(link, desk.now()) {
        return Err(nothing());
    }
    let (scope, stored) = desk.storage().file_of_public_id(link.public_id).await?.ok_or_else(nothing)?;
    match open(desk, &scope, stored).await {
        Err(DeskError::Conflict { .. }) => Err(nothing()),
        opened => opened,
    }
}

async fn open(desk: &Desk, scope: &WorkspaceScope, stored: StoredAttachment) -> Result<Download, DeskError> {
    let files = desk.require_files()?;
    let blob = stored.blob.ok_or_else(|| not_here(&stored))?;
    let bytes = files.blobs.stream(scope, blob).await.map_err(StorageError::from)?;
    Ok(Download { mime: mime_of(&stored), file_name: stored.file_name, size: blob.size, bytes })
}

pub(crate) fn mime_of(stored: &StoredAttachment) -> String {
    stored.mime.clone().unwrap_or_else(|| sniff::UNKNOWN.to_owned())
}

fn not_here(stored: &StoredAttachment) -> DeskError {
    let detail = match stored.state {
        AttachmentState::Failed => {
            let reason = stored.reason.as_deref().unwrap_or("unknown");
            format!("the file could not be fetched from the platform: {reason}")
        }
        AttachmentState::Remote | AttachmentState::Stored => {
            "the file is still being fetched from the platform: ask again".to_owned()
        }
    };
    DeskError::conflict("attachment_not_stored", detail)
}

/// The files that messages and their parts name, by id.
///
/// # Errors
/// When the database fails.
pub async fn of_messages<'m>(
    desk: &Desk,
    caller: &Caller,
    messages: impl IntoIterator<Item = &'m StoredMessage>,
) -> Result<BTreeMap<AttachmentId, StoredAttachment>, DeskError> {
    let named = |content: &'m Content| files_of(content).into_iter().filter_map(stored_id);
    let ids = messages.into_iter().flat_map(|stored| {
        let parts = stored.parts.iter().flat_map(move |part| named(&part.part.content));
        named(&stored.message.content).chain(parts)
    });
    let mut ids: Vec<AttachmentId> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let found = desk.reader(&caller.scope).attachments(&ids).await?;
    Ok(found.into_iter().map(|file| (file.id, file)).collect())
}

fn stored_id(file: &Attachment) -> Option<AttachmentId> {
    match file.source {
        MediaSource::Stored { id } => Some(id),
        MediaSource::Url { .. } | MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => None,
    }
}

/// Every file of a content.
fn files_of(content: &Content) -> Vec<&Attachment> {
    match &content.body {
        Body::Text { attachments, .. } => attachments.iter().collect(),
        Body::Mail(mail) => mail.attachments.iter().chain(&mail.source).collect(),
        Body::Template(template) => match &template.parameters.header {
            Some(HeaderParameter::Media(file)) => vec![file],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Every file that a customer's message can have, to be changed.
fn received_files(content: &mut Content) -> Vec<&mut Attachment> {
    match &mut content.body {
        Body::Text { attachments, .. } => attachments.iter_mut().collect(),
        Body::Mail(mail) => mail.attachments.iter_mut().chain(&mut mail.source).collect(),
        _ => Vec::new(),
    }
}

/// Takes a message's files over: from now on they are ours, and those that its platform keeps are to be fetched.
pub(crate) async fn adopt(
    tx: &Tx,
    ids: &dyn Ids,
    of: (MessageId, ChannelAccountId),
    content: &Content,
    now: time::OffsetDateTime,
) -> Result<Content, StorageError> {
    let mut content = content.clone();
    for file in received_files(&mut content) {
        if !matches!(file.source, MediaSource::Platform { .. }) {
            continue;
        }
        let id = tx.expect_attachment(AttachmentId::new(ids), of, file, now).await?;
        file.source = MediaSource::Stored { id };
    }
    Ok(content)
}

/// Completes the files of a draft that are ours: what they are says the store, not their sender.
///
/// # Errors
/// [`DeskError::NotFound`] for a file of nobody here, [`DeskError::Conflict`] for one that is not here yet.
pub(crate) async fn resolve(tx: &Tx, files: impl IntoIterator<Item = &mut Attachment>) -> Result<(), DeskError> {
    for file in files {
        let Some(id) = stored_id(file) else { continue };
        let stored = tx.attachment(id).await?.ok_or(DeskError::NotFound { what: "attachment" })?;
        let blob = stored.blob.ok_or_else(|| not_here(&stored))?;
        file.mime = Some(mime_of(&stored));
        file.size = Some(blob.size);
        file.file_name = file.file_name.as_deref().and_then(plain_name).or(stored.file_name);
    }
    Ok(())
}

/// As [`resolve`], for the file in a template's header.
///
/// # Errors
/// As [`resolve`].
pub(crate) async fn resolve_header(tx: &Tx, parameters: &mut TemplateParameters) -> Result<(), DeskError> {
    match &mut parameters.header {
        Some(HeaderParameter::Media(file)) => resolve(tx, [file]).await,
        _ => Ok(()),
    }
}

/// Whether the file in a template's header is one that there is, if it is one of ours.
///
/// # Errors
/// [`DeskError::NotFound`].
pub(crate) async fn header_is_known(reader: &Reader, parameters: &TemplateParameters) -> Result<(), DeskError> {
    if let Some(HeaderParameter::Media(file)) = &parameters.header
        && let Some(id) = stored_id(file)
    {
        reader.attachment(id).await?.ok_or(DeskError::NotFound { what: "attachment" })?;
    }
    Ok(())
}

/// A name that is one line and no path, at most 255 characters long.
pub(crate) fn plain_name(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    let clean = clean.trim().trim_start_matches('.').to_owned();
    (!clean.is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("report.pdf", Some("report.pdf"))]
    #[case("../../etc/passwd", Some("passwd"))]
    #[case("C:\\Users\\a\\photo.jpg", Some("photo.jpg"))]
    #[case("a\r\nSet-Cookie: b", Some("aSet-Cookie: b"))]
    #[case(".htaccess", Some("htaccess"))]
    #[case("写真 1.png", Some("写真 1.png"))]
    #[case("..", None)]
    #[case("", None)]
    fn a_name_is_one_plain_line(#[case] given: &str, #[case] name: Option<&str>) {
        assert_eq!(plain_name(given).as_deref(), name);
        assert_eq!(plain_name(&"x".repeat(300)).unwrap().len(), 255);
    }
}
