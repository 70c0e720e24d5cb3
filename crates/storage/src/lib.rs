//! Where Transom keeps everything: SQLite or PostgreSQL, outbox, journal, quota ledger, events, vault.
//!
//! [`Storage`] opens a database; a [`WorkspaceScope`] is the only key to a workspace's rows; a [`Reader`] reads and a [`Tx`]
//! also writes. Both databases behave alike, and one test suite runs on both.
//!
//! ```no_run
//! # use transom_storage::{MasterKey, NewWorkspace, Storage, StorageConfig, StorageError};
//! # use transom_domain::{Agent, AgentId, Clock, Role, Settings, SystemClock, UuidV7, WorkspaceId};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let key = MasterKey::from_file_or_create("transom-data/master.key")?;
//! let storage = Storage::open(StorageConfig::new("sqlite:transom-data/transom.db", key)).await?;
//! storage.migrate().await?;
//!
//! let now = SystemClock.now();
//! let workspace = NewWorkspace { id: WorkspaceId::new(&UuidV7), name: "Acme".into(), settings: Settings::default() };
//! let scope = storage.create_workspace(workspace, now).await?;
//! let ada = Agent { id: AgentId::new(&UuidV7), workspace: scope.workspace(), name: "Ada".into(), alias: None, role: Role::Admin };
//! storage
//!     .transact(&scope, move |tx| {
//!         // It may run again after a conflict: what it moves is cloned, and nothing outside is touched.
//!         let ada = ada.clone();
//!         Box::pin(async move { tx.put_agent(&ada, true, now).await })
//!     })
//!     .await?;
//! # Ok(()) }
//! ```

mod audit;
mod blobs;
#[cfg(feature = "s3")]
mod bucket;
mod config;
#[expect(unreachable_pub, reason = "the derives of sea-orm ask for `pub`; the module itself is private")]
#[allow(dead_code, reason = "a table may be ahead of its queries")]
mod entity;
mod error;
mod instant;
mod journalling;
mod migration;
mod postgres;
mod query;
mod retry;
mod scope;
mod signals;
mod sqlite;
mod storage;
#[cfg(feature = "test-support")]
pub mod test_support;
mod tx;
mod vault;

pub use audit::{AuditHead, AuditQuery, BrokenLink, StoredAudit, Trail};
pub use blobs::{Blob, BlobError, Blobs};
#[cfg(feature = "s3")]
pub use bucket::Bucket;
pub use config::StorageConfig;
pub use error::StorageError;
pub use query::*;
pub use scope::WorkspaceScope;
pub use signals::Signal;
pub use storage::Storage;
pub use tx::{Reader, Tx};
pub use vault::{KeyError, KeysStatus, MasterKey, MasterKeys, VaultError};
