//! Exports in the audit log: a row when one begins, and one when all of it was read.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use transom_domain::AuditId;

use super::Lines;
use crate::authorise::Caller;
use crate::{Desk, DeskError};

/// Keeps that an export begins, and of what kind; and at its end how long it was. One that breaks off has no second row.
///
/// # Errors
/// When the database fails: then nothing is exported.
pub(super) async fn kept(desk: &Desk, caller: &Caller, what: Value, lines: Lines) -> Result<Lines, DeskError> {
    row(desk, caller, json!({ "begun": what })).await?;
    let walk = (lines, desk.clone(), caller.clone(), 0_u64);
    let lines = stream::try_unfold(walk, |(mut lines, desk, caller, bytes)| async move {
        match lines.next().await {
            Some(chunk) => {
                let chunk: Bytes = chunk?;
                let bytes = bytes + chunk.len() as u64;
                Ok(Some((chunk, (lines, desk, caller, bytes))))
            }
            None => {
                row(&desk, &caller, json!({ "ended": { "bytes": bytes } })).await?;
                Ok(None)
            }
        }
    });
    Ok(lines.boxed())
}

/// A row in the caller's name, if they have one: whoever embeds the desk may do without.
pub(super) async fn row(desk: &Desk, caller: &Caller, after: Value) -> Result<(), DeskError> {
    let Some(trail) = caller.scope.trail().cloned() else { return Ok(()) };
    let (id, now) = (AuditId::new(desk.ids()), desk.now());
    desk.storage()
        .transact(&caller.scope.unaudited(), move |tx| {
            let (trail, after) = (transom_storage::Trail { at: now, ..(*trail).clone() }, after.clone());
            Box::pin(async move { Ok(tx.audit_work(id, &trail, "done", &after).await?) })
        })
        .await
}
