//! The audit log, read and checked. Rows are written by the storage itself, in the transaction of each change.

use transom_storage::{AuditHead, AuditQuery, BrokenLink, StoredAudit};

use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError};

/// Up to `limit` rows before number `before`, newest first.
///
/// # Errors
/// [`DeskError::NotFound`] for an actor that is not of this workspace.
pub async fn list(
    desk: &Desk,
    caller: &Caller,
    query: &AuditQuery,
    before: Option<u64>,
    limit: u64,
) -> Result<Vec<StoredAudit>, DeskError> {
    authorise(caller, Action::ReadAudit)?;
    let reader = desk.reader(&caller.scope);
    if let Some(actor) = query.actor {
        reader.agent(actor).await?.ok_or(DeskError::NotFound { what: "agent" })?;
    }
    Ok(reader.audit_page(query, before, limit).await?)
}

/// The newest link of the chain, to be kept somewhere else; `None` before the first.
///
/// # Errors
/// When the database fails.
pub async fn head(desk: &Desk, caller: &Caller) -> Result<Option<AuditHead>, DeskError> {
    authorise(caller, Action::ReadAudit)?;
    Ok(desk.reader(&caller.scope).audit_head().await?)
}

/// Walks the whole chain: how many rows hold, or where it is broken first. A `head` that was kept has to be in it.
///
/// # Errors
/// When the database fails.
pub async fn verify(
    desk: &Desk,
    caller: &Caller,
    head: Option<&AuditHead>,
) -> Result<Result<u64, BrokenLink>, DeskError> {
    authorise(caller, Action::ReadAudit)?;
    Ok(desk.reader(&caller.scope).verify_audit(head).await?)
}
