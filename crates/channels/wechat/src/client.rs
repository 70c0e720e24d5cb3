//! The only I/O: calls of the API, and the access token that they need.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use transom_channel::http::{HttpAnswer, HttpClient, Phase};
use transom_channel::{MediaBytes, MediaError, Ports, Renew, SendError, StoredToken, TokenError, TokenPort};
use transom_domain::Clock;

use crate::config::Config;
use crate::error::{self, of_a_read, own_report};
use crate::wire::{Answer, Catalogue, Listed, Token, Uploaded, UserInfo, VideoAt};

const WECHAT: &str = "https://api.weixin.qq.com";
/// "Refresh a few minutes early" (2.1).
const EARLY: i64 = 300;
/// A token that is refused so soon after it was made will not be mended by another one; forced renewals are few (2.1).
const JUST_RENEWED: Duration = Duration::MINUTE;

/// The API, as one account sees it.
pub(crate) struct Api {
    http: HttpClient,
    base: String,
    tokens: Arc<dyn TokenPort>,
    /// Depends on the credentials: changed ones find no earlier token.
    key: String,
    clock: Arc<dyn Clock>,
    config: Arc<Config>,
    /// What a refused token was last replaced by here, and when.
    renewed: Mutex<Option<(SecretString, OffsetDateTime)>>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(ports: &Ports, config: Arc<Config>) -> Self {
        let digest = Sha256::digest(config.app_secret.expose_secret());
        let digest: String = hex::encode(digest).chars().take(16).collect();
        Self {
            http: ports.http.clone(),
            base: ports.endpoint("wechat", WECHAT),
            tokens: Arc::clone(&ports.tokens),
            key: format!("wechat/{}/{digest}", config.app_id),
            clock: Arc::clone(&ports.clock),
            config,
            renewed: Mutex::new(None),
        }
    }

    /// Sends a customer-service message: it gets no id.
    pub(crate) async fn send<M: Serialize + Sync>(&self, message: &M) -> Result<(), SendError> {
        self.post("/cgi-bin/message/custom/send", message).await.map(drop)
    }

    /// Sends a template message; gives its id.
    pub(crate) async fn send_template<M: Serialize + Sync>(&self, message: &M) -> Result<i64, SendError> {
        let sent = self.post("/cgi-bin/message/template/send", message).await?;
        sent.ok_or_else(|| SendError::OutcomeUnknown { detail: "an answer without a message".to_owned() })
    }

    /// The templates that the account may send.
    pub(crate) async fn templates(&self) -> Result<Vec<Listed>, SendError> {
        let path = "/cgi-bin/template/get_all_private_template";
        let found: Catalogue = self.read(|token| self.call(Method::GET, path, token)).await?;
        Ok(found.template_list)
    }

    async fn post<M: Serialize + Sync>(&self, path: &str, message: &M) -> Result<Option<i64>, SendError> {
        let request = |token: &SecretString| self.call(Method::POST, path, token).json(message);
        let answer = self.authorised(request).await?;
        match answer.json::<Answer>() {
            Some(Answer { errcode: Some(0), msgid, .. }) if answer.is_success() => Ok(msgid),
            // Here success is always said.
            Some(Answer { errcode: Some(code), errmsg, .. }) if code != 0 => {
                Err(error::refusal(answer.status, code, &errmsg, self.clock.now()))
            }
            _ => Err(error::stranger(answer.status, answer.retry_after_ms())),
        }
    }

    /// Uploads a file; gives the id under which it can be sent (6).
    pub(crate) async fn upload(&self, kind: &str, file: &MediaBytes) -> Result<String, SendError> {
        let form = || {
            // WeChat looks at the name's ending.
            let name = file.file_name.clone().unwrap_or_else(|| format!("file.{}", ending(&file.mime)));
            let part = || Part::stream_with_length(file.bytes.clone(), file.bytes.len() as u64).file_name(name.clone());
            Form::new().part("media", part().mime_str(&file.mime).unwrap_or_else(|_| part()))
        };
        let request = |token: &SecretString| {
            self.call(Method::POST, "/cgi-bin/media/upload", token).query(&[("type", kind)]).multipart(form())
        };
        let uploaded: Uploaded = self.read(request).await?;
        Ok(uploaded.media_id)
    }

