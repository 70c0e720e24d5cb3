//! Readers and transactions: what every query hangs on.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    TransactionTrait,
};
use transom_domain::WorkspaceId;
use uuid::Uuid;

use crate::StorageError;
use crate::audit::Written;
use crate::query::Remembered;
use crate::vault::Vault;

/// Reads of one workspace, inside or outside a transaction. Its methods stand beside their tables, in `query/`.
pub struct Reader {
    pub(crate) conn: Conn,
    pub(crate) workspace: WorkspaceId,
    pub(crate) shared: Shared,
}

/// What all readers of a database have in common.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) vault: Arc<Vault>,
    pub(crate) remembered: Remembered,
}

impl Reader {
    pub(crate) fn in_tx(conn: DatabaseTransaction, workspace: WorkspaceId, shared: Shared) -> Self {
        Self { conn: Conn::in_tx(conn, Arc::default()), workspace, shared }
    }

    /// The workspace id as a column value: the first condition of every query.
    pub(crate) fn ws(&self) -> Uuid {
        self.workspace.uuid()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("workspace", &self.workspace).finish_non_exhaustive()
    }
}

/// One transaction of one workspace: writes and locks, and through [`Reader`] all reads.
#[derive(Debug)]
pub struct Tx {
    reader: Reader,
    /// Whether events were emitted and want numbers.
    emitted: Arc<AtomicBool>,
}

impl Deref for Tx {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Tx {
    pub(crate) fn new(conn: DatabaseTransaction, workspace: WorkspaceId, shared: Shared) -> Self {
        Self { reader: Reader::in_tx(conn, workspace, shared), emitted: Arc::default() }
    }

