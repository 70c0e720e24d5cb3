//! The storage: opens a database, hands out scopes, runs transactions.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use futures_util::future::BoxFuture;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, IsolationLevel, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use time::{Duration, OffsetDateTime};
use tokio::sync::{broadcast, watch};
use transom_domain::{AuditId, Clock, UuidV7};

use crate::audit::{Trail, Watch};
use crate::config::Location;
use crate::instant::Millis;
use crate::migration::{self, Migrator};
use crate::postgres::Postgres;
use crate::query::CallRow;
use crate::query::Remembered;
use crate::retry;
use crate::signals::{Signal, Signals};
use crate::sqlite::Sqlite;
use crate::tx::{Conn, Reader, Shared, Tx};
use crate::vault::Vault;
use crate::{KeysStatus, StorageConfig, StorageError, WorkspaceScope};

/// One open database. Clones share it.
#[derive(Debug, Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    shared: Shared,
    hints: broadcast::Sender<transom_domain::WorkspaceId>,
    signals: Signals,
    fatal: watch::Sender<Option<String>>,
}

#[derive(Debug)]
enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Storage {
    /// Opens the database. The schema is left as it is: [`migrate`](Self::migrate) makes it current.
    ///
    /// # Errors
    /// [`StorageError::Config`] for a URL or settings that can't work, [`StorageError::Vault`] for a master key that is not
    /// this database's, [`StorageError::Unavailable`].
    pub async fn open(config: StorageConfig) -> Result<Self, StorageError> {
        let (hints, _) = broadcast::channel(1_024);
        let (fatal, _) = watch::channel(None);
        let (readers, writers) = (config.read_connections, config.write_connections);
        let location = config.location()?;
        let sqlite_path = match &location {
            Location::Sqlite(path) => Some(path.clone()),
            Location::Postgres(_) => None,
        };
        let url = config.url.clone();
        let shared = Shared { vault: Arc::new(Vault::new(config.keys)), remembered: Remembered::default() };
        let engine = match sqlite_path {
            Some(path) if config.read_only => Engine::Sqlite(Sqlite::open_read_only(&path, readers).await?),
            Some(path) => {
                Engine::Sqlite(Sqlite::open(&path, readers, shared.clone(), hints.clone(), fatal.clone()).await?)
            }
            None => Engine::Postgres(Postgres::open(&url, readers + writers, config.read_only, hints.clone()).await?),
        };
        let signals = match &engine {
            Engine::Postgres(postgres) if !config.read_only => Signals::over(postgres.pool.clone(), url),
            Engine::Postgres(_) | Engine::Sqlite(_) => Signals::here(),
        };
        let storage = Self { inner: Arc::new(Inner { engine, shared, hints, signals, fatal }) };
        match storage.inner.shared.vault.check_existing(storage.db()).await {
            // A database that was never migrated has nothing to check.
            Ok(()) | Err(StorageError::Schema(_)) => Ok(storage),
            Err(error) => Err(error),
        }
    }

    /// Makes the schema current. Replicas that start together wait for each other.
    pub async fn migrate(&self) -> Result<(), StorageError> {
        let vault = Arc::clone(&self.inner.shared.vault);
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => {
                // Another that opens the same file may migrate it for longer than the busy timeout.
                let mut tries = retry::Tries::new("sqlite_busy");
                loop {
                    let vault = Arc::clone(&vault);
                    match sqlite.with_writer(move |db| Box::pin(async move { migrate(&db, &vault).await })).await {
                        Err(StorageError::Conflict) if tries.again().await => {}
                        done => return done,
                    }
                }
            }
            Engine::Postgres(postgres) => migrate(&postgres.pool, &vault).await,
        }
    }

    /// Whether the schema has everything that this version needs; what a newer version added is additive and no hindrance.
    pub async fn schema_current(&self) -> Result<bool, StorageError> {
        migration::is_current(self.db()).await
    }

    /// Lets the database look after its query plans: once a day is enough. PostgreSQL does so by itself.
    ///
    /// Source: <https://sqlite.org/pragma.html#pragma_optimize>
    pub async fn optimize(&self) -> Result<(), StorageError> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.optimize().await,
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Whether several processes may share it: a file belongs to one.
    pub fn is_shared(&self) -> bool {
        matches!(self.inner.engine, Engine::Postgres(_))
    }

    /// Finishes what is waiting and closes every connection.
    pub async fn close(&self) -> Result<(), StorageError> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => Ok(postgres.pool.close_by_ref().await?),
        }
    }

    /// Runs one use case as one transaction.
    ///
    /// The closure may run again after a conflict, so it does nothing outside: no HTTP, no sleep, no clock, no new ids; what
    /// it needs is made before and cloned into it. On SQLite it joins the writer's next group; a lone one commits alone. A
    /// statement that failed dooms the transaction even if the closure swallows the error: use `ON CONFLICT` or
    /// [`Tx::savepoint`].
    ///
    /// # Errors
    /// What the closure returned; otherwise a [`StorageError`]. After [`StorageError::CommitUnknown`] read back by a key of
    /// your own before you repeat it; after every other error nothing was stored.
    pub async fn transact<T, E, F>(&self, scope: &WorkspaceScope, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: for<'a> FnMut(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        match scope.trail() {
            None => self.run(scope, f).await,
            Some(trail) => self.run(scope, watched(Arc::clone(trail), f)).await,
        }
    }

    async fn run<T, E, F>(&self, scope: &WorkspaceScope, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: for<'a> FnMut(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.transact(scope.workspace(), f).await,
            Engine::Postgres(postgres) => postgres.transact(scope.workspace(), &self.inner.shared, f).await,
        }
    }

    /// Keeps in the audit log that somebody was refused, with the stable code of the refusal.
    pub async fn audit_refusal(&self, scope: &WorkspaceScope, code: &'static str) -> Result<(), StorageError> {
        let Some(trail) = scope.trail().cloned() else { return Ok(()) };
        let id = AuditId::new(&UuidV7);
        let refusal = self.run(scope, move |tx| {
            let trail = Arc::clone(&trail);
            Box::pin(async move { tx.audit_refusal(id, &trail, code).await })
        });
        refusal.await
    }

    /// Reads of one workspace, outside a transaction: every query sees what was committed before it.
    pub fn reader(&self, scope: &WorkspaceScope) -> Reader {
        Reader { conn: Conn::pool(self.db().clone()), workspace: scope.workspace(), shared: self.inner.shared.clone() }
    }

    /// Reads of one workspace that all see the same moment. It keeps a connection until it is dropped.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn reader_of_a_moment(&self, scope: &WorkspaceScope) -> Result<Reader, StorageError> {
        let transaction = match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.readers.begin().await?,
            Engine::Postgres(postgres) => {
                let level = Some(IsolationLevel::RepeatableRead);
                postgres.pool.begin_with_config(level, Some(AccessMode::ReadOnly)).await?
            }
        };
        Ok(Reader::in_tx(transaction, scope.workspace(), self.inner.shared.clone()))
    }

    /// One statement that writes and is committed when this returns: no round trips for BEGIN and COMMIT on PostgreSQL, no
    /// savepoint on SQLite.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64, StorageError> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.execute(statement).await,
            Engine::Postgres(postgres) => Ok(postgres.pool.execute_raw(statement).await?.rows_affected()),
        }
    }

    /// Journals a call: committed when this returns.
    pub(crate) async fn append(&self, call: CallRow) -> Result<(), StorageError> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.append(call).await,
            Engine::Postgres(postgres) => postgres.journalling.append(call).await,
        }
    }

    /// The pool for reads that belong to no workspace.
    pub(crate) fn db(&self) -> &DatabaseConnection {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => &sqlite.readers,
            Engine::Postgres(postgres) => &postgres.pool,
        }
    }

    /// The time by the database's clock, which all leases are measured with.
    pub async fn database_now(&self) -> Result<OffsetDateTime, StorageError> {
        database_now(self.db()).await
    }

    /// How far the database's clock is ahead of `clock`, give or take half the round trip.
    pub async fn clock_offset(&self, clock: &dyn Clock) -> Result<Duration, StorageError> {
        let before = clock.now();
        let there = self.database_now().await?;
        let half = (clock.now() - before) / 2;
        Ok(there - (before + half))
    }

    /// Writes a row for real, for readiness.
    ///
    /// # Errors
    /// [`StorageError::Timeout`] if it takes longer than a second.
    pub async fn probe_write(&self) -> Result<(), StorageError> {
        let backend = self.db().get_database_backend();
        let sql = "UPDATE vault_check SET id = id WHERE id = 1";
        let write = self.execute(Statement::from_string(backend, sql));
        tokio::time::timeout(StdDuration::from_secs(1), write).await.map_err(|_| StorageError::Timeout)??;
        Ok(())
    }

    /// Makes the SQLite file behave as if the disk had room for `spare` more pages (`None`: no limit). The limit belongs to the
    /// writer's connection and is gone when that is renewed.
    #[cfg(feature = "test-support")]
    pub async fn limit_pages_for_tests(&self, spare: Option<u32>) -> Result<(), StorageError> {
        let Engine::Sqlite(sqlite) = &self.inner.engine else { return Ok(()) };
        sqlite
            .with_writer(move |db| {
                Box::pin(async move {
                    let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA page_count")).await?;
                    let pages: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
                    let most = spare.map_or(i64::from(u32::MAX), |spare| pages + i64::from(spare));
                    db.execute_unprepared(&format!("PRAGMA max_page_count = {most}")).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Tells which workspaces have new numbered events. Only a hint: what other replicas number is not told, so poll too.
    pub fn event_hints(&self) -> broadcast::Receiver<transom_domain::WorkspaceId> {
        self.inner.hints.subscribe()
    }

    /// Tells whoever looks now, on every replica: as a hint, which may be lost, and without a trace.
    pub async fn signal(&self, signal: Signal) {
        self.inner.signals.send(signal).await;
    }

    /// The signals from now on.
    pub fn signals(&self) -> broadcast::Receiver<Signal> {
        self.inner.signals.subscribe()
    }

    /// Turns to `Some` when disk or file broke: stop accepting and exit.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.inner.fatal.subscribe()
    }

    /// Seals every data key by the present master key, while the service runs.
    pub async fn rewrap_data_keys(&self) -> Result<u64, StorageError> {
        let vault = Arc::clone(&self.inner.shared.vault);
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => {
                sqlite.with_writer(move |db| Box::pin(async move { vault.rewrap(&db).await })).await
            }
            Engine::Postgres(postgres) => vault.rewrap(&postgres.pool).await,
        }
    }

    /// Whether an earlier master key is still needed.
    pub async fn keys_status(&self) -> Result<KeysStatus, StorageError> {
        self.inner.shared.vault.status(self.db()).await
    }
}

/// A use case that leaves a row in the audit log, if it writes anything.
fn watched<T, E, F>(
    trail: Arc<Trail>,
    mut f: F,
) -> impl for<'a> FnMut(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static
where
    T: Send + 'static,
    E: From<StorageError> + Send + 'static,
    F: for<'a> FnMut(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
{
    let id = AuditId::new(&UuidV7);
    move |tx| {
        // Nothing of it runs before it is awaited.
        let (work, trail) = (f(tx), Arc::clone(&trail));
        Box::pin(async move {
            let watch = Watch::begin(tx, trail, id).await?;
            let value = work.await?;
            watch.end(tx).await?;
            Ok(value)
        })
    }
}

async fn migrate(db: &DatabaseConnection, vault: &Vault) -> Result<(), StorageError> {
    let immediate = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(immediate).await?;
    if db.get_database_backend() == DbBackend::Postgres {
        // The one place for a lock of this kind: replicas that start together would break each other. It may take long.
        transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        transaction.execute_unprepared("SELECT pg_advisory_xact_lock(7461)").await?;
    }
    // A database that a newer version has migrated knows migrations that this one does not.
    if !migration::is_current(&transaction).await? {
        Migrator::up(&transaction, None).await?;
    }
    vault.check(&transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// The database's clock. On SQLite that is this machine's, as every process on the file sees it.
pub(crate) async fn database_now(db: &impl ConnectionTrait) -> Result<OffsetDateTime, StorageError> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
        _ => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    };
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    let millis: i64 =
        row.ok_or_else(|| StorageError::Database("the clock gave no row".to_owned()))?.try_get_by_index(0)?;
    Ok(Millis(millis).at())
}
