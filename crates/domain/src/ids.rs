//! Ids: UUIDs of version 7, made by us and never by a database, one type a noun.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A source of new ids, increasing over time.
pub trait Ids: fmt::Debug + Send + Sync + 'static {
    /// A new id, unique everywhere.
    fn next(&self) -> Uuid;
}

/// UUIDs of version 7 (RFC 9562): 48 bits of time, then random bits; increasing within one process.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidV7;

impl Ids for UuidV7 {
    #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Ids that count up from a seed, for tests that compare whole outputs.
#[derive(Debug)]
pub struct CountingIds {
    seed: u64,
    next: AtomicU64,
}

impl CountingIds {
    /// Two sources with different seeds never make the same id.
    pub fn new(seed: u64) -> Self {
        Self { seed, next: AtomicU64::new(1) }
    }
}

impl Ids for CountingIds {
    fn next(&self) -> Uuid {
        Uuid::from_u64_pair(self.seed << 16 | 0x7000, 0x8000_0000_0000_0000 | self.next.fetch_add(1, Ordering::SeqCst))
    }
}

/// A text that should have been an id and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: a UUID is expected, for example 0192e4a0-7b5a-7c3e-8f00-000000000001")]
pub struct InvalidId(String);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id.
            pub fn new(ids: &dyn Ids) -> Self {
                Self(ids.next())
            }

            /// The id as a UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId(text.chars().take(64).collect()))
            }
        }
    )* };
}

ids! {
    /// One tenant: nothing of it is visible to another.
    WorkspaceId;
    /// A person, bot or integration that acts in a workspace.
    AgentId;
    /// A group of agents.
    TeamId;
    /// A customer.
    ContactId;
    /// A customer on one channel account.
    IdentityId;
    /// An app on a platform: its secrets and webhook address, with one or more accounts.
    ConnectionId;
    /// One number, page, bot or mailbox.
    ChannelAccountId;
    /// A thread with one identity, reopened again and again.
    ConversationId;
    /// One stretch of a conversation from its opening to its close.
    EpisodeId;
    /// A reply, a note or an activity in a conversation.
    MessageId;
    /// What one request to a platform carries of a message.
    PartId;
    /// One try to hand a part to a platform.
    AttemptId;
    /// A message template as the platform keeps it.
    TemplateId;
    /// A text kept for reuse.
    SavedReplyId;
    /// A field that a workspace has made for its contacts.
    CustomFieldId;
    /// A label that contacts can have.
    LabelId;
    /// Two contacts made one.
    MergeId;
    /// What a customer once allowed or forbade.
    ConsentId;
    /// A change in a workspace, as streams show it.
    EventId;
    /// An API token.
    TokenId;
    /// One raw webhook call as it was received.
    JournalId;
    /// Something received that could not be used.
    QuarantineId;
    /// A file that belongs to a message.
    AttachmentId;
    /// A rule for automatic assignment.
    AssignmentRuleId;
    /// One text to many.
    BroadcastId;
    /// Work on many things that outlives its request.
    JobId;
    /// An address that is told what happens.
    EndpointId;
    /// One line of the audit log.
    AuditId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_and_survive_text() {
        let ids: Vec<MessageId> = (0..1_000).map(|_| MessageId::new(&UuidV7)).collect();
        assert!(ids.is_sorted());
        let first = ids[0];
        assert_eq!(first.to_string().parse(), Ok(first));
    }

    #[test]
    fn a_bad_id_says_what_is_expected() {
        let error = "not-an-id".parse::<ContactId>().unwrap_err().to_string();
        assert!(error.contains("`not-an-id`") && error.contains("UUID"), "{error}");
    }

    #[test]
    fn counting_ids_differ_by_seed() {
        assert_ne!(CountingIds::new(1).next(), CountingIds::new(2).next());
    }
}
