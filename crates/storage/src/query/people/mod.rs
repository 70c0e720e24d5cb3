//! People and what is said: contacts, identities, conversations, messages, templates.

mod account_settings;
mod answers;
mod arrivals;
mod contacts;
mod conversations;
mod episodes;
mod facts;
mod filing;
mod identities;
mod join;
mod join_ledger;
mod lists;
mod meet;
mod message_changes;
mod message_walk;
mod messages;
mod named;
mod parked;
#[cfg(test)]
mod plans;
mod profile;
mod saved_replies;
mod search;
pub(super) mod statement;
mod tags;
mod templates;

pub use answers::{Earlier, KnownEarlier};
pub use arrivals::{NewConversation, Touched};
pub use contacts::{ContactQuery, StoredContact};
pub use conversations::{StoredConversation, Touch};
pub use episodes::{Episode, EpisodeEnd, EpisodeStart};
pub use facts::WindowColumns;
pub use lists::{ConversationQuery, Inbox, Sort, StatusFilter, TabCounts, WindowState};
pub use meet::{Meeting, Met, PersonSeed};
pub use messages::{NewMessage, StoredMessage, StoredPart, StoredReaction};
pub use parked::{MessageChange, ParkedChange};
pub(crate) use statement::Sql;
pub use templates::SyncCounts;
