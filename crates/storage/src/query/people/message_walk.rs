//! Messages in the order in which they were written, for who reads all of them: without parts and reactions.

use std::collections::BTreeMap;

use sea_orm::FromQueryResult;
use time::OffsetDateTime;
use transom_domain::{ConversationId, MessageId};

use super::statement::{Sql, columns};
use crate::entity::messages;
use crate::query::millis;
use crate::{Reader, StorageError, StoredMessage};

impl Reader {
    /// A conversation's messages, the oldest first, behind `after`.
    pub async fn messages_after(
        &self,
        conversation: ConversationId,
        after: Option<(OffsetDateTime, MessageId)>,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, StorageError> {
        let mut statement = self.select_messages();
        statement.with(" AND m.conversation_id = ", conversation.uuid());
        if let Some((at, id)) = after {
            statement.with(" AND (m.at, m.id) > (", millis(at)).with(", ", id.uuid()).push(")");
        }
        statement.with(" ORDER BY m.at, m.id LIMIT ", i64::from(limit));
        let rows = messages::Model::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(StoredMessage::bare).collect()
    }

    /// The first messages of each of a few conversations, in one statement.
    pub async fn first_messages(
        &self,
        conversations: &[ConversationId],
        limit: u32,
    ) -> Result<BTreeMap<ConversationId, Vec<StoredMessage>>, StorageError> {
        let mut first: BTreeMap<ConversationId, Vec<StoredMessage>> = BTreeMap::new();
        if conversations.is_empty() {
            return Ok(first);
        }
        let names = columns::<messages::Entity>("m");
        let mut statement = Sql::of(self);
        for (at, conversation) in conversations.iter().enumerate() {
            statement
                .push(if at == 0 { "" } else { " UNION ALL " })
                .push(&format!("SELECT * FROM (SELECT {names} FROM messages m WHERE m.workspace_id = $1"))
                .with(" AND m.conversation_id = ", conversation.uuid())
                .with(" ORDER BY m.at, m.id LIMIT ", i64::from(limit))
                .push(&format!(") AS of_{at}"));
        }
        let rows = messages::Model::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        for row in rows {
            let message = StoredMessage::bare(row)?;
            first.entry(message.message.conversation).or_default().push(message);
        }
        for messages in first.values_mut() {
            messages.sort_by_key(|stored| (stored.message.at, stored.message.id));
        }
        Ok(first)
    }
}
