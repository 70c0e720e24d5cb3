//! Texts kept for reuse.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use time::OffsetDateTime;
use transom_domain::{SavedReply, SavedReplyId};

use super::search::{after_prefix, fold};
use crate::entity::saved_replies;
use crate::{Reader, StorageError, Tx};

impl From<saved_replies::Model> for SavedReply {
    fn from(row: saved_replies::Model) -> Self {
        Self { id: row.id.into(), title: row.title, content: row.content }
    }
}

impl Reader {
    /// One saved reply.
    pub async fn saved_reply(&self, id: SavedReplyId) -> Result<Option<SavedReply>, StorageError> {
        let row = saved_replies::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        Ok(row.map(Into::into))
    }

    /// Saved replies whose title begins so, without regard to case and accents; by title. Goes on behind `after`, the last
    /// one's title and id.
    pub async fn saved_replies(
        &self,
        prefix: &str,
        after: Option<(&str, SavedReplyId)>,
        limit: u32,
    ) -> Result<Vec<SavedReply>, StorageError> {
        use saved_replies::Column as C;
        let mut rows = saved_replies::Entity::find().filter(C::WorkspaceId.eq(self.ws()));
        let prefix = fold(prefix.trim()).into_bytes();
        if !prefix.is_empty() {
            let end = after_prefix(&prefix);
            rows = rows.filter(C::TitleFolded.gte(prefix)).filter(C::TitleFolded.lt(end));
        }
        if let Some((title, id)) = after {
            let last = [Expr::value(fold(title.trim()).into_bytes()), Expr::value(id.uuid())];
            rows = rows.filter(Expr::tuple([Expr::col(C::TitleFolded), Expr::col(C::Id)]).gt(Expr::tuple(last)));
        }
        let rows =
            rows.order_by_asc(C::TitleFolded).order_by_asc(C::Id).limit(u64::from(limit)).all(&self.conn).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

impl Tx {
    /// Stores a saved reply, new or changed.
    pub async fn put_saved_reply(&self, reply: &SavedReply, now: OffsetDateTime) -> Result<(), StorageError> {
        use saved_replies::Column as C;
        let row = saved_replies::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(reply.id.uuid()),
            title: Set(reply.title.clone()),
            title_folded: Set(fold(reply.title.trim()).into_bytes()),
            content: Set(reply.content.clone()),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
        };
        let changed = OnConflict::columns([C::WorkspaceId, C::Id])
            .update_columns([C::Title, C::TitleFolded, C::Content, C::UpdatedAt])
            .to_owned();
        saved_replies::Entity::insert(row).on_conflict(changed).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Deletes a saved reply; whether it was there.
    pub async fn delete_saved_reply(&self, id: SavedReplyId) -> Result<bool, StorageError> {
        let gone = saved_replies::Entity::delete_by_id((self.ws(), id.uuid())).exec(&self.conn).await?;
        Ok(gone.rows_affected == 1)
    }
}
