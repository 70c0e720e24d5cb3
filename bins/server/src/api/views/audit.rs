//! The audit log.

use poem_openapi::Object;
use time::OffsetDateTime;
use transom_storage::{AuditHead, StoredAudit};
use uuid::Uuid;

/// A line of the audit log.
#[derive(Debug, Object)]
#[oai(rename = "AuditEntry", skip_serializing_if_is_none)]
pub(crate) struct AuditView {
    /// Its number, from 1, without gaps.
    seq: u64,
    /// Its id.
    id: Uuid,
    /// When.
    at: OffsetDateTime,
    /// The agent who did it, or tried.
    actor: Uuid,
    /// Their role at that time.
    role: String,
    /// `api`, `command_line`, or `job` for what goes on after the request.
    via: String,
    /// By which token.
    token: Option<Uuid>,
    /// What: the id of the operation in this document, the command, or `job.bulk`, `job.undo`, `job.import`, `job.erase`.
    action: String,
    /// `done`, or the stable code of the refusal.
    outcome: String,
    /// To what: its kind.
    object_kind: Option<String>,
    /// To what: its id.
    object: Option<String>,
    /// How it was: what changed. Never a secret, nor what customers wrote or are called.
    before: Option<serde_json::Value>,
    /// How it is since.
    after: Option<serde_json::Value>,
    /// From which address.
    address: Option<String>,
    /// In which request.
    request: Option<Uuid>,
    /// The link of the chain, in hexadecimal digits.
    hash: String,
}

impl From<&StoredAudit> for AuditView {
    fn from(stored: &StoredAudit) -> Self {
        let json = |text: &Option<String>| text.as_ref().and_then(|text| serde_json::from_str(text).ok());
        Self {
            seq: stored.seq,
            id: stored.id.uuid(),
            at: stored.at,
            actor: stored.actor.uuid(),
            role: stored.role.clone(),
            via: stored.via.clone(),
            token: stored.token.map(Into::into),
            action: stored.action.clone(),
            outcome: stored.outcome.clone(),
            object_kind: stored.object_kind.clone(),
            object: stored.object_id.clone(),
            before: json(&stored.before),
            after: json(&stored.after),
            address: stored.address.clone(),
            request: stored.request,
            hash: hex::encode(&stored.hash),
        }
    }
}

/// A page of the audit log.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct AuditPage {
    /// The lines, newest first.
    pub(crate) items: Vec<AuditView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// The newest link of the chain: kept somewhere else, it proves that nothing before it was changed.
#[derive(Debug, Object)]
#[oai(rename = "AuditHead", skip_serializing_if_is_none)]
pub(crate) struct AuditHeadView {
    /// Its number; 0 before the first line.
    seq: u64,
    /// Its hash, in hexadecimal digits; left out before the first line.
    hash: Option<String>,
}

impl From<Option<AuditHead>> for AuditHeadView {
    fn from(head: Option<AuditHead>) -> Self {
        Self { seq: head.as_ref().map_or(0, |head| head.seq), hash: head.map(|head| hex::encode(head.hash)) }
    }
}
