//! What a channel gets from outside: time, ids, the network, files, tokens.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use transom_domain::{AttachmentId, Clock, Ids, SystemClock, UuidV7};
use url::Url;

use crate::http::HttpClient;
use crate::mailbox::{MailboxPort, NoMailbox};
use crate::outside::{OutsideClient, OutsideRules};

/// What a channel gets from outside. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn Ids>,
    /// The network.
    pub http: HttpClient,
    /// The network, for addresses that others name: what customers' calls hold, and what users type.
    pub outside: OutsideClient,
    /// Our own files.
    pub media: Arc<dyn MediaPort>,
    /// Tokens that must be renewed.
    pub tokens: Arc<dyn TokenPort>,
    /// Mailboxes, for platforms that the service hosts itself.
    pub mailbox: Arc<dyn MailboxPort>,
    /// Platform name to the address that stands in for its own; from the service's configuration only.
    pub endpoints: Arc<BTreeMap<String, Url>>,
}

impl Ports {
    /// The machine's clock and network, no files and no tokens: for embedders that send text.
    ///
    /// # Errors
    /// When no HTTP client can be built, such as without root certificates.
    pub fn system() -> Result<Self, crate::http::HttpSetupError> {
        Ok(Self {
            clock: Arc::new(SystemClock),
            ids: Arc::new(UuidV7),
            http: HttpClient::new()?,
            outside: OutsideClient::new(OutsideRules::default())?,
            media: Arc::new(NoMedia),
            tokens: Arc::new(NoTokens),
            mailbox: Arc::new(NoMailbox),
            endpoints: Arc::default(),
        })
    }

    /// Where a platform is reached: its own address, unless the configuration names another. Without a slash at the end.
    pub fn endpoint(&self, platform: &str, own: &str) -> String {
        self.endpoints.get(platform).map_or(own, Url::as_str).trim_end_matches('/').to_owned()
    }
}

/// Our own files, as channels see them.
#[async_trait]
pub trait MediaPort: fmt::Debug + Send + Sync + 'static {
    /// The bytes of a stored file.
    ///
    /// # Errors
    /// [`MediaError`] when it is not there or can't be read.
    async fn read(&self, id: AttachmentId) -> Result<MediaBytes, MediaError>;

    /// A public address of a stored file in a message of that time; `None` where the service has no public address.
    ///
    /// It is the same for every attempt, works for a year, since phones fetch a file as often as its chat is opened, and its
    /// path ends in a [`public_name`](crate::public_name).
    async fn public_url(&self, id: AttachmentId, accepted_at: OffsetDateTime) -> Result<Option<Url>, MediaError>;
}

/// A file's bytes with what is known about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaBytes {
    /// The bytes.
    pub bytes: Bytes,
    /// The MIME type.
    pub mime: String,
    /// The name, where there is one.
    pub file_name: Option<String>,
}

/// A file that can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// There is no such file, here or on the platform.
    #[error("the file is not there")]
    NotFound,
    /// It is larger than allowed.
    #[error("the file is larger than {max} bytes")]
    TooLarge {
        /// The limit in bytes.
        max: u64,
    },
    /// The bytes are not those that were announced.
    #[error("the file's bytes do not match their checksum")]
    Corrupt,
    /// It can't be read now.
    #[error("the file can't be read now: {0}")]
    Unavailable(String),
}

/// Tokens that must be renewed: read by all replicas, renewed by one at a time, stored before use.
///
/// A port belongs to one connection: the same key of another connection or workspace is another token. A key names what the
/// token is and what it depends on, such as a digest of the credentials: changed credentials then find no earlier token.
#[async_trait]
pub trait TokenPort: fmt::Debug + Send + Sync + 'static {
    /// The stored token, if it has not ended. A margin before its end is the channel's to set, in `expires_at`.
    ///
    /// # Errors
    /// When it can't be read now.
    async fn get(&self, key: &str) -> Result<Option<StoredToken>, TokenError>;

    /// Stores what `renew` gives, unless another renewed since this call began: then that one's token is given. One renewal
    /// runs at a time, in whatever replica; the others wait for what it stores. `renew` gets the token as it is stored by
    /// then, also one that has ended; if it fails, that one stays.
    ///
    /// # Errors
    /// Those of `renew`; when the renewal of another takes too long; when the token can't be stored.
    async fn renew(&self, key: &str, renew: Renew<'_>) -> Result<StoredToken, TokenError>;
}

impl dyn TokenPort {
    /// A token to send with: the stored one, or else a renewed one.
    ///
    /// `rejected` is the token that the platform has just refused though it had not ended: that one is not given again, and
    /// what another replica made of it meanwhile is not renewed once more.
    ///
    /// # Errors
    /// As [`renew`](TokenPort::renew).
    pub async fn usable(
        &self,
        key: &str,
        rejected: Option<&SecretString>,
        renew: Renew<'_>,
    ) -> Result<StoredToken, TokenError> {
        if let Some(token) = self.accepted(key, rejected).await? {
            return Ok(token);
        }
        // Looked at once more by whoever's turn it is: another may have been done before this renewal began.
        let unless_done: Renew<'_> = Box::new(move |old| {
            Box::pin(async move {
                match self.accepted(key, rejected).await? {
                    Some(token) => Ok(token),
                    None => renew(old).await,
                }
            })
        });
        self.renew(key, unless_done).await
    }

    async fn accepted(&self, key: &str, rejected: Option<&SecretString>) -> Result<Option<StoredToken>, TokenError> {
        let is_other = |token: &StoredToken| {
            rejected.is_none_or(|rejected| rejected.expose_secret() != token.token.expose_secret())
        };
        Ok(self.get(key).await?.filter(is_other))
    }
}

/// Makes a new token from the old one.
pub type Renew<'r> = Box<
    dyn FnOnce(Option<StoredToken>) -> futures_util::future::BoxFuture<'r, Result<StoredToken, TokenError>> + Send + 'r,
>;

/// A token with its end.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// The token.
    pub token: SecretString,
    /// What the next one is made from, where tokens rotate.
    pub refresh: Option<SecretString>,
    /// When it ends; `None`: never.
    pub expires_at: Option<OffsetDateTime>,
}

/// A token that can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no token: {0}")]
pub struct TokenError(pub String);

/// No stored files at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMedia;

#[async_trait]
impl MediaPort for NoMedia {
    async fn read(&self, _: AttachmentId) -> Result<MediaBytes, MediaError> {
        Err(MediaError::NotFound)
    }

    async fn public_url(&self, _: AttachmentId, _: OffsetDateTime) -> Result<Option<Url>, MediaError> {
        Ok(None)
    }
}

/// No tokens to renew.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTokens;

#[async_trait]
impl TokenPort for NoTokens {
    async fn get(&self, _: &str) -> Result<Option<StoredToken>, TokenError> {
        Ok(None)
    }

    async fn renew(&self, _: &str, renew: Renew<'_>) -> Result<StoredToken, TokenError> {
        renew(None).await
    }
}
