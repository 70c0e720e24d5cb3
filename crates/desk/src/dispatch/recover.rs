//! What was in hand when a process died: claims go back to the queue, what may have left becomes unknown (P3, P4), unless the
//! platform drops repeats: then it is sent again with the same key.

use serde_json::json;
use time::Duration;
use transom_domain::DeliveryState;
use transom_storage::{PartEvidence, Recovered, RecoveredFrom, WorkspaceScope};

use crate::{Desk, DeskError, changes};

const BATCH: u32 = 100;
/// Nothing is sent again so shortly before the platform forgets the key.
const MARGIN: Duration = Duration::minutes(5);

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
                let again = drops_repeats(desk, &scope, &part).await;
                tell(desk, &scope, part, again).await?;
            }
        }
    }
    Ok(count)
}

/// Whether the platform would drop a second request with the same key, for a while longer.
async fn drops_repeats(desk: &Desk, scope: &WorkspaceScope, part: &Recovered) -> bool {
    let Ok((_, channel)) = desk.account(scope, part.account).await else { return false };
    let Some(span) = channel.capabilities().settling.dedupes_for else { return false };
    let Ok(attempts) = desk.reader(scope).attempts(part.part).await else { return false };
    let Ok(evidence) = desk.reader(scope).part_evidence(part.part).await else { return false };
    if evidence.iter().any(PartEvidence::forbids_repeats) {
        return false;
    }
    // From the first attempt on: all of them had the same key.
    let begun = attempts.iter().map(|attempt| attempt.started_at).min();
    begun.is_some_and(|begun| desk.now() < begun.saturating_add(span).saturating_sub(MARGIN))
}

async fn tell(desk: &Desk, scope: &WorkspaceScope, part: Recovered, again: bool) -> Result<(), DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let (desk, part) = (desk_in.clone(), part.clone());
            Box::pin(async move {
                let to = if again && tx.resend_unknown(part.part, now).await? { DeliveryState::Queued } else { part.now };
                let Some(stored) = tx.conversation(part.conversation).await? else { return Ok(()) };
                let data = json!({ "message": part.message, "part": part.part, "from": "sending", "to": to, "cause": "recovery" });
                changes::emit(tx, desk.ids(), &stored, "message.state", data, now).await
            })
        })
        .await
}
