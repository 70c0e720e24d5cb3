//! Receipts: how messages of ours fare, in whatever order the platform tells.
//!
//! A receipt may come before the answer to the send that it is about, while the platform's id is still unknown here. It is
//! parked, and the answer's transaction joins it. So that neither misses the other, the receipt marks the account's rows on the
//! wire before it parks, and the answer looks for parked ones if its row is marked: both lock that row, and the second sees
//! what the first has done.

use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult};
use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, ConversationId, DeliveryState, IdentityId, MessageId, PartId};
use uuid::Uuid;

use super::batch::{Batch, locking};
use super::parts::{PartChange, state_of};
use super::settle::Ending;
use crate::instant::Millis;
use crate::query::{millis, sql};
use crate::{StorageError, Tx};

/// One statement changes at most this many parts.
const ROWS: usize = 500;

/// Which of our parts a receipt is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptKey {
    /// One, by our own id where the platform gives it back, else by the platform's. Where the parts of a message share that one,
    /// it is the first of them: the customer's own, before those of further readers.
    Message {
        /// The platform's id; empty where only ours came back.
        provider_id: String,
        /// Ours: proof that the platform accepted that part.
        correlation: Option<PartId>,
    },
    /// One, by the platform's id, and all to the same person whose accepted attempt did not begin later.
    Through {
        /// The platform's id.
        provider_id: String,
    },
    /// All to this person whose accepted attempt began at this instant or before.
    UpTo(OffsetDateTime),
}

/// A part that fares differently now.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The part.
    pub part: PartId,
    /// Its message.
    pub message: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// What it was.
    pub from: DeliveryState,
    /// What it is.
    pub to: DeliveryState,
    /// What its message is.
    pub message_state: DeliveryState,
    /// What the receipt said beside the state.
    pub detail: Option<serde_json::Value>,
}

/// A receipt.
#[derive(Clone, Copy)]
struct Receipt<'a> {
    state: DeliveryState,
    provider_id: Option<&'a str>,
    detail: Option<&'a serde_json::Value>,
    at: OffsetDateTime,
    now: OffsetDateTime,
    /// It is for all that was sent before, too.
    through: bool,
}

/// A part that a receipt is for; its message is locked.
#[derive(FromQueryResult)]
struct Met {
    id: Uuid,
    position: i64,
    message_id: Uuid,
    conversation_id: Uuid,
    state: String,
    attempts: i64,
    provider_id: Option<String>,
    delivered_at: Option<Millis>,
    read_at: Option<Millis>,
    started_at: Option<Millis>,
}

impl Met {
    /// The state that a receipt starts from. A part that waits for its next attempt, or for the answer to it, may be told of an
    /// earlier one: of one without an id any word of acceptance is proof; one with an id was accepted and failed since.
    fn base(&self, from: DeliveryState, provider_id: Option<&str>) -> DeliveryState {
        let of_earlier = self.provider_id.is_some() && self.provider_id.as_deref() == provider_id;
        match from {
            DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Unknown if of_earlier => {
                DeliveryState::Failed
            }
            DeliveryState::Queued if self.attempts > 0 => DeliveryState::Sending,
            other => other,
        }
    }
}

/// Columns of a [`Met`] out of messages `m`, parts `p` and the last attempt `a`.
const MET: &str = "SELECT p.id, p.position, p.message_id, p.conversation_id, p.state, p.attempts, p.provider_id, p.delivered_at, p.read_at, \
                   a.started_at FROM messages AS m JOIN parts AS p ON p.workspace_id = m.workspace_id AND p.message_id = m.id \
                   LEFT JOIN attempts AS a ON a.workspace_id = p.workspace_id AND a.part_id = p.id AND a.number = p.attempts \
                   WHERE p.workspace_id = $1 AND p.account_id = $2";

