//! Changes of messages that came before the message itself: they wait for it.

use sea_orm::{ConnectionTrait, QueryResult, Value};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, Content};
use uuid::Uuid;

use super::statement::{Sql, runs};
use crate::instant::Millis;
use crate::query::{from_json, millis, sql, to_json};
use crate::{StorageError, Tx};

/// What a customer did to a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageChange {
    /// It says this now.
    Edited(Box<Content>),
    /// They took it back.
    Unsent,
    /// They put an emoji to it; `None` takes it back.
    Reaction(Option<String>),
}

/// A change of a message that is not here yet.
#[derive(Debug, Clone, PartialEq)]
pub struct ParkedChange {
    /// The account it happened on.
    pub account: ChannelAccountId,
    /// The platform's id of the message.
    pub reference: String,
    /// The platform's name of the change itself.
    pub event_key: String,
    /// What was done.
    pub change: MessageChange,
    /// When, by the platform's clock.
    pub at: OffsetDateTime,
}

fn read(row: &QueryResult) -> Result<ParkedChange, StorageError> {
    let account: Uuid = row.try_get("", "account_id")?;
    Ok(ParkedChange {
        account: account.into(),
        reference: row.try_get("", "reference")?,
        event_key: row.try_get("", "event_key")?,
        change: from_json(row.try_get("", "change")?, ("changes_parked", "change", account))?,
        at: row.try_get::<Millis>("", "at")?.at(),
    })
}

const TAKEN: &str = " RETURNING account_id, reference, event_key, change, at";

impl Tx {
    /// Keeps a change until its message comes, for as long as
    /// [`purge_parked_changes`](Self::purge_parked_changes) lets it.
    pub async fn park_change(&self, parked: &ParkedChange, now: OffsetDateTime) -> Result<(), StorageError> {
        const PARK: &str = "INSERT INTO changes_parked (workspace_id, account_id, reference, event_key, change, at, received_at) \
                            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let values = [
            self.ws().into(),
            parked.account.uuid().into(),
            parked.reference.as_str().into(),
            parked.event_key.as_str().into(),
            to_json(&parked.change)?.into(),
            millis(parked.at),
            millis(now),
        ];
        self.conn.execute_raw(sql(&self.conn, PARK, values)).await?;
        Ok(())
    }

    /// Takes what waited for these messages, in the order in which it happened.
    pub async fn take_parked_changes(
        &self,
        messages: &[(ChannelAccountId, &str)],
    ) -> Result<Vec<ParkedChange>, StorageError> {
        let mut taken = Vec::new();
        for messages in runs(messages) {
            let rows = messages
                .iter()
                .map(|(account, reference)| -> [Value; 2] { [account.uuid().into(), (*reference).into()] });
            let mut statement = Sql::of(self);
            statement
                .push("DELETE FROM changes_parked WHERE workspace_id = $1 AND (account_id, reference) IN (VALUES ")
                .rows(rows)
                .push(")")
                .push(TAKEN);
            let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
            taken.extend(rows.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(in_order(taken))
    }

    /// Takes up to `limit` changes whose message is here by now: it was stored by a transaction that did not see the change, or
    /// is one of ours that the platform has named since.
    pub async fn take_parked_changes_due(&self, limit: u64) -> Result<Vec<ParkedChange>, StorageError> {
        const DUE: &str = "DELETE FROM changes_parked WHERE workspace_id = $1 AND (account_id, reference, event_key) IN (SELECT \
                           c.account_id, c.reference, c.event_key FROM changes_parked AS c WHERE c.workspace_id = $1 AND (EXISTS \
                           (SELECT 1 FROM messages AS m WHERE m.workspace_id = $1 AND m.account_id = c.account_id AND \
                           m.provider_id = c.reference) OR EXISTS (SELECT 1 FROM parts AS p WHERE p.workspace_id = $1 AND \
                           p.account_id = c.account_id AND p.provider_id = c.reference)) LIMIT $2)";
        let values = [self.ws().into(), limit.cast_signed().into()];
        let rows = self.conn.query_all_raw(sql(&self.conn, &format!("{DUE}{TAKEN}"), values)).await?;
        Ok(in_order(rows.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Deletes up to `limit` changes that came before `before`: their message never will; how many.
    pub async fn purge_parked_changes(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM changes_parked WHERE workspace_id = $1 AND (account_id, reference, event_key) IN (SELECT \
                              account_id, reference, event_key FROM changes_parked WHERE workspace_id = $1 AND received_at < $2 \
                              LIMIT $3)";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }
}

fn in_order(mut taken: Vec<ParkedChange>) -> Vec<ParkedChange> {
    taken.sort_by(|one, other| (one.at, &one.event_key).cmp(&(other.at, &other.event_key)));
    taken
}
