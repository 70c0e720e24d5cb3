//! SQLite: readers that only read, and one writer that commits what is waiting as one transaction.
//!
//! ```text
//!  callers ──► queue ──► BEGIN IMMEDIATE ─► savepoint, job, release ─► … ─► number events ─► COMMIT ──► answers
//! ```
//! A lone job needs no savepoint. Answers go out after the commit, so what was answered survives a power cut
//! (`synchronous=FULL`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use transom_domain::WorkspaceId;

use crate::StorageError;
use crate::query::{BATCH, CallRow, insert_calls, number_events, run_of};
use crate::retry;
use crate::tx::{self, Shared, Trouble, Tx};

/// A group takes no further job after this many or this long.
const GROUP_JOBS: usize = 100;
const GROUP_TIME: Duration = Duration::from_millis(5);
/// A job that takes longer holds up everybody: it is undone.
const JOB_TIME: Duration = Duration::from_secs(10);
/// How many jobs may wait; beyond that callers wait for a place.
const QUEUE: usize = 4_096;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Opens a pool on the file. The writer's makes the file and has one connection.
///
/// SQLite doesn't wait its busy timeout where a new file turns to write-ahead logging while another opens it too, so the
/// waiting is done here.
async fn connect(path: &Path, connections: u32, writes: bool) -> Result<DatabaseConnection, StorageError> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connect_once(path, connections, writes).await {
            Err(StorageError::Conflict) if Instant::now() < until => tokio::time::sleep(BUSY_PAUSE).await,
            done => return done,
        }
    }
}

async fn connect_once(path: &Path, connections: u32, writes: bool) -> Result<DatabaseConnection, StorageError> {
    let mut options = ConnectOptions::new("sqlite:");
    options.min_connections(1).max_connections(connections).sqlx_logging(false).test_before_acquire(false);
    options.acquire_timeout(Duration::from_secs(10)).idle_timeout(None).max_lifetime(None);
    let path = path.to_path_buf();
    options.map_sqlx_sqlite_opts(move |options| {
        options
            .filename(&path)
            .create_if_missing(writes)
            .read_only(!writes)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(512)
    });
    let db = Database::connect(options).await?;
    for (pragma, expected) in
        [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("busy_timeout", "5000")]
    {
        let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {pragma}"))).await?;
        let value = row.map(|row| {
            row.try_get_by_index::<String>(0).or_else(|_| row.try_get_by_index::<i64>(0).map(|n| n.to_string()))
        });
        let value = value.transpose()?.unwrap_or_default();
        if value != expected {
            return Err(StorageError::Config(format!("SQLite's `{pragma}` is `{value}` and must be `{expected}`")));
        }
    }
    Ok(db)
}

/// The readers' pool and the way to the writer.
#[derive(Debug, Clone)]
pub(crate) struct Sqlite {
    pub(crate) readers: DatabaseConnection,
    work: mpsc::Sender<Work>,
}

