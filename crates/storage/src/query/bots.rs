//! Bots: on which accounts each serves, and what.

use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use transom_domain::{AgentId, BotBinding, BotCondition, ChannelAccountId, ContactId, MessageId};
use uuid::Uuid;

use super::{from_json, sql, to_json};
use crate::entity::bot_bindings::{ActiveModel, Column as C, Entity, Model};
use crate::{Reader, StorageError, Tx};

const TABLE: &str = "bot_bindings";

impl TryFrom<Model> for BotBinding {
    type Error = StorageError;

    fn try_from(row: Model) -> Result<Self, StorageError> {
        Ok(Self {
            account: row.account_id.into(),
            enabled: row.enabled,
            condition: from_json(row.condition, (TABLE, "condition", row.agent_id))?,
        })
    }
}

impl Reader {
    /// What a bot is bound to.
    pub async fn bot_bindings(&self, bot: AgentId) -> Result<Vec<BotBinding>, StorageError> {
        let rows = Entity::find()
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::AgentId.eq(bot.uuid()))
            .order_by_asc(C::AccountId)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The bots that serve an account, and what each is told of. Those that are gone, or no bots any more, don't.
    pub async fn bots_on(&self, account: ChannelAccountId) -> Result<Vec<(AgentId, BotCondition)>, StorageError> {
        const FIND: &str = "SELECT b.agent_id, b.condition FROM bot_bindings AS b JOIN agents AS a ON \
                            a.workspace_id = b.workspace_id AND a.id = b.agent_id WHERE b.workspace_id = $1 AND \
                            b.account_id = $2 AND b.enabled AND a.active AND a.role = 'bot' ORDER BY b.agent_id";
        let rows = self.conn.query_all_raw(sql(&self.conn, FIND, [self.ws().into(), account.uuid().into()])).await?;
        let bot = |row: &sea_orm::QueryResult| {
            let id: Uuid = row.try_get_by_index(0)?;
            Ok((id.into(), from_json(row.try_get_by_index(1)?, (TABLE, "condition", id))?))
        };
        rows.iter().map(bot).collect()
    }

    /// Whether a bot serves an account.
    pub async fn is_bot_on(&self, bot: AgentId, account: ChannelAccountId) -> Result<bool, StorageError> {
        Ok(self.bots_on(account).await?.iter().any(|(id, _)| *id == bot))
    }

    /// Whether a contact had written before this message, on whatever channel.
    pub async fn wrote_before(&self, contact: ContactId, message: MessageId) -> Result<bool, StorageError> {
        const FIND: &str = "SELECT 1 FROM messages WHERE workspace_id = $1 AND contact_id = $2 AND id <> $3 AND \
                            direction = 'inbound' LIMIT 1";
        let values = [self.ws().into(), contact.uuid().into(), message.uuid().into()];
        Ok(self.conn.query_one_raw(sql(&self.conn, FIND, values)).await?.is_some())
    }
}

impl Tx {
    /// Binds a bot to these accounts, and to no others.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] for an account or agent that is not of this workspace.
    pub async fn bind_bot(&self, bot: AgentId, bindings: &[BotBinding]) -> Result<(), StorageError> {
        let old = Entity::delete_many().filter(C::WorkspaceId.eq(self.ws())).filter(C::AgentId.eq(bot.uuid()));
        old.exec(&self.conn).await?;
        for binding in bindings {
            let row = ActiveModel {
                workspace_id: Set(self.ws()),
                agent_id: Set(bot.uuid()),
                account_id: Set(binding.account.uuid()),
                enabled: Set(binding.enabled),
                condition: Set(to_json(&binding.condition)?),
            };
            Entity::insert(row).exec_without_returning(&self.conn).await?;
        }
        Ok(())
    }
}
