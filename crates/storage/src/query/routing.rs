//! Automatic assignment: the rules, who is away, to whom contacts belong, and whose turn it is.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use time::OffsetDateTime;
use transom_domain::{AgentId, AssignmentRule, AssignmentRuleId, ContactId, ConversationId, Pick, TeamId};
use uuid::Uuid;

use super::{from_json, sql, to_json};
use crate::entity::{agent_duty, assignment_rules, dedicated_agents};
use crate::{Reader, StorageError, Tx};

impl TryFrom<assignment_rules::Model> for AssignmentRule {
    type Error = StorageError;

    fn try_from(row: assignment_rules::Model) -> Result<Self, StorageError> {
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            enabled: row.enabled,
            condition: from_json(row.condition, ("assignment_rules", "condition", row.id))?,
            target: from_json(row.target, ("assignment_rules", "target", row.id))?,
        })
    }
}

impl Reader {
    /// The rules, in the order in which they are asked.
    pub async fn assignment_rules(&self) -> Result<Vec<AssignmentRule>, StorageError> {
        let rows = assignment_rules::Entity::find()
            .filter(assignment_rules::Column::WorkspaceId.eq(self.ws()))
            .order_by_asc(assignment_rules::Column::Position)
            .order_by_asc(assignment_rules::Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// One rule.
    pub async fn assignment_rule(&self, id: AssignmentRuleId) -> Result<Option<AssignmentRule>, StorageError> {
        let row = assignment_rules::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Whether an agent is away.
    pub async fn is_away(&self, agent: AgentId) -> Result<bool, StorageError> {
        let row = agent_duty::Entity::find_by_id((self.ws(), agent.uuid())).one(&self.conn).await?;
        Ok(row.is_some_and(|row| row.away))
    }

    /// Everybody who is away.
    pub async fn agents_away(&self) -> Result<Vec<AgentId>, StorageError> {
        let ids = agent_duty::Entity::find()
            .select_only()
            .column(agent_duty::Column::AgentId)
            .filter(agent_duty::Column::WorkspaceId.eq(self.ws()))
            .filter(agent_duty::Column::Away.eq(true));
        let ids: Vec<Uuid> = ids.into_tuple().all(&self.conn).await?;
        Ok(ids.into_iter().map(Into::into).collect())
    }

    /// The agent that a contact belongs to.
    pub async fn dedicated_agent(&self, contact: ContactId) -> Result<Option<AgentId>, StorageError> {
        let row = dedicated_agents::Entity::find_by_id((self.ws(), contact.uuid())).one(&self.conn).await?;
        Ok(row.map(|row| row.agent_id.into()))
    }

    /// Whether a contact had an episode before the present one of this conversation, on whatever channel.
    pub async fn has_earlier_episode(
        &self,
        contact: ContactId,
        conversation: ConversationId,
    ) -> Result<bool, StorageError> {
        const EARLIER: &str = "SELECT 1 FROM conversations WHERE workspace_id = $1 AND contact_id = $2 \
                               AND (CASE WHEN id = $3 THEN episodes > 1 ELSE episodes > 0 END) LIMIT 1";
        let values = [self.ws().into(), contact.uuid().into(), conversation.uuid().into()];
        Ok(self.conn.query_one_raw(sql(&self.conn, EARLIER, values)).await?.is_some())
    }
}

impl Tx {
    /// Stores a rule, new or changed; a new one is asked last.
    pub async fn put_assignment_rule(&self, rule: &AssignmentRule, now: OffsetDateTime) -> Result<(), StorageError> {
        use assignment_rules::Column as C;
        let last = assignment_rules::Entity::find()
            .filter(C::WorkspaceId.eq(self.ws()))
            .order_by_desc(C::Position)
            .one(&self.conn)
            .await?;
        let row = assignment_rules::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(rule.id.uuid()),
            position: Set(last.map_or(1, |row| row.position.saturating_add(1))),
            name: Set(rule.name.clone()),
            enabled: Set(rule.enabled),
            condition: Set(to_json(&rule.condition)?),
            target: Set(to_json(&rule.target)?),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
        };
        let changed = OnConflict::columns([C::WorkspaceId, C::Id])
            .update_columns([C::Name, C::Enabled, C::Condition, C::Target, C::UpdatedAt])
            .to_owned();
        assignment_rules::Entity::insert(row).on_conflict(changed).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Puts the rules into this order.
    pub async fn order_assignment_rules(&self, ids: &[AssignmentRuleId]) -> Result<(), StorageError> {
        for (position, id) in (1_i64..).zip(ids) {
            assignment_rules::Entity::update_many()
                .col_expr(assignment_rules::Column::Position, Expr::value(position))
                .filter(assignment_rules::Column::WorkspaceId.eq(self.ws()))
                .filter(assignment_rules::Column::Id.eq(id.uuid()))
                .exec(&self.conn)
                .await?;
        }
        Ok(())
    }

    /// Deletes a rule; whether it was there.
    pub async fn delete_assignment_rule(&self, id: AssignmentRuleId) -> Result<bool, StorageError> {
        let gone = assignment_rules::Entity::delete_by_id((self.ws(), id.uuid())).exec(&self.conn).await?;
        Ok(gone.rows_affected == 1)
    }

    /// Says whether an agent is away.
    pub async fn set_away(&self, agent: AgentId, away: bool) -> Result<(), StorageError> {
        let row = agent_duty::ActiveModel {
            workspace_id: Set(self.ws()),
            agent_id: Set(agent.uuid()),
            away: Set(away),
            turn: Set(None),
        };
        let changed = OnConflict::columns([agent_duty::Column::WorkspaceId, agent_duty::Column::AgentId])
            .update_column(agent_duty::Column::Away)
            .to_owned();
        agent_duty::Entity::insert(row).on_conflict(changed).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Notes that a rule gave an agent something: others are next. Turns are counted, since two fit into one millisecond.
    pub async fn note_given(&self, agent: AgentId) -> Result<(), StorageError> {
        const GIVEN: &str = "INSERT INTO agent_duty (workspace_id, agent_id, away, turn) VALUES ($1, $2, $3, \
                             (SELECT coalesce(max(turn), 0) + 1 FROM agent_duty WHERE workspace_id = $1)) \
                             ON CONFLICT (workspace_id, agent_id) DO UPDATE SET turn = excluded.turn";
        let values = [self.ws().into(), agent.uuid().into(), false.into()];
        self.conn.execute_raw(sql(&self.conn, GIVEN, values)).await?;
        Ok(())
    }

    /// Makes a contact somebody's, or nobody's.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if one of them is not of this workspace.
    pub async fn set_dedicated_agent(&self, contact: ContactId, agent: Option<AgentId>) -> Result<(), StorageError> {
        use dedicated_agents::Column as C;
        let Some(agent) = agent else {
            dedicated_agents::Entity::delete_by_id((self.ws(), contact.uuid())).exec(&self.conn).await?;
            return Ok(());
        };
        let row = dedicated_agents::ActiveModel {
            workspace_id: Set(self.ws()),
            contact_id: Set(contact.uuid()),
            agent_id: Set(agent.uuid()),
        };
        let changed = OnConflict::columns([C::WorkspaceId, C::ContactId]).update_column(C::AgentId).to_owned();
        dedicated_agents::Entity::insert(row).on_conflict(changed).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Whose turn it is in a team: active, a person, not away. Ask it under one turn a workspace, or two get the same.
    pub async fn next_of_team(&self, team: TeamId, pick: Pick) -> Result<Option<AgentId>, StorageError> {
        const NEXT: &str = "SELECT m.agent_id FROM team_members m \
                            JOIN agents a ON a.workspace_id = m.workspace_id AND a.id = m.agent_id \
                            LEFT JOIN agent_duty d ON d.workspace_id = m.workspace_id AND d.agent_id = m.agent_id \
                            WHERE m.workspace_id = $1 AND m.team_id = $2 AND a.active AND a.role <> 'bot' \
                            AND NOT coalesce(d.away, false) ORDER BY ";
        const LONGEST_AGO: &str = "coalesce(d.turn, 0), m.agent_id LIMIT 1";
        const FEWEST: &str = "(SELECT count(*) FROM conversations c WHERE c.workspace_id = $1 \
                              AND c.agent_id = m.agent_id AND c.tab = 'assigned'), ";
        let text = match pick {
            Pick::Nobody => return Ok(None),
            Pick::RoundRobin => format!("{NEXT}{LONGEST_AGO}"),
            Pick::FewestOpen => format!("{NEXT}{FEWEST}{LONGEST_AGO}"),
        };
        let values = [self.ws().into(), team.uuid().into()];
        let row = self.conn.query_one_raw(sql(&self.conn, &text, values)).await?;
        let id: Option<Uuid> = row.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(id.map(Into::into))
    }
}
