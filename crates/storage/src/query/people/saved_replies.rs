//! Texts kept for reuse, with their wordings.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use time::OffsetDateTime;
use transom_domain::{SavedReply, SavedReplyId, SavedReplyVariant};
use uuid::Uuid;

use super::search::{after_prefix, fold};
use super::statement::Sql;
use crate::entity::{saved_replies, saved_reply_variants};
use crate::query::millis;
use crate::{Reader, StorageError, Tx};

/// A saved reply with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReply {
    /// The saved reply.
    pub reply: SavedReply,
    /// For `If-Match`.
    pub version: u64,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

impl StoredReply {
    fn read(row: saved_replies::Model, variants: Vec<SavedReplyVariant>) -> Self {
        Self {
            reply: SavedReply { id: row.id.into(), title: row.title, content: row.content, variants },
            version: row.version.unsigned_abs(),
            created_at: row.created_at.at(),
            updated_at: row.updated_at.at(),
        }
    }
}

impl Reader {
    /// One saved reply.
    pub async fn saved_reply(&self, id: SavedReplyId) -> Result<Option<StoredReply>, StorageError> {
        let row = saved_replies::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        Ok(self.with_variants(row.into_iter().collect()).await?.pop())
    }

    /// Saved replies whose title begins so, without regard to case and accents; by title. Goes on behind `after`.
    pub async fn saved_replies(
        &self,
        prefix: &str,
        after: Option<SavedReplyId>,
        limit: u32,
    ) -> Result<Vec<StoredReply>, StorageError> {
        use saved_replies::Column as C;
        let mut rows = saved_replies::Entity::find().filter(C::WorkspaceId.eq(self.ws()));
        let prefix = fold(prefix.trim()).into_bytes();
        if !prefix.is_empty() {
            let end = after_prefix(&prefix);
            rows = rows.filter(C::TitleFolded.gte(prefix)).filter(C::TitleFolded.lt(end));
        }
        if let Some(after) = after {
            let last = saved_replies::Entity::find_by_id((self.ws(), after.uuid())).one(&self.conn).await?;
            // One that is gone ends the list: the reader begins anew.
            let title = last.map_or_else(|| vec![u8::MAX], |row| row.title_folded);
            let last = [Expr::value(title), Expr::value(after.uuid())];
            rows = rows.filter(Expr::tuple([Expr::col(C::TitleFolded), Expr::col(C::Id)]).gt(Expr::tuple(last)));
        }
        let rows = rows.order_by_asc(C::TitleFolded).order_by_asc(C::Id).limit(u64::from(limit));
        let rows = rows.all(&self.conn).await?;
        self.with_variants(rows).await
    }

    async fn with_variants(&self, rows: Vec<saved_replies::Model>) -> Result<Vec<StoredReply>, StorageError> {
        use saved_reply_variants::Column as C;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let found = saved_reply_variants::Entity::find()
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::ReplyId.is_in(rows.iter().map(|row| row.id)))
            .order_by_asc(C::Language)
            .order_by_asc(C::Platform)
            .all(&self.conn)
            .await?;
        let mut variants: BTreeMap<Uuid, Vec<SavedReplyVariant>> = BTreeMap::new();
        for row in found {
            let said = |word: String| Some(word).filter(|word| !word.is_empty());
            let (language, platform) = (said(row.language), said(row.platform));
            let variant = SavedReplyVariant { language, platform, content: row.content };
            variants.entry(row.reply_id).or_default().push(variant);
        }
        let stored = |row: saved_replies::Model| {
            let variants = variants.remove(&row.id).unwrap_or_default();
            StoredReply::read(row, variants)
        };
        Ok(rows.into_iter().map(stored).collect())
    }
}

impl Tx {
    /// Stores a saved reply, new or changed; `false` if there is one whose version is not `expected` (`None`: whatever it is).
    pub async fn put_saved_reply(
        &self,
        reply: &SavedReply,
        expected: Option<u64>,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let id = reply.id.uuid();
        let mut statement = Sql::new("UPDATE saved_replies SET title = ");
        statement
            .bind(reply.title.as_str())
            .with(", title_folded = ", fold(reply.title.trim()).into_bytes())
            .with(", content = ", reply.content.as_str())
            .with(", updated_at = ", millis(now))
            .with(", version = version + 1 WHERE workspace_id = ", self.ws())
            .with(" AND id = ", id);
        if let Some(expected) = expected {
            statement.with(" AND version = ", expected.cast_signed());
        }
        if self.run(statement).await? == 0 {
            if expected.is_some() {
                return Ok(false);
            }
            let row = saved_replies::Model {
                workspace_id: self.ws(),
                id,
                title: reply.title.clone(),
                title_folded: fold(reply.title.trim()).into_bytes(),
                content: reply.content.clone(),
                created_at: now.into(),
                updated_at: now.into(),
                version: 1,
            };
            let row = row.into_active_model().reset_all();
            saved_replies::Entity::insert(row).exec_without_returning(&self.conn).await?;
        }
        self.run_with("DELETE FROM saved_reply_variants WHERE workspace_id = $1 AND reply_id = $2", [id]).await?;
        let rows = reply.variants.iter().map(|variant| saved_reply_variants::ActiveModel {
            workspace_id: Set(self.ws()),
            reply_id: Set(id),
            language: Set(variant.language.clone().unwrap_or_default()),
            platform: Set(variant.platform.clone().unwrap_or_default()),
            content: Set(variant.content.clone()),
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            saved_reply_variants::Entity::insert_many(rows).exec_without_returning(&self.conn).await?;
        }
        Ok(true)
    }

    /// Deletes a saved reply; whether it was there.
    pub async fn delete_saved_reply(&self, id: SavedReplyId) -> Result<bool, StorageError> {
        let gone = saved_replies::Entity::delete_by_id((self.ws(), id.uuid())).exec(&self.conn).await?;
        Ok(gone.rows_affected == 1)
    }
}
