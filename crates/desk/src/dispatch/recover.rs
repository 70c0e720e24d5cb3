//! What was in hand when a process died: claims go back to the queue, what may have left becomes unknown (P3, P4).

use serde_json::json;
use transom_storage::{Recovered, RecoveredFrom, WorkspaceScope};

use crate::{Desk, DeskError, changes};

const BATCH: u32 = 100;

/// Looks for lapsed leases in every workspace.
///
/// # Errors
/// When the database fails.
pub async fn recover(desk: &Desk) -> Result<usize, DeskError> {
    let mut count = 0;
    for scope in desk.storage().all_scopes().await? {
        let recovered = desk.storage().recover(&scope, desk.now(), BATCH).await?;
        count += recovered.len();
        for part in recovered {
            metrics::counter!("transom_leases_recovered_total").increment(1);
            if part.was == RecoveredFrom::Sending {
                tell(desk, &scope, part).await?;
            }
        }
    }
    Ok(count)
}

async fn tell(desk: &Desk, scope: &WorkspaceScope, part: Recovered) -> Result<(), DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let (desk, part) = (desk_in.clone(), part.clone());
            Box::pin(async move {
                let Some(stored) = tx.conversation(part.conversation).await? else { return Ok(()) };
                let data = json!({ "message": part.message, "part": part.part, "from": "sending", "to": part.now, "cause": "recovery" });
                changes::emit(tx, desk.ids(), &stored, "message.state", data, now).await
            })
        })
        .await
}
