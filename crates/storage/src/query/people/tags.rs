//! The workspace's tags, and which conversations have them.

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use time::OffsetDateTime;
use transom_domain::ConversationId;
use uuid::Uuid;

use super::statement::Sql;
use crate::entity::{conversation_tags, tags};
use crate::query::millis;
use crate::{Reader, StorageError, Tx};

impl Reader {
    /// The tags that the workspace has, in order.
    pub async fn known_tags(&self) -> Result<Vec<String>, StorageError> {
        let names = tags::Entity::find()
            .select_only()
            .column(tags::Column::Name)
            .filter(tags::Column::WorkspaceId.eq(self.ws()))
            .order_by_asc(tags::Column::Name)
            .into_tuple::<String>();
        Ok(names.all(&self.conn).await?)
    }
}

impl Tx {
    /// Gives the workspace a tag; `false` if it has it.
    pub async fn create_tag(&self, name: &str, now: OffsetDateTime) -> Result<bool, StorageError> {
        let row =
            tags::ActiveModel { workspace_id: Set(self.ws()), name: Set(name.to_owned()), created_at: Set(now.into()) };
        let known = OnConflict::new().do_nothing().to_owned();
        Ok(tags::Entity::insert(row).on_conflict(known).exec_without_returning(&self.conn).await? == 1)
    }

    /// Puts tags on a conversation; those that it has stay.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] for a tag that the workspace does not know, or a conversation that is not there.
    pub async fn add_tags(
        &self,
        conversation: ConversationId,
        tags: &[String],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        if tags.is_empty() {
            return Ok(());
        }
        let mut statement =
            Sql::new("INSERT INTO conversation_tags (workspace_id, conversation_id, tag, added_at) VALUES ");
        for (at, tag) in tags.iter().enumerate() {
            let row = [Value::from(self.ws()), conversation.uuid().into(), tag.as_str().into(), millis(now)];
            statement.push(if at == 0 { "" } else { ", " }).list(row);
        }
        statement.push(" ON CONFLICT DO NOTHING");
        if self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() > 0 {
            self.note_tags_changed(conversation.uuid(), now).await?;
        }
        Ok(())
    }

    /// Takes a tag from a conversation; `false` if it has none of that name.
    pub async fn remove_tag(
        &self,
        conversation: ConversationId,
        tag: &str,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let key = (self.ws(), conversation.uuid(), tag.to_owned());
        let removed = conversation_tags::Entity::delete_by_id(key).exec(&self.conn).await?.rows_affected == 1;
        if removed {
            self.note_tags_changed(conversation.uuid(), now).await?;
        }
        Ok(removed)
    }

    /// Takes a tag off up to `limit` conversations, and deletes it once none has it; whether there may be more.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if somebody has just given it to another one.
    pub async fn take_tag_away(&self, tag: &str, limit: u32, now: OffsetDateTime) -> Result<bool, StorageError> {
        use conversation_tags::Column as C;
        let ids: Vec<Uuid> = conversation_tags::Entity::find()
            .select_only()
            .column(C::ConversationId)
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::Tag.eq(tag))
            .order_by_asc(C::ConversationId)
            .limit(u64::from(limit))
            .into_tuple()
            .all(&self.conn)
            .await?;
        if ids.is_empty() {
            tags::Entity::delete_by_id((self.ws(), tag.to_owned())).exec(&self.conn).await?;
            return Ok(false);
        }
        // In the order of their ids, as everybody locks them.
        for id in &ids {
            self.note_tags_changed(*id, now).await?;
        }
        let of_them = conversation_tags::Entity::delete_many().filter(C::WorkspaceId.eq(self.ws()));
        of_them.filter(C::Tag.eq(tag)).filter(C::ConversationId.is_in(ids)).exec(&self.conn).await?;
        Ok(true)
    }

    async fn note_tags_changed(&self, conversation: Uuid, now: OffsetDateTime) -> Result<(), StorageError> {
        let mut statement = Sql::new("UPDATE conversations SET version = version + 1, updated_at = ");
        statement.bind(millis(now)).with(" WHERE workspace_id = ", self.ws()).with(" AND id = ", conversation);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }
}