    pub(crate) fn mark_emitted(&self) {
        self.emitted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_emitted(&self) -> bool {
        self.emitted.load(Ordering::Relaxed)
    }

    /// What was written so far.
    pub(crate) fn written(&self) -> Written {
        self.conn.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs part of a transaction so that its failure undoes only what it did itself: one bad item among good ones.
    ///
    /// # Errors
    /// What the closure returned, or [`StorageError::Panicked`]. A conflict with another transaction is not healed here:
    /// it makes the whole transaction run again, whatever is done with the error.
    pub async fn savepoint<T, E, F>(&self, f: F) -> Result<T, E>
    where
        E: From<StorageError>,
        F: for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send,
    {
        let inner = self.conn.tx()?.begin().await.map_err(|e| self.conn.noted(e)).map_err(StorageError::from)?;
        let tx = Tx {
            reader: Reader {
                conn: Conn::in_tx(inner, Arc::clone(&self.conn.written)),
                workspace: self.workspace,
                shared: self.shared.clone(),
            },
            emitted: Arc::clone(&self.emitted),
        };
        let ran = AssertUnwindSafe(async { f(&tx).await }).catch_unwind().await;
        let (conn, trouble) = tx.into_parts();
        let undone = match (&ran, &trouble) {
            (Ok(Ok(_)), None) => conn.commit().await,
            _ => conn.rollback().await,
        };
        if let Err(error) = undone {
            return Err(StorageError::from(self.conn.noted(error)).into());
        }
        match (ran, trouble) {
            (Ok(Err(error)), trouble) => {
                trouble.into_iter().filter(Trouble::is_whole).for_each(|trouble| self.conn.note(trouble));
                Err(error)
            }
            (Ok(Ok(_)), Some(trouble)) => {
                let error = trouble.error();
                self.conn.note(trouble);
                Err(error.into())
            }
            (Ok(Ok(value)), None) => Ok(value),
            (Err(panic), _) => Err(StorageError::Panicked(panic_text(panic.as_ref())).into()),
        }
    }

    pub(crate) fn into_parts(self) -> (DatabaseTransaction, Option<Trouble>) {
        self.reader.conn.into_parts()
    }
}

/// Runs a closure once and says what to do with its transaction.
pub(crate) async fn run<T, E, F>(tx: &Tx, f: &mut F) -> Result<T, E>
where
    E: From<StorageError>,
    F: for<'a> FnMut(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send,
{
    match AssertUnwindSafe(async { f(tx).await }).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => {
            let text = panic_text(panic.as_ref());
            tracing::error!(workspace = %tx.workspace, panic = %text, "a transaction panicked and was undone");
            metrics::counter!("transom_panics_total", "where" => "transaction").increment(1);
            Err(StorageError::Panicked(text).into())
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// Why a transaction must not commit, whatever its closure made of the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A statement failed: PostgreSQL would answer COMMIT with a silent rollback, and both databases shall behave alike.
    Failed(String),
    /// Run it again.
    Conflict,
    /// The connection, the disk or the time is gone.
    Lost(Lost),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    Unavailable(String),
    Full,
    Timeout,
    Fatal(String),
}

impl Trouble {
    fn of(error: &StorageError) -> Self {
        match error {
            StorageError::Conflict => Trouble::Conflict,
            StorageError::Unavailable(why) => Trouble::Lost(Lost::Unavailable(why.clone())),
            StorageError::Full => Trouble::Lost(Lost::Full),
            StorageError::Timeout => Trouble::Lost(Lost::Timeout),
            StorageError::Fatal(why) => Trouble::Lost(Lost::Fatal(why.clone())),
            _ => Trouble::Failed(error.to_string()),
        }
    }

    /// Whether a savepoint can't contain it.
    fn is_whole(&self) -> bool {
        !matches!(self, Trouble::Failed(_) | Trouble::Lost(Lost::Timeout))
    }

    pub(crate) fn error(&self) -> StorageError {
        match self {
            Trouble::Failed(why) => StorageError::Database(format!("an earlier statement had failed: {why}")),
            Trouble::Conflict => StorageError::Conflict,
            Trouble::Lost(Lost::Unavailable(why)) => StorageError::Unavailable(why.clone()),
            Trouble::Lost(Lost::Full) => StorageError::Full,
            Trouble::Lost(Lost::Timeout) => StorageError::Timeout,
            Trouble::Lost(Lost::Fatal(why)) => StorageError::Fatal(why.clone()),
        }
    }
}

/// A pool or a transaction, which remembers the first trouble its statements met.
pub(crate) struct Conn {
    inner: Inner,
    trouble: Mutex<Option<Trouble>>,
    written: Arc<Mutex<Written>>,
}

enum Inner {
    Pool(DatabaseConnection),
    Tx(DatabaseTransaction),
}

impl Conn {
    pub(crate) fn pool(pool: DatabaseConnection) -> Self {
        Self { inner: Inner::Pool(pool), trouble: Mutex::default(), written: Arc::default() }
    }

    fn in_tx(tx: DatabaseTransaction, written: Arc<Mutex<Written>>) -> Self {
        Self { inner: Inner::Tx(tx), trouble: Mutex::default(), written }
    }

    fn see(&self, statement: &Statement) {
        if matches!(self.inner, Inner::Tx(_)) {
            self.written.lock().unwrap_or_else(PoisonError::into_inner).see(statement);
        }
    }

    fn tx(&self) -> Result<&DatabaseTransaction, StorageError> {
        match &self.inner {
            Inner::Tx(tx) => Ok(tx),
            Inner::Pool(_) => Err(StorageError::Database("there is no transaction to nest in".to_owned())),
        }
    }

    fn into_parts(self) -> (DatabaseTransaction, Option<Trouble>) {
        let trouble = self.trouble.into_inner().unwrap_or_else(PoisonError::into_inner);
        match self.inner {
            Inner::Tx(tx) => (tx, trouble),
            Inner::Pool(_) => unreachable!("only transactions are taken apart"),
        }
    }

    fn note(&self, trouble: Trouble) {
        let mut noted = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // The first failure is the cause; a conflict outranks it, since it can be healed by running again.
        if noted.is_none() || trouble == Trouble::Conflict {
            *noted = Some(trouble);
        }
    }

    fn noted(&self, error: DbErr) -> DbErr {
        self.note(Trouble::of(&StorageError::from(error.clone())));
        error
    }
}

macro_rules! delegate {
    ($self:ident, $inner:ident => $call:expr) => {{
        #[cfg(feature = "test-support")]
        crate::test_support::statements::count();
        match &$self.inner {
            Inner::Pool($inner) => $call.await,
            Inner::Tx($inner) => $call.await,
        }
        .map_err(|error| $self.noted(error))
    }};
}

#[async_trait]
impl ConnectionTrait for Conn {
    fn get_database_backend(&self) -> DbBackend {
        match &self.inner {
            Inner::Pool(pool) => pool.get_database_backend(),
            Inner::Tx(tx) => tx.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.see(&statement);
        delegate!(self, inner => inner.execute_raw(statement))
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        delegate!(self, inner => inner.execute_unprepared(sql))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.see(&statement);
        delegate!(self, inner => inner.query_one_raw(statement))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.see(&statement);
        delegate!(self, inner => inner.query_all_raw(statement))
    }
}
