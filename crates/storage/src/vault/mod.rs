//! Secrets at rest: master key, a data key per workspace, sealed fields (reliability rules, section 14).
//!
//! ```text
//!  master key (file 0600 or environment) ── seals ──► data key of a workspace ── seals ──► a field
//! ```
//! Every sealed value names the key that opens it and is bound to its place: workspace, table, column and row id. Moved to
//! another row, it does not open.

mod cipher;
mod key;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rand::TryRng;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use time::OffsetDateTime;
use transom_domain::WorkspaceId;
use uuid::Uuid;

use crate::StorageError;
use crate::entity::{data_keys, vault_check};
use crate::tx::{Reader, Tx};
use cipher::{Key, Place};
pub use key::{KeyError, MasterKey, MasterKeys};

/// Why a secret can't be sealed or opened. Never says anything about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Too short to be a sealed value, or of a version that this program does not know.
    #[error("a sealed value is damaged or was made by a newer version")]
    Malformed,
    /// Sealed by a key that is not here.
    #[error("a sealed value needs another key than those given")]
    UnknownKey,
    /// Changed, or moved from another workspace, table, column or row.
    #[error("a sealed value does not open: it was changed or moved")]
    Tampered,
    /// The master key is not the one this database was made with.
    #[error("the master key does not open this database: give the key it was made with")]
    WrongMasterKey,
    /// The workspace has no data key.
    #[error("the workspace has no data key")]
    NoDataKey,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// How many data keys are sealed by the present master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysStatus {
    /// Data keys in all.
    pub data_keys: u64,
    /// Those still sealed by an earlier master key; at 0 that key can be forgotten.
    pub under_earlier_keys: u64,
}

/// Opens and seals. Data keys are remembered once opened; their ids are random, so a key of a transaction that was rolled
/// back can't be mistaken for another.
#[derive(Debug)]
pub(crate) struct Vault {
    keys: MasterKeys,
    opened: RwLock<HashMap<(WorkspaceId, i64), Arc<Key>>>,
}

const CHECK: &[u8] = b"transom vault check";
const CHECK_PLACE: Place<'static> =
    Place { workspace: Uuid::nil(), table: "vault_check", column: "sealed", row: Uuid::nil() };

impl Vault {
    pub(crate) fn new(keys: MasterKeys) -> Self {
        Self { keys, opened: RwLock::default() }
    }

    /// Refuses a master key that is not this database's; the first one to come makes it its own.
    pub(crate) async fn check(&self, db: &impl ConnectionTrait) -> Result<(), StorageError> {
        let row = vault_check::ActiveModel { id: Set(1), sealed: Set(self.keys.current().seal(CHECK_PLACE, CHECK)?) };
        let first = OnConflict::column(vault_check::Column::Id).do_nothing().to_owned();
        vault_check::Entity::insert(row).on_conflict(first).exec_without_returning(db).await?;
        self.check_existing(db).await
    }

    /// As [`check`](Self::check), for a database that may have been made by somebody else.
    pub(crate) async fn check_existing(&self, db: &impl ConnectionTrait) -> Result<(), StorageError> {
        let Some(row) = vault_check::Entity::find_by_id(1).one(db).await? else { return Ok(()) };
        let opened = self.keys.opener(&row.sealed).and_then(|key| key.open(CHECK_PLACE, &row.sealed));
        match opened {
            Ok(text) if text.expose_secret().as_slice() == CHECK => Ok(()),
            _ => Err(VaultError::WrongMasterKey.into()),
        }
    }

    /// Makes the first data key of a workspace.
    pub(crate) async fn new_data_key(
        &self,
        db: &impl ConnectionTrait,
        workspace: WorkspaceId,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let id = i64::from_be_bytes(random()?);
        let wrapped = self.keys.current().seal(wrapping(workspace, id), random::<32>()?.as_slice())?;
        let row = data_keys::ActiveModel {
            workspace_id: Set(workspace.uuid()),
            id: Set(id),
            wrapped: Set(wrapped),
            created_at: Set(now.into()),
        };
        data_keys::Entity::insert(row).exec_without_returning(db).await?;
        Ok(())
    }

    async fn data_key(&self, db: &impl ConnectionTrait, ws: WorkspaceId, id: i64) -> Result<Arc<Key>, StorageError> {
        if let Some(key) = self.opened.read().unwrap_or_else(PoisonError::into_inner).get(&(ws, id)) {
            return Ok(Arc::clone(key));
        }
        let row = data_keys::Entity::find_by_id((ws.uuid(), id)).one(db).await?.ok_or(VaultError::UnknownKey)?;
        self.remember(ws, &row)
    }

