//! Messages that need a person: unknown outcomes, retries, withdrawals.

use serde_json::json;
use transom_domain::{Actor, DeliveryState, MessageId};
use transom_storage::{Choice, StoredMessage, Tx};

use crate::authorise::{Action, Caller, authorise};
use crate::changes;
use crate::send::worth_sending_for;
use crate::{Desk, DeskError};

/// What to do with a message whose outcome nobody knows, or that did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Settle {
    /// It arrived: a person saw it on the customer's side.
    Confirm,
    /// Send it again, knowing that it may arrive twice.
    SendAgain,
    /// Leave it: it counts as failed.
    GiveUp,
    /// It failed or was withheld: try once more, decided anew.
    Retry,
    /// It is still ours: withdraw it.
    Cancel,
}

/// Settles a message by a person's choice. Each choice counts once: the second finds nothing left to settle.
///
/// # Errors
/// [`DeskError::Conflict`] when no part of the message is in a state that the choice is for.
pub async fn settle(
    desk: &Desk,
    caller: &Caller,
    message: MessageId,
    choice: Settle,
) -> Result<StoredMessage, DeskError> {
    authorise(caller, Action::SettleMessages)?;
    let (desk_in, caller_in, now) = (desk.clone(), caller.clone(), desk.now());
    let known = desk.reader(&caller.scope).message(message).await?.ok_or(DeskError::NotFound { what: "message" })?;
    // A channel that can't be connected now sends nothing either way.
    let patience = desk.account(&caller.scope, known.account).await.map(|(_, channel)| channel.patience());
    let expires_at = now.saturating_add(worth_sending_for(patience.unwrap_or_default()));
    let settled = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller) = (desk_in.clone(), caller_in.clone());
            Box::pin(async move {
                let stored = tx.message(message).await?.ok_or(DeskError::NotFound { what: "message" })?;
                let by = Actor::from(&caller.agent);
                let mut changed = 0_u32;
                for part in &stored.parts {
                    let id = part.part.id;
                    let done = match choice {
                        Settle::Confirm => tx.settle_unknown(id, Choice::Confirm, &by, now).await?.is_some(),
                        Settle::SendAgain => tx.settle_unknown(id, Choice::SendAgain, &by, now).await?.is_some(),
                        Settle::GiveUp => tx.settle_unknown(id, Choice::GiveUp, &by, now).await?.is_some(),
                        Settle::Retry => tx.retry_part(id, &by, now, now, expires_at).await?,
                        Settle::Cancel => false,
                    };
                    changed += u32::from(done);
                }
                if choice == Settle::Cancel {
                    changed += u32::from(tx.cancel_message(message, &by, now).await?);
                }
                if changed == 0 {
                    return Err(nothing_to_settle(&stored, choice));
                }
                tell(tx, &desk, &stored, choice, &by).await?;
                tx.message(message).await?.ok_or(DeskError::NotFound { what: "message" })
            })
        })
        .await?;
    desk.work().outbound.notify_one();
    Ok(settled)
}

fn nothing_to_settle(stored: &StoredMessage, choice: Settle) -> DeskError {
    let state = stored.message.state.map_or("not sent anywhere", DeliveryState::as_str);
    let wanted = match choice {
        Settle::Confirm | Settle::SendAgain | Settle::GiveUp => "unknown",
        Settle::Retry => "failed or not_sent",
        Settle::Cancel => "scheduled or queued",
    };
    DeskError::conflict("nothing_to_settle", format!("the message is {state}; this is for messages that are {wanted}"))
}

async fn tell(tx: &Tx, desk: &Desk, stored: &StoredMessage, choice: Settle, by: &Actor) -> Result<(), DeskError> {
    let Some(conversation) = tx.conversation(stored.message.conversation).await? else { return Ok(()) };
    let data = json!({ "message": stored.message.id, "choice": choice, "by": by });
    changes::emit(tx, desk.ids(), &conversation, "message.settled", data, desk.now()).await
}
