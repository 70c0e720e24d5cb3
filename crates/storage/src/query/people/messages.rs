//! Messages as they are stored: with their parts, reactions, edits.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder};
use time::OffsetDateTime;
use transom_domain::{
    AgentId, Author, ChannelAccountId, ConversationId, DeliveryState, Direction, IdentityId, Message, MessageId,
    MessageKind, Part, PartId,
};
use transom_windows::PermitRecord;
use uuid::Uuid;

use super::statement::{Sql, columns};
use crate::entity::{message_reactions, messages, parts};
use crate::instant::Millis;
use crate::query::{from_json, millis, unreadable};
use crate::{Reader, StorageError};

/// A message to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The message.
    pub message: Message,
    /// The account it came in or goes out by.
    pub account: ChannelAccountId,
    /// The person it is from or to.
    pub identity: IdentityId,
    /// The platform's id of what came in; what goes out gets one for each part.
    pub provider_id: Option<String>,
    /// The message that it answers or quotes.
    pub reply_to: Option<MessageId>,
    /// What comes with a button that was pressed.
    pub payload: Option<String>,
    /// The record of the right it left by.
    pub permit: Option<PermitRecord>,
    /// Whatever else belongs to it, as a JSON object.
    pub extra: serde_json::Value,
}

/// A message as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMessage {
    /// The message.
    pub message: Message,
    /// The account it came in or goes out by.
    pub account: ChannelAccountId,
    /// The person it is from or to.
    pub identity: IdentityId,
    /// The platform's id of what came in.
    pub provider_id: Option<String>,
    /// The message that it answers or quotes.
    pub reply_to: Option<MessageId>,
    /// What came with a button that was pressed.
    pub payload: Option<String>,
    /// The record of the right it left by.
    pub permit: Option<PermitRecord>,
    /// Its parts, in order; none for what came in.
    pub parts: Vec<StoredPart>,
    /// Why it did not arrive.
    pub failure: Option<serde_json::Value>,
    /// When its author last edited it.
    pub edited_at: Option<OffsetDateTime>,
    /// When its author took it back.
    pub unsent_at: Option<OffsetDateTime>,
    /// What others put to it, the first one first.
    pub reactions: Vec<StoredReaction>,
    /// Whatever else belongs to it.
    pub extra: serde_json::Value,
    /// When we stored it.
    pub stored_at: OffsetDateTime,
}

/// A part as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPart {
    /// The part.
    pub part: Part,
    /// Why it did not arrive.
    pub failure: Option<serde_json::Value>,
    /// How often it was tried.
    pub attempts: u32,
    /// When the platform accepted it.
    pub sent_at: Option<OffsetDateTime>,
    /// When it reached the customer.
    pub delivered_at: Option<OffsetDateTime>,
    /// When the customer saw it.
    pub read_at: Option<OffsetDateTime>,
    /// When its state last changed.
    pub updated_at: OffsetDateTime,
}

/// An emoji that somebody put to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReaction {
    /// Who.
    pub by: Author,
    /// The emoji.
    pub emoji: String,
    /// When.
    pub at: OffsetDateTime,
}

/// Whether a message of ours reached the platform, in SQL: one of its parts did, or is on its way.
pub(super) fn reached(table: &str) -> String {
    const NOT: &str = "state NOT IN ('failed', 'not_sent', 'canceled', 'scheduled')";
    format!(
        "({table}.{NOT} OR EXISTS (SELECT 1 FROM parts p WHERE p.workspace_id = {table}.workspace_id AND p.message_id = \
         {table}.id AND p.{NOT}))"
    )
}

fn state(name: &str, place: (&'static str, &'static str, Uuid)) -> Result<DeliveryState, StorageError> {
    DeliveryState::parse(name).ok_or_else(|| unreadable(place, format!("`{name}` is no state")))
}

impl TryFrom<parts::Model> for StoredPart {
    type Error = StorageError;

    fn try_from(row: parts::Model) -> Result<Self, StorageError> {
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Self {
            part: Part {
                id: row.id.into(),
                index: count(row.position),
                content: from_json(row.content, ("parts", "content", row.id))?,
                cost: count(row.cost),
                state: state(&row.state, ("parts", "state", row.id))?,
                provider_id: row.provider_id,
            },
            failure: row.reason,
            attempts: count(row.attempts),
            sent_at: row.sent_at.map(Millis::at),
            delivered_at: row.delivered_at.map(Millis::at),
            read_at: row.read_at.map(Millis::at),
            updated_at: row.updated_at.at(),
        })
    }
}

