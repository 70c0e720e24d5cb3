//! PostgreSQL: one pool, READ COMMITTED, transactions that run again after a conflict.

use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, TransactionTrait};
use tokio::sync::{broadcast, mpsc};
use transom_domain::WorkspaceId;

use crate::StorageError;
use crate::journalling::Journalling;
use crate::query::{BATCH, number_events};
use crate::retry::Tries;
use crate::tx::{self, Shared, Trouble, Tx};

#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    pub(crate) pool: DatabaseConnection,
    pub(crate) journalling: Journalling,
    /// Workspaces whose events want numbers.
    emitted: mpsc::UnboundedSender<WorkspaceId>,
}

impl Postgres {
    pub(crate) async fn open(
        url: &str,
        connections: u32,
        read_only: bool,
        hints: broadcast::Sender<WorkspaceId>,
    ) -> Result<Self, StorageError> {
        let mut options = ConnectOptions::new(url);
        options.min_connections(1).max_connections(connections.max(2)).sqlx_logging(false);
        options.acquire_timeout(Duration::from_secs(10)).test_before_acquire_if_idle_for(Duration::from_secs(30));
        options.map_sqlx_postgres_opts(move |options| {
            options
                .options([
                    ("default_transaction_read_only", if read_only { "on" } else { "off" }),
                    ("statement_timeout", "5s"),
                    ("idle_in_transaction_session_timeout", "10s"),
                    ("default_transaction_isolation", "read committed"),
                    ("timezone", "UTC"),
                    // A page takes milliseconds, whatever the planner expects of what a limit ends early: to compile it, or to start
                    // workers for it, takes longer.
                    ("jit", "off"),
                    ("max_parallel_workers_per_gather", "0"),
                ])
                .statement_cache_capacity(512)
        });
        let pool = Database::connect(options).await?;
        let (emitted, wanted) = mpsc::unbounded_channel();
        tokio::spawn(number(pool.clone(), wanted, hints));
        Ok(Self { journalling: Journalling::on(pool.clone()), pool, emitted })
    }

    /// Runs a closure until it meets no other transaction.
    pub(crate) async fn transact<T, E, F>(&self, workspace: WorkspaceId, shared: &Shared, mut f: F) -> Result<T, E>
    where
        E: From<StorageError>,
        F: for<'a> FnMut(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send,
    {
        let mut tries = Tries::new("conflict");
        loop {
            let transaction = self.pool.begin().await.map_err(StorageError::from)?;
            let tx = Tx::new(transaction, workspace, shared.clone());
            let result = tx::run(&tx, &mut f).await;
            let emitted = tx.has_emitted();
            let (transaction, trouble) = tx.into_parts();
            let conflict = match (result, trouble) {
                (Ok(value), None) => match transaction.commit().await.map_err(|e| at_commit(e.into())) {
                    Ok(()) => {
                        if emitted {
                            let _ = self.emitted.send(workspace);
                        }
                        return Ok(value);
                    }
                    Err(StorageError::Conflict) => E::from(StorageError::Conflict),
                    Err(error) => return Err(error.into()),
                },
                // Whatever the closure made of a conflict: the whole of it runs again.
                (result, Some(Trouble::Conflict)) => {
                    let _ = transaction.rollback().await;
                    result.err().unwrap_or_else(|| StorageError::Conflict.into())
                }
                (Ok(_), Some(trouble)) => {
                    let _ = transaction.rollback().await;
                    return Err(trouble.error().into());
                }
                (Err(error), _) => {
                    let _ = transaction.rollback().await;
                    return Err(error);
                }
            };
            if !tries.again().await {
                return Err(conflict);
            }
        }
    }
}

/// At COMMIT a broken connection says nothing about what was stored.
fn at_commit(error: StorageError) -> StorageError {
    match error {
        StorageError::Unavailable(why) => {
            metrics::counter!("transom_commit_unknown_total").increment(1);
            tracing::warn!(%why, "the answer to a commit was lost");
            StorageError::CommitUnknown
        }
        StorageError::Timeout => StorageError::CommitUnknown,
        other => other,
    }
}

/// The numberer: gives numbers to what was committed here as soon as it is told, and every second to what another replica
/// left behind when it died.
async fn number(
    pool: DatabaseConnection,
    mut wanted: mpsc::UnboundedReceiver<WorkspaceId>,
    hints: broadcast::Sender<WorkspaceId>,
) {
    /// Lets a burst of commits share one batch; the promise is 50 ms.
    const GATHER: Duration = Duration::from_millis(5);
    const SWEEP: Duration = Duration::from_secs(1);
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut workspaces = Vec::new();
    loop {
        if workspaces.is_empty() {
            workspaces = tokio::select! {
                told = wanted.recv() => match told {
                    Some(workspace) => {
                        tokio::time::sleep(GATHER).await;
                        vec![workspace]
                    }
                    None => return,
                },
                _ = sweep.tick() => crate::query::unnumbered_workspaces(&pool).await.unwrap_or_default(),
            };
        }
        while let Ok(workspace) = wanted.try_recv() {
            workspaces.push(workspace);
        }
        workspaces.sort_unstable();
        workspaces.dedup();
        let mut unfinished = Vec::new();
        for workspace in workspaces {
            match number_committed(&pool, workspace).await {
                Ok(0) => {}
                Ok(numbered) => {
                    let _ = hints.send(workspace);
                    // What adds more meanwhile, such as a job over a whole workspace, keeps no other waiting.
                    if numbered == BATCH {
                        unfinished.push(workspace);
                    }
                }
                // The sweep tries again.
                Err(error) => tracing::warn!(%workspace, %error, "events could not be numbered yet"),
            }
        }
        workspaces = unfinished;
    }
}

async fn number_committed(pool: &DatabaseConnection, workspace: WorkspaceId) -> Result<u64, StorageError> {
    let transaction = pool.begin().await?;
    let numbered = number_events(&transaction, workspace).await?;
    transaction.commit().await?;
    Ok(numbered)
}
