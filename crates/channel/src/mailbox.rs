//! Mailboxes: where a platform that the service hosts itself leaves what its visitors are to see.

use std::fmt;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::Value;
use time::OffsetDateTime;

/// The mailboxes of one connection, and the keys that open them.
///
/// # Contract
/// - The numbers of a mailbox begin at 1 and have no gaps, whoever appends at the same time.
/// - An event whose key is there already is not appended again: it keeps its number. So an append can be repeated.
/// - What is [led](Self::lead) elsewhere is appended there from then on, by its old name too.
/// - A key is known by its SHA-256 only.
#[async_trait]
pub trait MailboxPort: fmt::Debug + Send + Sync + 'static {
    /// Appends events, in their order; the mailbox is made if it is not there. Each as it is stored now.
    ///
    /// # Errors
    /// [`MailboxError::Unknown`] where it may be stored after all.
    async fn append(&self, name: &str, events: Vec<MailboxEvent>) -> Result<Vec<MailboxEntry>, MailboxError>;

    /// Up to `limit` events with a number above `seq`, in order. A mailbox that is not there is empty.
    ///
    /// # Errors
    /// When it can't be read now.
    async fn read_after(&self, name: &str, seq: u64, limit: u32) -> Result<MailboxPage, MailboxError>;

    /// The event of a key, while it is kept.
    ///
    /// # Errors
    /// When it can't be read now.
    async fn event(&self, name: &str, key: &str) -> Result<Option<MailboxEntry>, MailboxError>;

    /// Says that something may have been appended, by whichever replica: at once by this one, within 500 ms by another.
    fn news(&self, name: &str) -> BoxStream<'static, ()>;

    /// Tells whoever reads a mailbox now, on any replica. It has no number, is stored nowhere, and may be lost.
    async fn whisper(&self, name: &str, data: Value);

    /// What is [whispered](Self::whisper) from now on.
    fn whispers(&self, name: &str) -> BoxStream<'static, Value>;

    /// Stores that the visitor's side has every event up to a number.
    ///
    /// # Errors
    /// When it can't be stored now.
    async fn ack(&self, name: &str, seq: u64) -> Result<(), MailboxError>;

    /// Stores that the visitor's side is there now. Nothing where nothing was ever appended.
    ///
    /// # Errors
    /// When it can't be stored now.
    async fn see(&self, name: &str) -> Result<(), MailboxError>;

    /// Leads a mailbox into another, unless it leads somewhere already; where it leads now.
    ///
    /// # Errors
    /// When it can't be stored now.
    async fn lead(&self, name: &str, to: &str) -> Result<String, MailboxError>;

    /// Makes a key for a mailbox, or changes for what and until when one is good.
    ///
    /// # Errors
    /// When it can't be stored now.
    async fn put_key(&self, hash: [u8; 32], opens: &MailboxKey) -> Result<(), MailboxError>;

    /// Whether a key that is good now opens a mailbox.
    ///
    /// # Errors
    /// When it can't be read now.
    async fn opens(&self, name: &str) -> Result<bool, MailboxError>;

    /// What a key opens now; `None` for one that is unknown or over.
    ///
    /// # Errors
    /// When it can't be read now.
    async fn key(&self, hash: [u8; 32]) -> Result<Option<MailboxKey>, MailboxError>;

    /// What a key opens now, and takes it away: of several who ask one gets it.
    ///
    /// # Errors
    /// When it can't be stored now.
    async fn take_key(&self, hash: [u8; 32]) -> Result<Option<MailboxKey>, MailboxError>;
}

/// An event to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxEvent {
    /// Unique in the mailbox.
    pub key: String,
    /// What the visitor's side gets.
    pub data: Value,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxEntry {
    /// Its number.
    pub seq: u64,
    /// Its key.
    pub key: String,
    /// What the visitor's side gets.
    pub data: Value,
    /// When it was appended.
    pub at: OffsetDateTime,
}

/// Events of a mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailboxPage {
    /// The events.
    pub entries: Vec<MailboxEntry>,
    /// The number of the newest event, 0 for none.
    pub last_seq: u64,
    /// Up to which number events may be gone: who has seen less has missed something.
    pub purged_to: u64,
    /// Up to which number the visitor's side has them.
    pub acked_seq: u64,
    /// The mailbox that gets what is appended here, where this one is led elsewhere.
    pub leads_to: Option<String>,
    /// When the visitor's side was last there.
    pub seen_at: Option<OffsetDateTime>,
}

/// What a key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxKey {
    /// The mailbox.
    pub name: String,
    /// Until when.
    pub until: OffsetDateTime,
}

/// A mailbox that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// Provably nothing was stored.
    #[error("the mailbox can't be reached: {0}")]
    Unavailable(String),
    /// It may have been stored.
    #[error("nobody knows whether the mailbox has it: {0}")]
    Unknown(String),
    /// There is more to store than can be stored; nothing was.
    #[error("the mailbox takes nothing more for a while")]
    Busy {
        /// When to come again, in milliseconds.
        retry_after_ms: u64,
    },
    /// The connection is gone, and its mailboxes with it.
    #[error("the connection is gone")]
    Closed,
}

/// No mailboxes at all: for platforms that others host.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMailbox;

const NONE: &str = "there are no mailboxes here";

#[async_trait]
impl MailboxPort for NoMailbox {
    async fn append(&self, _: &str, _: Vec<MailboxEvent>) -> Result<Vec<MailboxEntry>, MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }

    async fn read_after(&self, _: &str, _: u64, _: u32) -> Result<MailboxPage, MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }

    async fn event(&self, _: &str, _: &str) -> Result<Option<MailboxEntry>, MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }

    fn news(&self, _: &str) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }

    async fn whisper(&self, _: &str, _: Value) {}

    fn whispers(&self, _: &str) -> BoxStream<'static, Value> {
        stream::pending().boxed()
    }

    async fn ack(&self, _: &str, _: u64) -> Result<(), MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }

    async fn see(&self, _: &str) -> Result<(), MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }

    async fn lead(&self, _: &str, _: &str) -> Result<String, MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }

    async fn put_key(&self, _: [u8; 32], _: &MailboxKey) -> Result<(), MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }

    async fn opens(&self, _: &str) -> Result<bool, MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }

    async fn key(&self, _: [u8; 32]) -> Result<Option<MailboxKey>, MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }

    async fn take_key(&self, _: [u8; 32]) -> Result<Option<MailboxKey>, MailboxError> {
        Err(MailboxError::Unavailable(NONE.to_owned()))
    }
}
