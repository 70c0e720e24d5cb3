//! Idempotency keys: the answer to a request, stored with its effect (reliability rules, section 10).

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use time::OffsetDateTime;
use transom_domain::AgentId;

use super::{millis, sql};
use crate::entity::idempotency_keys;
use crate::instant::Millis;
use crate::{Reader, StorageError, Tx};

/// Which request this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Who asks.
    pub actor: AgentId,
    /// Method and path.
    pub route: String,
    /// What the client sent as `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of the body.
    pub fingerprint: [u8; 32],
}

/// An answer, to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// Nothing: do it, and store the answer in the same transaction.
    Fresh,
    /// It was done: this is the answer.
    Replay(StoredAnswer),
    /// The key was used for another body.
    OtherBody,
    /// It is being done.
    Running,
}

impl Reader {
    /// What is known of a request, without taking its key.
    pub async fn known_request(&self, key: &IdempotencyKey) -> Result<Idempotency, StorageError> {
        let id = (self.ws(), key.actor.uuid(), key.route.clone(), key.key.clone());
        let row = idempotency_keys::Entity::find_by_id(id).one(&self.conn).await?;
        Ok(row.map_or(Idempotency::Fresh, |row| known(row, key)))
    }
}

fn known(row: idempotency_keys::Model, key: &IdempotencyKey) -> Idempotency {
    match (row.status, row.body) {
        _ if row.fingerprint != key.fingerprint => Idempotency::OtherBody,
        (Some(status), Some(body)) => {
            Idempotency::Replay(StoredAnswer { status: u16::try_from(status).unwrap_or(500), body })
        }
        _ => Idempotency::Running,
    }
}

impl Tx {
    /// Takes a key for this request. What is rolled back leaves no key behind.
    ///
    /// Where the effect is one transaction, `running_until` is `None`: a second request waits for the first (PostgreSQL) or
    /// comes after it (SQLite), and finds its answer. Where it takes several, the first of them stores the key with an end of
    /// patience, until which a second request is told [`Idempotency::Running`].
    pub async fn begin_idempotent(
        &self,
        key: &IdempotencyKey,
        running_until: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<Idempotency, StorageError> {
        let row = idempotency_keys::ActiveModel {
            workspace_id: Set(self.ws()),
            actor_id: Set(key.actor.uuid()),
            route: Set(key.route.clone()),
            key: Set(key.key.clone()),
            fingerprint: Set(key.fingerprint.to_vec()),
            status: Set(None),
            body: Set(None),
            running_until: Set(running_until.map(Into::into)),
            created_at: Set(now.into()),
        };
        let taken = OnConflict::new().do_nothing().to_owned();
        let insert = idempotency_keys::Entity::insert(row).on_conflict(taken);
        if insert.exec_without_returning(&self.conn).await? == 1 {
            return Ok(Idempotency::Fresh);
        }
        match self.known_request(key).await? {
            // Purged between the two statements: the whole transaction tries again.
            Idempotency::Fresh => return Err(StorageError::Conflict),
            Idempotency::Running => {}
            answered => return Ok(answered),
        }
        let took_over = idempotency_keys::Entity::update_many()
            .col_expr(idempotency_keys::Column::RunningUntil, Expr::value(running_until.map(Millis::from)))
            .filter(self.is(key))
            .filter(Expr::col(idempotency_keys::Column::Status).is_null())
            .filter(Expr::col(idempotency_keys::Column::RunningUntil).lte(Expr::value(millis(now))))
            .exec(&self.conn)
            .await?;
        Ok(if took_over.rows_affected == 1 { Idempotency::Fresh } else { Idempotency::Running })
    }

    /// Stores the answer to a request whose key was taken.
    pub async fn finish_idempotent(&self, key: &IdempotencyKey, answer: &StoredAnswer) -> Result<(), StorageError> {
        idempotency_keys::Entity::update_many()
            .col_expr(idempotency_keys::Column::Status, Expr::value(i64::from(answer.status)))
            .col_expr(idempotency_keys::Column::Body, Expr::value(answer.body.clone()))
            .filter(self.is(key))
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// Gives a key back, for a request that turned out to be refused and stored nothing.
    pub async fn forget_idempotent(&self, key: &IdempotencyKey) -> Result<(), StorageError> {
        idempotency_keys::Entity::delete_many().filter(self.is(key)).exec(&self.conn).await?;
        Ok(())
    }

    /// Deletes up to `limit` keys made before `before`; how many.
    pub async fn purge_idempotency(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM idempotency_keys WHERE workspace_id = $1 AND (actor_id, route, key) IN \
                              (SELECT actor_id, route, key FROM idempotency_keys WHERE workspace_id = $1 \
                              AND created_at < $2 LIMIT $3)";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }

    fn is(&self, key: &IdempotencyKey) -> sea_orm::Condition {
        use idempotency_keys::Column as C;
        sea_orm::Condition::all()
            .add(C::WorkspaceId.eq(self.ws()))
            .add(C::ActorId.eq(key.actor.uuid()))
            .add(C::Route.eq(key.route.clone()))
            .add(C::Key.eq(key.key.clone()))
    }
}
