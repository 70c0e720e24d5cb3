//! Messages that need a person: unknown outcomes, retries, withdrawals.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use transom_domain::{Actor, DeliveryState, Direction, Identity, MessageId};
use transom_storage::{Choice, StoredConversation, StoredMessage, Touch, Tx};
use transom_windows::{Ask, Sender};

use crate::authorise::{Action, Caller, authorise};
use crate::house::{HouseRules, reasons};
use crate::may_send::Verdict;
use crate::moments::missed;
use crate::schedule::author;
use crate::send::{Hand, preview, worth_sending_for};
use crate::situation::{Situation, Wires, wires};
use crate::{Desk, DeskError, changes};

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
    let wires = Arc::new(wires(desk, &caller.scope, known.account).await.ok());
    let patience = wires.as_ref().as_ref().map(|(_, channel, _)| channel.patience());
    let expires_at = now.saturating_add(worth_sending_for(patience.unwrap_or_default()));
    let settled = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller, wires) = (desk_in.clone(), caller_in.clone(), wires.clone());
            Box::pin(async move {
                if matches!(choice, Settle::Retry | Settle::SendAgain) {
                    let again = Again { desk: &desk, caller: &caller, wires: wires.as_ref().as_ref(), now };
                    again.goes(tx, message).await?;
                }
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

/// A message that goes out again by a person's choice.
struct Again<'a> {
    desk: &'a Desk,
    caller: &'a Caller,
    /// `None` for a channel that can't be connected now.
    wires: Option<&'a Wires>,
    now: OffsetDateTime,
}

impl Again<'_> {
    /// It does to its conversation what a new one would do: a person's answers who waits, opens what is not open for its author
    /// and brings the tags that it was to leave with; what the house says against opening counts.
    async fn goes(&self, tx: &Tx, message: MessageId) -> Result<(), DeskError> {
        let stored = tx.message(message).await?.ok_or(DeskError::NotFound { what: "message" })?;
        let goes_again =
            |state| matches!(state, DeliveryState::Failed | DeliveryState::NotSent | DeliveryState::Unknown);
        if stored.extra.pointer("/ask/sender") != Some(&json!(Sender::Human))
            || !stored.message.state.is_some_and(goes_again)
        {
            return Ok(());
        }
        let Some(identity) = tx.lock_identity(stored.identity).await? else { return Ok(()) };
        let Some(conversation) = tx.lock_conversation(stored.message.conversation).await? else { return Ok(()) };
        let tags = self.tags(tx, &stored).await?;
        if let Some(wires) = self.wires {
            self.check(tx, identity, wires, &conversation, !tags.is_empty()).await?;
        }
        tx.add_tags(conversation.conversation.id, &tags, self.now).await?;
        let author = author(tx, &stored).await?;
        let hand = Hand::of(author.as_ref().unwrap_or(&self.caller.agent));
        if let Some(agent) = hand.opens_for {
            let sender = (agent, &hand.actor);
            changes::opened_by(tx, self.desk.ids(), &conversation, sender, message, self.now).await?;
        }
        let preview = preview(&stored.message.content);
        let touch = Touch { at: self.now, direction: Direction::Outbound, by_person: true, preview };
        tx.touch_conversation(conversation.conversation.id, &touch, self.now).await?;
        if let Some(permit) = &stored.permit {
            missed::answered(tx, &conversation, (message, permit.basis.as_str()), self.now).await?;
        }
        Ok(())
    }

    /// The tags that it was to bring, as far as the workspace still has them.
    async fn tags(&self, tx: &Tx, stored: &StoredMessage) -> Result<Vec<String>, DeskError> {
        let Some(wanted) = stored.extra.get("conversation_tags").and_then(Value::as_array) else {
            return Ok(Vec::new());
        };
        let wanted: Vec<&str> = wanted.iter().filter_map(Value::as_str).collect();
        Ok(tx.known_tags().await?.into_iter().filter(|tag| wanted.contains(&tag.as_str())).collect())
    }

    async fn check(
        &self,
        tx: &Tx,
        identity: Identity,
        wires: &Wires,
        conversation: &StoredConversation,
        tags: bool,
    ) -> Result<(), DeskError> {
        let (settings, _) = tx.settings().await?;
        let (over, to) = ((&*wires.0, wires.1.as_ref()), (conversation.contact, Some(conversation)));
        let rules = HouseRules::opening_turn(tx, &settings, over, to, tags).await?;
        let house = reasons(&rules, Sender::Human);
        if house.is_empty() {
            return Ok(());
        }
        let situation = Situation::load(tx, identity, wires.clone(), self.now).await?;
        let decision = situation.policy.decide(&situation.facts, Ask::by(Sender::Human), self.now);
        Err(DeskError::NotPermitted(Box::new(Verdict { decision, house, permit: None })))
    }
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
