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
    clock: Arc<dyn Clock>,
}

impl Tokens {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { kept: Mutex::default(), clock }
    }
}

#[async_trait]
impl TokenPort for Tokens {
    async fn get(&self, key: &str) -> Result<Option<StoredToken>, TokenError> {
        let now = self.clock.now();
        let kept = self.kept.lock().await.get(key).cloned();
        Ok(kept.filter(|token| token.expires_at.is_none_or(|end| now < end)))
    }

    async fn renew(&self, key: &str, renew: Renew<'_>) -> Result<StoredToken, TokenError> {
        let mut kept = self.kept.lock().await;
        let token = renew(kept.get(key).cloned()).await?;
        kept.insert(key.to_owned(), token.clone());
        Ok(token)
    }
}
