//! The audit log: whoever changes something in their own name leaves a row, in the transaction of the change.
//!
//! No use case has to remember it. A [`Trail`] hangs on the scope; every transaction of that scope is watched, and one that
//! wrote something ends with a row: who, what, which object, how it was before and how it is after.

mod chain;
mod objects;
mod written;

use std::sync::Arc;

use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};
use time::OffsetDateTime;
use transom_domain::{AgentId, AuditId, TokenId};
use uuid::Uuid;

use crate::entity::audit_log;
use crate::{StorageError, Tx};

pub(crate) use chain::seal;
pub use chain::{AuditHead, AuditQuery, BrokenLink, StoredAudit};
use objects::Snapshot;
pub(crate) use written::Written;

/// In whose name something is done, and how it came to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Who.
    pub actor: AgentId,
    /// Their role at that time.
    pub role: &'static str,
    /// `api`, `command_line`, or `job` for what goes on after the request.
    pub via: &'static str,
    /// By which token.
    pub token: Option<TokenId>,
    /// What is done: the operation's id in the API's document, such as `changeAgent`.
    pub action: String,
    /// What it is done to, as far as the request names it: a collection of the API and an id.
    pub object: Option<(String, String)>,
    /// From which address.
    pub address: Option<String>,
    /// In which request.
    pub request: Option<Uuid>,
    /// When.
    pub at: OffsetDateTime,
}

/// How it went: a stable word.
const DONE: &str = "done";

/// What a watched transaction is to be compared with at its end.
pub(crate) struct Watch {
    id: AuditId,
    trail: Arc<Trail>,
    before: Option<Snapshot>,
}

impl Watch {
    /// At the beginning of a transaction.
    pub(crate) async fn begin(tx: &Tx, trail: Arc<Trail>, id: AuditId) -> Result<Self, StorageError> {
        let before = match &trail.object {
            Some((collection, object)) => tx.snapshot(collection, object).await?,
            None => None,
        };
        Ok(Self { id, trail, before })
    }

    /// At its end: a row, if anything was written.
    pub(crate) async fn end(self, tx: &Tx) -> Result<(), StorageError> {
        let written = tx.written();
        if !written.any {
            return Ok(());
        }
        let made = written.made;
        let object = self.trail.object.clone().or_else(|| made.clone());
        let after = match &object {
            Some((collection, id)) => tx.snapshot(collection, id).await?,
            None => None,
        };
        let beside = made.filter(|_| self.trail.object.is_some());
        let (before, after) = objects::difference(self.before, after, beside);
        let kind = |(collection, id): (String, String)| (objects::kind_of(&collection), id);
        tx.append_audit(self.id, &self.trail, DONE, object.map(kind), before, after).await
    }
}

impl Tx {
    /// Appends a row. It is chained once this transaction has committed.
    pub(crate) async fn append_audit(
        &self,
        id: AuditId,
        trail: &Trail,
        outcome: &str,
        object: Option<(String, String)>,
        before: Option<String>,
        after: Option<String>,
    ) -> Result<(), StorageError> {
        let (object_kind, object_id) = object.unzip();
        let row = audit_log::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(id.uuid()),
            seq: Set(None),
            at: Set(trail.at.into()),
            actor_id: Set(trail.actor.uuid()),
            role: Set(trail.role.to_owned()),
            via: Set(trail.via.to_owned()),
            token_id: Set(trail.token.map(TokenId::uuid)),
            action: Set(trail.action.clone()),
            outcome: Set(outcome.to_owned()),
            object_kind: Set(object_kind),
            object_id: Set(object_id),
            before: Set(before),
            after: Set(after),
            address: Set(trail.address.clone()),
            request_id: Set(trail.request),
            hash: Set(None),
        };
        audit_log::Entity::insert(row).exec_without_returning(&self.conn).await?;
        self.mark_emitted();
        Ok(())
    }

    /// Appends what was done in somebody's name without their request: by a job, or to many things in one go.
    pub async fn audit_work(
        &self,
        id: AuditId,
        trail: &Trail,
        outcome: &str,
        after: &serde_json::Value,
    ) -> Result<(), StorageError> {
        let object = trail.object.clone().map(|(collection, id)| (objects::kind_of(&collection), id));
        self.append_audit(id, trail, outcome, object, None, Some(after.to_string())).await
    }

    /// Appends that somebody was refused, with the stable code of the refusal.
    pub async fn audit_refusal(&self, id: AuditId, trail: &Trail, code: &str) -> Result<(), StorageError> {
        let object = trail.object.clone().map(|(collection, id)| (objects::kind_of(&collection), id));
        self.append_audit(id, trail, code, object, None, None).await
    }

    async fn snapshot(&self, collection: &str, id: &str) -> Result<Option<Snapshot>, StorageError> {
        let Some(statement) = objects::select(&self.conn, self.ws(), collection, id) else { return Ok(None) };
        let row = self.conn.query_one_raw(statement).await?;
        row.map(|row| objects::read(&row, collection)).transpose()
    }
}
