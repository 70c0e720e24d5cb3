//! Handing a conversation over to people: it opens, says why, and pauses every bot.

use std::sync::Arc;

use serde_json::json;
use transom_domain::{Actor, Assignment, ConversationId, EpisodeId, MessageId, Role, Status};
use transom_storage::{StoredConversation, Tx};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::{self, Change};
use crate::idempotency::{Once, only_once};
use crate::{Desk, DeskError, note, routing, status};

/// What is handed over, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// To whom; nobody for the rules for automatic assignment to decide.
    pub to: Assignment,
    /// Why: a note for the team.
    pub note: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// The conversation.
    pub conversation: ConversationId,
    /// The note.
    pub note: MessageId,
    /// Who has it; rules may give it to somebody in a moment.
    pub assignment: Assignment,
}

/// Hands a conversation over to people: it is open then, with a note of why.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Invalid`] for a note that is none, or an agent who can't be given anything;
/// [`DeskError::Conflict`] for a bot that does not serve the account, or is paused since people have it already.
pub async fn hand_over(
    desk: &Desk,
    caller: &Caller,
    conversation: ConversationId,
    handover: Handover,
    once: Option<Once<HandedOver>>,
) -> Result<HandedOver, DeskError> {
    authorise(caller, Action::HandOver)?;
    note::check(&handover.note, "note")?;
    let (desk_in, caller_in, now) = (desk.clone(), caller.clone(), desk.now());
    let (handover, once) = (Arc::new(handover), once.map(Arc::new));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller) = (desk_in.clone(), caller_in.clone());
            let (handover, once) = (handover.clone(), once.clone());
            Box::pin(async move {
                let handed = over(&desk, &caller, tx, conversation, &handover);
                only_once(once.as_deref(), tx, now, handed).await
            })
        })
        .await
}

async fn over(
    desk: &Desk,
    caller: &Caller,
    tx: &Tx,
    conversation: ConversationId,
    Handover { to, note: why }: &Handover,
) -> Result<HandedOver, DeskError> {
    let stored = tx.lock_conversation(conversation).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
    if caller.agent.role == Role::Bot {
        may_hand_over(caller, tx, &stored).await?;
    }
    status::check_assignee(tx, *to).await?;
    if let Some(agent) = to.agent {
        routing::person(tx, agent).await?;
    }
    let (now, by) = (desk.now(), Actor::from(&caller.agent));
    let mut after = stored.conversation.clone();
    let transition = after.hand_over(*to, EpisodeId::new(desk.ids()), now);
    let note = note::write(desk, tx, &stored, &by, why, now).await?;
    if let Some(transition) = transition {
        let change = Change::new(&by, "handover", now).by_message(note);
        changes::record(tx, desk.ids(), &stored, &after, &transition, &change).await?;
    }
    let bots: Vec<_> = (caller.agent.role == Role::Bot).then_some(caller.agent.id).into_iter().collect();
    let data = json!({ "by": by, "note": note, "assigned_to": after.assignment, "bots": bots });
    changes::emit(tx, desk.ids(), &stored, "conversation.handed_over", data, now).await?;
    Ok(HandedOver { conversation, note, assignment: after.assignment })
}

/// A bot hands over what it serves, and nothing that people have.
async fn may_hand_over(caller: &Caller, tx: &Tx, stored: &StoredConversation) -> Result<(), DeskError> {
    if !tx.is_bot_on(caller.agent.id, stored.account).await? {
        let detail = "this bot does not serve the conversation's channel: an administrator binds it";
        return Err(DeskError::conflict("bot_unbound", detail));
    }
    if stored.conversation.status != Status::Closed {
        return Err(DeskError::conflict("bot_paused", "people have the conversation already"));
    }
    Ok(())
}
