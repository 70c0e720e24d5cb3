//! The account's own token of Instagram Login: good for 60 days, and renewed before they are over (instagram.md 0).

use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use transom_channel::{PlatformReport, Ports, Renew, SendError, StoredToken};
use transom_meta::Graph;

use crate::wire::Refreshed;

/// So long before its end a token is renewed.
const MARGIN: Duration = Duration::days(10);
/// A token that is too young to be renewed, or could not be just now, is tried again after this.
const RETRY: Duration = Duration::days(1);

/// The client that speaks for the account, with whatever token is the present one.
#[derive(Debug)]
pub(crate) struct OwnToken {
    given: Graph,
    first: SecretString,
    key: String,
    ports: Ports,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    token: Option<StoredToken>,
    rejected: Option<SecretString>,
}

impl OwnToken {
    /// With the token that was entered.
    pub(crate) fn new(given: Graph, first: SecretString, ports: Ports) -> Self {
        // Another token entered is another beginning.
        let digest = hex::encode(Sha256::digest(first.expose_secret().as_bytes()));
        let key = format!("instagram:{}", digest.get(..32).unwrap_or(&digest));
        Self { given, first, key, ports, present: Mutex::default() }
    }

    /// The client with the present token.
    pub(crate) async fn graph(&self) -> Result<Graph, SendError> {
        let now = self.ports.clock.now();
        let (known, rejected) = {
            let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
            let good = |token: &&StoredToken| token.expires_at.is_none_or(|end| now < end);
            (present.token.as_ref().filter(good).cloned(), present.rejected.clone())
        };
        if let Some(token) = known {
            return Ok(self.given.with_token(token.token));
        }
        let renew: Renew<'_> = Box::new(move |old| Box::pin(async move { Ok(self.renewed(old, now).await) }));
        let token = self.ports.tokens.usable(&self.key, rejected.as_ref(), renew).await.map_err(|error| {
            let report = PlatformReport { message: error.to_string(), ..PlatformReport::default() };
            SendError::Temporary { report }
        })?;
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.token = Some(token.clone());
        Ok(self.given.with_token(token.token))
    }

    /// A new token for the old one; the old one itself where there is none to be had yet. Whether that one still works the
    /// request it is for will show.
    async fn renewed(&self, old: Option<StoredToken>, now: OffsetDateTime) -> StoredToken {
        let token = old.map_or_else(|| self.first.clone(), |old| old.token);
        let query = [("grant_type", "ig_refresh_token"), ("access_token", token.expose_secret())];
        let asked: Result<Refreshed, _> =
            self.given.with_token(token.clone()).get("refresh_access_token", &query).await;
        match asked {
            Ok(Refreshed { access_token: Some(fresh), expires_in: Some(seconds) }) if !fresh.is_empty() => {
                let life = Duration::seconds(seconds).saturating_sub(MARGIN).max(RETRY);
                StoredToken {
                    token: SecretString::from(fresh),
                    refresh: None,
                    expires_at: Some(now.saturating_add(life)),
                }
            }
            Ok(_) | Err(_) => {
                tracing::info!("the access token was not renewed; it is used as it is");
                StoredToken { token, refresh: None, expires_at: Some(now.saturating_add(RETRY)) }
            }
        }
    }

    /// The platform refused the present token: another one is looked for next time.
    pub(crate) fn reject(&self) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.rejected = present.token.take().map(|token| token.token);
    }
}