impl Tx {
    /// Takes a receipt in: what it changed. Ranks only rise, whatever the order; it reaches only parts of this account.
    ///
    /// A part of unknown outcome is settled by it, and so is one whose answer has not come yet or that waits for another try:
    /// it proves that the platform has it. One for an id that nobody knows yet is kept for 30 days
    /// ([`purge_parked_receipts`](Self::purge_parked_receipts)) and joined when the answer that names the id is stored.
    /// `identity` is needed for [`ReceiptKey::UpTo`] only; `at` is the platform's time of the event.
    #[expect(clippy::too_many_arguments, reason = "each is one fact of the receipt")]
    pub async fn apply_receipt(
        &self,
        account: ChannelAccountId,
        identity: Option<IdentityId>,
        key: &ReceiptKey,
        state: DeliveryState,
        detail: Option<&serde_json::Value>,
        at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Vec<Changed>, StorageError> {
        let receipt = Receipt { state, provider_id: None, detail, at, now, through: false };
        match key {
            ReceiptKey::Message { provider_id, correlation } => {
                let receipt =
                    Receipt { provider_id: Some(provider_id.as_str()).filter(|id| !id.is_empty()), ..receipt };
                self.receipt_for(account, *correlation, provider_id, receipt).await
            }
            ReceiptKey::Through { provider_id } => {
                let receipt = Receipt { provider_id: Some(provider_id), through: true, ..receipt };
                self.receipt_for(account, None, provider_id, receipt).await
            }
            ReceiptKey::UpTo(until) => match identity {
                Some(identity) => {
                    self.receipt_up_to(account, identity, *until, Receipt { at: *until, ..receipt }).await
                }
                None => Ok(Vec::new()),
            },
        }
    }

    async fn receipt_for(
        &self,
        account: ChannelAccountId,
        correlation: Option<PartId>,
        provider_id: &str,
        receipt: Receipt<'_>,
    ) -> Result<Vec<Changed>, StorageError> {
        let mut met = match correlation {
            Some(part) => self.met(account, "p.id = $3", part.uuid()).await?,
            None => Vec::new(),
        };
        if receipt.provider_id.is_some() && met.is_empty() {
            met = self.met(account, "p.provider_id = $3", provider_id).await?;
        }
        if receipt.provider_id.is_some() && met.is_empty() {
            self.mark_in_flight(account).await?;
            met = self.met(account, "p.provider_id = $3", provider_id).await?;
        }
        if receipt.provider_id.is_some() && met.is_empty() {
            self.park(account, provider_id, &receipt).await?;
        }
        let Some(part) = met.iter().min_by_key(|part| (part.message_id, part.position)) else { return Ok(Vec::new()) };
        let mut changed: Vec<Changed> = self.receive(part, receipt).await?.into_iter().collect();
        if let Some(sent_at) = part.started_at.filter(|_| receipt.through) {
            changed.extend(self.before(account, part.conversation_id, sent_at.at(), receipt).await?);
        }
        Ok(changed)
    }

    /// What is older than a message that a receipt is for, to the same person.
    async fn before(
        &self,
        account: ChannelAccountId,
        conversation: Uuid,
        sent_at: OffsetDateTime,
        receipt: Receipt<'_>,
    ) -> Result<Vec<Changed>, StorageError> {
        let identity = self.identity_of(conversation).await?;
        self.receipt_up_to(account, identity.into(), sent_at, Receipt { provider_id: None, ..receipt }).await
    }

    async fn met(
        &self,
        account: ChannelAccountId,
        which: &str,
        key: impl Into<sea_orm::Value>,
    ) -> Result<Vec<Met>, StorageError> {
        let find = format!("{MET} AND {which} ORDER BY m.id, p.id{}", locking(&self.conn, "m, p"));
        let values = [self.ws().into(), account.uuid().into(), key.into()];
        Ok(Met::find_by_statement(sql(&self.conn, &find, values)).all(&self.conn).await?)
    }

    /// What a receipt makes of one part.
    async fn receive(&self, part: &Met, receipt: Receipt<'_>) -> Result<Option<Changed>, StorageError> {
        let Receipt { state, at, now, .. } = receipt;
        let from = state_of(("parts", "state", part.id), &part.state)?;
        let base = part.base(from, receipt.provider_id);
        let is_on_its_way = base != from || matches!(from, DeliveryState::Sending | DeliveryState::Unknown);
        // What fails while the next attempt waits is the last one: that is what the next is for.
        let to = match base.after_receipt(state) {
            to if to == base || (from == DeliveryState::Queued && to == DeliveryState::Failed) => from,
            to => to,
        };
        let is_on_its_way = is_on_its_way && to != from;

        let accepted = matches!(to, DeliveryState::Sent | DeliveryState::Delivered | DeliveryState::Read);
        let at = Millis::from(at);
        let earlier = |known: Option<Millis>| accepted && known.is_none_or(|known| at < known);
        let delivered_at = (state == DeliveryState::Delivered && earlier(part.delivered_at)).then_some(at.at());
        let read_at = (state == DeliveryState::Read && earlier(part.read_at)).then_some(at.at());
        let provider_id = receipt.provider_id.filter(|_| accepted && part.provider_id.is_none());
        if to == from && delivered_at.is_none() && read_at.is_none() && provider_id.is_none() {
            return Ok(None);
        }
        let failed = to == DeliveryState::Failed;
        let change = PartChange {
            reason: receipt.detail.filter(|_| failed),
            provider_id,
            sent_at: part.started_at.map(Millis::at).filter(|_| is_on_its_way && accepted),
            delivered_at,
            read_at,
            ..PartChange::to(to, now)
        };
        let mut batch = Batch::on(&self.conn);
        if is_on_its_way {
            self.leave(&mut batch, part.id, part.conversation_id, now);
            let verdict = if failed { "failed" } else { "sent" };
            self.close_attempt(&mut batch, part.id, part.attempts, (verdict, "receipt"), now);
        }
        if to != from && (is_on_its_way || from == DeliveryState::Failed) {
            let data = json!({ "from": from, "to": to, "provider_id": receipt.provider_id, "detail": receipt.detail });
            let (text, values) = self.evidence(part.id, Some(part.attempts), "receipt", data, now);
            batch.add(text, values);
        }
        let states = self.change_parts(batch, &[part.id], &[part.message_id], &change).await?;
        if is_on_its_way && failed {
            self.release_held(part.id, now).await?;
        } else if is_on_its_way {
            self.use_held(part.id, part.started_at.map_or(now, Millis::at), now).await?;
        }
        Ok((to != from).then(|| Changed {
            part: part.id.into(),
            message: part.message_id.into(),
            conversation: part.conversation_id.into(),
            from,
            to,
            message_state: states.into_values().next().unwrap_or(to),
            detail: receipt.detail.cloned(),
        }))
    }

    /// A watermark: it raises what was accepted, and proves nothing about what may not have been. `receipt.at` is when it was
    /// told of, `until` how far it reaches.
    async fn receipt_up_to(
        &self,
        account: ChannelAccountId,
        identity: IdentityId,
        until: OffsetDateTime,
        receipt: Receipt<'_>,
    ) -> Result<Vec<Changed>, StorageError> {
        let lower = match receipt.state {
            DeliveryState::Delivered => "('sent')",
            DeliveryState::Read => "('sent', 'delivered')",
            _ => return Ok(Vec::new()),
        };
        const MARK: &str = "UPDATE outbox SET receipts = true WHERE workspace_id = $1 AND state IN ('sending', 'unknown') AND \
                            account_id = $2 AND conversation_id IN (SELECT id FROM conversations WHERE workspace_id = $1 AND \
                            identity_id = $3)";
        let values = [self.ws().into(), account.uuid().into(), identity.uuid().into()];
        let in_flight = self.conn.execute_raw(sql(&self.conn, MARK, values)).await?.rows_affected();
        if in_flight > 0 {
            let watermark = Receipt { at: until, through: false, ..receipt };
            self.park(account, &up_to(identity.uuid()), &watermark).await?;
        }
        let find = format!(
            "{MET} AND p.conversation_id IN (SELECT id FROM conversations WHERE workspace_id = $1 AND identity_id = $3) AND \
             p.state IN {lower} AND p.sent_at <= $4 ORDER BY m.id, p.id{}",
            locking(&self.conn, "m, p")
        );
        let values = [self.ws().into(), account.uuid().into(), identity.uuid().into(), millis(until)];
        let met = Met::find_by_statement(sql(&self.conn, &find, values)).all(&self.conn).await?;
        let mut changed = Vec::with_capacity(met.len());
        for met in met.chunks(ROWS) {
            changed.extend(self.raise(met, receipt).await?);
        }
        Ok(changed)
    }

    /// Raises accepted parts, all to the same state.
    async fn raise(&self, met: &[Met], receipt: Receipt<'_>) -> Result<Vec<Changed>, StorageError> {
        let Receipt { state: to, at, now, detail, .. } = receipt;
        let change = PartChange {
            delivered_at: (to == DeliveryState::Delivered).then_some(at),
            read_at: (to == DeliveryState::Read).then_some(at),
            ..PartChange::to(to, now)
        };
        let parts: Vec<Uuid> = met.iter().map(|part| part.id).collect();
        let mut messages: Vec<Uuid> = met.iter().map(|part| part.message_id).collect();
        messages.dedup();
        let states = self.change_parts(Batch::on(&self.conn), &parts, &messages, &change).await?;
        let changed = met.iter().map(|part| {
            let message = MessageId::from(part.message_id);
            Ok(Changed {
                part: part.id.into(),
                message,
                conversation: part.conversation_id.into(),
                from: state_of(("parts", "state", part.id), &part.state)?,
                to,
                message_state: states.get(&message).copied().unwrap_or(to),
                detail: detail.cloned(),
            })
        });
        changed.collect()
    }

    /// Tells what is on an account's wire that something came which may be its own: the answer's transaction looks for it.
    /// Whoever calls this looks for the platform's id once more, since it waits for answers that are being stored.
    pub async fn mark_in_flight(&self, account: ChannelAccountId) -> Result<(), StorageError> {
        const MARK: &str = "UPDATE outbox SET receipts = true WHERE workspace_id = $1 AND account_id = $2 AND state IN \
                            ('sending', 'unknown')";
        self.conn.execute_raw(sql(&self.conn, MARK, [self.ws().into(), account.uuid().into()])).await?;
        Ok(())
    }

    /// Keeps a receipt until the answer comes that it belongs to.
    async fn park(
        &self,
        account: ChannelAccountId,
        reference: &str,
        receipt: &Receipt<'_>,
    ) -> Result<(), StorageError> {
        // Of two the later watermark says more; two for one message say the same.
        const PARK: &str = "INSERT INTO receipts_parked (workspace_id, account_id, reference, state, data, at, received_at) \
                            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workspace_id, account_id, reference, state) DO \
                            UPDATE SET at = excluded.at WHERE receipts_parked.at < excluded.at";
        let values = [
            self.ws().into(),
            account.uuid().into(),
            reference.into(),
            receipt.state.as_str().into(),
            if receipt.through { Some(json!({ THROUGH: true })) } else { receipt.detail.cloned() }.into(),
            millis(receipt.at),
            millis(receipt.now),
        ];
        self.conn.execute_raw(sql(&self.conn, PARK, values)).await?;
        Ok(())
    }

    /// Applies what came before the answer, now that it has told the platform's id.
    pub(super) async fn join_parked(
        &self,
        row: &Ending,
        provider_id: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Vec<Changed>, StorageError> {
        const WATERMARKS: &str = "SELECT state, data, at FROM receipts_parked WHERE workspace_id = $1 AND account_id = $2 AND \
                                  reference = $3 AND at >= $4";
        const TAKE: &str = "DELETE FROM receipts_parked WHERE workspace_id = $1 AND account_id = $2 AND reference = $3 \
                            RETURNING state, data, at";
        let identity = self.identity_of(row.conversation_id).await?;
        let watermarks = [self.ws().into(), row.account_id.into(), up_to(identity).into(), row.started_at.into()];
        let mut parked = self.conn.query_all_raw(sql(&self.conn, WATERMARKS, watermarks)).await?;
        if let Some(provider_id) = provider_id {
            let values = [self.ws().into(), row.account_id.into(), provider_id.into()];
            parked.extend(self.conn.query_all_raw(sql(&self.conn, TAKE, values)).await?);
        }
        let mut changed = Vec::new();
        for row_parked in parked {
            let (state, data, at) = parked_receipt(&row_parked, row.id)?;
            let through = data.as_ref().is_some_and(|data| data.get(THROUGH).is_some());
            let detail = data.as_ref().filter(|_| !through);
            let receipt = Receipt { state, provider_id, detail, at, now, through };
            let account = row.account_id.into();
            for part in self.met(account, "p.id = $3", row.id).await? {
                changed.extend(self.receive(&part, receipt).await?);
            }
            if through {
                changed.extend(self.before(account, row.conversation_id, row.started_at.at(), receipt).await?);
            }
        }
        Ok(changed)
    }

    async fn identity_of(&self, conversation: Uuid) -> Result<Uuid, StorageError> {
        const FIND: &str = "SELECT identity_id FROM conversations WHERE workspace_id = $1 AND id = $2";
        let row = self.conn.query_one_raw(sql(&self.conn, FIND, [self.ws().into(), conversation.into()])).await?;
        Ok(row.map(|row| row.try_get("", "identity_id")).transpose()?.unwrap_or_default())
    }

    /// Deletes up to `limit` parked receipts that came before `before`: nobody will ask for them; how many.
    pub async fn purge_parked_receipts(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM receipts_parked WHERE workspace_id = $1 AND (account_id, reference, state) IN (SELECT \
                              account_id, reference, state FROM receipts_parked WHERE workspace_id = $1 AND received_at < $2 \
                              LIMIT $3)";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }
}

/// In what is parked: the receipt is for all that was sent before, too.
const THROUGH: &str = "through";

/// Under what a person's watermarks are parked.
fn up_to(identity: Uuid) -> String {
    format!("up_to:{identity}")
}

fn parked_receipt(
    row: &QueryResult,
    part: Uuid,
) -> Result<(DeliveryState, Option<serde_json::Value>, OffsetDateTime), StorageError> {
    let state: String = row.try_get("", "state")?;
    let at: Millis = row.try_get("", "at")?;
    Ok((state_of(("receipts_parked", "state", part), &state)?, row.try_get("", "data")?, at.at()))
}
