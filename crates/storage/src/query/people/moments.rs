//! Ends of windows: which come soon, which are over, and of which that was told.
//!
//! What was told is told for an end, not for a conversation: once the customer's next message moves the end, the two columns
//! differ, and the conversation is in the index of those to be told again. Nobody has to write that down.

use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};
use time::OffsetDateTime;
use transom_domain::{ConversationId, MessageId};
use uuid::Uuid;

use super::conversations::{Row, StoredConversation};
use super::facts::WindowColumns;
use super::messages::reached;
use super::statement::{Sql, on_postgres, runs};
use crate::instant::Millis;
use crate::query::millis;
use crate::{Reader, StorageError, Tx};

/// What happens once for each end of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It is told that the end comes.
    Notice,
    /// It is decided whether the customer is reminded.
    Reminder,
    /// It is over.
    End,
}

impl Moment {
    const fn index(self) -> &'static str {
        match self {
            Moment::Notice => "conversations_to_tell",
            Moment::Reminder => "conversations_to_remind",
            Moment::End => "conversations_to_close",
        }
    }

    /// Which conversations are in the index, in its own words: so both databases see that it has them all.
    const fn condition(self) -> &'static str {
        match self {
            Moment::Notice => {
                " AND window_ends_at IS NOT NULL AND (closing_told_for IS NULL OR closing_told_for <> window_ends_at)"
            }
            Moment::Reminder => {
                " AND window_ends_at IS NOT NULL AND status = 'open' AND waiting_since IS NULL AND (reminded_for IS NULL \
                 OR reminded_for <> window_ends_at)"
            }
            Moment::End => " AND window_ends_at IS NOT NULL",
        }
    }
}

/// The last thing that was said in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWord {
    /// The message.
    pub message: MessageId,
    /// When it was written.
    pub at: OffsetDateTime,
    /// Whether a person of ours wrote it.
    pub by_person: bool,
}

impl Reader {
    /// Up to `limit` conversations for whose windows this moment has come: those that end behind `after`, and not behind `until`;
    /// the next end first.
    pub async fn ends_due(
        &self,
        moment: Moment,
        (after, until): (Option<OffsetDateTime>, OffsetDateTime),
        limit: u32,
    ) -> Result<Vec<ConversationId>, StorageError> {
        let rows = self.conn.query_all_raw(self.select_ends_due(moment, (after, until), limit).on(&self.conn)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
    }

    pub(super) fn select_ends_due(
        &self,
        moment: Moment,
        (after, until): (Option<OffsetDateTime>, OffsetDateTime),
        limit: u32,
    ) -> Sql {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT id FROM conversations")
            .push(&self.along(moment.index()))
            .push(" WHERE workspace_id = $1")
            .push(moment.condition())
            .with(" AND window_ends_at <= ", millis(until));
        if let Some(after) = after {
            statement.with(" AND window_ends_at > ", millis(after));
        }
        statement.with(" ORDER BY window_ends_at LIMIT ", i64::from(limit));
        statement
    }

    /// The last message between the customer and us, automations included, that was not withheld.
    pub async fn last_word(&self, conversation: ConversationId) -> Result<Option<LastWord>, StorageError> {
        let Some(row) = self.conn.query_one_raw(self.select_last_word(conversation).on(&self.conn)).await? else {
            return Ok(None);
        };
        let (message, at, agent): (Uuid, Millis, Option<Uuid>) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        Ok(Some(LastWord { message: message.into(), at: at.at(), by_person: agent.is_some() }))
    }

    pub(super) fn select_last_word(&self, conversation: ConversationId) -> Sql {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT m.id, m.at, m.agent_id FROM messages m WHERE m.workspace_id = $1 AND m.kind = 'reply'")
            .with(" AND m.conversation_id = ", conversation.uuid())
            .push(&format!(" AND (m.state IS NULL OR {})", reached("m")))
            .push(" ORDER BY m.at DESC, m.id DESC LIMIT 1");
        statement
    }
}

impl Tx {
    /// Those of these conversations for which the moment is still to come at that very end, locked until the end of the
    /// transaction. What somebody else is changing is left out: it comes with the next look.
    pub async fn lock_ends(
        &self,
        moment: Moment,
        ends: &[(ConversationId, OffsetDateTime)],
    ) -> Result<Vec<StoredConversation>, StorageError> {
        let mut locked = Vec::with_capacity(ends.len());
        for ends in runs(ends) {
            let mut statement = self.select_conversations();
            statement
                .push(moment.condition())
                .push(" AND c.id IN ")
                .list(ends.iter().map(|(id, _)| id.uuid()))
                .push(" ORDER BY c.id");
            if on_postgres(self) {
                statement.push(" FOR NO KEY UPDATE OF c SKIP LOCKED");
            }
            for row in Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await? {
                let stored = StoredConversation::try_from(row)?;
                let end = ends.iter().find(|(id, _)| *id == stored.conversation.id).map(|(_, end)| *end);
                if end.is_some() && stored.window.ends_at == end {
                    locked.push(stored);
                }
            }
        }
        Ok(locked)
    }

    /// Notes of conversations that are locked that the moment has passed. After an end the next one is waited for, if there is one.
    pub async fn pass_moment(
        &self,
        moment: Moment,
        conversations: &[ConversationId],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        for conversations in runs(conversations) {
            let mut statement = Sql::of(self);
            match moment {
                Moment::Notice => statement.push("UPDATE conversations SET closing_told_for = window_ends_at"),
                Moment::Reminder => statement.push("UPDATE conversations SET reminded_for = window_ends_at"),
                Moment::End => {
                    let (now, never) = (statement.named(millis(now)), statement.named(millis(WindowColumns::NEVER)));
                    statement.push(&format!(
                        "UPDATE conversations SET window_ends_at = CASE WHEN free_form_until > {now} AND free_form_until < \
                         {never} THEN free_form_until WHEN window_closes_at > {now} THEN window_closes_at END"
                    ))
                }
            };
            statement.push(" WHERE workspace_id = $1 AND id IN ").list(conversations.iter().map(|id| id.uuid()));
            self.conn.execute_raw(statement.on(&self.conn)).await?;
        }
        Ok(())
    }

    /// Notes for one conversation that it was decided whether to remind; `false` if it was before, or the end moved.
    pub async fn reminded(&self, conversation: ConversationId, end: OffsetDateTime) -> Result<bool, StorageError> {
        let mut statement = Sql::new("UPDATE conversations SET reminded_for = window_ends_at WHERE workspace_id = ");
        statement
            .bind(self.ws())
            .with(" AND id = ", conversation.uuid())
            .with(" AND window_ends_at = ", millis(end))
            .push(" AND (reminded_for IS NULL OR reminded_for <> window_ends_at)");
        Ok(self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() == 1)
    }
}

/// A column of a row as an instant.
pub(super) fn instant(row: &QueryResult, column: &str) -> Result<Option<OffsetDateTime>, StorageError> {
    Ok(row.try_get::<Option<Millis>>("", column)?.map(Millis::at))
}
