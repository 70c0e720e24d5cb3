//! Walks through conversations by id: whatever happens to one meanwhile, each is met once.

use sea_orm::{ConnectionTrait, FromQueryResult};
use transom_domain::ConversationId;
use uuid::Uuid;

use super::conversations::Row;
use super::statement::Sql;
use crate::{ConversationQuery, Reader, Sort, StorageError, StoredConversation};

impl Reader {
    /// Up to `limit` ids behind `after` of what a query finds. Its order and page are of no account.
    pub async fn conversation_ids(
        &self,
        query: &ConversationQuery,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<ConversationId>, StorageError> {
        let query = ConversationQuery { sort: Sort::Newest, after: None, ..query.clone() };
        let Some(wanted) = self.wanted(&query).await? else { return Ok(Vec::new()) };
        let mut statement = Sql::of(self);
        statement.push("SELECT c.id FROM conversations c WHERE c.workspace_id = $1");
        query.narrow(&wanted, None, &mut statement);
        if let Some(after) = after {
            statement.with(" AND c.id > ", after.uuid());
        }
        statement.with(" ORDER BY c.id LIMIT ", i64::from(limit));
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
    }

    /// Those of these conversations that there are, by id. Ids that were joined to others are not looked up.
    pub async fn conversations_of(&self, ids: &[ConversationId]) -> Result<Vec<StoredConversation>, StorageError> {
        let mut statement = self.select_conversations();
        statement.push(" AND c.id IN ").list(ids.iter().map(|id| id.uuid())).push(" ORDER BY c.id");
        let rows = Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
