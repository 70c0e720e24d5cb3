//! The client of the Graph API.

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use transom_channel::Ports;
use transom_channel::http::{HttpAnswer, HttpClient};
use transom_channel::outside::OutsideClient;

use crate::{ApiVersion, GraphError, GraphFailure, Refusal, Usage};

/// From here on a limit is worth a line in the log, in percent.
const BUSY: u64 = 90;

/// The Graph API with one token. Cheap to clone; `Debug` shows no token.
///
/// Makes each request once: who repeats it, and when, is decided elsewhere.
#[derive(Debug, Clone)]
pub struct Graph {
    http: HttpClient,
    outside: OutsideClient,
    base: String,
    version: ApiVersion,
    token: SecretString,
}

/// A file to upload.
#[derive(Debug, Clone)]
pub struct Upload<'f> {
    /// The bytes.
    pub bytes: Bytes,
    /// The MIME type.
    pub mime: &'f str,
    /// The name; Graph looks at its extension.
    pub file_name: &'f str,
}

impl Graph {
    /// A client of the API at `base`, an address without a slash at its end.
    pub fn new(ports: &Ports, base: impl Into<String>, version: ApiVersion, token: SecretString) -> Self {
        Self { http: ports.http.clone(), outside: ports.outside.clone(), base: base.into(), version, token }
    }

    /// The same API with another token.
    #[must_use]
    pub fn with_token(&self, token: SecretString) -> Self {
        Self { token, ..self.clone() }
    }

    /// Whether the other has the same token.
    pub(crate) fn speaks_as(&self, other: &Self) -> bool {
        self.token.expose_secret() == other.token.expose_secret()
    }

    /// Reads a node or an edge.
    ///
    /// # Errors
    /// [`GraphFailure`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, GraphFailure> {
        self.ask(self.request(Method::GET, path).query(query)).await
    }

    /// Posts a JSON body.
    ///
    /// # Errors
    /// [`GraphFailure`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, GraphFailure> {
        self.ask(self.request(Method::POST, path).json(body)).await
    }

    /// Deletes a node.
    ///
    /// # Errors
    /// [`GraphFailure`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, GraphFailure> {
        self.ask(self.request(Method::DELETE, path)).await
    }

    /// Posts a form with a file in its field `file`.
    ///
    /// # Errors
    /// [`GraphFailure`]; a MIME type that is none counts as refused with code 100.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        fields: &[(&'static str, &str)],
        file: Upload<'_>,
    ) -> Result<T, GraphFailure> {
        self.upload_as("file", path, fields, file).await
    }

    /// The same with the file in a field of another name.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    pub async fn upload_as<T: DeserializeOwned>(
        &self,
        field: &'static str,
        path: &str,
        fields: &[(&'static str, &str)],
        file: Upload<'_>,
    ) -> Result<T, GraphFailure> {
        let length = file.bytes.len() as u64;
        let part = Part::stream_with_length(file.bytes, length)
            .file_name(file.file_name.to_owned())
            .mime_str(file.mime)
            .map_err(|_| not_a_mime_type())?;
        let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text(*name, (*value).to_owned()));
        self.ask(self.request(Method::POST, path).multipart(form.part(field, part))).await
    }

    /// Fetches the bytes at an address that Graph gave us in an answer: the token goes along, so no other address will do.
    ///
    /// # Errors
    /// [`GraphFailure`], also when the answer is over `max` bytes or `url` is not https (or the base's own scheme and host).
    pub async fn download(&self, url: &str, max: usize) -> Result<HttpAnswer, GraphFailure> {
        if !url.starts_with("https://") && !self.is_ours(url) {
            return Err(GraphFailure::Unreadable { status: 200, wish_ms: None });
        }
        let request = self.http.request(Method::GET, url).bearer_auth(self.token.expose_secret());
        let answer = self.http.execute_up_to(request, max).await.map_err(GraphFailure::Transport)?;
        if answer.is_success() { Ok(answer) } else { Err(failure(&answer)) }
    }

    /// Fetches the bytes at a public address that a webhook named. No token goes along, also not where it leads on to.
    ///
    /// # Errors
    /// [`GraphFailure`], also when the answer is over `max` bytes, or an address is not https (or the base's own).
    pub async fn fetch(&self, url: &str, max: usize) -> Result<HttpAnswer, GraphFailure> {
        /// A CDN leads on once or twice.
        const MOST_STEPS: usize = 4;
        let mut url = url.to_owned();
        for _ in 0..MOST_STEPS {
            let answer = if self.is_ours(&url) {
                self.http.execute_up_to(self.http.request(Method::GET, &url), max).await
            } else {
                // Whoever can sign a webhook, or answers for a CDN, names it: never something inside of our network.
                let public = Url::parse(&url).ok().filter(|url| url.scheme() == "https");
                let public = public.ok_or(GraphFailure::Unreadable { status: 404, wish_ms: None })?;
                self.outside.get(&public, self.http.total_timeout(), max).await.map_err(Into::into)
            };
            let answer = answer.map_err(GraphFailure::Transport)?;
            match (answer.status, answer.header("location")) {
                (301 | 302 | 303 | 307 | 308, Some(next)) => next.clone_into(&mut url),
                _ if answer.is_success() => return Ok(answer),
                _ => return Err(failure(&answer)),
            }
        }
        Err(GraphFailure::Endless { pages: MOST_STEPS })
    }

    fn is_ours(&self, url: &str) -> bool {
        let origin = |url: &str| {
            let (scheme, rest) = url.split_once("://")?;
            Some((scheme.to_ascii_lowercase(), rest.split(['/', '?', '#']).next()?.to_ascii_lowercase()))
        };
        origin(url).is_some_and(|origin_of_url| origin(&self.base) == Some(origin_of_url))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let Self { base, version, .. } = self;
        self.http.request(method, &format!("{base}/{version}/{path}")).bearer_auth(self.token.expose_secret())
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, GraphFailure> {
        let answer = self.http.execute(request).await.map_err(GraphFailure::Transport)?;
        if let Some(busiest) = Usage::read(&answer.headers).busiest.filter(|busiest| *busiest >= BUSY) {
            tracing::debug!(percent = busiest, "a call limit of the Graph API is nearly used up");
        }
        if !answer.is_success() {
            return Err(failure(&answer));
        }
        // The status is not authoritative: an error object is one under 200 too.
        match answer.json::<T>() {
            Some(_) if refusal(&answer).is_some() => Err(failure(&answer)),
            Some(read) => Ok(read),
            None => Err(failure(&answer)),
        }
    }
}

fn failure(answer: &HttpAnswer) -> GraphFailure {
    refusal(answer).map_or_else(
        || GraphFailure::Unreadable { status: answer.status, wish_ms: wish_ms(answer) },
        GraphFailure::Refused,
    )
}

fn refusal(answer: &HttpAnswer) -> Option<Refusal> {
    let body: Value = answer.json()?;
    let error = GraphError::read(body.get("error")?)?;
    Some(Refusal { error, status: Some(answer.status), wish_ms: wish_ms(answer) })
}

fn wish_ms(answer: &HttpAnswer) -> Option<u64> {
    Usage::read(&answer.headers).regain_ms.max(answer.retry_after_ms())
}

fn not_a_mime_type() -> GraphFailure {
    let error = GraphError { code: 100, message: "the file's MIME type can't be read".into(), ..GraphError::default() };
    GraphFailure::Refused(Refusal { error, status: None, wish_ms: None })
}