    fn remember(&self, ws: WorkspaceId, row: &data_keys::Model) -> Result<Arc<Key>, StorageError> {
        let bytes = self.keys.opener(&row.wrapped)?.open(wrapping(ws, row.id), &row.wrapped)?;
        let key = Arc::new(Key::new(row.id.to_be_bytes(), bytes.expose_secret())?);
        self.opened.write().unwrap_or_else(PoisonError::into_inner).insert((ws, row.id), Arc::clone(&key));
        Ok(key)
    }

    /// Seals every data key by the present master key; an earlier one is needed until this is done.
    pub(crate) async fn rewrap(&self, db: &impl ConnectionTrait) -> Result<u64, StorageError> {
        let mut rewrapped = 0;
        for row in data_keys::Entity::find().all(db).await? {
            if self.keys.current().sealed(&row.wrapped) {
                continue;
            }
            let place = wrapping(row.workspace_id.into(), row.id);
            let bytes = self.keys.opener(&row.wrapped)?.open(place, &row.wrapped)?;
            let wrapped = self.keys.current().seal(place, bytes.expose_secret())?;
            // Only if nobody else has done it meanwhile.
            rewrapped += data_keys::Entity::update_many()
                .col_expr(data_keys::Column::Wrapped, Expr::value(wrapped))
                .filter(data_keys::Column::WorkspaceId.eq(row.workspace_id))
                .filter(data_keys::Column::Id.eq(row.id))
                .filter(data_keys::Column::Wrapped.eq(row.wrapped))
                .exec(db)
                .await?
                .rows_affected;
        }
        let sealed = self.keys.current().seal(CHECK_PLACE, CHECK)?;
        vault_check::Entity::update_many()
            .col_expr(vault_check::Column::Sealed, Expr::value(sealed))
            .filter(Expr::col(vault_check::Column::Id).eq(1))
            .exec(db)
            .await?;
        Ok(rewrapped)
    }

    pub(crate) async fn status(&self, db: &impl ConnectionTrait) -> Result<KeysStatus, StorageError> {
        let rows = data_keys::Entity::find().all(db).await?;
        let earlier = rows.iter().filter(|row| !self.keys.current().sealed(&row.wrapped)).count();
        Ok(KeysStatus { data_keys: rows.len() as u64, under_earlier_keys: earlier as u64 })
    }
}

fn wrapping(workspace: WorkspaceId, id: i64) -> Place<'static> {
    Place {
        workspace: workspace.uuid(),
        table: "data_keys",
        column: "wrapped",
        row: Uuid::from_u64_pair(0, u64::from_be_bytes(id.to_be_bytes())),
    }
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| VaultError::NoRandomness)?;
    Ok(bytes)
}

impl Tx {
    /// Seals a secret for one place: it opens nowhere else.
    pub(crate) async fn seal(
        &self,
        table: &str,
        column: &str,
        row: Uuid,
        secret: &SecretString,
    ) -> Result<Vec<u8>, StorageError> {
        let newest = data_keys::Entity::find()
            .filter(data_keys::Column::WorkspaceId.eq(self.ws()))
            .order_by_desc(data_keys::Column::CreatedAt)
            .order_by_desc(data_keys::Column::Id)
            .one(&self.conn)
            .await?
            .ok_or(VaultError::NoDataKey)?;
        let key = self.shared.vault.data_key(&self.conn, self.workspace, newest.id).await?;
        Ok(key.seal(Place { workspace: self.ws(), table, column, row }, secret.expose_secret().as_bytes())?)
    }
}

impl Reader {
    /// Opens what [`Tx::seal`] sealed for the same place.
    pub(crate) async fn unseal(
        &self,
        table: &str,
        column: &str,
        row: Uuid,
        sealed: &[u8],
    ) -> Result<SecretString, StorageError> {
        let id = i64::from_be_bytes(cipher::key_id(sealed)?);
        let key = self.shared.vault.data_key(&self.conn, self.workspace, id).await?;
        let opened: SecretBox<Vec<u8>> = key.open(Place { workspace: self.ws(), table, column, row }, sealed)?;
        let text = std::str::from_utf8(opened.expose_secret()).map_err(|_| VaultError::Malformed)?;
        Ok(SecretString::from(text))
    }
}
