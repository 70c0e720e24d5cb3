//! Exports as downloads.

use std::io;

use futures_util::StreamExt as _;
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Binary, Payload};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use transom_desk::export::{Format, Lines};

const CSV: &str = "text/csv";
const JSONL: &str = "application/x-ndjson";
const JSON: &str = "application/json; charset=utf-8";

/// The lines of an export.
pub(crate) struct TableBody {
    name: &'static str,
    format: Format,
    lines: Lines,
}

impl TableBody {
    pub(crate) fn new(name: &'static str, format: Format, lines: Lines) -> Self {
        Self { name, format, lines }
    }
}

impl IntoResponse for TableBody {
    fn into_response(self) -> Response {
        let (mime, ending) = match self.format {
            Format::Csv { .. } => ("text/csv; charset=utf-8", "csv"),
            Format::Jsonl => (JSONL, "jsonl"),
        };
        Response::builder()
            .content_type(mime)
            .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.{ending}\"", self.name))
            .header(header::CACHE_CONTROL, "private, no-store")
            .body(Body::from_bytes_stream(self.lines.map(unbroken)))
    }
}

impl ApiResponse for TableBody {
    fn meta() -> MetaResponses {
        let header = MetaHeader {
            name: "Content-Disposition".to_owned(),
            description: Some("`attachment`, with a name.".to_owned()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let of = |content_type| MetaMediaType { content_type, schema: Binary::<Body>::schema_ref() };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The lines, in UTF-8, as they are read. A body that breaks off is not the whole.",
                status: Some(200),
                status_range: None,
                content: vec![of(CSV), of(JSONL)],
                headers: vec![header],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// Everything that is kept of one person, as one JSON document.
pub(crate) struct PersonBody(pub(crate) Lines);

impl IntoResponse for PersonBody {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(JSON)
            .header(header::CONTENT_DISPOSITION, "attachment; filename=\"contact.json\"")
            .header(header::CACHE_CONTROL, "private, no-store")
            .body(Body::from_bytes_stream(self.0.map(unbroken)))
    }
}

impl ApiResponse for PersonBody {
    fn meta() -> MetaResponses {
        let content = MetaMediaType { content_type: JSON, schema: serde_json::Value::schema_ref() };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The document, as it is read. A body that breaks off is not the whole.",
                status: Some(200),
                status_range: None,
                content: vec![content],
                headers: Vec::new(),
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// What broke is told by a body that breaks off: the status has left already.
fn unbroken(chunk: Result<bytes::Bytes, transom_desk::DeskError>) -> io::Result<bytes::Bytes> {
    chunk.map_err(|error| {
        tracing::warn!(%error, "an export broke off");
        io::Error::other("the export broke off")
    })
}
