//! Signing in: passwords as they are, access tokens from the port that keeps and renews them (RFC 6749).

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use time::Duration;
use transom_channel::http::HttpClient;
use transom_channel::{Ports, Renew, SendError, StoredToken, TokenError, TokenPort};
use transom_domain::Clock;

use crate::config::{Auth, Oauth};
use crate::error::{own, scrubbed};

/// A token is not used in its last minutes: a session takes a while.
const MARGIN: Duration = Duration::minutes(5);
/// What a token lasts where the provider does not say.
const USUAL: Duration = Duration::minutes(50);

/// With what to sign in, right now.
pub(crate) enum SignIn<'a> {
    Nobody,
    Plain(&'a SecretString),
    Login(&'a SecretString),
    Bearer(SecretString),
}

/// Where access tokens come from.
pub(crate) struct Access {
    http: HttpClient,
    tokens: Arc<dyn TokenPort>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

/// A provider's answer.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    #[serde(default)]
    refresh_token: Option<SecretString>,
    #[serde(default)]
    expires_in: Option<i64>,
}

/// A provider's refusal (RFC 6749 section 5.2).
#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Access {
    pub(crate) fn new(ports: &Ports) -> Self {
        Self { http: ports.http.clone(), tokens: Arc::clone(&ports.tokens), clock: Arc::clone(&ports.clock) }
    }

    /// What to sign in with.
    pub(crate) async fn sign_in<'a>(&self, user: &str, auth: &'a Auth) -> Result<SignIn<'a>, SendError> {
        Ok(match auth {
            Auth::None => SignIn::Nobody,
            Auth::Plain(password) => SignIn::Plain(password),
            Auth::Login(password) => SignIn::Login(password),
            Auth::Oauth(oauth) => SignIn::Bearer(self.token(user, oauth, None).await?),
        })
    }

    /// What a server's refusal of a token means: it is renewed, and the dispatcher comes again; if that fails, or the new one
    /// is the same, the account must be connected again.
    pub(crate) async fn refused(&self, user: &str, auth: &Auth, how: &SignIn<'_>, error: SendError) -> SendError {
        let (Auth::Oauth(oauth), SignIn::Bearer(token), SendError::AuthFailed { .. }) = (auth, how, &error) else {
            return error;
        };
        match self.token(user, oauth, Some(token)).await {
            Ok(new) if new.expose_secret() != token.expose_secret() => {
                SendError::Temporary { report: own("the access token was refused and is renewed") }
            }
            Ok(_) => error,
            Err(failed) => failed,
        }
    }

    async fn token(
        &self,
        user: &str,
        oauth: &Oauth,
        rejected: Option<&SecretString>,
    ) -> Result<SecretString, SendError> {
        // The port speaks of its own trouble only; what the provider said is kept here.
        let said = Arc::new(Mutex::new(None));
        let note = Arc::clone(&said);
        let renew: Renew<'_> = Box::new(move |old| {
            Box::pin(async move {
                self.ask(oauth, old).await.map_err(|error| {
                    let words = TokenError(error.code().to_owned());
                    *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    words
                })
            })
        });
        let token = self.tokens.usable(&key(user, oauth), rejected, renew).await.map_err(|error| {
            let said = said.lock().unwrap_or_else(PoisonError::into_inner).take();
            said.unwrap_or_else(|| SendError::Temporary { report: own(&format!("no access token: {error}")) })
        })?;
        Ok(token.token)
    }

    async fn ask(&self, oauth: &Oauth, old: Option<StoredToken>) -> Result<StoredToken, SendError> {
        // A rotated refresh token replaces the one of the settings.
        let kept = old.and_then(|old| old.refresh).or_else(|| oauth.refresh_token.clone());
        let mut form = vec![("client_id", oauth.client_id.as_str())];
        form.push(("grant_type", if kept.is_some() { "refresh_token" } else { "client_credentials" }));
        if let Some(refresh) = &kept {
            form.push(("refresh_token", refresh.expose_secret()));
        }
        if let Some(secret) = &oauth.client_secret {
            form.push(("client_secret", secret.expose_secret()));
        }
        if let Some(scope) = &oauth.scope {
            form.push(("scope", scope));
        }
        let request = self.http.request(Method::POST, oauth.token_url.as_str()).form(&form);
        let away = |what: &str| SendError::Temporary { report: own(what) };
        let answer = self.http.execute(request).await.map_err(|_| away("the provider's tokens can't be had now"))?;
        if let Some(denied) =
            answer.json::<Denied>().filter(|_| (400..500).contains(&answer.status) && answer.status != 429)
        {
            let mut report = own(&format!("no access token: {}", scrubbed(&denied.error)));
            report.status = Some(answer.status);
            return Err(SendError::AuthFailed { report });
        }
        let granted: Granted = answer
            .json()
            .filter(|_| answer.is_success())
            .ok_or_else(|| away("the provider gives no access token now"))?;
        let lasts = granted.expires_in.map_or(USUAL, Duration::seconds);
        let usable = (lasts - MARGIN).max(lasts / 2);
        Ok(StoredToken {
            token: granted.access_token,
            refresh: granted.refresh_token.or(kept),
            expires_at: Some(self.clock.now() + usable),
        })
    }
}

/// What a token depends on: other credentials find no earlier one.
fn key(user: &str, oauth: &Oauth) -> String {
    let mut digest = Sha256::new();
    let secrets = [&oauth.client_secret, &oauth.refresh_token];
    let secrets = secrets.map(|secret| secret.as_ref().map_or("", |secret| secret.expose_secret()));
    let scope = oauth.scope.as_deref().unwrap_or_default();
    for piece in [oauth.token_url.as_str(), &oauth.client_id, scope, user].into_iter().chain(secrets) {
        digest.update(piece.len().to_be_bytes());
        digest.update(piece);
    }
    format!("email_access:{}", hex::encode(digest.finalize()))
}