impl StoredMessage {
    /// Without parts and reactions.
    pub(super) fn bare(row: messages::Model) -> Result<Self, StorageError> {
        Self::read(row, Vec::new(), Vec::new())
    }

    fn read(
        row: messages::Model,
        parts: Vec<StoredPart>,
        reactions: Vec<StoredReaction>,
    ) -> Result<Self, StorageError> {
        let place = |column| ("messages", column, row.id);
        let kinds = [MessageKind::Reply, MessageKind::Note, MessageKind::Activity];
        let kind = kinds.into_iter().find(|kind| kind.as_str() == row.kind);
        let directions = [Direction::Inbound, Direction::Outbound, Direction::Internal];
        let direction = directions.into_iter().find(|direction| direction.as_str() == row.direction);
        let state = row.state.as_deref().map(|name| state(name, place("state"))).transpose()?;
        // The message shows its worst part, and why that one did not arrive.
        let of_part = || parts.iter().find(|part| Some(part.part.state) == state).and_then(|part| part.failure.clone());
        let failure = row.reason.clone().or_else(of_part);
        Ok(Self {
            message: Message {
                id: row.id.into(),
                conversation: row.conversation_id.into(),
                kind: kind.ok_or_else(|| unreadable(place("kind"), format!("`{}` is no kind", row.kind)))?,
                direction: direction
                    .ok_or_else(|| unreadable(place("direction"), format!("`{}` is no direction", row.direction)))?,
                author: from_json(row.author, place("author"))?,
                content: from_json(row.content, place("content"))?,
                state,
                at: row.at.at(),
            },
            account: row.account_id.into(),
            identity: row.identity_id.into(),
            provider_id: row.provider_id,
            reply_to: row.reply_to.map(Into::into),
            payload: row.payload,
            permit: row.permit.map(|permit| from_json(permit, place("permit"))).transpose()?,
            parts,
            failure,
            edited_at: row.edited_at.map(Millis::at),
            unsent_at: row.unsent_at.map(Millis::at),
            reactions,
            extra: row.extra,
            stored_at: row.stored_at.at(),
        })
    }
}

impl Reader {
    /// One message with its parts.
    pub async fn message(&self, id: MessageId) -> Result<Option<StoredMessage>, StorageError> {
        let mut statement = self.select_messages();
        statement.with(" AND m.id = ", id.uuid());
        Ok(self.stored_messages(statement).await?.pop())
    }

    /// Those of these messages that are there, in no order.
    pub async fn messages_of_ids(&self, ids: &[MessageId]) -> Result<Vec<StoredMessage>, StorageError> {
        let mut statement = self.select_messages();
        statement.push(" AND m.id IN ").list(ids.iter().map(|id| id.uuid()));
        self.stored_messages(statement).await
    }

