//! A Page's own token.

use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use serde::Deserialize;
use transom_channel::SendError;

use crate::{Graph, GraphFailure};

/// The client that speaks for one Page.
///
/// Messages need the Page's own token (messenger.md 2). A connection holds the token of a system user, which several Pages may
/// share, or a Page's own; either of them may ask the Page for its token, and that one is used from then on.
#[derive(Debug)]
pub struct NodeToken {
    given: Graph,
    own: Mutex<Own>,
}

#[derive(Debug, Default)]
struct Own {
    graph: Option<Graph>,
    /// The one before was refused, and nothing has succeeded since.
    is_second: bool,
}

#[derive(Deserialize)]
struct Node {
    access_token: Option<String>,
}

impl NodeToken {
    /// With the connection's token.
    pub fn new(given: Graph) -> Self {
        Self { given, own: Mutex::default() }
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
        self.own.lock().unwrap_or_else(PoisonError::into_inner).graph = Some(own.clone());
        Ok(own)
    }

    /// The token of this client was refused: a Page's token ends when an administrator changes a password. It is asked for anew
    /// next time. Whether that may help: not where it has just been asked for anew.
    pub fn refused(&self, used: &Graph) -> bool {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.graph.as_ref().is_none_or(|own| !own.speaks_as(used)) {
            // Another message heard of it first.
            return true;
        }
        *own = Own { graph: None, is_second: !own.is_second };
        own.is_second
    }

    /// It works.
    pub fn accepted(&self) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).is_second = false;
    }

    fn known(&self) -> Option<Graph> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).graph.clone()
    }
}

/// A refusal of a token that will be asked for anew: the message is tried again, and the account is not held up.
pub fn again_with_another_token(refused: SendError) -> SendError {
    match refused {
        SendError::AuthFailed { report } => SendError::Temporary { report },
        other => other,
    }
}
