//! Workspaces and their settings.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use time::OffsetDateTime;
use transom_domain::{Settings, Workspace, WorkspaceId};
use uuid::Uuid;

use super::broadcasts::AT_WORK;
use super::{from_json, millis, sql, to_json, unreadable};
use crate::entity::{event_numberers, journal, workspaces, workspaces_due};
use crate::{Reader, Storage, StorageError, Tx, WorkspaceScope};

/// A workspace to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorkspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// How it works.
    pub settings: Settings,
}

impl Storage {
    /// Makes a workspace with its data key.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if the id is taken.
    pub async fn create_workspace(
        &self,
        new: NewWorkspace,
        now: OffsetDateTime,
    ) -> Result<WorkspaceScope, StorageError> {
        let scope = WorkspaceScope::of(new.id);
        self.transact(&scope, move |tx| {
            let new = new.clone();
            Box::pin(async move { tx.insert_workspace(&new, now).await })
        })
        .await?;
        Ok(scope)
    }

    /// Every workspace, oldest first, for tasks that serve all.
    pub async fn all_scopes(&self) -> Result<Vec<WorkspaceScope>, StorageError> {
        let ids = workspaces::Entity::find()
            .select_only()
            .column(workspaces::Column::Id)
            .order_by_asc(workspaces::Column::Id)
            .into_tuple::<Uuid>();
        Ok(scopes(ids.all(self.db()).await?))
    }

    /// Workspaces with parts to send that are due at `until` or earlier, longest due first.
    pub async fn scopes_with_due_work(&self, until: OffsetDateTime) -> Result<Vec<WorkspaceScope>, StorageError> {
        let ids = workspaces_due::Entity::find()
            .select_only()
            .column(workspaces_due::Column::WorkspaceId)
            .filter(Expr::col(workspaces_due::Column::DueAt).lte(Expr::value(millis(until))))
            .order_by_asc(workspaces_due::Column::DueAt)
            .into_tuple::<Uuid>();
        Ok(scopes(ids.all(self.db()).await?))
    }

    /// Workspaces with journalled calls that are not applied yet.
    pub async fn scopes_with_unapplied_journal(&self) -> Result<Vec<WorkspaceScope>, StorageError> {
        let ids = journal::Entity::find()
            .select_only()
            .distinct()
            .column(journal::Column::WorkspaceId)
            .filter(journal::Column::State.eq("new"))
            .into_tuple::<Uuid>();
        Ok(scopes(ids.all(self.db()).await?))
    }

    /// Workspaces with broadcasts that there is work on, now or at their time.
    pub async fn scopes_with_broadcasts_at_work(&self) -> Result<Vec<WorkspaceScope>, StorageError> {
        self.scopes_by(&format!("SELECT DISTINCT workspace_id FROM broadcasts WHERE {AT_WORK}")).await
    }

    /// Workspaces where [changes wait](crate::ParkedChange) for their message.
    pub async fn scopes_with_parked_changes(&self) -> Result<Vec<WorkspaceScope>, StorageError> {
        self.scopes_by("SELECT DISTINCT workspace_id FROM changes_parked").await
    }

    async fn scopes_by(&self, find: &str) -> Result<Vec<WorkspaceScope>, StorageError> {
        let rows = self.db().query_all_raw(sql(self.db(), find, [])).await?;
        let ids: Result<Vec<Uuid>, _> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
        Ok(scopes(ids?))
    }
}

fn scopes(ids: Vec<Uuid>) -> Vec<WorkspaceScope> {
    ids.into_iter().map(|id| WorkspaceScope::of(id.into())).collect()
}

impl Reader {
    async fn workspace_row(&self) -> Result<workspaces::Model, StorageError> {
        let row = workspaces::Entity::find_by_id(self.ws()).one(&self.conn).await?;
        row.ok_or_else(|| unreadable(("workspaces", "id", self.ws()), "the workspace is gone"))
    }

    /// The workspace itself.
    pub async fn workspace(&self) -> Result<Workspace, StorageError> {
        let row = self.workspace_row().await?;
        let settings = from_json(row.settings, ("workspaces", "settings", row.id))?;
        Ok(Workspace { id: self.workspace, name: row.name, settings })
    }

    /// Its settings, and their version for `If-Match`.
    pub async fn settings(&self) -> Result<(Settings, u64), StorageError> {
        let row = self.workspace_row().await?;
        Ok((from_json(row.settings, ("workspaces", "settings", row.id))?, row.version.unsigned_abs()))
    }
}

impl Tx {
    async fn insert_workspace(&self, new: &NewWorkspace, now: OffsetDateTime) -> Result<(), StorageError> {
        let row = workspaces::ActiveModel {
            id: Set(self.ws()),
            name: Set(new.name.clone()),
            settings: Set(to_json(&new.settings)?),
            version: Set(1),
            created_at: Set(now.into()),
        };
        workspaces::Entity::insert(row).exec_without_returning(&self.conn).await?;
        let numberer = event_numberers::ActiveModel { workspace_id: Set(self.ws()), last_seq: Set(0) };
        event_numberers::Entity::insert(numberer).exec_without_returning(&self.conn).await?;
        self.shared.vault.new_data_key(&self.conn, self.workspace, now).await
    }

    /// Stores the settings, if their version is still `expected` (`None`: whatever it is); the new version, or `None` if it
    /// was another.
    pub async fn update_settings(
        &self,
        settings: &Settings,
        expected: Option<u64>,
    ) -> Result<Option<u64>, StorageError> {
        let mut update = workspaces::Entity::update_many()
            .col_expr(workspaces::Column::Settings, Expr::value(to_json(settings)?))
            .col_expr(workspaces::Column::Version, Expr::col(workspaces::Column::Version).add(1))
            .filter(workspaces::Column::Id.eq(self.ws()));
        if let Some(expected) = expected {
            update = update.filter(workspaces::Column::Version.eq(expected.cast_signed()));
        }
        let rows = update.exec_with_returning(&self.conn).await?;
        Ok(rows.first().map(|row| row.version.unsigned_abs()))
    }

    /// Gives the workspace another name.
    pub async fn rename_workspace(&self, name: &str) -> Result<(), StorageError> {
        workspaces::Entity::update_many()
            .col_expr(workspaces::Column::Name, Expr::value(name))
            .filter(workspaces::Column::Id.eq(self.ws()))
            .exec(&self.conn)
            .await?;
        Ok(())
    }
}