impl Sqlite {
    pub(crate) async fn open(
        path: &Path,
        readers: u32,
        shared: Shared,
        hints: broadcast::Sender<WorkspaceId>,
        fatal: watch::Sender<Option<String>>,
    ) -> Result<Self, StorageError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| StorageError::Config(format!("`{}` can't be made: {error}", folder.display())))?;
        }
        let db = connect(path, 1, true).await?;
        let readers = connect(path, readers.max(1), false).await?;
        let (work, queue) = mpsc::channel(QUEUE);
        tokio::spawn(Writer { db, path: path.to_path_buf(), shared, hints, fatal }.run(queue));
        Ok(Self { readers, work })
    }

    /// One without a writer: what wants to write is told that it has stopped.
    pub(crate) async fn open_read_only(path: &Path, readers: u32) -> Result<Self, StorageError> {
        if !path.exists() {
            return Err(StorageError::Config(format!("there is no database at `{}`", path.display())));
        }
        let readers = connect(path, readers.max(1), false).await?;
        let (work, _) = mpsc::channel(1);
        Ok(Self { readers, work })
    }

    /// Runs a closure in the next group.
    pub(crate) async fn transact<T, E, F>(&self, workspace: WorkspaceId, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: for<'a> FnMut(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.submit(Work::Job(Box::new(Closure { workspace, f, result: None, answer }))).await?;
        answered.await.map_err(|_| stopped())?
    }

    /// Runs one statement in the next group and says how many rows it touched. It undoes itself when it fails, so it needs
    /// no savepoint.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64, StorageError> {
        let (answer, answered) = oneshot::channel();
        self.submit(Work::Statement(statement, answer)).await?;
        answered.await.map_err(|_| stopped())?
    }

    /// Journals a call in the next group, together with all others that are in it.
    pub(crate) async fn append(&self, call: CallRow) -> Result<(), StorageError> {
        let (answer, answered) = oneshot::channel();
        self.submit(Work::Call(Call { row: call, answer, refused: None })).await?;
        answered.await.map_err(|_| stopped())?
    }

    /// Runs a schema change alone, between two groups.
    pub(crate) async fn with_writer<T, F>(&self, f: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(DatabaseConnection) -> BoxFuture<'static, Result<T, StorageError>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let exclusive = move |db: DatabaseConnection| -> BoxFuture<'static, ()> {
            Box::pin(async move {
                let _ = answer.send(f(db).await);
            })
        };
        self.submit(Work::Exclusive(Box::new(exclusive))).await?;
        answered.await.map_err(|_| stopped())?
    }

    /// Analyses the tables that changed much, a sample of each, so that it never takes long.
    pub(crate) async fn optimize(&self) -> Result<(), StorageError> {
        self.with_writer(|db| {
            Box::pin(async move {
                db.execute_unprepared("PRAGMA analysis_limit = 400").await?;
                db.execute_unprepared("PRAGMA optimize").await?;
                Ok(())
            })
        })
        .await
    }

    async fn submit(&self, work: Work) -> Result<(), StorageError> {
        self.work.send(work).await.map_err(|_| stopped())
    }

    /// Lets the writer finish what is waiting, then closes both.
    pub(crate) async fn close(&self) -> Result<(), StorageError> {
        if let Err(error) = self.optimize().await {
            tracing::debug!(%error, "the query plans were not looked after");
        }
        let (done, finished) = oneshot::channel();
        if self.work.send(Work::Stop(done)).await.is_ok() {
            let _ = finished.await;
        }
        self.readers.close_by_ref().await?;
        Ok(())
    }
}

fn stopped() -> StorageError {
    StorageError::Unavailable("the writer has stopped".to_owned())
}

/// How many rows a statement touched.
type Touched = Result<u64, StorageError>;

/// What the writer is asked to do.
enum Work {
    Job(Box<dyn Job>),
    Statement(Statement, oneshot::Sender<Touched>),
    Call(Call),
    Exclusive(Box<dyn FnOnce(DatabaseConnection) -> BoxFuture<'static, ()> + Send>),
    Stop(oneshot::Sender<()>),
}

/// A call to be journalled.
struct Call {
    row: CallRow,
    answer: oneshot::Sender<Result<(), StorageError>>,
    refused: Option<StorageError>,
}

/// A closure of any type, which keeps its own result until the group has committed.
#[async_trait]
trait Job: Send {
    fn workspace(&self) -> WorkspaceId;
    /// Runs it and says whether what it wrote is wanted.
    async fn run(&mut self, tx: &Tx) -> bool;
    /// Replaces its result.
    fn fail(&mut self, error: StorageError);
    /// Tells the caller: its result, or why nothing was stored after all.
    fn answer(self: Box<Self>, failed: Option<StorageError>);
}

struct Closure<T, E, F> {
    workspace: WorkspaceId,
    f: F,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

#[async_trait]
impl<T, E, F> Job for Closure<T, E, F>
where
    T: Send + 'static,
    E: From<StorageError> + Send + 'static,
    F: for<'a> FnMut(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
{
    fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    async fn run(&mut self, tx: &Tx) -> bool {
        let result = tx::run(tx, &mut self.f).await;
        let wanted = result.is_ok();
        self.result = Some(result);
        wanted
    }

    fn fail(&mut self, error: StorageError) {
        self.result = Some(Err(error.into()));
    }

    fn answer(self: Box<Self>, failed: Option<StorageError>) {
        let result = match (failed, self.result) {
            (None, Some(result)) => result,
            // What the closure itself refused stays its answer: nothing of it was to be stored anyway.
            (Some(_), Some(Err(error))) => Err(error),
            (Some(error), _) => Err(error.into()),
            (None, None) => Err(stopped().into()),
        };
        let _ = self.answer.send(result);
    }
}

struct Writer {
    db: DatabaseConnection,
    path: PathBuf,
    shared: Shared,
    hints: broadcast::Sender<WorkspaceId>,
    fatal: watch::Sender<Option<String>>,
}

/// What a group has done so far.
#[derive(Default)]
struct Group {
    jobs: Vec<Box<dyn Job>>,
    statements: Vec<(oneshot::Sender<Touched>, Touched)>,
    calls: Vec<Call>,
    emitted: BTreeSet<WorkspaceId>,
}

impl Group {
    fn len(&self) -> usize {
        self.jobs.len() + self.statements.len() + self.calls.len()
    }

