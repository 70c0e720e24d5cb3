//! How a change of parts reaches them and their messages: a message shows the worst of its parts.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use sea_orm::{ConnectionTrait, QueryResult, Value};
use time::OffsetDateTime;
use transom_domain::{DeliveryState, MessageId};
use uuid::Uuid;

use super::batch::{Batch, IdList};
use crate::query::broadcasts::STANDING;
use crate::query::{millis, sql, unreadable};
use crate::{Reader, StorageError};

/// What becomes of parts, all of them alike. Of two times the earlier stays; a `None` leaves what is there, but for the reason.
pub(super) struct PartChange<'a> {
    pub(super) to: DeliveryState,
    pub(super) reason: Option<&'a serde_json::Value>,
    pub(super) provider_id: Option<&'a str>,
    pub(super) sent_at: Option<OffsetDateTime>,
    pub(super) delivered_at: Option<OffsetDateTime>,
    pub(super) read_at: Option<OffsetDateTime>,
    /// Whether another attempt begins.
    pub(super) begins: bool,
    pub(super) now: OffsetDateTime,
}

impl PartChange<'_> {
    pub(super) fn to(to: DeliveryState, now: OffsetDateTime) -> Self {
        Self {
            to,
            reason: None,
            provider_id: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            begins: false,
            now,
        }
    }
}

/// SQL that is the greater the more a person has to look at the state `w.state`, by the law of the domain.
static SEVERITY: LazyLock<String> = LazyLock::new(|| {
    let mut states = DeliveryState::ALL;
    states.sort_by(|a, b| match DeliveryState::of_message([*a, *b]) {
        _ if a == b => Ordering::Equal,
        Some(worse) if worse == *b => Ordering::Less,
        _ => Ordering::Greater,
    });
    let mut sql = "CASE w.state".to_owned();
    for (rank, state) in states.into_iter().enumerate() {
        // Writing to a string never fails.
        let _ = write!(sql, " WHEN '{state}' THEN {rank}");
    }
    sql + " END"
});

impl Reader {
    /// Runs a batch that changes parts, and lets their messages follow. The messages must be locked. Returns their states.
    pub(super) async fn change_parts(
        &self,
        mut batch: Batch<'_>,
        parts: &[Uuid],
        messages: &[Uuid],
        change: &PartChange<'_>,
    ) -> Result<BTreeMap<MessageId, DeliveryState>, StorageError> {
        let list = IdList::new(10, parts);
        let fixed: [Value; 9] = [
            self.ws().into(),
            change.to.as_str().into(),
            change.reason.cloned().into(),
            change.provider_id.into(),
            change.sent_at.map(crate::instant::Millis::from).into(),
            change.delivered_at.map(crate::instant::Millis::from).into(),
            change.read_at.map(crate::instant::Millis::from).into(),
            i64::from(change.begins).into(),
            millis(change.now),
        ];
        batch.add(
            format!(
                "UPDATE parts SET state = $2, reason = $3, provider_id = coalesce($4, provider_id), sent_at = coalesce($5, \
                 sent_at), delivered_at = CASE WHEN delivered_at <= $6 THEN delivered_at ELSE coalesce($6, delivered_at) END, \
                 read_at = CASE WHEN read_at <= $7 THEN read_at ELSE coalesce($7, read_at) END, attempts = attempts + $8, updated_at = $9 WHERE workspace_id = $1 AND id IN ({})",
                list.places
            ),
            fixed.into_iter().chain(list.values),
        );
        let list = IdList::new(4, parts);
        let of = IdList::new(4 + list.values.len(), messages);
        // What the parts are about to be is said here once more: on PostgreSQL their update is not seen yet.
        let follow = format!(
            "UPDATE messages SET (state, reason) = (SELECT w.state, w.reason FROM (SELECT p.position, CASE WHEN p.id IN \
             ({parts}) THEN $2 ELSE p.state END AS state, CASE WHEN p.id IN ({parts}) THEN $3 ELSE p.reason END AS reason \
             FROM parts AS p WHERE p.workspace_id = $1 AND p.message_id = messages.id) AS w ORDER BY {severity} DESC, \
             w.position LIMIT 1) WHERE workspace_id = $1 AND id IN ({messages}) RETURNING id, state, extra ->> 'broadcast' IS NOT \
             NULL AS to_many",
            parts = list.places,
            messages = of.places,
            severity = *SEVERITY
        );
        let fixed: [Value; 3] = [self.ws().into(), change.to.as_str().into(), change.reason.cloned().into()];
        let rows = batch.and(follow, fixed.into_iter().chain(list.values).chain(of.values)).await?;
        self.recipients_follow(&rows).await?;
        let states = rows.into_iter().map(|row| {
            let id: Uuid = row.try_get("", "id")?;
            let state: Option<String> = row.try_get("", "state")?;
            Ok((id.into(), state_of(("messages", "state", id), state.as_deref().unwrap_or_default())?))
        });
        states.collect()
    }

    /// Recipients of broadcasts stand as their messages do.
    async fn recipients_follow(&self, changed: &[QueryResult]) -> Result<(), StorageError> {
        let mut messages: Vec<Uuid> = Vec::new();
        for row in changed {
            if row.try_get::<bool>("", "to_many")? {
                messages.push(row.try_get("", "id")?);
            }
        }
        self.recipients_stand_as(&messages).await
    }

    /// The same for these messages.
    pub(in crate::query) async fn recipients_stand_as(&self, messages: &[Uuid]) -> Result<(), StorageError> {
        if messages.is_empty() {
            return Ok(());
        }
        let list = IdList::new(2, messages);
        let stand = format!(
            "UPDATE broadcast_recipients SET {STANDING} FROM messages AS m WHERE m.workspace_id = $1 AND m.id = \
             broadcast_recipients.message_id AND broadcast_recipients.workspace_id = $1 AND broadcast_recipients.message_id IN \
             ({})",
            list.places
        );
        let values = std::iter::once(self.ws().into()).chain(list.values);
        self.conn.execute_raw(sql(&self.conn, &stand, values)).await?;
        Ok(())
    }
}

/// A stored state by its name.
pub(super) fn state_of(place: (&'static str, &'static str, Uuid), name: &str) -> Result<DeliveryState, StorageError> {
    DeliveryState::parse(name).ok_or_else(|| unreadable(place, format!("`{name}` is no delivery state")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_states_is_the_domains() {
        assert!(SEVERITY.starts_with("CASE w.state WHEN 'read' THEN 0 WHEN 'delivered' THEN 1"), "{}", *SEVERITY);
        assert!(SEVERITY.ends_with("WHEN 'failed' THEN 9 END"), "{}", *SEVERITY);
    }
}
