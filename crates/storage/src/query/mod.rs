//! Queries, one file a group of tables: reads on [`Reader`](crate::Reader), writes on [`Tx`](crate::Tx).
//!
//! Every condition begins with the workspace of the reader. Rows stay here; what comes out is a domain type or a plain
//! struct beside its queries.

mod agents;
mod attachments;
mod bots;
mod broadcasts;
mod connections;
mod dedupe;
mod erasure;
mod events;
mod followers;
mod idempotency;
mod jobs;
mod journal;
mod journal_search;
mod leases;
mod mailboxes;
mod people;
mod provider_tokens;
mod pull;
mod quarantine;
mod removal;
mod routing;
mod sending;
mod tokens;
mod webhooks_out;
mod workspaces;

pub use agents::StoredAgent;
pub use attachments::{AttachmentState, Fetched, NewAttachment, ReceivedFile, StoredAttachment, ToFetch};
pub use broadcasts::{BroadcastPlan, BroadcastRecipient, BroadcastState, Hold, RecipientCount, StoredBroadcast};
pub use connections::{Secrets, StoredConnection};
pub use dedupe::EventKey;
pub use erasure::{Sweep, ToldOf, Traces};
pub(crate) use events::{BATCH, number_events, unnumbered_workspaces};
pub use events::{NewEvent, NumberedEvent};
pub use idempotency::{Idempotency, IdempotencyKey, StoredAnswer};
pub use jobs::{ItemState, Job, JobItem, JobKind, JobState};
pub use journal::{CallOutcome, CallSource, JournalCall, Left, NewCall, StoredCall, Waiting};
pub(crate) use journal::{CallRow, insert_calls};
pub use journal_search::{CallLine, CallPage, CallPlace, CallQuery, CallState};
pub use leases::Lease;
pub use mailboxes::{Mailbox, NewMail, StoredMail};
pub(crate) use people::Remembered;
#[cfg(feature = "test-support")]
pub(crate) use people::marks_of_terms;
pub(crate) use people::statement::{Sql, run_of};
#[allow(unused_imports, unreachable_pub, reason = "filled by its own files")]
pub use people::*;
pub use provider_tokens::{ProviderToken, StoredProviderToken};
pub use quarantine::{NewQuarantine, QuarantineQuery, QuarantineState, StoredQuarantine};
pub use removal::RemovedAccount;
#[allow(unused_imports, unreachable_pub, reason = "filled by its own files")]
pub use sending::*;
pub use tokens::{Authenticated, NewToken, StoredToken};
pub use webhooks_out::{
    DeliveryAttempt, Endpoint, EndpointSecrets, Health, NewAttempt, QueueState, StoredDelivery, StoredEndpoint,
};
pub use workspaces::NewWorkspace;

use sea_orm::{ConnectionTrait, Statement, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::StorageError;
use crate::instant::Millis;

/// A statement written by hand, for what the query builder can't say; `$1`, `$2`, … stand for the values on both databases.
pub(crate) fn sql<V>(db: &impl ConnectionTrait, text: &str, values: V) -> Statement
where
    V: IntoIterator<Item = Value>,
{
    Statement::from_sql_and_values(db.get_database_backend(), text, values)
}

/// A value of a JSON column as its type.
pub(crate) fn from_json<T: DeserializeOwned>(
    value: serde_json::Value,
    (table, column, row): (&'static str, &'static str, Uuid),
) -> Result<T, StorageError> {
    serde_json::from_value(value).map_err(|error| unreadable((table, column, row), error.to_string()))
}

/// A typed value for a JSON column.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<serde_json::Value, StorageError> {
    serde_json::to_value(value).map_err(|error| StorageError::Database(format!("not storable as JSON: {error}")))
}

pub(crate) fn unreadable(
    (table, column, row): (&'static str, &'static str, Uuid),
    reason: impl Into<String>,
) -> StorageError {
    StorageError::Unreadable { table, column, row, reason: reason.into() }
}

/// An instant as a bound value.
pub(crate) fn millis(at: OffsetDateTime) -> Value {
    Millis::from(at).into()
}
