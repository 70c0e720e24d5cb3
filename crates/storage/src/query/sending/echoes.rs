//! Messages of ours that the platform reported before it was known what it calls them: they were filed as written elsewhere.

use sea_orm::{ConnectionTrait, FromQueryResult};
use transom_domain::{ChannelAccountId, ConversationId, MessageId};
use uuid::Uuid;

use super::batch::locking;
use crate::instant::Millis;
use crate::query::{from_json, sql};
use crate::{StorageError, Tx};

/// A message that stood there as written elsewhere, and is one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinedEcho {
    /// What it was; it is gone.
    pub message: MessageId,
    /// Where it stood.
    pub conversation: ConversationId,
}

#[derive(FromQueryResult)]
struct Echo {
    id: Uuid,
    conversation_id: Uuid,
    content: serde_json::Value,
    at: Millis,
    edited_at: Option<Millis>,
    unsent_at: Option<Millis>,
}

impl Tx {
    /// Makes one of a message of ours and its echo, now that the platform's id of the message is known: what happened to the
    /// echo since, reactions and answers to it, goes over.
    ///
    /// So that no echo is missed that is being filed at the same time, whoever files one marks what is on the wire first
    /// ([`mark_in_flight`](Self::mark_in_flight)) and then looks for the id again.
    pub async fn join_echo(
        &self,
        account: ChannelAccountId,
        ours: MessageId,
        provider_id: &str,
    ) -> Result<Option<JoinedEcho>, StorageError> {
        let find = format!(
            "SELECT m.id, m.conversation_id, m.content, m.at, m.edited_at, m.unsent_at FROM messages AS m WHERE m.workspace_id \
             = $1 AND m.account_id = $2 AND m.provider_id = $3 AND (m.author ->> 'kind') = 'echo'{}",
            locking(&self.conn, "m")
        );
        let values = [self.ws().into(), account.uuid().into(), provider_id.into()];
        let Some(echo) = Echo::find_by_statement(sql(&self.conn, &find, values)).one(&self.conn).await? else {
            return Ok(None);
        };
        match (echo.unsent_at, echo.edited_at) {
            (Some(at), _) => self.unsend_message(ours, at.at()).await.map(drop)?,
            (None, Some(at)) => {
                let content = from_json(echo.content, ("messages", "content", echo.id))?;
                self.edit_message(ours, &content, at.at()).await.map(drop)?;
            }
            (None, None) => {}
        }
        self.move_to(&[echo.id, ours.uuid()], echo.conversation_id, echo.at).await?;
        self.forget_attachments(echo.id.into()).await?;
        const DELETE: &str = "DELETE FROM messages WHERE workspace_id = $1 AND id = $2";
        self.conn.execute_raw(sql(&self.conn, DELETE, [self.ws().into(), echo.id.into()])).await?;
        Ok(Some(JoinedEcho { message: echo.id.into(), conversation: echo.conversation_id.into() }))
    }

    /// What points at the one message points at the other. Whoever reacted to both did so last to the echo.
    async fn move_to(&self, both: &[Uuid; 2], conversation: Uuid, since: Millis) -> Result<(), StorageError> {
        const REACTED_TWICE: &str = "DELETE FROM message_reactions WHERE workspace_id = $1 AND message_id = $3 AND by_key IN \
                                     (SELECT by_key FROM message_reactions WHERE workspace_id = $1 AND message_id = $2)";
        const REACTIONS: &str =
            "UPDATE message_reactions SET message_id = $3 WHERE workspace_id = $1 AND message_id = $2";
        const MISSED: &str = "UPDATE missed_windows SET act_message_id = $3 WHERE workspace_id = $1 AND act_message_id = $2 \
                              AND conversation_id = $4";
        // An answer is not older than what it answers, by the same clock of the platform.
        const ANSWERS: &str = "UPDATE messages SET reply_to = $3 WHERE workspace_id = $1 AND reply_to = $2 AND conversation_id \
                               = $4 AND at >= $5";
        let [echo, ours] = *both;
        let of_both = || [self.ws().into(), echo.into(), ours.into()];
        for text in [REACTED_TWICE, REACTIONS] {
            self.conn.execute_raw(sql(&self.conn, text, of_both())).await?;
        }
        let values = of_both().into_iter().chain([conversation.into()]);
        self.conn.execute_raw(sql(&self.conn, MISSED, values)).await?;
        let values = of_both().into_iter().chain([conversation.into(), since.into()]);
        self.conn.execute_raw(sql(&self.conn, ANSWERS, values)).await?;
        Ok(())
    }
}