    /// What is told of a customer (5).
    pub(crate) async fn user(&self, openid: &str) -> Result<UserInfo, SendError> {
        let query = [("openid", openid), ("lang", "en")];
        self.read(|token| self.call(Method::GET, "/cgi-bin/user/info", token).query(&query)).await
    }

    /// Whether the credentials give a token.
    pub(crate) async fn check(&self) -> Result<(), SendError> {
        self.token(None).await.map(drop)
    }

    /// The bytes of a customer's file, at most `max` of them (6).
    pub(crate) async fn download(&self, media_id: &str, max: u64) -> Result<MediaBytes, MediaError> {
        let away = |error: &SendError| MediaError::Unavailable(error.code().to_owned());
        let token = self.token(None).await.map_err(|error| away(&error))?;
        let request = self.call(Method::GET, "/cgi-bin/media/get", &token.token).query(&[("media_id", media_id)]);
        let answer = self.fetch(request, max).await?;
        if !is_json(&answer) {
            return Ok(bytes_of(answer));
        }
        match self.said(&answer).map_err(of_a_read) {
            Ok(VideoAt { video_url }) => {
                self.fetch(self.http.request(Method::GET, &video_url), max).await.map(bytes_of)
            }
            Err(SendError::ContentRefused { .. } | SendError::Invalid { .. }) => Err(MediaError::NotFound),
            Err(refused @ SendError::AuthFailed { .. }) => {
                // The next try finds a token that works, if there is one.
                let renewed = self.token(Some(&token)).await;
                Err(away(renewed.as_ref().err().unwrap_or(&refused)))
            }
            Err(other) => Err(away(&other)),
        }
    }

    async fn fetch(&self, request: RequestBuilder, max: u64) -> Result<HttpAnswer, MediaError> {
        let limit = usize::try_from(max).unwrap_or(usize::MAX);
        let answer = self.http.execute_up_to(request, limit).await.map_err(|error| match error.phase {
            Phase::Answered if error.detail.contains("bytes") => MediaError::TooLarge { max },
            _ => MediaError::Unavailable(error.detail),
        })?;
        match answer.status {
            200..300 => Ok(answer),
            404 => Err(MediaError::NotFound),
            status => Err(MediaError::Unavailable(format!("the platform answered {status}"))),
        }
    }

