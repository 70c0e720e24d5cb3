//! What happens to a message after it was stored: edits, reactions, its author's second thoughts.
//!
//! Platforms report these in any order, and more than once: the newest counts.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use time::OffsetDateTime;
use transom_domain::{Author, Body, Content, MessageId};

use super::statement::Sql;
use crate::entity::{message_reactions, messages};
use crate::query::{millis, to_json};
use crate::{StorageError, Tx};

impl Tx {
    /// Stores what an author made of a message; `false` if a later edit is known, if it was taken back, or if there is none.
    pub async fn edit_message(
        &self,
        id: MessageId,
        content: &Content,
        at: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        use messages::Column as C;
        let edited = messages::Entity::update_many()
            .col_expr(C::Content, Expr::value(to_json(content)?))
            .col_expr(C::EditedAt, Expr::value(millis(at)))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::Id.eq(id.uuid()))
            .filter(C::EditedAt.is_null().or(C::EditedAt.lt(millis(at))))
            .filter(C::UnsentAt.is_null())
            .exec(&self.conn)
            .await?;
        Ok(edited.rows_affected == 1)
    }

    /// Deletes what a message said, since its author took it back; `false` if that is known, or if there is none.
    pub async fn unsend_message(&self, id: MessageId, at: OffsetDateTime) -> Result<bool, StorageError> {
        use messages::Column as C;
        let nothing = Content { body: Body::Unsupported { what: "unsent".to_owned() }, reply_to: None };
        let unsent = messages::Entity::update_many()
            .col_expr(C::Content, Expr::value(to_json(&nothing)?))
            .col_expr(C::Payload, Expr::value(None::<String>))
            .col_expr(C::UnsentAt, Expr::value(millis(at)))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::Id.eq(id.uuid()))
            .filter(C::UnsentAt.is_null())
            .exec_with_returning(&self.conn)
            .await?;
        let Some(row) = unsent.first() else { return Ok(false) };
        let mut statement = Sql::new("UPDATE conversations SET preview = NULL WHERE workspace_id = ");
        statement.bind(self.ws()).with(" AND id = ", row.conversation_id).with(" AND last_message_at = ", row.at);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(true)
    }

    /// Stores what somebody put to a message (`None`: took back); everybody has one reaction a message, the newest. `false` if
    /// a later one is known.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if there is no such message.
    pub async fn set_reaction(
        &self,
        message: MessageId,
        by: &Author,
        emoji: Option<&str>,
        at: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        use message_reactions::Column as C;
        let author = to_json(by)?;
        let row = message_reactions::ActiveModel {
            workspace_id: Set(self.ws()),
            message_id: Set(message.uuid()),
            by_key: Set(author.to_string()),
            author: Set(author),
            emoji: Set(emoji.map(str::to_owned)),
            at: Set(at.into()),
        };
        // Of two at one instant the same wins whatever their order.
        let newest = OnConflict::columns([C::WorkspaceId, C::MessageId, C::ByKey])
            .update_columns([C::Emoji, C::At])
            .action_and_where(Expr::cust(
                "excluded.at > message_reactions.at OR (excluded.at = message_reactions.at \
                 AND coalesce(excluded.emoji, '') > coalesce(message_reactions.emoji, ''))",
            ))
            .to_owned();
        let stored =
            message_reactions::Entity::insert(row).on_conflict(newest).exec_without_returning(&self.conn).await?;
        Ok(stored == 1)
    }
}
