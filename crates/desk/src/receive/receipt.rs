//! Receipts: how messages of ours fare, in whatever order they come.

use serde_json::json;
use transom_channel::{ReceiptFor, ReceiptState, SendError};
use transom_domain::PartId;
use transom_storage::{Changed, ReceiptKey};

use super::item::Case;
use crate::evidence;
use crate::situation::Situation;
use crate::{DeskError, changes};

/// A receipt arrived. One for a message that we don't know yet is kept until the send's answer is stored.
pub(super) async fn arrived(case: &Case<'_>, of: &ReceiptFor, state: &ReceiptState) -> Result<(), DeskError> {
    let key = match of {
        ReceiptFor::Message { provider_id, correlation } => ReceiptKey::Message {
            provider_id: provider_id.clone(),
            correlation: correlation.as_deref().and_then(|id| id.parse::<PartId>().ok()),
        },
        ReceiptFor::Through { provider_id } => ReceiptKey::Through { provider_id: provider_id.clone() },
        ReceiptFor::UpTo(at) => ReceiptKey::UpTo(*at),
    };
    let identity = match (&key, &case.inbound.person) {
        (ReceiptKey::UpTo(_), Some(_)) => Some(case.person().await?.identity.id),
        _ => None,
    };
    let error = match state {
        ReceiptState::Failed(error) => Some(error),
        ReceiptState::Sent | ReceiptState::Delivered | ReceiptState::Read => None,
    };
    let detail = error.map(|error| json!({ "code": error.code(), "error": error }));
    let changed = case
        .tx
        .apply_receipt(case.account.id, identity, &key, state.delivery_state(), detail.as_ref(), case.at, case.now)
        .await?;
    for change in &changed {
        tell(case, change, detail.as_ref()).await?;
        if let Some(error) = error {
            learn(case, change, error).await?;
        }
    }
    Ok(())
}

async fn tell(case: &Case<'_>, change: &Changed, detail: Option<&serde_json::Value>) -> Result<(), DeskError> {
    let Some(stored) = case.tx.conversation(change.conversation).await? else { return Ok(()) };
    let data = json!({ "message": change.message, "part": change.part, "from": change.from, "to": change.to, "detail": detail });
    changes::emit(case.tx, case.desk.ids(), &stored, "message.state", data, case.now).await
}

/// A refusal after acceptance proves something about the person, the opening or the template.
async fn learn(case: &Case<'_>, change: &Changed, error: &SendError) -> Result<(), DeskError> {
    let Some(proof) = error.evidence() else { return Ok(()) };
    let Some(message) = case.tx.message(change.message).await? else { return Ok(()) };
    let Some(identity) = case.tx.lock_identity(message.identity).await? else { return Ok(()) };
    let mut situation = Situation::load(case.tx, identity, case.wires(), case.now).await?;
    // The send, not the later receipt, refutes openings: what the customer wrote meanwhile still counts.
    let sent_at = message.message.at.min(case.at);
    evidence::record(case.tx, &mut situation, message.permit.as_ref(), &[], &proof, sent_at, case.now).await?;
    situation.save(case.tx, case.now).await
}
