//! Throw-away databases for tests: a SQLite file, or a database on a PostgreSQL cluster of our own.
//!
//! ```ignore
//! transom_storage::both_databases! {
//!     async fn a_workspace_is_stored(db: TestDatabase) {
//!         let storage = db.open().await;
//!         let scope = db.workspace(&storage, "Acme").await;
//!         assert_eq!(storage.reader(&scope).workspace().await.unwrap().name, "Acme");
//!     }
//! }
//! ```
//! Don't pause tokio's clock in such tests: it would jump over the timeouts of the pools while a database works.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test without its database has to fail loudly"
)]

pub mod crowd;
mod dump;
pub mod inbox;
mod marks;
mod postgres;
pub mod statements;

use std::sync::Arc;

use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;
use transom_domain::{Agent, AgentId, Role, Settings, UuidV7, WorkspaceId};

pub use crate::both_databases;
use crate::{MasterKey, NewWorkspace, Storage, StorageConfig, StorageError, WorkspaceScope};
pub use dump::every_row;
pub use marks::unmarked;
pub use postgres::{TestPostgres, postgres_is_required};

/// The instant at which tests that need no other begin.
pub const NOON: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

/// An empty database that goes away with its last clone.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    url: String,
    _kept: Arc<Kept>,
}

#[derive(Debug)]
enum Kept {
    Folder(#[expect(dead_code, reason = "deleted when dropped")] TempDir),
    Postgres(#[expect(dead_code, reason = "keeps the cluster in use")] TestPostgres),
}

impl TestDatabase {
    /// A SQLite file in a folder of its own.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}", folder.path().join("data/transom.db").display());
        Self { url, _kept: Arc::new(Kept::Folder(folder)) }
    }

    /// A database on the shared throw-away cluster; `None`, said loudly, where PostgreSQL is not installed.
    ///
    /// # Panics
    /// If PostgreSQL is missing though `CI=true` or `TRANSOM_REQUIRE_POSTGRES=1` asks for it, or does not start.
    pub async fn postgres() -> Option<Self> {
        let cluster = TestPostgres::shared()?;
        let url = cluster.create_database().await;
        Some(Self { url, _kept: Arc::new(Kept::Postgres(cluster)) })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    /// A configuration with a fixed master key and small pools.
    pub fn config(&self) -> StorageConfig {
        Self::config_of(&self.url)
    }

    /// The same by the URL alone, for processes that a test starts.
    pub fn config_of(url: &str) -> StorageConfig {
        let key = MasterKey::from_bytes(*b"a key for tests and nothing else").expect("a key");
        StorageConfig { read_connections: 2, write_connections: 6, ..StorageConfig::new(url, key) }
    }

    /// Opens it, migrated. Opened twice, it has two replicas.
    pub async fn open(&self) -> Storage {
        let storage = Storage::open(self.config()).await.expect("the test database opens");
        storage.migrate().await.expect("the test database migrates");
        storage
    }

    /// A workspace.
    pub async fn workspace(&self, storage: &Storage, name: &str) -> WorkspaceScope {
        let new = NewWorkspace { id: WorkspaceId::new(&UuidV7), name: name.to_owned(), settings: Settings::default() };
        storage.create_workspace(new, NOON).await.expect("a workspace")
    }

    /// An active agent of a role.
    pub async fn agent(&self, storage: &Storage, scope: &WorkspaceScope, role: Role) -> Agent {
        let agent = Agent {
            id: AgentId::new(&UuidV7),
            workspace: scope.workspace(),
            name: role.as_str().into(),
            alias: None,
            role,
        };
        let stored = agent.clone();
        storage
            .transact(scope, move |tx| {
                let agent = stored.clone();
                Box::pin(async move { tx.put_agent(&agent, true, NOON).await })
            })
            .await
            .map_err(|error: StorageError| error)
            .expect("an agent");
        agent
    }
}

/// Runs each test on both databases: `name::sqlite` and `name::postgres`.
///
/// The caller needs tokio with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! both_databases {
    ($($(#[$attribute:meta])* async fn $name:ident($db:ident: TestDatabase) $body:block)*) => { $(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn test($db: $crate::test_support::TestDatabase) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                test($crate::test_support::TestDatabase::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(db) = $crate::test_support::TestDatabase::postgres().await {
                    test(db).await;
                }
            }
        }
    )* };
}
