//! Agents and teams.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use time::OffsetDateTime;
use transom_domain::{Agent, AgentId, Role, Team, TeamId};
use uuid::Uuid;

use super::unreadable;
use crate::entity::{agents, team_members, teams};
use crate::{Reader, StorageError, Tx};

/// An agent as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAgent {
    /// The agent.
    pub agent: Agent,
    /// Whether it may sign in and be assigned.
    pub active: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

impl TryFrom<agents::Model> for StoredAgent {
    type Error = StorageError;

    fn try_from(row: agents::Model) -> Result<Self, StorageError> {
        let role = Role::ALL.into_iter().find(|role| role.as_str() == row.role);
        let role = role.ok_or_else(|| unreadable(("agents", "role", row.id), format!("`{}` is no role", row.role)))?;
        let agent =
            Agent { id: row.id.into(), workspace: row.workspace_id.into(), name: row.name, alias: row.alias, role };
        Ok(Self { agent, active: row.active, created_at: row.created_at.at() })
    }
}

impl Reader {
    /// One agent.
    pub async fn agent(&self, id: AgentId) -> Result<Option<StoredAgent>, StorageError> {
        let row = agents::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Every agent, oldest first.
    pub async fn agents(&self) -> Result<Vec<StoredAgent>, StorageError> {
        let rows = agents::Entity::find()
            .filter(agents::Column::WorkspaceId.eq(self.ws()))
            .order_by_asc(agents::Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// One team.
    pub async fn team(&self, id: TeamId) -> Result<Option<Team>, StorageError> {
        let row = teams::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        Ok(row.map(|row| Team { id: row.id.into(), name: row.name }))
    }

    /// Every team, by name.
    pub async fn teams(&self) -> Result<Vec<Team>, StorageError> {
        let rows = teams::Entity::find()
            .filter(teams::Column::WorkspaceId.eq(self.ws()))
            .order_by_asc(teams::Column::Name)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| Team { id: row.id.into(), name: row.name }).collect())
    }

    /// Who is in a team.
    pub async fn members_of(&self, team: TeamId) -> Result<Vec<AgentId>, StorageError> {
        let ids = team_members::Entity::find()
            .select_only()
            .column(team_members::Column::AgentId)
            .filter(team_members::Column::WorkspaceId.eq(self.ws()))
            .filter(team_members::Column::TeamId.eq(team.uuid()))
            .order_by_asc(team_members::Column::AgentId);
        let ids: Vec<Uuid> = ids.into_tuple().all(&self.conn).await?;
        Ok(ids.into_iter().map(Into::into).collect())
    }

    /// The teams that an agent is in.
    pub async fn teams_of(&self, agent: AgentId) -> Result<Vec<TeamId>, StorageError> {
        let ids = team_members::Entity::find()
            .select_only()
            .column(team_members::Column::TeamId)
            .filter(team_members::Column::WorkspaceId.eq(self.ws()))
            .filter(team_members::Column::AgentId.eq(agent.uuid()))
            .order_by_asc(team_members::Column::TeamId);
        let ids: Vec<Uuid> = ids.into_tuple().all(&self.conn).await?;
        Ok(ids.into_iter().map(Into::into).collect())
    }
}

impl Tx {
    /// Stores an agent, new or changed. Its workspace is the transaction's, whatever the value says.
    pub async fn put_agent(&self, agent: &Agent, active: bool, now: OffsetDateTime) -> Result<(), StorageError> {
        let row = agents::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(agent.id.uuid()),
            name: Set(agent.name.clone()),
            alias: Set(agent.alias.clone()),
            role: Set(agent.role.as_str().to_owned()),
            active: Set(active),
            created_at: Set(now.into()),
        };
        let changed = OnConflict::columns([agents::Column::WorkspaceId, agents::Column::Id])
            .update_columns([agents::Column::Name, agents::Column::Alias, agents::Column::Role, agents::Column::Active])
            .to_owned();
        agents::Entity::insert(row).on_conflict(changed).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Stores a team, new or renamed.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if another team has the name.
    pub async fn put_team(&self, team: &Team, now: OffsetDateTime) -> Result<(), StorageError> {
        let row = teams::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(team.id.uuid()),
            name: Set(team.name.clone()),
            created_at: Set(now.into()),
        };
        let changed = OnConflict::columns([teams::Column::WorkspaceId, teams::Column::Id])
            .update_column(teams::Column::Name)
            .to_owned();
        teams::Entity::insert(row).on_conflict(changed).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Removes a team; whether it was there.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] while conversations are assigned to it.
    pub async fn delete_team(&self, id: TeamId) -> Result<bool, StorageError> {
        let gone = teams::Entity::delete_by_id((self.ws(), id.uuid())).exec(&self.conn).await?;
        Ok(gone.rows_affected == 1)
    }

    /// Puts an agent into a team; once is enough.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if one of them is not of this workspace.
    pub async fn add_member(&self, team: TeamId, agent: AgentId) -> Result<(), StorageError> {
        let row = team_members::ActiveModel {
            workspace_id: Set(self.ws()),
            team_id: Set(team.uuid()),
            agent_id: Set(agent.uuid()),
        };
        let already = OnConflict::new().do_nothing().to_owned();
        team_members::Entity::insert(row).on_conflict(already).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Takes an agent out of a team; whether it was in.
    pub async fn remove_member(&self, team: TeamId, agent: AgentId) -> Result<bool, StorageError> {
        let key = (self.ws(), team.uuid(), agent.uuid());
        Ok(team_members::Entity::delete_by_id(key).exec(&self.conn).await?.rows_affected == 1)
    }
}
