//! The only I/O: calls of the business API, and the tokens that they need.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use transom_channel::http::{HttpAnswer, HttpClient};
use transom_channel::{MediaBytes, MediaError, Ports, Renew, SendError, StoredToken, TokenError, TokenPort};
use transom_domain::Clock;

use crate::config::Config;
use crate::error::{self, of_a_read, own_report};
use crate::wire::{Answer, Tokens};

const TIKTOK: &str = "https://business-api.tiktok.com/open_api/v1.3";
const TOKEN_HEADER: &str = "Access-Token";
/// Tokens are renewed this long before they end, so that none ends on its way, in seconds.
const EARLY: i64 = 300;
/// A token that is refused so soon after it was made will not be mended by another one.
const JUST_RENEWED: Duration = Duration::MINUTE;

/// The business API, as one account sees it.
pub(crate) struct Api {
    http: HttpClient,
    base: String,
    tokens: Arc<dyn TokenPort>,
    /// Depends on the refresh token that was entered: after another authorisation no earlier token is found.
    key: String,
    /// What a refused token was last replaced by here, and when.
    renewed: Mutex<Option<(SecretString, OffsetDateTime)>>,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(ports: &Ports, config: Arc<Config>) -> Self {
        let digest = Sha256::digest(config.refresh_token.expose_secret());
        let digest: String = hex::encode(digest).chars().take(16).collect();
        Self {
            http: ports.http.clone(),
            base: ports.endpoint("tiktok", TIKTOK),
            tokens: Arc::clone(&ports.tokens),
            key: format!("tiktok/{}/{digest}", config.business_id),
            renewed: Mutex::new(None),
            clock: Arc::clone(&ports.clock),
            config,
        }
    }

    /// Sends a message; gives its id. `quotes`: it refers to an earlier one.
    pub(crate) async fn send(&self, fields: &Value, quotes: bool) -> Result<Option<String>, SendError> {
        let request = |path: &str| self.post(path).json(fields);
        let data = self.authorised("/business/message/send/", request, quotes).await?;
        let id = data.pointer("/message/message_id").and_then(Value::as_str);
        // Accepted without an id is accepted: its echo will not find it, and that is all.
        Ok(id.map(str::to_owned))
    }

