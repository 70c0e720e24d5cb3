//! What is on its way to an endpoint, and how each attempt went.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value,
};
use time::{Duration, OffsetDateTime};
use transom_domain::{EndpointId, EventId};

use super::super::people::statement::{Sql, runs};
use super::super::{millis, sql, unreadable};
use crate::entity::webhook_deliveries::{Column as C, Entity, Model};
use crate::entity::{events, webhook_attempts, webhook_endpoints};
use crate::{NewEvent, NumberedEvent, Reader, StorageError, Tx};

/// What became of an event on its way to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueueState {
    /// It is in the queue.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Failed,
}

impl QueueState {
    /// Every state.
    pub const ALL: [QueueState; 3] = [QueueState::Waiting, QueueState::Delivered, QueueState::Failed];

    /// The name in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            QueueState::Waiting => "waiting",
            QueueState::Delivered => "delivered",
            QueueState::Failed => "failed",
        }
    }
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    /// The event's number.
    pub seq: u64,
    /// The event.
    pub event: EventId,
    /// Its kind.
    pub kind: String,
    /// What became of it.
    pub state: QueueState,
    /// Attempts since it was last put into the queue.
    pub tries: u64,
    /// Attempts in all.
    pub attempts: u64,
    /// When it was last put into the queue.
    pub queued_at: OffsetDateTime,
    /// When it was taken or given up.
    pub settled_at: Option<OffsetDateTime>,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewAttempt {
    /// When it began.
    pub at: OffsetDateTime,
    /// How long it took.
    pub took: Duration,
    /// A stable word: `delivered`, `refused`, `redirected`, `timeout`, …
    pub outcome: &'static str,
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
}

/// An attempt as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// Which of this delivery's, from 1.
    pub number: u64,
    /// When it began.
    pub at: OffsetDateTime,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// A stable word.
    pub outcome: String,
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
}

impl TryFrom<Model> for StoredDelivery {
    type Error = StorageError;

    fn try_from(row: Model) -> Result<Self, StorageError> {
        let state = QueueState::ALL.into_iter().find(|state| state.as_str() == row.state);
        let place = ("webhook_deliveries", "state", row.event_id);
        Ok(Self {
            seq: row.seq.unsigned_abs(),
            event: row.event_id.into(),
            kind: row.kind,
            state: state.ok_or_else(|| unreadable(place, format!("`{}`", row.state)))?,
            tries: row.tries.unsigned_abs(),
            attempts: row.attempts.unsigned_abs(),
            queued_at: row.queued_at.at(),
            settled_at: row.settled_at.map(Into::into),
        })
    }
}

impl From<webhook_attempts::Model> for DeliveryAttempt {
    fn from(row: webhook_attempts::Model) -> Self {
        Self {
            number: row.number.unsigned_abs(),
            at: row.at.at(),
            took_ms: row.took_ms.unsigned_abs(),
            outcome: row.outcome,
            status: row.status.and_then(|status| u16::try_from(status).ok()),
        }
    }
}

impl Reader {
    /// What an endpoint gets next.
    pub async fn delivery_head(&self, endpoint: EndpointId) -> Result<Option<StoredDelivery>, StorageError> {
        let row = self.deliveries_of(endpoint).filter(C::State.eq("waiting")).order_by_asc(C::Seq);
        row.one(&self.conn).await?.map(TryInto::try_into).transpose()
    }

