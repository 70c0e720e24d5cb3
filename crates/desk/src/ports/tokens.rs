//! Tokens that must be renewed (reliability.md 7): one renewal at a time over all replicas, stored before it is used.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use time::{Duration, OffsetDateTime};
use tokio::time::{Instant, sleep, timeout};
use transom_channel::{Renew, StoredToken, TokenError, TokenPort};
use transom_domain::{Clock, ConnectionId, Ids};
use transom_storage::{ProviderToken, Storage, StorageError, StoredProviderToken, Tx, WorkspaceScope};
use uuid::Uuid;

/// How long a renewal is one replica's own, by the database's clock. One that dies is taken over after it.
const LEASE: Duration = Duration::seconds(60);
/// How long a renewal may take: it ends, and its token is stored, while the lease still holds.
const RENEWAL: StdDuration = StdDuration::from_secs(40);
/// How long one waits for the renewal of another: longer than a lease, so that a dead holder's turn comes to somebody.
const PATIENCE: StdDuration = StdDuration::from_secs(75);
/// How often one looks whether the other is done: at first, and at most.
const LOOK: (StdDuration, StdDuration) = (StdDuration::from_millis(20), StdDuration::from_secs(1));
/// Pauses between tries to store a token: one that the platform has rotated exists nowhere else.
const STORE_AGAIN: [StdDuration; 4] = [
    StdDuration::from_millis(100),
    StdDuration::from_millis(500),
    StdDuration::from_secs(2),
    StdDuration::from_secs(5),
];

/// The tokens of one connection.
#[derive(Debug)]
pub(super) struct StoredTokens {
    pub(super) storage: Storage,
    pub(super) scope: WorkspaceScope,
    pub(super) connection: ConnectionId,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
}

#[async_trait]
impl TokenPort for StoredTokens {
    async fn get(&self, key: &str) -> Result<Option<StoredToken>, TokenError> {
        let now = self.clock.now();
        let good = |token: &StoredToken| token.expires_at.is_none_or(|end| now < end);
        Ok(self.stored(key).await?.as_ref().map(given).filter(good))
    }

    async fn renew(&self, key: &str, renew: Renew<'_>) -> Result<StoredToken, TokenError> {
        let (before, owner) = (self.stored(key).await?, self.ids.next());
        if let Some(done) = self.wait(key, owner, before.as_ref()).await? {
            return Ok(done);
        }
        let renewed = self.renew_alone(key, before.as_ref(), renew).await;
        self.release(key, owner).await;
        renewed
    }
}

impl StoredTokens {
    async fn stored(&self, key: &str) -> Result<Option<StoredProviderToken>, TokenError> {
        self.storage.reader(&self.scope).provider_token(self.connection, key).await.map_err(unavailable)
    }

    /// Waits for the lease (`None`), or for what its holder stores.
    async fn wait(
        &self,
        key: &str,
        owner: Uuid,
        before: Option<&StoredProviderToken>,
    ) -> Result<Option<StoredToken>, TokenError> {
        let (deadline, mut pause) = (Instant::now() + PATIENCE, LOOK.0);
        while !self.lease(key, owner).await? {
            if let Some(done) = made_since(before, self.stored(key).await?.as_ref()) {
                return Ok(Some(done));
            }
            if Instant::now() >= deadline {
                return Err(TokenError("another process is renewing it: try again".to_owned()));
            }
            sleep(pause).await;
            pause = LOOK.1.min(pause * 2);
        }
        Ok(None)
    }

    /// Renews, unless the holder before us did: it stored before it gave the lease back.
    async fn renew_alone(
        &self,
        key: &str,
        before: Option<&StoredProviderToken>,
        renew: Renew<'_>,
    ) -> Result<StoredToken, TokenError> {
        let seen = self.stored(key).await?;
        if let Some(done) = made_since(before, seen.as_ref()) {
            return Ok(done);
        }
        let token = timeout(RENEWAL, renew(seen.as_ref().map(given)))
            .await
            .map_err(|_| TokenError(format!("the renewal took longer than {} s", RENEWAL.as_secs())))??;
        self.keep(key, seen, token).await
    }

    async fn lease(&self, key: &str, owner: Uuid) -> Result<bool, TokenError> {
        let name = self.lease_name(key);
        let taken = self.storage.transact(&self.scope, move |tx| {
            let name = name.clone();
            Box::pin(async move { tx.acquire_lease(&name, owner, LEASE).await })
        });
        Ok(taken.await.map_err(unavailable)?.is_some())
    }

