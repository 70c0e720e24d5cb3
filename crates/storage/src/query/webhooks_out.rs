//! Webhooks out: endpoints, their queues, and how each delivery went.
//!
//! A queue is a cursor into the numbered events and the rows that it has passed: an endpoint gets events in their order, the
//! next one only when the one before was taken or given up.

mod deliveries;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use secrecy::SecretString;
use time::OffsetDateTime;
use transom_domain::{AgentId, EndpointId};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{from_json, millis, sql, to_json};
use crate::entity::webhook_endpoints::{ActiveModel, Column as C, Entity, Model};
use crate::vault::random;
use crate::{NewEvent, Reader, Storage, StorageError, Tx, WorkspaceScope};

pub use deliveries::{DeliveryAttempt, NewAttempt, QueueState, StoredDelivery};

const TABLE: &str = "webhook_endpoints";
/// What secrets begin with, by Standard Webhooks 1.0.
const PREFIX: &str = "whsec_";

/// An address that is told what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Where it is.
    pub url: String,
    /// What it is for, for people.
    pub description: String,
    /// Which events it gets: `message.state`, or `message.*`; all of them if there is none.
    pub kinds: Vec<String>,
    /// Whether it gets any.
    pub enabled: bool,
    /// The bot whose endpoint it is: then it gets only what is for that bot.
    pub agent: Option<AgentId>,
}

impl Endpoint {
    /// Whether it gets an event.
    pub fn wants(&self, event: &NewEvent) -> bool {
        self.wants_kind(&event.kind) && self.agent.is_none_or(|bot| event.is_for(bot))
    }

    fn wants_kind(&self, kind: &str) -> bool {
        let matches = |wanted: &String| match wanted.strip_suffix('*') {
            Some(beginning) => kind.starts_with(beginning),
            None => wanted == kind,
        };
        self.kinds.is_empty() || self.kinds.iter().any(matches)
    }
}

/// An endpoint as stored, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Why it was turned off by itself: `gone` or `failing`.
    pub disabled_because: Option<String>,
    /// Until when the secret before the present one signs, too.
    pub old_secret_until: Option<OffsetDateTime>,
    /// Events up to this number are in its queue, or behind it.
    pub cursor: u64,
    /// Before this instant nothing is tried.
    pub next_at: OffsetDateTime,
    /// Attempts in a row that failed.
    pub failures: u64,
    /// When the first of them was.
    pub failing_since: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

/// What an endpoint's messages are signed with.
#[derive(Debug, Clone)]
pub struct EndpointSecrets {
    /// The secret.
    pub current: SecretString,
    /// The one before, while it still counts.
    pub old: Option<SecretString>,
}

/// How an endpoint does after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Attempts in a row that failed.
    pub failures: u64,
    /// When the first of them was.
    pub failing_since: Option<OffsetDateTime>,
    /// Before this instant nothing is tried.
    pub next_at: OffsetDateTime,
}

impl TryFrom<Model> for StoredEndpoint {
    type Error = StorageError;

    fn try_from(row: Model) -> Result<Self, StorageError> {
        let endpoint = Endpoint {
            id: row.id.into(),
            url: row.url,
            description: row.description,
            kinds: from_json(row.kinds, (TABLE, "kinds", row.id))?,
            enabled: row.enabled,
            agent: row.agent_id.map(Into::into),
        };
        Ok(Self {
            endpoint,
            disabled_because: row.disabled_because,
            old_secret_until: row.old_secret_until.map(Into::into),
            cursor: row.cursor_seq.unsigned_abs(),
            next_at: row.next_at.at(),
            failures: row.failures.unsigned_abs(),
            failing_since: row.failing_since.map(Into::into),
            created_at: row.created_at.at(),
            updated_at: row.updated_at.at(),
        })
    }
}

