//! Parts that the platform may have, and whose answer did not come yet or never will.

use sea_orm::FromQueryResult;
use transom_domain::{ChannelAccountId, Content, IdentityId, PartId};
use uuid::Uuid;

use crate::query::{from_json, sql};
use crate::{StorageError, Tx};

/// More are not looked at: one conversation has one on its way, and few whose outcome nobody knows.
const MOST: u32 = 50;

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    content: serde_json::Value,
}

impl Tx {
    /// The parts to a person that are being sent, or were and nobody knows how it went, oldest first.
    pub async fn parts_in_flight(
        &self,
        account: ChannelAccountId,
        identity: IdentityId,
    ) -> Result<Vec<(PartId, Content)>, StorageError> {
        let text = format!(
            "SELECT p.id, p.content FROM outbox AS o JOIN parts AS p ON p.workspace_id = o.workspace_id AND p.id = o.id \
             WHERE o.workspace_id = $1 AND o.account_id = $2 AND o.identity_id = $3 AND o.state IN ('sending', 'unknown') \
             ORDER BY o.id LIMIT {MOST}"
        );
        let values = [self.ws().into(), account.uuid().into(), identity.uuid().into()];
        let rows = Row::find_by_statement(sql(&self.conn, &text, values)).all(&self.conn).await?;
        let read = |row: Row| Ok((row.id.into(), from_json(row.content, ("parts", "content", row.id))?));
        rows.into_iter().map(read).collect()
    }
}
