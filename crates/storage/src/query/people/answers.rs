//! Which earlier message another one answers, in and out.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use transom_domain::{Actor, Author, ChannelAccountId, ConversationId, IdentityId, MessageId, PartId};
use uuid::Uuid;

use super::messages::{StoredMessage, reached};
use super::statement::Sql;
use crate::query::to_json;
use crate::{Reader, StorageError};

/// An earlier message of an account, as an answer to it names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Earlier<'a> {
    /// By a part of ours, or by the id of its message.
    Part(PartId),
    /// By the platform's id.
    Message(&'a str),
}

/// An earlier message that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownEarlier {
    /// The message.
    pub message: MessageId,
    /// Where it stands.
    pub conversation: ConversationId,
}

impl Reader {
    /// The first of these messages that the account has: sent by us, or come in.
    pub async fn first_known(
        &self,
        account: ChannelAccountId,
        named: &[Earlier<'_>],
    ) -> Result<Option<KnownEarlier>, StorageError> {
        if named.is_empty() {
            return Ok(None);
        }
        let rows = self.conn.query_all_raw(self.select_answered(account, named).on(&self.conn)).await?;
        let (mut parts, mut messages) = (BTreeMap::new(), BTreeMap::new());
        for row in rows {
            let (part, provider_id): (Option<Uuid>, Option<String>) =
                (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let (message, conversation): (Uuid, Uuid) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
            let known = KnownEarlier { message: message.into(), conversation: conversation.into() };
            if let Some(part) = part {
                parts.insert(PartId::from(part), known);
            }
            // The parts of one message may share their name.
            if let Some(provider_id) = provider_id {
                messages.insert(provider_id, known);
            }
        }
        Ok(named.iter().find_map(|earlier| match earlier {
            Earlier::Part(part) => parts.get(part).copied(),
            Earlier::Message(provider_id) => messages.get(*provider_id).copied(),
        }))
    }

    pub(super) fn select_answered(&self, account: ChannelAccountId, named: &[Earlier<'_>]) -> Sql {
        let mut statement = Sql::of(self);
        let account = statement.named(account.uuid());
        let parts = || {
            named.iter().filter_map(|earlier| match earlier {
                Earlier::Part(part) => Some(part.uuid()),
                Earlier::Message(_) => None,
            })
        };
        let names = || {
            named.iter().filter_map(|earlier| match earlier {
                Earlier::Part(_) => None,
                Earlier::Message(provider_id) => Some(*provider_id),
            })
        };
        statement
            .push("SELECT id AS part, NULL AS name, message_id, conversation_id FROM parts WHERE workspace_id = $1 ")
            .push(&format!("AND account_id = {account} AND id IN "))
            .list(parts())
            .push(" UNION ALL SELECT message_id, NULL, message_id, conversation_id FROM parts WHERE workspace_id = $1 ")
            .push(&format!("AND account_id = {account} AND message_id IN "))
            .list(parts())
            .push(
                " UNION ALL SELECT NULL, provider_id, message_id, conversation_id FROM parts WHERE workspace_id = $1 ",
            )
            .push(&format!("AND account_id = {account} AND provider_id IN "))
            .list(names())
            .push(" UNION ALL SELECT NULL, provider_id, id, conversation_id FROM messages WHERE workspace_id = $1 ")
            .push(&format!("AND account_id = {account} AND provider_id IN "))
            .list(names());
        statement
    }

    /// Whether one of these messages, named by the platform's ids, came from this person, a machine of theirs included.
    pub async fn came_from(
        &self,
        account: ChannelAccountId,
        person: IdentityId,
        named: &[&str],
    ) -> Result<bool, StorageError> {
        if named.is_empty() {
            return Ok(false);
        }
        let mut statement = Sql::of(self);
        let (account, person) = (statement.named(account.uuid()), statement.named(person.uuid()));
        let customer = statement.named(to_json(&Author::Actor(Actor::Customer))?);
        statement
            .push(&format!("SELECT 1 FROM messages WHERE workspace_id = $1 AND account_id = {account} "))
            .push(&format!("AND identity_id = {person} AND direction = 'inbound' AND author = {customer} "))
            .push("AND provider_id IN ")
            .list(named.iter().copied())
            .push(" LIMIT 1");
        Ok(self.conn.query_one_raw(statement.on(&self.conn)).await?.is_some())
    }

    /// The message that the next one of ours answers: the last that the customer wrote, not a machine of theirs, else the last
    /// one at all. What never reached the platform doesn't count.
    pub async fn last_to_answer(&self, conversation: ConversationId) -> Result<Option<StoredMessage>, StorageError> {
        for by_customer in [true, false] {
            let found = self.stored_messages(self.select_last_to_answer(conversation, by_customer)?).await?.pop();
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    pub(super) fn select_last_to_answer(
        &self,
        conversation: ConversationId,
        by_customer: bool,
    ) -> Result<Sql, StorageError> {
        let mut statement = self.select_messages();
        statement.with(" AND m.conversation_id = ", conversation.uuid()).push(" AND m.kind = 'reply'");
        if by_customer {
            let customer = to_json(&Author::Actor(Actor::Customer))?;
            statement
                .with(" AND m.direction = 'inbound' AND m.author = ", customer)
                .push(" AND m.extra ->> 'automatic' IS NULL");
        } else {
            statement.push(&format!(" AND (m.state IS NULL OR {})", reached("m")));
        }
        statement.push(" ORDER BY m.at DESC, m.id DESC LIMIT 1");
        Ok(statement)
    }
}
