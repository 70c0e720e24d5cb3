//! Tokens for channels whose credentials end.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use transom_domain::Clock;

use crate::{Renew, StoredToken, TokenError, TokenPort};

/// Tokens in memory, for [`Ports::tokens`](crate::Ports::tokens): kept until they end, and renewed one at a time.
#[derive(Debug)]
pub struct Tokens {
    kept: Mutex<HashMap<String, StoredToken>>,
    /// What the next call finds instead.
    earlier: Mutex<Option<HashMap<String, StoredToken>>>,
    /// Held while a token is renewed; who renews looks at the kept ones once more.
    turn: Mutex<()>,
    clock: Arc<dyn Clock>,
}

impl Tokens {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { kept: Mutex::default(), earlier: Mutex::default(), turn: Mutex::default(), clock }
    }

    /// All of this instant, by key.
    pub async fn all(&self) -> HashMap<String, StoredToken> {
        self.kept.lock().await.clone()
    }

    /// The next call finds these: as one that looked before a renewal, and whose request comes after it.
    pub async fn look_back(&self, earlier: HashMap<String, StoredToken>) {
        *self.earlier.lock().await = Some(earlier);
    }
}

#[async_trait]
impl TokenPort for Tokens {
    async fn get(&self, key: &str) -> Result<Option<StoredToken>, TokenError> {
        if let Some(earlier) = self.earlier.lock().await.take() {
            return Ok(earlier.get(key).cloned());
        }
        let now = self.clock.now();
        let kept = self.kept.lock().await.get(key).cloned();
        Ok(kept.filter(|token| token.expires_at.is_none_or(|end| now < end)))
    }

    async fn renew(&self, key: &str, renew: Renew<'_>) -> Result<StoredToken, TokenError> {
        let _turn = self.turn.lock().await;
        let old = self.kept.lock().await.get(key).cloned();
        let token = renew(old).await?;
        self.kept.lock().await.insert(key.to_owned(), token.clone());
        Ok(token)
    }
}
