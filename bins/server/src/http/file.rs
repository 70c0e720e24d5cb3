//! Bytes of files on their way in and out.
//!
//! In: streamed to disk within a limit. Out: always a download, never a page of ours, whatever is in it.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use poem::http::{Method, header};
use poem::{Body, Endpoint, Request, Response, Result};
use transom_desk::DeskError;
use transom_desk::attachments::{self, Download, FileLink};

use super::body;
use super::problem::Problem;
use crate::api::idempotency::Fingerprint;
use crate::state::State;

/// What the form around a file may take.
const FORM: u64 = 64 * 1024;

/// Whether a request brings a file, which is not read into memory.
pub(super) fn is_upload(request: &Request) -> bool {
    request.method() == Method::POST && request.original_uri().path() == "/v1/attachments"
}

/// Hands an upload on as it comes, within its limits.
pub(super) async fn upload<E>(next: Arc<E>, state: &State, mut request: Request) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let max = state.config.attachments.max_bytes.saturating_add(FORM);
    let too_large = || Problem::new("body_too_large", format!("the upload is over {max} bytes"));
    if body::announced(&request).is_some_and(|length| length as u64 > max) {
        return Err(too_large().into());
    }
    let time = state.config.limits.body_time();
    let trouble = Arc::new(AtomicU8::new(0));
    // What it says is known once it is read: the operation completes it.
    request.set_data(Fingerprint::of(request.method(), request.original_uri().path(), &[]));
    let stream = request.take_body().into_bytes_stream();
    request.set_body(Body::from_bytes_stream(limited(stream, max, time, Arc::clone(&trouble))));
    // The form's reader knows only that its body broke off.
    match (next.call(request).await, trouble.load(Ordering::Relaxed)) {
        (Err(_), TOO_LARGE) => Err(too_large().into()),
        (Err(_), TOO_SLOW) => {
            let seconds = time.as_secs();
            Err(Problem::new("body_too_slow", format!("nothing more came for {seconds} seconds")).into())
        }
        (Err(error), _) if error.status().as_u16() == 415 => {
            let detail = "send the file as `multipart/form-data`, in a field named `file`";
            Err(Problem::new("media_type_unsupported", detail).into())
        }
        (Err(error), _) if is_malformed(&error) => {
            let detail = "the form can't be read: send one field named `file`, and nothing else";
            Err(Problem::new("body_malformed", detail).at("file").into())
        }
        (answered, _) => answered,
    }
}

fn is_malformed(error: &poem::Error) -> bool {
    error.is::<poem::error::ParseMultipartError>() || error.is::<poem_openapi::error::ParseMultipartError>()
}

const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;

/// The same bytes, until there are too many or none come for too long.
fn limited<S>(
    bytes: S,
    max: u64,
    patience: Duration,
    trouble: Arc<AtomicU8>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let bytes = Box::pin(bytes);
    futures_util::stream::unfold((bytes, 0_u64, false), move |(mut bytes, seen, ended)| {
        let trouble = Arc::clone(&trouble);
        async move {
            if ended {
                return None;
            }
            let broken = |what: u8| {
                trouble.store(what, Ordering::Relaxed);
                Err(io::Error::other("the upload is over its limits"))
            };
            match tokio::time::timeout(patience, bytes.next()).await {
                Err(_) => Some((broken(TOO_SLOW), (bytes, seen, true))),
                Ok(None) => None,
                Ok(Some(Err(error))) => Some((Err(error), (bytes, seen, true))),
                Ok(Some(Ok(chunk))) => {
                    let seen = seen.saturating_add(chunk.len() as u64);
                    if seen > max {
                        Some((broken(TOO_LARGE), (bytes, seen, true)))
                    } else {
                        Some((Ok(chunk), (bytes, seen, false)))
                    }
                }
            }
        }
    })
}

/// The file behind a signed address; whatever is wrong with that, there is no such file.
pub(super) async fn by_link(state: &State, request: &Request) -> Result<Response, Problem> {
    let query: Vec<(String, String)> = request
        .original_uri()
        .query()
        .map(|query| url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
        .unwrap_or_default();
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let link = FileLink {
        public_id: request.raw_path_param("public_id").unwrap_or_default(),
        name: request.raw_path_param("name"),
        expires: value("expires"),
        signature: value("signature"),
    };
    match attachments::download_by_link(&state.desk, &link).await {
        Ok(download) => Ok(response(download)),
        Err(DeskError::Storage(error)) => Err(error.into()),
        Err(_) => Err(Problem::new("not_found", "there is no such file, or its address is over")),
    }
}

/// A download. What a browser makes of it has no rights here.
pub(crate) fn response(download: Download) -> Response {
    let Download { mime, file_name, size, bytes } = download;
    let bytes = bytes.map(|chunk| chunk.map_err(io::Error::other));
    Response::builder()
        .content_type(mime)
        .header(header::CONTENT_LENGTH, size)
        .header(header::CONTENT_DISPOSITION, disposition(file_name.as_deref()))
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")
        .header(header::CACHE_CONTROL, "private, no-store")
        .body(Body::from_bytes_stream(bytes))
}

/// `attachment` with the name, in ASCII for old clients and whole for the others (RFC 6266).
fn disposition(file_name: Option<&str>) -> String {
    let Some(name) = file_name else { return "attachment".to_owned() };
    let plain = |c: char| if c.is_ascii_alphanumeric() || " ._-()".contains(c) { c } else { '_' };
    let mut value =
        format!("attachment; filename=\"{}\"; filename*=UTF-8''", name.chars().map(plain).collect::<String>());
    for byte in name.bytes() {
        // Writing to a string never fails.
        let _ = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => write!(value, "{}", char::from(byte)),
            _ => write!(value, "%{byte:02X}"),
        };
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_break_no_header() {
        assert_eq!(disposition(None), "attachment");
        assert_eq!(
            disposition(Some("a\"b;c é.pdf")),
            "attachment; filename=\"a_b_c _.pdf\"; filename*=UTF-8''a%22b%3Bc%20%C3%A9.pdf"
        );
        assert!(disposition(Some("a\r\nb")).bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    }

    #[tokio::test]
    async fn an_upload_ends_at_its_limit() {
        let chunks = || futures_util::stream::iter([Ok(Bytes::from_static(b"12345")), Ok(Bytes::from_static(b"678"))]);
        let trouble = Arc::new(AtomicU8::new(0));
        let fits: Vec<_> = limited(chunks(), 8, Duration::from_secs(5), Arc::clone(&trouble)).collect().await;
        assert!(fits.len() == 2 && fits.iter().all(Result::is_ok) && trouble.load(Ordering::Relaxed) == 0);
        let over: Vec<_> = limited(chunks(), 7, Duration::from_secs(5), Arc::clone(&trouble)).collect().await;
        assert!(over.len() == 2 && over[1].is_err());
        assert_eq!(trouble.load(Ordering::Relaxed), TOO_LARGE);
        let silent = futures_util::stream::pending();
        let slow: Vec<_> = limited(silent, 7, Duration::from_millis(1), Arc::clone(&trouble)).collect().await;
        assert!(slow.len() == 1 && slow[0].is_err());
        assert_eq!(trouble.load(Ordering::Relaxed), TOO_SLOW);
    }
}
