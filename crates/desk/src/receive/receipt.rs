//! Receipts: how messages of ours fare, in whatever order they come.

use serde_json::json;
use transom_channel::{Person, ReceiptFor, ReceiptState, SendError};
use transom_domain::{Body, DeliveryState, IdentityId, PartId};
use transom_storage::{Changed, Earlier, ReceiptKey};

use super::item::Case;
use crate::evidence::{self, Refused};
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
        // Whom we never wrote to and never heard of has read nothing of ours; a receipt makes nobody a contact.
        (ReceiptKey::UpTo(_), Some(person)) => match known(case, person).await? {
            Some(identity) => Some(identity),
            None => return Ok(()),
        },
        _ => None,
    };
    let error = match state {
        ReceiptState::Failed(error) => Some(error),
        ReceiptState::Sent | ReceiptState::Delivered | ReceiptState::Read => None,
    };
    if let (Some(error), ReceiptKey::Message { provider_id, correlation }) = (error, &key)
        && further_reader_failed(case, provider_id, *correlation, error).await?
    {
        return Ok(());
    }
    let detail = error.map(|error| json!({ "code": error.code(), "error": error }));
    let changed = case
        .tx
        .apply_receipt(case.account.id, identity, &key, state.delivery_state(), detail.as_ref(), case.at, case.now)
        .await?;
    for change in &changed {
        tell(case, change, detail.as_ref()).await?;
        if let ReceiptKey::Message { provider_id, .. } = &key {
            join_echo(case, change, provider_id).await?;
        }
        if let Some(error) = error {
            learn(case, change, error).await?;
        }
    }
    Ok(())
}

pub(super) async fn known(case: &Case<'_>, person: &Person) -> Result<Option<IdentityId>, DeskError> {
    for address in &person.addresses {
        if let Some(identity) = case.tx.identity_by_address(case.account.id, &address.kind, &address.value).await? {
            return Ok(case.tx.lock_identity(identity.id).await?.map(|identity| identity.id));
        }
    }
    Ok(None)
}

/// A letter did not reach somebody in copy: agents are told, and the part, which is the customer's, fares as before. That the
/// receipt is about somebody else, its person says.
async fn further_reader_failed(
    case: &Case<'_>,
    provider_id: &str,
    correlation: Option<PartId>,
    error: &SendError,
) -> Result<bool, DeskError> {
    let Some(person) = &case.inbound.person else { return Ok(false) };
    let named: Vec<Earlier<'_>> =
        correlation.map(Earlier::Part).into_iter().chain([Earlier::Message(provider_id)]).collect();
    let Some(known) = case.tx.first_known(case.account.id, &named).await? else { return Ok(false) };
    let Some(message) = case.tx.message(known.message).await? else { return Ok(false) };
    let part = message.parts.iter().find(|part| Some(part.part.id) == correlation).or(message.parts.first());
    let Some(part) = part else { return Ok(false) };
    let cc = match &part.part.content.body {
        Body::Mail(mail) if mail.bcc.is_empty() => mail.cc.as_slice(),
        _ => &[],
    };
    let is_in_copy = |value: &str| cc.iter().any(|reader| reader.eq_ignore_ascii_case(value));
    if !person.addresses.iter().any(|address| is_in_copy(&address.value)) {
        return Ok(false);
    }
    let Some(stored) = case.tx.conversation(known.conversation).await? else { return Ok(true) };
    let reader = person.addresses.first().map(|address| address.value.as_str());
    let readers = json!([{ "address": reader, "report": error.report() }]);
    changes::reader_refused(case.tx, case.desk.ids(), &stored, (known.message, part.part.id), &readers, case.now)
        .await?;
    Ok(true)
}

/// A receipt that settles a part may be the first to tell what the platform calls it: its echo may stand there already.
async fn join_echo(case: &Case<'_>, change: &Changed, provider_id: &str) -> Result<(), DeskError> {
    let settles = matches!(change.from, DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Unknown);
    if !settles || provider_id.is_empty() {
        return Ok(());
    }
    match case.tx.join_echo(case.account.id, change.message, provider_id).await? {
        Some(echo) => changes::joined(case.tx, case.desk.ids(), change.message, echo, case.now).await,
        None => Ok(()),
    }
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
    let of_part = message.parts.iter().find(|part| part.part.id == change.part);
    if of_part.is_some_and(|part| part.part.content.is_for_further_reader()) {
        // It is no proof about the customer.
        return Ok(());
    }
    let Some(identity) = case.tx.lock_identity(message.identity).await? else { return Ok(()) };
    let mut situation = Situation::load(case.tx, identity, case.wires(), case.now).await?;
    // The send, not the later receipt, refutes openings: what the customer wrote meanwhile still counts.
    let sent_at = message.message.at.min(case.at);
    // What it took from which count is known no more: no limit is learnt from it.
    let refused = Refused { permit: message.permit.as_ref(), spends: None, sent_at };
    evidence::record(case.tx, case.desk.ids(), &mut situation, &refused, &proof, case.now).await?;
    situation.save(case.tx, case.now).await
}