impl Storage {
    /// Endpoints that may have something to send at `now`, of every workspace.
    pub async fn endpoints_with_work(
        &self,
        now: OffsetDateTime,
    ) -> Result<Vec<(WorkspaceScope, EndpointId)>, StorageError> {
        const FIND: &str = "SELECT e.workspace_id, e.id FROM webhook_endpoints AS e WHERE e.enabled AND e.next_at <= $1 AND \
                            (EXISTS (SELECT 1 FROM event_numberers AS n WHERE n.workspace_id = e.workspace_id AND \
                            n.last_seq > e.cursor_seq) OR EXISTS (SELECT 1 FROM webhook_deliveries AS d WHERE \
                            d.workspace_id = e.workspace_id AND d.endpoint_id = e.id AND d.state = 'waiting')) \
                            ORDER BY e.next_at";
        let mut found = Vec::new();
        for row in self.db().query_all_raw(sql(self.db(), FIND, [millis(now)])).await? {
            let workspace: Uuid = row.try_get_by_index(0)?;
            found.push((WorkspaceScope::of(workspace.into()), row.try_get_by_index::<Uuid>(1)?.into()));
        }
        Ok(found)
    }
}

impl Reader {
    /// Every endpoint, oldest first.
    pub async fn endpoints(&self) -> Result<Vec<StoredEndpoint>, StorageError> {
        let rows = Entity::find().filter(C::WorkspaceId.eq(self.ws())).order_by_asc(C::Id).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// One endpoint.
    pub async fn endpoint(&self, id: EndpointId) -> Result<Option<StoredEndpoint>, StorageError> {
        let row = Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// What its messages are signed with at `now`.
    pub async fn endpoint_secrets(
        &self,
        id: EndpointId,
        now: OffsetDateTime,
    ) -> Result<Option<EndpointSecrets>, StorageError> {
        let Some(row) = Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await? else { return Ok(None) };
        let current = self.unseal(TABLE, "secret", row.id, &row.secret).await?;
        let old = row.old_secret.filter(|_| row.old_secret_until.is_some_and(|until| now < until.at()));
        let old = match old {
            Some(sealed) => Some(self.unseal(TABLE, "secret", row.id, &sealed).await?),
            None => None,
        };
        Ok(Some(EndpointSecrets { current, old }))
    }
}

impl Tx {
    /// Stores a new endpoint, which gets what happens after event `cursor`; its secret, this once.
    pub async fn create_endpoint(
        &self,
        new: &Endpoint,
        cursor: u64,
        now: OffsetDateTime,
    ) -> Result<SecretString, StorageError> {
        let (secret, sealed) = self.endpoint_secret(new.id).await?;
        let row = ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(new.id.uuid()),
            url: Set(new.url.clone()),
            description: Set(new.description.clone()),
            kinds: Set(to_json(&new.kinds)?),
            enabled: Set(new.enabled),
            agent_id: Set(new.agent.map(Uuid::from)),
            disabled_because: Set(None),
            secret: Set(sealed),
            old_secret: Set(None),
            old_secret_until: Set(None),
            cursor_seq: Set(cursor.cast_signed()),
            next_at: Set(now.into()),
            failures: Set(0),
            failing_since: Set(None),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
        };
        Entity::insert(row).exec_without_returning(&self.conn).await?;
        Ok(secret)
    }

    /// One endpoint, locked until the end of this transaction.
    pub async fn lock_endpoint(&self, id: EndpointId) -> Result<Option<StoredEndpoint>, StorageError> {
        let row = Entity::find_by_id((self.ws(), id.uuid())).lock_exclusive().one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Stores what people may change of it. One that is on begins with a clean slate.
    pub async fn change_endpoint(&self, changed: &Endpoint, now: OffsetDateTime) -> Result<bool, StorageError> {
        let mut update = Entity::update_many()
            .col_expr(C::Url, Expr::value(changed.url.as_str()))
            .col_expr(C::Description, Expr::value(changed.description.as_str()))
            .col_expr(C::Kinds, Expr::value(to_json(&changed.kinds)?))
            .col_expr(C::Enabled, Expr::value(changed.enabled))
            .col_expr(C::AgentId, Expr::value(changed.agent.map(Uuid::from)))
            .col_expr(C::UpdatedAt, Expr::value(millis(now)));
        if changed.enabled {
            update = update
                .col_expr(C::DisabledBecause, Expr::value(None::<String>))
                .col_expr(C::Failures, Expr::value(0_i64))
                .col_expr(C::FailingSince, Expr::value(None::<i64>))
                .col_expr(C::NextAt, Expr::value(millis(now)));
        }
        let done = update.filter(C::WorkspaceId.eq(self.ws())).filter(C::Id.eq(changed.id.uuid()));
        Ok(done.exec(&self.conn).await?.rows_affected == 1)
    }

    /// Turns it off, and says why.
    pub async fn disable_endpoint(&self, id: EndpointId, why: &str, now: OffsetDateTime) -> Result<bool, StorageError> {
        let off = Entity::update_many()
            .col_expr(C::Enabled, Expr::value(false))
            .col_expr(C::DisabledBecause, Expr::value(why))
            .col_expr(C::UpdatedAt, Expr::value(millis(now)))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::Id.eq(id.uuid()))
            .filter(C::Enabled.eq(true));
        Ok(off.exec(&self.conn).await?.rows_affected == 1)
    }

    /// A new secret; the present one signs beside it until `until`. `None` if there is no such endpoint.
    pub async fn rotate_endpoint_secret(
        &self,
        id: EndpointId,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Option<SecretString>, StorageError> {
        let (secret, sealed) = self.endpoint_secret(id).await?;
        let rotated = Entity::update_many()
            .col_expr(C::OldSecret, Expr::col(C::Secret))
            .col_expr(C::OldSecretUntil, Expr::value(millis(until)))
            .col_expr(C::Secret, Expr::value(sealed))
            .col_expr(C::UpdatedAt, Expr::value(millis(now)))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::Id.eq(id.uuid()))
            .exec(&self.conn)
            .await?;
        Ok((rotated.rows_affected == 1).then_some(secret))
    }

    /// Says how it does.
    pub async fn put_endpoint_health(&self, id: EndpointId, health: Health) -> Result<(), StorageError> {
        Entity::update_many()
            .col_expr(C::Failures, Expr::value(health.failures.cast_signed()))
            .col_expr(C::FailingSince, Expr::value(health.failing_since.map(crate::instant::Millis::from)))
            .col_expr(C::NextAt, Expr::value(millis(health.next_at)))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::Id.eq(id.uuid()))
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// Deletes it with its queue; whether it was there.
    pub async fn delete_endpoint(&self, id: EndpointId) -> Result<bool, StorageError> {
        for table in ["webhook_attempts", "webhook_deliveries"] {
            let delete = format!("DELETE FROM {table} WHERE workspace_id = $1 AND endpoint_id = $2");
            self.conn.execute_raw(sql(&self.conn, &delete, [self.ws().into(), id.uuid().into()])).await?;
        }
        let gone = Entity::delete_by_id((self.ws(), id.uuid())).exec(&self.conn).await?;
        Ok(gone.rows_affected == 1)
    }

    /// A secret of 256 random bits, as it is shown and as it is stored.
    async fn endpoint_secret(&self, id: EndpointId) -> Result<(SecretString, Vec<u8>), StorageError> {
        let bytes = Zeroizing::new(random::<32>()?);
        let secret = SecretString::from(format!("{PREFIX}{}", STANDARD.encode(bytes.as_slice())));
        let sealed = self.seal(TABLE, "secret", id.uuid(), &secret).await?;
        Ok((secret, sealed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transom_domain::UuidV7;

    #[test]
    fn a_filter_names_kinds_or_their_beginnings() {
        let wanting = |kinds: &[&str]| Endpoint {
            id: EndpointId::new(&UuidV7),
            url: String::new(),
            description: String::new(),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            enabled: true,
            agent: None,
        };
        assert!(wanting(&[]).wants_kind("note.added"));
        assert!(wanting(&["message.*"]).wants_kind("message.sent"));
        assert!(!wanting(&["message.*"]).wants_kind("messages"));
        assert!(wanting(&["note.added", "message.sent"]).wants_kind("message.sent"));
        assert!(!wanting(&["message.sent"]).wants_kind("message.sending"));
    }
}
