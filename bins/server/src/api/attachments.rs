//! Files: uploaded, looked at, read.

use std::sync::Arc;

use poem::{Body, IntoResponse, Response};
use poem_openapi::param::Path;
use poem_openapi::payload::{Binary, Json, Payload};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::types::multipart::Upload;
use poem_openapi::{ApiResponse, Multipart, OpenApi};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use transom_desk::attachments::{self, Download};
use transom_storage::StoredAttachment;
use uuid::Uuid;

use super::Tag;
use super::auth::Signed;
use super::idempotency::{Idempotent, answered};
use super::version::Made;
use super::views::file::FileView;
use crate::http::file;
use crate::http::problem::{Making, Problem, Reading, Refused};
use crate::state::State;

pub(crate) struct AttachmentsApi(pub(super) Arc<State>);

/// A file to keep.
#[derive(Multipart)]
#[oai(deny_unknown_fields)]
struct NewFile {
    /// The file, with its name.
    file: Upload,
}

#[OpenApi(tag = "Tag::Attachments")]
impl AttachmentsApi {
    /// Upload a file
    ///
    /// As `multipart/form-data` with one field `file`. Its type is read from its bytes. Send it with the `id` of the answer, as
    /// often as you like.
    #[oai(
        path = "/attachments",
        method = "post",
        operation_id = "uploadAttachment",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same file twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn upload(&self, signed: Signed, key: Idempotent, new: NewFile) -> Result<Made<FileView>, Refused<Making>> {
        let (file_name, mime) = (new.file.file_name(), new.file.content_type());
        let (file_name, mime) = (file_name.map(str::to_owned), mime.map(str::to_owned));
        let mut file = new.file.into_file();
        let key = if key.is_given() { key.saying(&said(&mut file, file_name.as_deref()).await?) } else { key };
        let (state, caller) = (self.0.clone(), signed.caller().clone());
        let view = move |stored: &StoredAttachment| FileView::of(&state, &caller, stored);
        let once = key.once(signed.caller(), 201, view.clone());
        let upload = attachments::Upload { file, file_name, mime };
        let stored = attachments::upload(&self.0.desk, signed.caller(), upload, once).await;
        let (made, replayed) = answered(stored, view)?;
        Ok(Made::Made(made, replayed))
    }

    /// Look at a file
    ///
    /// Where it is and what it is; `content_url` reads it without a token, for a while.
    #[oai(path = "/attachments/:id", method = "get", operation_id = "getAttachment")]
    async fn attachment(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<FileView>, Refused<Reading>> {
        let stored = attachments::attachment(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(FileView::of(&self.0, signed.caller(), &stored)))
    }

    /// Read a file
    #[oai(path = "/attachments/:id/content", method = "get", operation_id = "readAttachment")]
    async fn content(&self, signed: Signed, id: Path<Uuid>) -> Result<FileBody, Refused<ReadingFile>> {
        Ok(FileBody(attachments::download(&self.0.desk, signed.caller(), id.0.into()).await?))
    }
}

/// A digest of what an upload says: its name and bytes, and not the form around them, which clients make anew each time.
async fn said(file: &mut File, file_name: Option<&str>) -> Result<[u8; 32], Problem> {
    let (mut digest, mut chunk) = (Sha256::new(), vec![0; 64 * 1024]);
    digest.update(file_name.unwrap_or_default());
    digest.update([0]);
    let unread = |error: std::io::Error| Problem::internal(&error);
    file.rewind().await.map_err(unread)?;
    loop {
        let read = file.read(&mut chunk).await.map_err(unread)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(digest.finalize().into());
        };
        digest.update(bytes);
    }
}

/// For what may not be here yet.
#[derive(Debug)]
enum ReadingFile {}

impl crate::http::problem::Refusals for ReadingFile {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 429, 431, 500, 503];
}

/// A file's bytes, under their own type.
struct FileBody(Download);

impl IntoResponse for FileBody {
    fn into_response(self) -> Response {
        file::response(self.0)
    }
}

impl ApiResponse for FileBody {
    fn meta() -> MetaResponses {
        let header = MetaHeader {
            name: "Content-Disposition".to_owned(),
            description: Some("`attachment`, with the file's name.".to_owned()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let content =
            MetaMediaType { content_type: Binary::<Body>::CONTENT_TYPE, schema: Binary::<Body>::schema_ref() };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The bytes, under the type of the file.",
                status: Some(200),
                status_range: None,
                content: vec![content],
                headers: vec![header],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}
