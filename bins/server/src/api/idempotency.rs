//! `Idempotency-Key`: the same request twice has one effect and one answer (reliability.md 10).

use poem::http::Method;
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::payload::Json;
use poem_openapi::types::{ParseFromJSON, ToJSON};
use sha2::{Digest, Sha256};
use transom_desk::{Caller, DeskError, Once};
use transom_storage::{IdempotencyKey, StoredAnswer};
use uuid::Uuid;

use crate::http::problem::Problem;

/// The header.
const NAME: &str = "Idempotency-Key";
const MAX_LENGTH: usize = 255;

/// What a request is, and a digest of what it says.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprint {
    route: String,
    digest: [u8; 32],
}

impl Fingerprint {
    pub(crate) fn of(method: &Method, path: &str, body: &[u8]) -> Self {
        let route = format!("{method} {path}");
        let digest = Sha256::new().chain_update(&route).chain_update([0]).chain_update(body).finalize().into();
        Self { route, digest }
    }
}

/// The key of a request, if it has one.
#[derive(Debug)]
pub(crate) struct Idempotent(Option<(String, Fingerprint)>);

impl<'r> FromRequest<'r> for Idempotent {
    async fn from_request(request: &'r Request, _: &mut RequestBody) -> poem::Result<Self> {
        let Some(value) = request.headers().get(NAME) else { return Ok(Self(None)) };
        let key = value
            .to_str()
            .ok()
            .filter(|key| (1..=MAX_LENGTH).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
        let (Some(key), Some(fingerprint)) = (key, request.data::<Fingerprint>()) else {
            let detail = "an Idempotency-Key is 1 to 255 visible ASCII characters";
            return Err(Problem::new("parameter_invalid", detail).at(NAME).into());
        };
        Ok(Self(Some((key.to_owned(), fingerprint.clone()))))
    }
}

impl Idempotent {
    /// Whether there is a key.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// For what must not be done without one.
    ///
    /// # Errors
    /// `idempotency_key_missing`.
    pub(crate) fn required(self) -> Result<Self, Problem> {
        if self.is_given() {
            return Ok(self);
        }
        let detail =
            "this request takes an Idempotency-Key: 1 to 255 visible ASCII characters, a new one for each request";
        Err(Problem::new("idempotency_key_missing", detail).at(NAME))
    }

    /// The same for a request that says `what`, where its bytes alone don't tell.
    pub(crate) fn saying(self, what: &[u8]) -> Self {
        let digest =
            |route: &str| Sha256::new().chain_update(route).chain_update([0]).chain_update(what).finalize().into();
        Self(self.0.map(|(key, Fingerprint { route, .. })| (key, Fingerprint { digest: digest(&route), route })))
    }

    /// What the desk needs to do it once. `status` and `view` are what a success is answered with.
    pub(crate) fn once<T, V: ToJSON>(
        self,
        caller: &Caller,
        status: u16,
        view: impl Fn(&T) -> V + Send + Sync + 'static,
    ) -> Option<Once<T>> {
        let (key, Fingerprint { route, digest }) = self.0?;
        let key = IdempotencyKey { actor: caller.agent.id, route, key, fingerprint: digest };
        Some(Once::new(key, move |value| StoredAnswer { status, body: view(value).to_json_string().into_bytes() }))
    }
}

/// The answer to a request that made a token. Tokens are stored as digests only, so a repeat can't give it again: it is told
/// which token it was. What is stored as the first answer is that token's id.
///
/// # Errors
/// `token_shown_once` for a repeat, and whatever else the desk said.
pub(crate) fn shown_once<T>(result: Result<T, DeskError>) -> Result<T, Problem> {
    match result {
        Err(DeskError::Replayed(answer)) => {
            let token = Uuid::parse_from_json_string(&String::from_utf8_lossy(&answer.body));
            let token = token.map_err(|_| Problem::internal(&"a stored answer can't be read"))?;
            let detail = format!(
                "this request was done before: it made the token {token}, which was shown then and can't be shown again; \
                 revoke it with DELETE /v1/tokens/{token} and make another one with a new key"
            );
            Err(Problem::new("token_shown_once", detail))
        }
        other => Ok(other?),
    }
}

/// The answer to a request: fresh, or the one that was given before, which the header says.
///
/// # Errors
/// Whatever else the desk said.
pub(crate) fn answered<T, V: ParseFromJSON>(
    result: Result<T, DeskError>,
    view: impl Fn(&T) -> V,
) -> Result<(Json<V>, Option<String>), Problem> {
    match result {
        Ok(value) => Ok((Json(view(&value)), None)),
        Err(DeskError::Replayed(answer)) => {
            let body = String::from_utf8_lossy(&answer.body);
            let view = V::parse_from_json_string(&body);
            let view = view.map_err(|_| Problem::internal(&"a stored answer can't be read"))?;
            Ok((Json(view), Some("true".to_owned())))
        }
        Err(error) => Err(error.into()),
    }
}
