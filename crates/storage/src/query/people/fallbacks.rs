//! Messages that nobody came to read, and the letters that brought them instead.

use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, ConversationId, MessageId};
use uuid::Uuid;

use super::messages::StoredMessage;
use super::statement::{Sql, runs};
use crate::instant::Millis;
use crate::query::millis;
use crate::{Reader, StorageError, Tx};

/// Replies of ours that the platform took and nobody has read, `m`, and of which nothing was decided yet.
const UNREAD: &str = "m.direction = 'outbound' AND m.kind = 'reply' AND m.state IN ('sent', 'delivered') AND m.unsent_at IS NULL \
                      AND NOT EXISTS (SELECT 1 FROM fallbacks f WHERE f.workspace_id = m.workspace_id AND f.message_id = m.id)";

/// The last letter that brought messages of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastFallback {
    /// The letter.
    pub letter: MessageId,
    /// When it was written.
    pub at: OffsetDateTime,
}

impl Reader {
    /// Conversations over an account with a message of ours that was written between `since` and `until` and that nobody has
    /// read; those after `after`, by id.
    pub async fn unread_conversations(
        &self,
        account: ChannelAccountId,
        (since, until): (OffsetDateTime, OffsetDateTime),
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<ConversationId>, StorageError> {
        let mut statement = Sql::of(self);
        let since = statement.named(millis(since));
        let until = statement.named(millis(until));
        statement
            .push("SELECT c.id FROM conversations c WHERE c.workspace_id = $1")
            .with(" AND c.account_id = ", account.uuid())
            .push(&format!(" AND c.active_at >= {since} AND c.last_outbound_at >= {since}"))
            .with(" AND c.id > ", after.map_or(Uuid::nil(), ConversationId::uuid))
            .push(" AND EXISTS (SELECT 1 FROM messages m WHERE m.workspace_id = c.workspace_id")
            .push(&format!(" AND m.conversation_id = c.id AND m.at >= {since} AND m.at <= {until} AND {UNREAD})"))
            .with(" ORDER BY c.id LIMIT ", i64::from(limit));
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
    }

    /// The messages of ours in a conversation that were written since then and that nobody has read, the oldest first.
    pub async fn unread_messages(
        &self,
        conversation: ConversationId,
        since: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, StorageError> {
        let mut statement = self.select_messages();
        statement
            .with(" AND m.conversation_id = ", conversation.uuid())
            .with(" AND m.at >= ", millis(since))
            .push(&format!(" AND {UNREAD}"))
            .with(" ORDER BY m.at, m.id LIMIT ", i64::from(limit));
        self.stored_messages(statement).await
    }

    /// The last letter that brought messages of a conversation.
    pub async fn last_fallback(&self, conversation: ConversationId) -> Result<Option<LastFallback>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT f.letter_id, f.at FROM messages m JOIN fallbacks f ON f.workspace_id = m.workspace_id")
            .push(" AND f.message_id = m.id WHERE m.workspace_id = $1 AND f.letter_id IS NOT NULL")
            .with(" AND m.conversation_id = ", conversation.uuid())
            .push(" ORDER BY f.at DESC, f.letter_id DESC LIMIT 1");
        let Some(row) = self.conn.query_one_raw(statement.on(&self.conn)).await? else { return Ok(None) };
        let (letter, at): (Uuid, Millis) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok(Some(LastFallback { letter: letter.into(), at: at.at() }))
    }

    /// The conversation whose messages a letter brought.
    pub async fn brought_from(&self, letter: MessageId) -> Result<Option<ConversationId>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT m.conversation_id FROM fallbacks f JOIN messages m ON m.workspace_id = f.workspace_id")
            .with(" AND m.id = f.message_id WHERE f.workspace_id = $1 AND f.letter_id = ", letter.uuid())
            .push(" LIMIT 1");
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
        row.map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).transpose()
    }
}

impl Tx {
    /// Stores what became of messages that nobody came to read: a letter brings them, or nothing does.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if that was decided of one of them before.
    pub async fn put_fallbacks(
        &self,
        messages: &[MessageId],
        letter: Option<MessageId>,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        for run in runs(messages) {
            let mut statement = Sql::new("INSERT INTO fallbacks (workspace_id, message_id, letter_id, at) VALUES ");
            statement.rows(run.iter().map(|message| -> [sea_orm::Value; 4] {
                [self.ws().into(), message.uuid().into(), letter.map(MessageId::uuid).into(), millis(now)]
            }));
            self.run(statement).await?;
        }
        Ok(())
    }
}
