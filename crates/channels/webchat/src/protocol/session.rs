//! How a visitor's side and the service begin with each other.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The first frame of a socket, and the body of a new session (webchat.md 4).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// The protocol's version, 1.
    pub v: u8,
    /// The visitor's token.
    pub token: Option<String>,
    /// Who the visitor is, with the site's proof.
    pub identity: Option<ClaimedIdentity>,
    /// The newest event that is stored on the visitor's side.
    pub last_seq: Option<u64>,
    /// What the visitor says of themselves: believed by nobody.
    pub profile: ClaimedProfile,
    /// The device, in words.
    pub device: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// The page that is open.
    pub page: Option<Page>,
}

/// Who a visitor claims to be (webchat.md 3).
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClaimedIdentity {
    /// A signed statement of the site.
    pub jwt: Option<String>,
    /// The site's own id of the person.
    pub external_id: Option<String>,
    /// The site's HMAC over that id.
    pub user_hash: Option<String>,
}

impl std::fmt::Debug for ClaimedIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimedIdentity").finish_non_exhaustive()
    }
}

/// What a visitor says of themselves (webchat.md 3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimedProfile {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// BCP 47 language tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// The page that a visitor has open (webchat.md 3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Page {
    /// Its address.
    pub url: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Where the visitor came from.
    pub referrer: Option<String>,
}

/// The answer to `hello` (webchat.md 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Who the visitor is here.
    pub visitor_id: String,
    /// A new token to keep; left out where the one that was shown stays good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether the site has proven who the visitor is.
    pub verified: bool,
    /// The service's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub server_time: OffsetDateTime,
    /// Whether the events after `last_seq` follow.
    pub resume: Resume,
    /// The number of the newest event.
    pub last_seq: u64,
    /// The visitor's conversations.
    pub conversations: Vec<ConversationView>,
    /// What the widget goes by.
    pub settings: WelcomeSettings,
}

/// Whether a visitor's side goes on where it was (webchat.md 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resume {
    /// What it missed follows.
    Ok,
    /// Fetch the history, and go on from `last_seq`.
    Reset,
}

/// A conversation as its visitor sees it (webchat.md 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationView {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub status: ConversationStatus,
}

/// How a conversation stands (webchat.md 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationStatus {
    /// It waits for somebody.
    Open,
    /// Somebody has it.
    Assigned,
    /// It is over, until somebody writes.
    Closed,
}

/// What the widget goes by (webchat.md 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeSettings {
    /// Nobody answers now.
    pub offline: bool,
    /// For how many days events can be resumed.
    pub retention_days: u32,
    /// The largest upload, in bytes.
    pub max_upload: u64,
    /// How often to send `ping`, in seconds.
    pub heartbeat_s: u32,
}
