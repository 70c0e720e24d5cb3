//! Episodes: one stretch of a conversation from its opening to its close, kept for good.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Value};
use time::OffsetDateTime;
use transom_domain::{Actor, Assignment, Conversation, ConversationId, EpisodeId, MessageId};
use uuid::Uuid;

use super::statement::{Sql, runs};
use crate::entity::episodes;
use crate::instant::Millis;
use crate::query::{from_json, millis, to_json};
use crate::{Reader, StorageError, Tx};

/// How an episode begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeStart {
    /// Why: `inbound`, `outbound`, `agent`, `wake`, `answer`.
    pub cause: String,
    /// The message that opened it, or ours that the customer answered.
    pub message: Option<MessageId>,
    /// Who opened it.
    pub by: Actor,
}

/// How an episode ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeEnd {
    /// Who closed it.
    pub by: Actor,
    /// What it was about.
    pub category: Option<String>,
    /// What was done.
    pub note: Option<String>,
}

/// One stretch of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Its id.
    pub id: EpisodeId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its number in the conversation, from 1.
    pub number: u32,
    /// When it was opened.
    pub opened_at: OffsetDateTime,
    /// By whom.
    pub opened_by: Actor,
    /// Why.
    pub cause: String,
    /// The message that opened it, or ours that the customer answered.
    pub cause_message: Option<MessageId>,
    /// When it was closed.
    pub closed_at: Option<OffsetDateTime>,
    /// By whom.
    pub closed_by: Option<Actor>,
    /// Who had it when it was closed.
    pub assignment: Assignment,
    /// What it was about.
    pub category: Option<String>,
    /// What was done.
    pub note: Option<String>,
}

impl TryFrom<episodes::Model> for Episode {
    type Error = StorageError;

    fn try_from(row: episodes::Model) -> Result<Self, StorageError> {
        let place = |column| ("episodes", column, row.id);
        Ok(Self {
            id: row.id.into(),
            conversation: row.conversation_id.into(),
            number: u32::try_from(row.number).unwrap_or(u32::MAX),
            opened_at: row.opened_at.at(),
            opened_by: from_json(row.opened_by, place("opened_by"))?,
            cause: row.cause,
            cause_message: row.cause_message_id.map(Into::into),
            closed_at: row.closed_at.map(Millis::at),
            closed_by: row.closed_by.map(|by| from_json(by, place("closed_by"))).transpose()?,
            assignment: Assignment { agent: row.agent_id.map(Into::into), team: row.team_id.map(Into::into) },
            category: row.category,
            note: row.note,
        })
    }
}

impl Reader {
    /// Every episode of a conversation, the first one first.
    pub async fn episodes(&self, conversation: ConversationId) -> Result<Vec<Episode>, StorageError> {
        let rows = episodes::Entity::find()
            .filter(episodes::Column::WorkspaceId.eq(self.ws()))
            .filter(episodes::Column::ConversationId.eq(conversation.uuid()))
            .order_by_asc(episodes::Column::Number)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

impl Tx {
    /// Stores the beginning of the episode that the conversation is in; once is enough.
    pub async fn begin_episode(
        &self,
        conversation: &Conversation,
        start: &EpisodeStart,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        self.begin_episodes(&[(conversation.clone(), start.clone())], now).await
    }

    /// The same for many conversations.
    pub async fn begin_episodes(
        &self,
        episodes: &[(Conversation, EpisodeStart)],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        for episodes in runs(episodes) {
            let mut statement = Sql::new(
                "INSERT INTO episodes (workspace_id, id, conversation_id, number, opened_at, opened_by, cause, \
                 cause_message_id) VALUES ",
            );
            for (at, (conversation, start)) in episodes.iter().enumerate() {
                statement.push(if at == 0 { "" } else { ", " }).list::<Value>([
                    self.ws().into(),
                    conversation.episode.uuid().into(),
                    conversation.id.uuid().into(),
                    i64::from(conversation.episodes).into(),
                    millis(now),
                    to_json(&start.by)?.into(),
                    start.cause.as_str().into(),
                    start.message.map(MessageId::uuid).into(),
                ]);
            }
            statement.push(" ON CONFLICT (workspace_id, id) DO NOTHING");
            self.conn.execute_raw(statement.on(&self.conn)).await?;
        }
        Ok(())
    }

    /// Stores the end of an episode. `conversation` is as it was before: whoever had it then is kept.
    pub async fn end_episode(
        &self,
        conversation: &Conversation,
        end: &EpisodeEnd,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        use episodes::Column as C;
        episodes::Entity::update_many()
            .col_expr(C::ClosedAt, Expr::value(millis(now)))
            .col_expr(C::ClosedBy, Expr::value(to_json(&end.by)?))
            .col_expr(C::AgentId, Expr::value(conversation.assignment.agent.map(Uuid::from)))
            .col_expr(C::TeamId, Expr::value(conversation.assignment.team.map(Uuid::from)))
            .col_expr(C::Category, Expr::value(end.category.clone()))
            .col_expr(C::Note, Expr::value(end.note.clone()))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::Id.eq(conversation.episode.uuid()))
            .filter(C::ClosedAt.is_null())
            .exec(&self.conn)
            .await?;
        Ok(())
    }
}