    /// Stores the token; only then it may be used.
    async fn keep(
        &self,
        key: &str,
        seen: Option<StoredProviderToken>,
        token: StoredToken,
    ) -> Result<StoredToken, TokenError> {
        if seen.as_ref().is_some_and(|seen| same(&seen.token, &token)) {
            return Ok(token);
        }
        let seen = Arc::new(seen);
        let mut pauses = STORE_AGAIN.into_iter();
        loop {
            match self.replace(key, &seen, &token).await {
                Ok(true) => return Ok(token),
                // Ours, if the answer to an earlier try was lost; else one that a later holder made while we hung.
                Ok(false) => return self.stored(key).await?.as_ref().map(given).ok_or_else(gone),
                Err(error) => match pauses.next() {
                    Some(pause) => {
                        tracing::warn!(connection = %self.connection, %error, "a renewed token is not stored yet");
                        sleep(pause).await;
                    }
                    None => {
                        tracing::error!(connection = %self.connection, %error, "a renewed token could not be stored");
                        return Err(unavailable(error));
                    }
                },
            }
        }
    }

    async fn replace(
        &self,
        key: &str,
        seen: &Arc<Option<StoredProviderToken>>,
        token: &StoredToken,
    ) -> Result<bool, StorageError> {
        let (connection, now) = (self.connection, self.clock.now());
        let (key, seen, token) = (key.to_owned(), Arc::clone(seen), stored_form(token));
        self.storage
            .transact(&self.scope, move |tx| {
                let (key, seen, token) = (key.clone(), Arc::clone(&seen), token.clone());
                Box::pin(async move {
                    tx.replace_provider_token(connection, &key, seen.as_ref().as_ref(), &token, now).await
                })
            })
            .await
    }

    /// A lease that can't be given back ends by itself.
    async fn release(&self, key: &str, owner: Uuid) {
        let name = self.lease_name(key);
        let released = self.storage.transact::<_, StorageError, _>(&self.scope, move |tx| {
            let name = name.clone();
            Box::pin(async move { tx.release_lease(&name, owner).await })
        });
        if let Err(error) = released.await {
            tracing::warn!(connection = %self.connection, %error, "a token's lease could not be given back");
        }
    }

    fn lease_name(&self, key: &str) -> String {
        format!("token:{}:{key}", self.connection)
    }
}

/// The tokens of a connection that is not stored yet: kept here until it is, and stored with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewTokens {
    made: Arc<Mutex<BTreeMap<String, StoredToken>>>,
}

#[async_trait]
impl TokenPort for NewTokens {
    async fn get(&self, key: &str) -> Result<Option<StoredToken>, TokenError> {
        Ok(self.made.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    async fn renew(&self, key: &str, renew: Renew<'_>) -> Result<StoredToken, TokenError> {
        let token = renew(self.get(key).await?).await?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), token.clone());
        Ok(token)
    }
}

impl NewTokens {
    /// Stores them, in the transaction that stores their connection.
    pub(crate) async fn store(
        &self,
        tx: &Tx,
        connection: ConnectionId,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (key, token) in made {
            tx.replace_provider_token(connection, &key, None, &stored_form(&token), now).await?;
        }
        Ok(())
    }
}

/// The token of now, if it is not the one of before.
fn made_since(before: Option<&StoredProviderToken>, now: Option<&StoredProviderToken>) -> Option<StoredToken> {
    now.filter(|now| before.is_none_or(|before| !now.is(before))).map(given)
}

fn given(stored: &StoredProviderToken) -> StoredToken {
    let ProviderToken { secret, refresh, expires_at } = stored.token.clone();
    StoredToken { token: secret, refresh, expires_at }
}

fn stored_form(token: &StoredToken) -> ProviderToken {
    ProviderToken { secret: token.token.clone(), refresh: token.refresh.clone(), expires_at: token.expires_at }
}

/// Whether nothing needs to be stored, because the renewal found that it was done before.
fn same(stored: &ProviderToken, token: &StoredToken) -> bool {
    let plain = |secret: Option<&SecretString>| secret.map(|secret| secret.expose_secret().to_owned());
    stored.secret.expose_secret() == token.token.expose_secret()
        && plain(stored.refresh.as_ref()) == plain(token.refresh.as_ref())
        && stored.expires_at == token.expires_at
}

fn unavailable(error: StorageError) -> TokenError {
    TokenError(format!("it can't be read or stored now ({})", error.code()))
}

fn gone() -> TokenError {
    TokenError("its connection is gone".to_owned())
}

#[cfg(test)]
mod tests;