    /// Asks for something; nothing is sent to anybody.
    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        request: impl Fn(&SecretString) -> RequestBuilder,
    ) -> Result<T, SendError> {
        let answer = self.authorised(request).await.map_err(of_a_read)?;
        self.said(&answer).map_err(of_a_read)
    }

    /// A call with the token. If it is refused for the token, that is renewed: the caller tries again by its own schedule.
    async fn authorised(&self, request: impl Fn(&SecretString) -> RequestBuilder) -> Result<HttpAnswer, SendError> {
        let used = self.token(None).await?;
        let answer = self.http.execute(request(&used.token)).await?;
        let code = answer.json::<Answer>().and_then(|answer| answer.errcode);
        // "On 40001, 40014, 42001: refetch once" (2.1).
        if !matches!(code, Some(40_001 | 40_014 | 42_001)) {
            return Ok(answer);
        }
        if self.is_just_renewed(&used) {
            return Ok(answer);
        }
        let renewed = self.token(Some(&used)).await?;
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some((renewed.token, self.clock.now()));
        Err(SendError::Temporary { report: own_report("the access token was refused and is renewed") })
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
        let refused = refused.map(|token| &token.token);
        // The port speaks of its own trouble only; what WeChat said is kept here.
        let said = Arc::new(Mutex::new(None));
        let note = Arc::clone(&said);
        let renew: Renew<'_> = Box::new(move |_| {
            Box::pin(async move {
                self.ask_token(refused).await.map_err(|error| {
                    let words = TokenError(error.code().to_owned());
                    *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    words
                })
            })
        });
        self.tokens.usable(&self.key, refused, renew).await.map_err(|error| {
            let said = said.lock().unwrap_or_else(PoisonError::into_inner).take();
            said.unwrap_or_else(|| SendError::Temporary { report: own_report(&format!("no access token: {error}")) })
        })
    }

    /// "Repeated calls inside validity return the same token": only one that is refused is replaced by force (2.1).
    async fn ask_token(&self, refused: Option<&SecretString>) -> Result<StoredToken, SendError> {
        let token = self.stable_token(false).await?;
        let is_refused = refused.is_some_and(|refused| refused.expose_secret() == token.token.expose_secret());
        if is_refused { self.stable_token(true).await } else { Ok(token) }
    }

    async fn stable_token(&self, force_refresh: bool) -> Result<StoredToken, SendError> {
        let fields = json!({
            "grant_type": "client_credential",
            "appid": self.config.app_id,
            "secret": self.config.app_secret.expose_secret(),
            "force_refresh": force_refresh,
        });
        let request = self.http.request(Method::POST, &format!("{}/cgi-bin/stable_token", self.base)).json(&fields);
        let answer = self.http.execute(request).await.map_err(|error| of_a_read(error.into()))?;
        let token: Token = self.said(&answer).map_err(of_a_read)?;
        // What is left may be little: then the half of it, so that not every call asks anew.
        let lasts = token.expires_in.clamp(0, 86_400);
        let lasts = (lasts - EARLY).max(lasts / 2);
        Ok(StoredToken {
            token: SecretString::from(token.access_token),
            refresh: None,
            expires_at: Some(self.clock.now() + Duration::seconds(lasts)),
        })
    }

    /// What a call that is no message answered.
    fn said<T: serde::de::DeserializeOwned>(&self, answer: &HttpAnswer) -> Result<T, SendError> {
        let stranger = || error::stranger(answer.status, answer.retry_after_ms());
        match answer.json::<Answer>() {
            Some(Answer { errcode: Some(code), errmsg, .. }) if code != 0 => {
                Err(error::refusal(answer.status, code, &errmsg, self.clock.now()))
            }
            Some(_) if answer.is_success() => answer.json().ok_or_else(stranger),
            _ => Err(stranger()),
        }
    }

    fn call(&self, method: Method, path: &str, token: &SecretString) -> RequestBuilder {
        let token = [("access_token", token.expose_secret())];
        self.http.request(method, &format!("{}{path}", self.base)).query(&token)
    }
}

fn is_json(answer: &HttpAnswer) -> bool {
    let says_so =
        answer.header("content-type").is_some_and(|mime| mime.contains("json") || mime.starts_with("text/plain"));
    says_so && answer.json::<serde_json::Value>().is_some_and(|value| value.is_object())
}

fn bytes_of(answer: HttpAnswer) -> MediaBytes {
    let mime = answer.header("content-type").map(|mime| mime.split(';').next().unwrap_or_default().trim().to_owned());
    let name = answer.header("content-disposition").and_then(|value| value.split_once("filename=")).map(|(_, name)| {
        let name = name.split(';').next().unwrap_or_default();
        name.trim().trim_matches('"').to_owned()
    });
    MediaBytes {
        mime: mime.filter(|mime| !mime.is_empty()).unwrap_or_else(|| "application/octet-stream".to_owned()),
        file_name: name.filter(|name| !name.is_empty()),
        bytes: answer.body,
    }
}

fn ending(mime: &str) -> &'static str {
    match mime {
        "image/png" => "png",
        "image/gif" => "gif",
        "audio/amr" => "amr",
        "audio/mpeg" => "mp3",
        "video/mp4" => "mp4",
        _ => "jpg",
    }
}
