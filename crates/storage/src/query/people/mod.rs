//! People and what is said: contacts, identities, conversations, messages, templates.

mod account_settings;
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
mod messages;
mod named;
#[cfg(test)]
mod plans;
mod profile;
mod saved_replies;
mod search;
mod statement;
mod tags;
mod templates;

pub use contacts::{ContactQuery, StoredContact};
pub use conversations::{StoredConversation, Touch};
pub use episodes::{Episode, EpisodeEnd, EpisodeStart};
pub use facts::WindowColumns;
pub use lists::{ConversationQuery, Inbox, Sort, StatusFilter, TabCounts, WindowState};
pub use meet::{Met, PersonSeed};
pub use messages::{NewMessage, StoredMessage, StoredPart, StoredReaction};
pub(crate) use statement::Sql;
pub use templates::SyncCounts;