    fn answer(self, failed: Option<&StorageError>) {
        for job in self.jobs {
            job.answer(failed.map(StorageError::again));
        }
        for (answer, result) in self.statements {
            let _ = answer.send(failed.map_or(result, |error| Err(error.again())));
        }
        for call in self.calls {
            let refused = call.refused.map_or(Ok(()), Err);
            let _ = call.answer.send(failed.map_or(refused, |error| Err(error.again())));
        }
    }

    /// Journals the calls, many in a statement; where one of them is refused, each by itself.
    async fn journal(&mut self, transaction: &DatabaseTransaction) -> Result<(), StorageError> {
        let mut rest = self.calls.as_mut_slice();
        while let Some((calls, tail)) = run_of(rest.len()).and_then(|run| rest.split_at_mut_checked(run)) {
            rest = tail;
            let all = insert_calls(transaction, calls.iter().map(|call| &call.row));
            match transaction.execute_raw(all).await.map_err(StorageError::from) {
                Err(error) if breaks_group(&error) => return Err(error),
                Err(_) if calls.len() > 1 => {
                    for call in calls {
                        let one = insert_calls(transaction, [&call.row]);
                        call.refused = transaction.execute_raw(one).await.map_err(StorageError::from).err();
                        if let Some(error) = call.refused.as_ref().filter(|error| breaks_group(error)) {
                            return Err(error.again());
                        }
                    }
                }
                done => calls.iter_mut().for_each(|call| call.refused = done.as_ref().err().map(StorageError::again)),
            }
        }
        Ok(())
    }
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut waiting = None;
        loop {
            let next = match waiting.take() {
                Some(work) => Some(work),
                None => queue.recv().await,
            };
            match next {
                Some(Work::Exclusive(work)) => work(self.db.clone()).await,
                Some(Work::Stop(done)) => {
                    queue.close();
                    let _ = self.db.close_by_ref().await;
                    let _ = done.send(());
                    return;
                }
                Some(first) => waiting = self.group(first, &mut queue).await,
                None => {
                    let _ = self.db.close_by_ref().await;
                    return;
                }
            }
        }
    }

    /// Runs and commits a group that begins with `first`; gives back what must not be part of it.
    async fn group(&mut self, first: Work, queue: &mut mpsc::Receiver<Work>) -> Option<Work> {
        let mut group = Group::default();
        let mut waiting = Some(first);
        match self.commit(&mut group, &mut waiting, queue).await {
            Ok(()) => {
                metrics::histogram!("transom_group_commit_size").record(u32::try_from(group.len()).unwrap_or(u32::MAX));
                let emitted = std::mem::take(&mut group.emitted);
                group.answer(None);
                for workspace in emitted {
                    let _ = self.hints.send(workspace);
                }
            }
            Err(error) => {
                // A job that never ran is told the same.
                match waiting.take() {
                    Some(Work::Job(job)) => group.jobs.push(job),
                    Some(Work::Statement(_, answer)) => group.statements.push((answer, Err(error.again()))),
                    Some(Work::Call(call)) => group.calls.push(call),
                    other => waiting = other,
                }
                self.recover(&error).await;
                group.answer(Some(&error));
            }
        }
        waiting
    }

