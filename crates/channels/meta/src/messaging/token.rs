//! A Page's own token.

use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use serde::Deserialize;

use crate::{Graph, GraphFailure};

/// The client that speaks for one Page.
///
/// Messages need the Page's own token (messenger.md 2). A connection holds the token of a system user, which several Pages may
/// share, or a Page's own; either of them may ask the Page for its token, and that one is used from then on.
#[derive(Debug)]
pub struct NodeToken {
    given: Graph,
    own: Mutex<Option<Graph>>,
}

#[derive(Deserialize)]
struct Node {
    access_token: Option<String>,
}

impl NodeToken {
    /// With the connection's token.
    pub fn new(given: Graph) -> Self {
        Self { given, own: Mutex::new(None) }
    }

    /// The client with the Page's token. Asked for once; a token that shows none of its own is used as it is.
    ///
    /// # Errors
    /// [`GraphFailure`]; nothing was sent.
    pub async fn graph(&self, page: &str) -> Result<Graph, GraphFailure> {
        if let Some(own) = self.known() {
            return Ok(own);
        }
        let node: Node = self.given.get(page, &[("fields", "access_token")]).await?;
        let own = match node.access_token.filter(|token| !token.trim().is_empty()) {
            Some(token) => self.given.with_token(SecretString::from(token)),
            None => self.given.clone(),
        };
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own.clone());
        Ok(own)
    }

    /// Asks anew next time: a Page's token ends when an administrator changes a password.
    pub fn forget(&self) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn known(&self) -> Option<Graph> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
