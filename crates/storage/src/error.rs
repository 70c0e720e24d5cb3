//! What can go wrong with a database, sorted by what the caller can do about it.

use sea_orm::{DbErr, RuntimeErr};
use uuid::Uuid;

use crate::vault::VaultError;

/// Why something could not be read or stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The database can't be reached, or the connection broke before the commit: nothing was stored.
    #[error("the database can't be reached: {0}")]
    Unavailable(String),
    /// The disk is full. Reads go on; writes work again as soon as there is room.
    #[error("the disk of the database is full")]
    Full,
    /// Others changed the same rows, five times in a row: nothing was stored.
    #[error("others kept changing the same rows, nothing was stored")]
    Conflict,
    /// A statement or a job took longer than it may: nothing was stored.
    #[error("the database took too long, nothing was stored")]
    Timeout,
    /// The answer to COMMIT was lost: read back by the transaction's own unique key before repeating it.
    #[error("the answer to the commit was lost, it may have been stored")]
    CommitUnknown,
    /// Such a row exists; the text names the constraint.
    #[error("it exists already: {0}")]
    Duplicate(String),
    /// A row that this one refers to is missing, or is still referred to.
    #[error("a row that is referred to is missing, or a row is still in use: {0}")]
    MissingReference(String),
    /// The disk or the file is broken. Stop accepting and exit: going on would promise what is not stored.
    #[error("the database's disk or file is broken: {0}")]
    Fatal(String),
    /// The closure panicked; what it wrote was undone.
    #[error("a transaction panicked: {0}")]
    Panicked(String),
    /// A stored value makes no sense to this version.
    #[error("{table}.{column} of row {row} can't be read: {reason}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        row: Uuid,
        /// What is wrong with it.
        reason: String,
    },
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The schema is older or newer than this program.
    #[error("the schema does not fit this version: run `transom migrate` ({0})")]
    Schema(String),
    /// The configuration can't work.
    #[error("{0}")]
    Config(String),
    /// Anything else the database said.
    #[error("the database refused a statement: {0}")]
    Database(String),
}

impl StorageError {
    /// A stable name for logs and API errors.
    pub fn code(&self) -> &'static str {
        match self {
            StorageError::Unavailable(_) => "storage_unavailable",
            StorageError::Full => "storage_full",
            StorageError::Conflict => "storage_conflict",
            StorageError::Timeout => "storage_timeout",
            StorageError::CommitUnknown => "commit_unknown",
            StorageError::Duplicate(_) => "duplicate",
            StorageError::MissingReference(_) => "missing_reference",
            StorageError::Fatal(_) => "storage_fatal",
            StorageError::Panicked(_) => "panicked",
            StorageError::Unreadable { .. } => "unreadable_row",
            StorageError::Vault(_) => "vault",
            StorageError::Schema(_) => "schema",
            StorageError::Config(_) => "storage_config",
            StorageError::Database(_) => "database",
        }
    }

    /// Whether nothing was stored and the same call may work in a moment.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            StorageError::Unavailable(_) | StorageError::Full | StorageError::Conflict | StorageError::Timeout
        )
    }

    /// The same failure for another caller: one lost commit answers a whole group.
    pub(crate) fn again(&self) -> Self {
        match self {
            StorageError::Unavailable(why) => StorageError::Unavailable(why.clone()),
            StorageError::Full => StorageError::Full,
            StorageError::Conflict => StorageError::Conflict,
            StorageError::Timeout => StorageError::Timeout,
            StorageError::CommitUnknown => StorageError::CommitUnknown,
            StorageError::Fatal(why) => StorageError::Fatal(why.clone()),
            StorageError::Schema(why) => StorageError::Schema(why.clone()),
            other => StorageError::Database(other.to_string()),
        }
    }
}

impl From<DbErr> for StorageError {
    fn from(error: DbErr) -> Self {
        use sqlx::Error as E;
        let runtime = match &error {
            DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
            DbErr::ConnectionAcquire(why) => return StorageError::Unavailable(why.to_string()),
            _ => return StorageError::Database(error.to_string()),
        };
        let RuntimeErr::SqlxError(error) = runtime else { return StorageError::Database(error.to_string()) };
        match error.as_ref() {
            E::Database(refusal) => match refusal.code() {
                Some(code) if code.len() == 5 => of_sqlstate(&code, refusal.message()),
                Some(code) => of_sqlite(code.parse().unwrap_or(0), refusal.message()),
                None => StorageError::Database(refusal.message().to_owned()),
            },
            E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
                StorageError::Unavailable(error.to_string())
            }
            _ => StorageError::Database(error.to_string()),
        }
    }
}

/// PostgreSQL's codes (documentation, appendix A).
fn of_sqlstate(code: &str, message: &str) -> StorageError {
    match code {
        "40001" | "40P01" => StorageError::Conflict,
        "40003" => StorageError::CommitUnknown,
        "23505" => StorageError::Duplicate(message.to_owned()),
        "23503" => StorageError::MissingReference(message.to_owned()),
        "57014" | "55P03" | "25P03" => StorageError::Timeout,
        "53100" => StorageError::Full,
        "58030" | "XX001" | "XX002" => StorageError::Fatal(message.to_owned()),
        "42P01" | "42703" => StorageError::Schema(message.to_owned()),
        // 08 connection exceptions, 53 out of resources, 57P administrator's shutdown and crash
        _ if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
            StorageError::Unavailable(message.to_owned())
        }
        _ => StorageError::Database(format!("{message} ({code})")),
    }
}

/// SQLite's extended result codes (sqlite.org/rescode.html).
fn of_sqlite(code: u32, message: &str) -> StorageError {
    const IOERR_SHMSIZE: u32 = 4874;
    match (code, code & 0xff) {
        (1555 | 2067, _) => StorageError::Duplicate(message.to_owned()),
        (787, _) => StorageError::MissingReference(message.to_owned()),
        // The shared-memory file of the WAL could not grow: a full disk in other words.
        (_, 13) | (IOERR_SHMSIZE, _) => StorageError::Full,
        (_, 5 | 6) => StorageError::Conflict,
        (_, 8 | 10 | 11 | 26) => StorageError::Fatal(format!("{message} ({code})")),
        (_, 14) => StorageError::Unavailable(message.to_owned()),
        _ if message.contains("no such table") || message.contains("no such column") => {
            StorageError::Schema(message.to_owned())
        }
        _ => StorageError::Database(format!("{message} ({code})")),
    }
}