    /// A conversation's messages, the newest first; before `before`, its time and id, if that is given.
    pub async fn messages(
        &self,
        conversation: ConversationId,
        before: Option<(OffsetDateTime, MessageId)>,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, StorageError> {
        self.stored_messages(self.page_of_messages(conversation, before, limit)).await
    }

    pub(super) fn page_of_messages(
        &self,
        conversation: ConversationId,
        before: Option<(OffsetDateTime, MessageId)>,
        limit: u32,
    ) -> Sql {
        let mut statement = self.select_messages();
        statement.with(" AND m.conversation_id = ", conversation.uuid());
        if let Some((at, id)) = before {
            statement.with(" AND (m.at, m.id) < (", millis(at)).with(", ", id.uuid()).push(")");
        }
        statement.with(" ORDER BY m.at DESC, m.id DESC LIMIT ", i64::from(limit));
        statement
    }

    pub(super) fn select_messages(&self) -> Sql {
        let mut statement = Sql::new("SELECT ");
        statement.push(&columns::<messages::Entity>("m")).with(" FROM messages m WHERE m.workspace_id = ", self.ws());
        statement
    }

    /// The messages, and in one more query each their parts and reactions.
    pub(super) async fn stored_messages(&self, statement: Sql) -> Result<Vec<StoredMessage>, StorageError> {
        let rows = messages::Model::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        let outbound = rows.iter().filter(|row| row.direction == Direction::Outbound.as_str()).map(|row| row.id);
        let mut parts = self.parts_of(outbound.collect()).await?;
        let mut reactions = self.reactions_of(rows.iter().map(|row| row.id).collect()).await?;
        let stored = |row: messages::Model| {
            let (parts, reactions) = (parts.remove(&row.id), reactions.remove(&row.id));
            StoredMessage::read(row, parts.unwrap_or_default(), reactions.unwrap_or_default())
        };
        rows.into_iter().map(stored).collect()
    }

    async fn parts_of(&self, ids: Vec<Uuid>) -> Result<BTreeMap<Uuid, Vec<StoredPart>>, StorageError> {
        let mut parts_of: BTreeMap<Uuid, Vec<StoredPart>> = BTreeMap::new();
        if ids.is_empty() {
            return Ok(parts_of);
        }
        let rows = parts::Entity::find()
            .filter(parts::Column::WorkspaceId.eq(self.ws()))
            .filter(parts::Column::MessageId.is_in(ids))
            .order_by_asc(parts::Column::Position)
            .all(&self.conn)
            .await?;
        for row in rows {
            parts_of.entry(row.message_id).or_default().push(row.try_into()?);
        }
        Ok(parts_of)
    }

    async fn reactions_of(&self, ids: Vec<Uuid>) -> Result<BTreeMap<Uuid, Vec<StoredReaction>>, StorageError> {
        let mut reactions_of: BTreeMap<Uuid, Vec<StoredReaction>> = BTreeMap::new();
        if ids.is_empty() {
            return Ok(reactions_of);
        }
        let rows = message_reactions::Entity::find()
            .filter(message_reactions::Column::WorkspaceId.eq(self.ws()))
            .filter(message_reactions::Column::MessageId.is_in(ids))
            .filter(message_reactions::Column::Emoji.is_not_null())
            .order_by_asc(message_reactions::Column::At)
            .order_by_asc(message_reactions::Column::ByKey)
            .all(&self.conn)
            .await?;
        for row in rows {
            let by = from_json(row.author, ("message_reactions", "author", row.message_id))?;
            let reaction = StoredReaction { by, emoji: row.emoji.unwrap_or_default(), at: row.at.at() };
            reactions_of.entry(row.message_id).or_default().push(reaction);
        }
        Ok(reactions_of)
    }

    /// The message, or the part of an outgoing one, that the account's platform knows by this id.
    pub async fn message_by_provider_id(
        &self,
        account: ChannelAccountId,
        provider_id: &str,
    ) -> Result<Option<(MessageId, Option<PartId>)>, StorageError> {
        let statement = self.select_by_provider_id(account, provider_id);
        let Some(row) = self.conn.query_one_raw(statement.on(&self.conn)).await? else { return Ok(None) };
        let (message, part): (Uuid, Option<Uuid>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok(Some((message.into(), part.map(Into::into))))
    }

    pub(super) fn select_by_provider_id(&self, account: ChannelAccountId, provider_id: &str) -> Sql {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT id AS message, NULL AS part FROM messages WHERE workspace_id = $1")
            .with(" AND account_id = ", account.uuid())
            .with(" AND provider_id = ", provider_id)
            .push(" UNION ALL SELECT message_id, id FROM parts WHERE workspace_id = $1 AND account_id = $2 ")
            .push("AND provider_id = $3 LIMIT 1");
        statement
    }

    /// The last message that a person of ours wrote to the customer. What never reached the platform doesn't count.
    pub async fn last_outbound_by_person(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<(MessageId, AgentId, OffsetDateTime)>, StorageError> {
        let statement = self.select_last_by_person(conversation);
        let Some(row) = self.conn.query_one_raw(statement.on(&self.conn)).await? else { return Ok(None) };
        let (id, agent): (Uuid, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok(Some((id.into(), agent.into(), row.try_get_by_index::<Millis>(2)?.at())))
    }

    pub(super) fn select_last_by_person(&self, conversation: ConversationId) -> Sql {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT id, agent_id, at FROM messages WHERE workspace_id = $1")
            .with(" AND conversation_id = ", conversation.uuid())
            .push(&format!(" AND agent_id IS NOT NULL AND {}", reached("messages")))
            .push(" ORDER BY at DESC, id DESC LIMIT 1");
        statement
    }
}