    /// Up to `limit` deliveries before event `before`, newest first; only those in `state`, if one is given.
    pub async fn deliveries(
        &self,
        endpoint: EndpointId,
        state: Option<QueueState>,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<StoredDelivery>, StorageError> {
        let mut rows = self.deliveries_of(endpoint);
        if let Some(state) = state {
            rows = rows.filter(C::State.eq(state.as_str()));
        }
        if let Some(before) = before {
            rows = rows.filter(C::Seq.lt(before.cast_signed()));
        }
        let rows = rows.order_by_desc(C::Seq).limit(limit).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The attempts of some deliveries of an endpoint, each with the number of its event; in their order.
    pub async fn delivery_attempts(
        &self,
        endpoint: EndpointId,
        seqs: &[u64],
    ) -> Result<Vec<(u64, DeliveryAttempt)>, StorageError> {
        use webhook_attempts::Column as A;
        let rows = webhook_attempts::Entity::find()
            .filter(A::WorkspaceId.eq(self.ws()))
            .filter(A::EndpointId.eq(endpoint.uuid()))
            .filter(A::Seq.is_in(seqs.iter().map(|seq| seq.cast_signed())))
            .order_by_asc(A::Seq)
            .order_by_asc(A::Number)
            .all(&self.conn)
            .await?;
        Ok(rows.into_iter().map(|row| (row.seq.unsigned_abs(), row.into())).collect())
    }

    /// One event that has its number.
    pub async fn numbered_event(&self, id: EventId) -> Result<Option<NumberedEvent>, StorageError> {
        let row = events::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        Ok(row.and_then(|row| {
            let event = NewEvent {
                id: row.id.into(),
                kind: row.kind,
                conversation: row.conversation_id.map(Into::into),
                contact: row.contact_id.map(Into::into),
                data: row.data,
                at: row.at.at(),
            };
            Some(NumberedEvent { seq: row.seq?.unsigned_abs(), event })
        }))
    }

    fn deliveries_of(&self, endpoint: EndpointId) -> sea_orm::Select<Entity> {
        Entity::find().filter(C::WorkspaceId.eq(self.ws())).filter(C::EndpointId.eq(endpoint.uuid()))
    }
}

impl Tx {
    /// Puts events into an endpoint's queue, those that it had before once more.
    pub async fn queue_deliveries(
        &self,
        endpoint: EndpointId,
        events: &[NumberedEvent],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        for events in runs(events) {
            let rows = events.iter().map(|NumberedEvent { seq, event }| -> [Value; 9] {
                [
                    self.ws().into(),
                    endpoint.uuid().into(),
                    seq.cast_signed().into(),
                    event.id.uuid().into(),
                    event.kind.as_str().into(),
                    QueueState::Waiting.as_str().into(),
                    0_i64.into(),
                    0_i64.into(),
                    millis(now),
                ]
            });
            let mut statement = Sql::new(
                "INSERT INTO webhook_deliveries (workspace_id, endpoint_id, seq, event_id, kind, state, tries, attempts, \
                 queued_at) VALUES ",
            );
            statement.rows(rows).push(
                " ON CONFLICT (workspace_id, endpoint_id, seq) DO UPDATE SET state = excluded.state, tries = 0, \
                 queued_at = excluded.queued_at, settled_at = NULL",
            );
            self.conn.execute_raw(statement.on(&self.conn)).await?;
        }
        Ok(())
    }

    /// Moves an endpoint's cursor on, unless somebody else has.
    pub async fn move_endpoint_cursor(&self, endpoint: EndpointId, from: u64, to: u64) -> Result<bool, StorageError> {
        use webhook_endpoints::Column as E;
        let moved = webhook_endpoints::Entity::update_many()
            .col_expr(E::CursorSeq, Expr::value(to.cast_signed()))
            .filter(E::WorkspaceId.eq(self.ws()))
            .filter(E::Id.eq(endpoint.uuid()))
            .filter(E::CursorSeq.eq(from.cast_signed()))
            .exec(&self.conn)
            .await?;
        Ok(moved.rows_affected == 1)
    }

    /// Records an attempt and what became of the delivery; `false` if somebody else has recorded one, or put it into
    /// the queue anew meanwhile.
    pub async fn record_delivery(
        &self,
        endpoint: EndpointId,
        of: &StoredDelivery,
        attempt: &NewAttempt,
        state: QueueState,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        use webhook_attempts::Column as A;
        let settled = (state != QueueState::Waiting).then(|| crate::instant::Millis::from(now));
        let counted = Entity::update_many()
            .col_expr(C::State, Expr::value(state.as_str()))
            .col_expr(C::Tries, Expr::col(C::Tries).add(1))
            .col_expr(C::Attempts, Expr::col(C::Attempts).add(1))
            .col_expr(C::SettledAt, Expr::value(settled))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::EndpointId.eq(endpoint.uuid()))
            .filter(C::Seq.eq(of.seq.cast_signed()))
            .filter(C::State.eq("waiting"))
            .filter(C::Attempts.eq(of.attempts.cast_signed()))
            // Put into the queue anew while it was on its way, it has to be told once more.
            .filter(Expr::col(C::QueuedAt).eq(Expr::value(millis(of.queued_at))))
            .exec(&self.conn)
            .await?;
        let row = webhook_attempts::ActiveModel {
            workspace_id: Set(self.ws()),
            endpoint_id: Set(endpoint.uuid()),
            seq: Set(of.seq.cast_signed()),
            number: Set(of.attempts.cast_signed() + 1),
            at: Set(attempt.at.into()),
            took_ms: Set(i64::try_from(attempt.took.whole_milliseconds()).unwrap_or(i64::MAX)),
            outcome: Set(attempt.outcome.to_owned()),
            status: Set(attempt.status.map(i64::from)),
        };
        if counted.rows_affected == 1 {
            let once = OnConflict::columns([A::WorkspaceId, A::EndpointId, A::Seq, A::Number]).do_nothing().to_owned();
            webhook_attempts::Entity::insert(row).on_conflict(once).exec_without_returning(&self.conn).await?;
        }
        Ok(counted.rows_affected == 1)
    }

    /// Deletes up to `limit` deliveries that were settled and are older than `before`, with their attempts; how many.
    pub async fn purge_deliveries(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const OLD: &str = "(SELECT endpoint_id, seq FROM webhook_deliveries WHERE workspace_id = $1 AND queued_at < $2 AND \
                           state <> 'waiting' ORDER BY endpoint_id, seq LIMIT $3)";
        let mut deleted = 0;
        for table in ["webhook_attempts", "webhook_deliveries"] {
            let delete = format!("DELETE FROM {table} WHERE workspace_id = $1 AND (endpoint_id, seq) IN {OLD}");
            let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
            deleted = self.conn.execute_raw(sql(&self.conn, &delete, values)).await?.rows_affected();
        }
        Ok(deleted)
    }
}
