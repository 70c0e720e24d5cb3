//! Many conversations by whatever ids they are asked for, those that were joined to others too.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use transom_domain::ConversationId;
use uuid::Uuid;

use super::statement::{Sql, runs};
use crate::{Reader, StorageError, StoredConversation};

impl Reader {
    /// Those of these conversations that there are, each under the id that it was asked for by.
    pub async fn known_conversations(
        &self,
        ids: &[ConversationId],
    ) -> Result<BTreeMap<ConversationId, StoredConversation>, StorageError> {
        let mut known = BTreeMap::new();
        for run in runs(ids) {
            known.extend(self.conversations_of(run).await?.into_iter().map(|stored| (stored.conversation.id, stored)));
        }
        let missing: Vec<Uuid> = ids.iter().filter(|id| !known.contains_key(id)).map(|id| id.uuid()).collect();
        for run in runs(&missing) {
            let mut find = Sql::of(self);
            find.push("SELECT id, target_id FROM aliases WHERE workspace_id = $1 AND id IN ").list(run.iter().copied());
            let mut joined: Vec<(ConversationId, ConversationId)> = Vec::new();
            for row in self.conn.query_all_raw(find.on(&self.conn)).await? {
                joined.push((row.try_get_by_index::<Uuid>(0)?.into(), row.try_get_by_index::<Uuid>(1)?.into()));
            }
            if joined.is_empty() {
                continue;
            }
            let targets: Vec<ConversationId> = joined.iter().map(|(_, target)| *target).collect();
            let found = self.conversations_of(&targets).await?;
            for (id, target) in joined {
                known.extend(
                    found.iter().find(|stored| stored.conversation.id == target).map(|stored| (id, stored.clone())),
                );
            }
        }
        Ok(known)
    }
}