    async fn commit(
        &self,
        group: &mut Group,
        waiting: &mut Option<Work>,
        queue: &mut mpsc::Receiver<Work>,
    ) -> Result<(), StorageError> {
        if let Some(why) = self.fatal.borrow().clone() {
            return Err(StorageError::Fatal(why));
        }
        let mut transaction = begin(&self.db).await?;
        let started = Instant::now();
        loop {
            match waiting.take() {
                Some(Work::Job(job)) if group.len() == 0 && queue.is_empty() => {
                    // Nobody else is in this group: it can be undone as a whole, without a savepoint.
                    match self.run_job(job, transaction, group).await? {
                        Some(kept) => transaction = kept,
                        None => return Ok(()),
                    }
                }
                Some(Work::Job(job)) => {
                    let savepoint = transaction.begin().await?;
                    if let Some(kept) = self.run_job(job, savepoint, group).await? {
                        kept.commit().await?;
                    }
                }
                Some(Work::Statement(statement, answer)) => {
                    let done = transaction.execute_raw(statement).await.map_err(StorageError::from);
                    let lost = done.as_ref().err().filter(|error| breaks_group(error)).map(StorageError::again);
                    group.statements.push((answer, done.map(|done| done.rows_affected())));
                    if let Some(error) = lost {
                        return Err(error);
                    }
                }
                Some(Work::Call(call)) => group.calls.push(call),
                other => {
                    *waiting = other;
                    break;
                }
            }
            if group.len() >= GROUP_JOBS || started.elapsed() >= GROUP_TIME {
                break;
            }
            *waiting = queue.try_recv().ok();
            if waiting.is_none() {
                break;
            }
        }
        group.journal(&transaction).await?;
        for workspace in &group.emitted {
            while number_events(&transaction, *workspace).await? == BATCH {}
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Runs a job and gives its transaction back if it is to be kept; otherwise it is undone.
    async fn run_job(
        &self,
        mut job: Box<dyn Job>,
        transaction: DatabaseTransaction,
        group: &mut Group,
    ) -> Result<Option<DatabaseTransaction>, StorageError> {
        let workspace = job.workspace();
        let tx = Tx::new(transaction, workspace, self.shared.clone());
        let in_time = tokio::time::timeout(JOB_TIME, job.run(&tx)).await;
        if in_time.is_err() {
            job.fail(StorageError::Timeout);
        }
        let wanted = in_time.unwrap_or(false);
        let emitted = tx.has_emitted();
        let (transaction, trouble) = tx.into_parts();
        if wanted && let Some(trouble) = &trouble {
            job.fail(trouble.error());
        }
        group.jobs.push(job);
        if let Some(error) = trouble.as_ref().map(Trouble::error).filter(breaks_group) {
            return Err(error);
        }
        if wanted && trouble.is_none() {
            if emitted {
                group.emitted.insert(workspace);
            }
            return Ok(Some(transaction));
        }
        transaction.rollback().await?;
        Ok(None)
    }

    /// After these SQLite may have undone the whole transaction by itself, and only a new connection is sure of its state.
    async fn recover(&mut self, error: &StorageError) {
        tracing::error!(code = error.code(), %error, "a group of transactions was not stored");
        if let StorageError::Fatal(why) = error {
            self.fatal.send_if_modified(|fatal| fatal.is_none() && fatal.replace(why.clone()).is_none());
            return;
        }
        let _ = self.db.close_by_ref().await;
        match connect(&self.path, 1, true).await {
            Ok(db) => self.db = db,
            Err(error) => tracing::error!(%error, "the writer could not reconnect, the next group tries again"),
        }
    }
}

fn breaks_group(error: &StorageError) -> bool {
    matches!(error, StorageError::Full | StorageError::Fatal(_) | StorageError::Unavailable(_))
}

/// Another process may hold the file for a moment, longer than the busy timeout.
async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, StorageError> {
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let mut tries = retry::Tries::new("sqlite_busy");
    loop {
        match db.begin_with_options(immediate).await.map_err(StorageError::from) {
            Err(StorageError::Conflict) if tries.again().await => {}
            done => return done,
        }
    }
}
