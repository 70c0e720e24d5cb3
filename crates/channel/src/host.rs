//! What the service lends to a platform that it hosts itself.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use time::OffsetDateTime;
use transom_domain::{Address, AttachmentId, Content, MessageId, Status};
use url::Url;

use crate::{Ports, SettingValues};

/// What the service lends to a platform that it hosts itself: the routes of such a platform reach the desk through this only.
///
/// A site is named by the public id of its connection, as webhook addresses have it.
#[async_trait]
pub trait Host: fmt::Debug + Send + Sync + 'static {
    /// The account behind a key, if it is of this platform and can be used now. `account` is how the platform names it, where a
    /// connection has several.
    ///
    /// # Errors
    /// [`HostError`] when that can't be read now.
    async fn site(&self, platform: &str, key: &str, account: Option<&str>) -> Result<Option<Site>, HostError>;

    /// Takes a call in as if it had come to the site's webhook address: verified, and stored once this returns.
    ///
    /// # Errors
    /// [`HostError::Refused`] where it can't be verified.
    async fn report(&self, key: &str, headers: HeaderMap, body: Bytes) -> Result<(), HostError>;

    /// The visitor of these addresses types, or does no longer: whoever of the business looks now sees it. Nothing is stored.
    ///
    /// # Errors
    /// [`HostError`] when who that is can't be read now.
    async fn typing(&self, site: &Site, addresses: &[Address], on: bool) -> Result<(), HostError>;

    /// What is known of the person of these addresses; `None` while nobody is.
    ///
    /// # Errors
    /// [`HostError`] when that can't be read now.
    async fn acquaintance(&self, site: &Site, addresses: &[Address]) -> Result<Option<Acquaintance>, HostError>;

    /// The newest `limit` messages that the person of these addresses and the business have exchanged, the newest first: notes and
    /// what never left are none of them. Parts of one message stay together, so there may be a few more.
    ///
    /// # Errors
    /// [`HostError`] when that can't be read now.
    async fn history(
        &self,
        site: &Site,
        addresses: &[Address],
        before: Option<MessageId>,
        limit: u16,
    ) -> Result<Vec<Exchanged>, HostError>;

    /// Keeps a file of a visitor's. Its type is read from the bytes, and has to be one of `accepted`.
    ///
    /// # Errors
    /// [`HostError::MediaType`], [`HostError::TooLarge`].
    async fn keep(&self, site: &Site, file: NewFile, accepted: &[&str]) -> Result<KeptFile, HostError>;

    /// A file that was kept.
    ///
    /// # Errors
    /// [`HostError`] when that can't be read now.
    async fn kept(&self, site: &Site, file: AttachmentId) -> Result<Option<KeptFile>, HostError>;

    /// Where a file can be read for a while by whoever has the address.
    fn file_url(&self, site: &Site, file: AttachmentId) -> Option<Url>;

    /// How the service is reached from outside.
    fn base_url(&self) -> &Url;

    /// Ends once the service is asked to stop.
    fn stopping(&self) -> BoxFuture<'static, ()>;
}

/// An account of a hosted platform.
#[derive(Debug, Clone)]
pub struct Site {
    /// The public id of its connection.
    pub key: String,
    /// How the platform names the account.
    pub account: String,
    /// The name that people gave it.
    pub name: String,
    /// Settings and secrets.
    pub settings: SettingValues,
    /// Its connection's ports.
    pub ports: Ports,
}

/// What is known of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquaintance {
    /// Whether we block them.
    pub blocked: bool,
    /// How their conversation stands, if there is one; whether somebody has it.
    pub conversation: Option<(Status, bool)>,
}

/// A message that was exchanged.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchanged {
    /// Its id, to go on from.
    pub message: MessageId,
    /// How the platform names it.
    pub provider_id: String,
    /// Whose it is.
    pub from: Exchanger,
    /// The name it was signed with.
    pub sender_name: Option<String>,
    /// What it says.
    pub content: Content,
    /// When.
    pub at: OffsetDateTime,
}

/// Whose a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchanger {
    /// The visitor's.
    Visitor,
    /// A person's of the business.
    Agent,
    /// A machine's of the business.
    Bot,
}

/// A file that a visitor sends.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// The bytes.
    pub bytes: Bytes,
    /// What its sender calls it.
    pub file_name: Option<String>,
    /// The MIME type that its sender claims.
    pub mime: Option<String>,
}

/// A file that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Its id.
    pub id: AttachmentId,
    /// Its MIME type, by its bytes.
    pub mime: String,
    /// Its name.
    pub file_name: Option<String>,
    /// Its size in bytes.
    pub size: u64,
}

/// What the service could not do for a hosted platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Not now: try again.
    #[error("the service can't do this now: {0}")]
    Unavailable(String),
    /// Never.
    #[error("refused: {0}")]
    Refused(String),
    /// A file of another type than those that are taken.
    #[error("files of type {mime} are not taken")]
    MediaType {
        /// The type that the bytes show.
        mime: String,
    },
    /// A file over the limit of the service.
    #[error("files over {max} bytes are not taken")]
    TooLarge {
        /// The limit in bytes.
        max: u64,
    },
}
