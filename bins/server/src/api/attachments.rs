//! Files: uploaded, looked at, read.

use std::sync::Arc;

use poem::{Body, IntoResponse, Response};
use poem_openapi::param::Path;
use poem_openapi::payload::{Binary, Json, Payload};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::types::multipart::Upload;
use poem_openapi::{ApiResponse, Multipart, OpenApi};
use transom_desk::attachments::{self, Download};
use uuid::Uuid;

use super::Tag;
use super::auth::Signed;
use super::version::Made;
use super::views::file::FileView;
use crate::http::file;
use crate::http::problem::{Making, Reading, Refused};
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
    #[oai(path = "/attachments", method = "post", operation_id = "uploadAttachment")]
    async fn upload(&self, signed: Signed, new: NewFile) -> Result<Made<FileView>, Refused<Making>> {
        let (file_name, mime) = (new.file.file_name(), new.file.content_type());
        let (file_name, mime) = (file_name.map(str::to_owned), mime.map(str::to_owned));
        let upload = attachments::Upload { file: new.file.into_file(), file_name, mime };
        let stored = attachments::upload(&self.0.desk, signed.caller(), upload).await?;
        Ok(Made::Made(Json(FileView::of(&self.0, signed.caller(), &stored)), None))
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

/// For what may not be here yet.
#[derive(Debug)]
enum ReadingFile {}

impl crate::http::problem::Refusals for ReadingFile {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 409, 429, 500, 503];
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
