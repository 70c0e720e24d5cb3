//! Signals: what is told to whoever looks now, on every replica, and stored nowhere.

use std::convert::Infallible;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::PgListener;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;
use transom_domain::{Ids, UuidV7, WorkspaceId};
use uuid::Uuid;

use crate::StorageError;

/// Under which name the replicas on one PostgreSQL hear of each other's.
const NAME: &str = "transom_signals";
/// Signals that wait for a slow listener; it loses the oldest.
const WAITING: usize = 1_024;
/// After which time a database that was away is listened to again.
const AGAIN: Duration = Duration::from_secs(1);

/// Something that is told to whoever looks now. It has no number, and may be lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Whose.
    pub workspace: WorkspaceId,
    /// What it is.
    pub kind: String,
    /// What it says; a few kilobytes at most.
    pub data: Value,
}

/// The signals of this process, and where there are replicas, theirs.
#[derive(Debug)]
pub(crate) struct Signals {
    here: broadcast::Sender<Signal>,
    replicas: Option<Replicas>,
}

#[derive(Debug)]
struct Replicas {
    pool: DatabaseConnection,
    own: Uuid,
    listening: AbortHandle,
}

#[derive(Serialize, Deserialize)]
struct Sent {
    from: Uuid,
    signal: Signal,
}

impl Signals {
    /// Those of this process alone: several on one SQLite file do not hear each other.
    pub(crate) fn here() -> Self {
        Self { here: broadcast::Sender::new(WAITING), replicas: None }
    }

    /// Those of all replicas on one PostgreSQL, by its own notifications over a connection of their own.
    ///
    /// Source: <https://www.postgresql.org/docs/current/sql-notify.html>
    pub(crate) fn over(pool: DatabaseConnection, url: String) -> Self {
        let (here, own) = (broadcast::Sender::new(WAITING), UuidV7.next());
        let listening = tokio::spawn(listen(url, own, here.clone())).abort_handle();
        Self { here, replicas: Some(Replicas { pool, own, listening }) }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Signal> {
        self.here.subscribe()
    }

    pub(crate) async fn send(&self, signal: Signal) {
        let _ = self.here.send(signal.clone());
        if let Some(replicas) = &self.replicas
            && let Err(error) = replicas.tell(signal).await
        {
            tracing::debug!(%error, "other replicas do not hear of a signal");
        }
    }
}

impl Replicas {
    async fn tell(&self, signal: Signal) -> Result<(), StorageError> {
        let sent = serde_json::to_string(&Sent { from: self.own, signal });
        let sent = sent.map_err(|error| StorageError::Database(error.to_string()))?;
        let values = [NAME.into(), sent.into()];
        let notify = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_notify($1, $2)", values);
        self.pool.query_one_raw(notify).await?;
        Ok(())
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(url: String, own: Uuid, here: broadcast::Sender<Signal>) {
    loop {
        let Err(error) = hear(&url, own, &here).await;
        tracing::debug!(%error, "signals of other replicas are not heard; trying again");
        tokio::time::sleep(AGAIN).await;
    }
}

async fn hear(url: &str, own: Uuid, here: &broadcast::Sender<Signal>) -> Result<Infallible, sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(NAME).await?;
    loop {
        let told = listener.recv().await?;
        // What another version says and this one can't read is nothing to it.
        let sent = serde_json::from_str::<Sent>(told.payload()).ok();
        if let Some(sent) = sent.filter(|sent| sent.from != own) {
            let _ = here.send(sent.signal);
        }
    }
}
