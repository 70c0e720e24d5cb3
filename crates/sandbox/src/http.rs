//! One HTTP call as the personalities see it, and their answer, which may be told to break on the wire.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;

/// The largest body that is read: a 100 MB WhatsApp document with its multipart dress.
const MAX_BODY: usize = 110 * 1024 * 1024;

/// A request, read to its end.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The decoded path, cut at its slashes; what was already used to find the way here is gone.
    pub(crate) path: Vec<String>,
    /// The path as it came, for the log.
    pub(crate) full_path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// Reads a request; the error is the answer that a broken or boundless one gets.
    pub(crate) async fn read(request: http::Request<Incoming>) -> Result<Self, Reply> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|_| Reply::text(413, "the body is larger than 110 MiB or broke off"))?
            .to_bytes();
        let query = head.uri.query().map(pairs).unwrap_or_default();
        let path = head.uri.path().split('/').filter(|part| !part.is_empty()).map(percent_decoded).collect();
        let full_path = head.uri.path().to_owned();
        Ok(Self { method: head.method, path, full_path, query, headers: head.headers, body })
    }

    /// The path's pieces, to be matched on.
    pub(crate) fn pieces(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The bearer token, from the header or, as Graph allows, from `access_token`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .or_else(|| self.query("access_token"))
    }

    pub(crate) fn content_type(&self) -> &str {
        self.header("content-type").unwrap_or_default()
    }

    /// The fields and files of a multipart body.
    pub(crate) async fn multipart(&self) -> Result<Vec<FormField>, String> {
        let boundary = multer::parse_boundary(self.content_type()).map_err(|error| error.to_string())?;
        let body = self.body.clone();
        let mut parts = multer::Multipart::new(stream::once(async move { Ok::<_, Infallible>(body) }), boundary);
        let mut fields = Vec::new();
        while let Some(part) = parts.next_field().await.map_err(|error| error.to_string())? {
            fields.push(FormField {
                name: part.name().unwrap_or_default().to_owned(),
                file_name: part.file_name().map(str::to_owned),
                mime: part.content_type().map(|mime| mime.essence_str().to_owned()),
                bytes: part.bytes().await.map_err(|error| error.to_string())?,
            });
        }
        Ok(fields)
    }
}

/// One part of a multipart body; a file if it has a file name.
#[derive(Debug, Clone)]
pub(crate) struct FormField {
    pub(crate) name: String,
    pub(crate) file_name: Option<String>,
    pub(crate) mime: Option<String>,
    pub(crate) bytes: Bytes,
}

/// The pairs of a query or of an urlencoded body.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn percent_decoded(piece: &str) -> String {
    // In a path a plus is a plus; everything else is decoded as in a query.
    let protected = piece.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(protected.as_bytes()).map(|(key, _)| key.into_owned()).next().unwrap_or_default()
}

/// An answer, and how it ends on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    pub(crate) ending: Ending,
    /// The platform's own error code, for the log.
    pub(crate) code: Option<i64>,
}

/// What becomes of an answer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It arrives.
    Whole,
    /// The connection closes before the first byte.
    Dropped,
    /// The connection closes in the middle of the body.
    Cut,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json", Bytes::from(body.to_string()))
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", Bytes::from(body.into()))
    }

    pub(crate) fn html(body: String) -> Self {
        Self::bytes(200, "text/html; charset=utf-8", Bytes::from(body))
    }

    pub(crate) fn see_other(location: impl Into<String>) -> Self {
        Self::text(303, "").with("location", location)
    }

    pub(crate) fn bytes(status: u16, content_type: &'static str, body: Bytes) -> Self {
        Self { status, content_type, headers: Vec::new(), body, ending: Ending::Whole, code: None }
    }

    pub(crate) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    pub(crate) fn coded(mut self, code: i64) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer for hyper. An `Err` closes the connection without one.
    pub(crate) fn into_response(self) -> Result<Response<BoxBody<Bytes, io::Error>>, io::Error> {
        let broken = || io::Error::new(io::ErrorKind::ConnectionAborted, "the sandbox breaks this answer off");
        let promised = self.body.len();
        let body = match self.ending {
            Ending::Dropped => return Err(broken()),
            Ending::Whole => Full::new(self.body).map_err(|never: Infallible| match never {}).boxed(),
            Ending::Cut => {
                let half = self.body.slice(..self.body.len() / 2);
                // The break waits until the first half has left: hyper drops what it still holds.
                let cut = stream::once(async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Err(broken())
                });
                BodyExt::boxed(StreamBody::new(stream::iter([Ok(Frame::data(half))]).chain(cut)))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if self.ending == Ending::Cut {
            headers.insert(header::CONTENT_LENGTH, promised.into());
        }
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(self.content_type));
        for (name, value) in self.headers {
            if let Ok(value) = header::HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        Ok(response)
    }
}

/// JSON with everything beyond ASCII escaped as `\uXXXX`, as Meta sends it.
///
/// A receiver that re-serialises it breaks the signature.
pub(crate) fn ascii_json(value: &Value) -> String {
    let mut ascii = String::new();
    for letter in value.to_string().chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn escapes_keep_the_meaning() {
        let value = json!({"text": "héllo 👋 \"q\"", "n": 1});
        let ascii = ascii_json(&value);
        assert!(ascii.is_ascii());
        assert!(ascii.contains("\\ud83d\\udc4b"), "{ascii}");
        assert_eq!(serde_json::from_str::<Value>(&ascii).unwrap(), value);
    }

    #[test]
    fn path_pieces_are_decoded_and_a_plus_stays() {
        assert_eq!(percent_decoded("bot1%3AAb"), "bot1:Ab");
        assert_eq!(percent_decoded("a+b%20c"), "a+b c");
        assert_eq!(percent_decoded("x=y&z"), "x=y&z");
    }
}
