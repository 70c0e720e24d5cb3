//! Windows that ended while the customer waited, and what reopening them took.

use time::OffsetDateTime;
use transom_domain::MessageId;
use transom_storage::{MissedOutcome, MissedWindow, StoredConversation, Tx};

use crate::DeskError;

/// Notes that a window has ended before anybody answered; `false` if somebody did. Automations are no answer, and an answer to a
/// survey asks for none.
pub(super) async fn note(
    tx: &Tx,
    stored: &StoredConversation,
    end: OffsetDateTime,
    is_reachable: bool,
) -> Result<bool, DeskError> {
    let conversation = &stored.conversation;
    let Some((message, wrote_at)) = tx.unanswered_before(conversation.id, end).await? else { return Ok(false) };
    // All that may have happened since, if it is looked at late.
    let reopened_at = tx.customer_wrote_since(conversation.id, end).await?;
    let act = tx.first_answer_since(conversation.id, end).await?;
    let act = act.filter(|(_, at, _)| reopened_at.is_none_or(|reopened| *at < reopened));
    let outcome = match (&act, reopened_at) {
        (Some((_, _, basis)), _) => MissedOutcome::of_basis(basis.as_deref().unwrap_or_default()),
        (None, Some(_)) => MissedOutcome::CustomerWrote,
        (None, None) if is_reachable => MissedOutcome::NotReopened,
        (None, None) => MissedOutcome::NothingPossible,
    };
    let missed = MissedWindow {
        message,
        conversation: conversation.id,
        account: stored.account,
        team: conversation.assignment.team,
        agent: conversation.assignment.agent,
        status: conversation.status.as_str().to_owned(),
        wrote_at,
        ended_at: end,
        outcome,
        act: act.map(|(message, at, _)| (Some(message), at)),
        reopened_at,
    };
    tx.insert_missed(&missed).await?;
    Ok(true)
}

/// Somebody writes to a customer whose window was missed.
pub(crate) async fn answered(
    tx: &Tx,
    stored: &StoredConversation,
    (message, basis): (MessageId, &str),
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let Some(ended_at) = stored.missed_at else { return Ok(()) };
    let outcome = MissedOutcome::of_basis(basis);
    Ok(tx.missed_acted((stored.conversation.id, ended_at), outcome, message, now).await?)
}

/// The customer whose window was missed writes.
pub(crate) async fn reopened(tx: &Tx, stored: &StoredConversation, at: OffsetDateTime) -> Result<(), DeskError> {
    let Some(ended_at) = stored.missed_at else { return Ok(()) };
    Ok(tx.missed_reopened((stored.conversation.id, ended_at), at).await?)
}
