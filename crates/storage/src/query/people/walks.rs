//! Walks through conversations by id: whatever happens to one meanwhile, each is met once.

use sea_orm::{ConnectionTrait, FromQueryResult};
use transom_domain::ConversationId;
use uuid::Uuid;

use super::conversations::Row;
use super::statement::Sql;
use super::wanted::Wanted;
use super::weights::FEW;
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
        let Some(mut wanted) = self.wanted(&query).await? else { return Ok(Vec::new()) };
        // No index has what is asked in the order of ids: to look up many members costs less than to read all between them.
        let driver = self.smallest(&mut wanted.wishes, FEW).await?;
        let statement = self.page_of_ids(&query, &wanted, driver, after, limit);
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
    }

    pub(super) fn page_of_ids(
        &self,
        query: &ConversationQuery,
        wanted: &Wanted,
        driver: Option<usize>,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Sql {
        let mut statement = Sql::of(self);
        let narrow = |statement: &mut Sql| {
            query.narrow(wanted, driver, &[], statement);
            if let Some(after) = after {
                statement.with(" AND c.id > ", after.uuid());
            }
        };
        match driver.and_then(|driver| wanted.wishes.get(driver)) {
            Some(wish) => self.rows_of(&mut statement, wish, "c.id", narrow),
            None => {
                statement.push("SELECT c.id FROM conversations c WHERE c.workspace_id = $1");
                narrow(&mut statement);
            }
        }
        statement.with(" ORDER BY id LIMIT ", i64::from(limit));
        statement
    }

    /// Those of these conversations that there are, by id. Ids that were joined to others are not looked up.
    pub async fn conversations_of(&self, ids: &[ConversationId]) -> Result<Vec<StoredConversation>, StorageError> {
        let mut statement = self.select_conversations();
        statement.push(" AND c.id IN ").list(ids.iter().map(|id| id.uuid())).push(" ORDER BY c.id");
        let rows = Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