    /// Uploads a picture; gives the id under which it can be sent (6).
    pub(crate) async fn upload(&self, file: &MediaBytes) -> Result<String, SendError> {
        let form = || {
            let name = file.file_name.clone().unwrap_or_else(|| "picture".to_owned());
            let part = Part::stream_with_length(file.bytes.clone(), file.bytes.len() as u64).file_name(name);
            let part = part.mime_str(&file.mime).unwrap_or_else(|_| Part::stream(file.bytes.clone()));
            Form::new()
                .text("business_id", self.config.business_id.clone())
                .text("media_type", "IMAGE")
                .part("file", part)
        };
        let request = |path: &str| self.post(path).multipart(form());
        let data = self.authorised("/business/message/media/upload/", request, false).await.map_err(of_a_read)?;
        let id = data.get("media_id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| SendError::Temporary { report: own_report("an upload without an id") })
    }

    /// Switches private replies to comments on, which may be done again (2.2).
    pub(crate) async fn enable_direct_reply(&self) -> Result<(), SendError> {
        let fields = json!({
            "business_id": self.config.business_id,
            "direct_reply_type": "COMMENT_TO_MESSAGE",
            "operation_status": "ENABLE",
        });
        let request = |path: &str| self.post(path).json(&fields);
        let done = self.authorised("/business/message/direct_reply/update/", request, false).await;
        done.map(drop).map_err(of_a_read)
    }

    /// The account's names and picture.
    pub(crate) async fn account(&self) -> Result<Value, SendError> {
        let query = [("business_id", self.config.business_id.as_str()), ("fields", r#"["username","display_name"]"#)];
        let request = |path: &str| self.http.request(Method::GET, &format!("{}{path}", self.base)).query(&query);
        self.authorised("/business/get/", request, false).await.map_err(of_a_read)
    }

    /// The bytes of a customer's file: an address is asked for, and fetched with the token (6).
    pub(crate) async fn download(&self, file: &Value, max: u64) -> Result<HttpAnswer, MediaError> {
        let away = |error: &SendError| MediaError::Unavailable(error.code().to_owned());
        let request = |path: &str| self.post(path).json(file);
        let data = self.authorised("/business/message/media/download/", request, false).await;
        let data = data.map_err(|error| match &error {
            SendError::Unreachable { .. } | SendError::Invalid { .. } => MediaError::NotFound,
            other => away(other),
        })?;
        let url = data.get("download_url").and_then(Value::as_str).ok_or(MediaError::NotFound)?;
        let token = self.token(None).await.map_err(|error| away(&error))?;
        let request = self.http.request(Method::GET, url).header("x-user", token.token.expose_secret());
        let limit = usize::try_from(max).unwrap_or(usize::MAX);
        let answer = self.http.execute_up_to(request, limit).await.map_err(|error| {
            if error.detail.contains("bytes") { MediaError::TooLarge { max } } else { away(&error.into()) }
        })?;
        match answer.status {
            200..300 => Ok(answer),
            404 => Err(MediaError::NotFound),
            status => Err(MediaError::Unavailable(format!("status {status}"))),
        }
    }

    /// A call with the token. One that is refused as expired is renewed: the caller tries again by its own schedule.
    async fn authorised(
        &self,
        path: &str,
        request: impl Fn(&str) -> RequestBuilder,
        quotes: bool,
    ) -> Result<Value, SendError> {
        let used = self.token(None).await?;
        let request = request(path).header(TOKEN_HEADER, used.token.expose_secret());
        let outcome = data_of(&self.http.execute(request).await?, quotes);
        match outcome {
            Err(SendError::AuthFailed { .. }) if !self.is_just_renewed(&used) => {
                let renewed = self.token(Some(&used)).await?;
                *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some((renewed.token, self.clock.now()));
                Err(SendError::Temporary { report: own_report("the access token had expired and was renewed") })
            }
            outcome => outcome,
        }
    }

    /// Several calls fly with one token: those that were refused for an older one say nothing of its successor.
    fn is_just_renewed(&self, used: &StoredToken) -> bool {
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.as_ref().is_some_and(|(token, at)| {
            token.expose_secret() == used.token.expose_secret() && self.clock.now() - *at < JUST_RENEWED
        })
    }

    /// A token that lasts for a while; `refused`: one that looked good and was not.
    async fn token(&self, refused: Option<&StoredToken>) -> Result<StoredToken, SendError> {
        // The port speaks of its own trouble only; what TikTok said is kept here.
        let said = Arc::new(Mutex::new(None));
        let note = Arc::clone(&said);
        let renew: Renew<'_> = Box::new(move |old| {
            Box::pin(async move {
                self.exchange(old).await.map_err(|error| {
                    let words = TokenError(error.code().to_owned());
                    *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    words
                })
            })
        });
        let usable = self.tokens.usable(&self.key, refused.map(|token| &token.token), renew).await;
        usable.map_err(|error| {
            let said = said.lock().unwrap_or_else(PoisonError::into_inner).take();
            said.unwrap_or_else(|| SendError::Temporary { report: own_report(&format!("no access token: {error}")) })
        })
    }

    /// The next pair of tokens: each exchange spends the refresh token that it takes (2.1).
    async fn exchange(&self, old: Option<StoredToken>) -> Result<StoredToken, SendError> {
        let known = old.and_then(|old| old.refresh).unwrap_or_else(|| self.config.refresh_token.clone());
        let fields = json!({
            "client_id": self.config.app_id,
            "client_secret": self.config.app_secret.expose_secret(),
            "grant_type": "refresh_token",
            "refresh_token": known.expose_secret(),
        });
        let answer = self.http.execute(self.post("/tt_user/oauth2/refresh_token/").json(&fields)).await;
        let answer = answer.map_err(|error| of_a_read(error.into()))?;
        let data = data_of(&answer, false).map_err(|error| match error {
            // Whatever is wrong with a refresh token: only a person can get another one.
            SendError::Invalid { report } | SendError::AccountStopped { report } => SendError::AuthFailed { report },
            other => of_a_read(other),
        })?;
        let tokens: Tokens = serde_json::from_value(data)
            .map_err(|_| SendError::Temporary { report: own_report("an exchange without tokens") })?;
        let lasts = tokens.expires_in.clamp(0, 31_536_000);
        let lasts = (lasts - EARLY).max(lasts / 2);
        Ok(StoredToken {
            token: SecretString::from(tokens.access_token),
            refresh: Some(SecretString::from(tokens.refresh_token)),
            expires_at: Some(self.clock.now() + Duration::seconds(lasts)),
        })
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http.request(Method::POST, &format!("{}{path}", self.base))
    }
}

/// What an answer says: data, a refusal, or nothing that is certain.
fn data_of(answer: &HttpAnswer, quotes: bool) -> Result<Value, SendError> {
    match answer.json::<Answer>() {
        Some(Answer { code: 0, data, .. }) if answer.is_success() => Ok(data),
        Some(refused) if refused.code != 0 => Err(error::refusal(answer.status, &refused, quotes)),
        _ => Err(error::stranger(answer.status, answer.retry_after_ms())),
    }
}
