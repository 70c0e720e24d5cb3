//! What may be sent, until when, and what comes after.

use serde::Serialize;
use time::OffsetDateTime;
use transom_channel::Capabilities;
use transom_domain::{ChannelAccountId, ConversationId, IdentityId};
use transom_storage::StoredConversation;
use transom_windows::{Ask, Category, Decision, Interval, Sender};

use crate::authorise::{Action, Caller, authorise};
use crate::house::{HouseReason, HouseRules, reasons};
use crate::situation::{Situation, wires};
use crate::{Desk, DeskError};

/// What may be sent in a conversation, for people and for automation.
#[derive(Debug, Serialize)]
pub struct WindowView {
    /// The instant it holds for.
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// For a person.
    pub human: SenderView,
    /// For automation.
    pub automation: SenderView,
    /// What the channel can carry.
    pub capabilities: Capabilities,
}

/// What one kind of sender may do.
#[derive(Debug, Serialize)]
pub struct SenderView {
    /// Grant by grant.
    #[serde(flatten)]
    pub decision: Decision,
    /// What the workspace's own rules say against it.
    pub house: Vec<HouseReason>,
}

/// What may be sent in a conversation now, and why not the rest.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown conversation.
pub async fn window(desk: &Desk, caller: &Caller, conversation: ConversationId) -> Result<WindowView, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let (stored, situation) = situation_of(desk, caller, conversation).await?;
    let now = desk.now();
    let house = HouseRules::of(stored.conversation.status, situation.account.enabled).over(&situation.account);
    let view = |sender| SenderView {
        decision: situation.policy.decide(&situation.facts, Ask::by(sender), now),
        house: reasons(&house, sender),
    };
    Ok(WindowView {
        now,
        human: view(Sender::Human),
        automation: view(Sender::Automation),
        capabilities: situation.channel.capabilities().clone(),
    })
}

/// What may be sent from now on, interval by interval, if the customer stays silent.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown conversation.
pub async fn timeline(
    desk: &Desk,
    caller: &Caller,
    conversation: ConversationId,
    sender: Sender,
    category: Option<Category>,
) -> Result<Vec<Interval>, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let (_, situation) = situation_of(desk, caller, conversation).await?;
    let ask = category.map_or_else(|| Ask::by(sender), |category| Ask::by(sender).category(category));
    Ok(situation.policy.timeline(&situation.facts, ask, desk.now()))
}

/// One channel on which a contact might be reached.
#[derive(Debug, Serialize)]
pub struct Reach {
    /// The account.
    pub account: ChannelAccountId,
    /// Its platform.
    pub platform: String,
    /// Its name.
    pub account_name: String,
    /// The contact's identity there.
    pub identity: IdentityId,
    /// What may be sent now.
    pub decision: Decision,
    /// What the workspace's own rules say against it.
    pub house: Vec<HouseReason>,
}

/// On which channels a contact can be reached now: those with the most freedom first.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown contact.
pub async fn reachability(
    desk: &Desk,
    caller: &Caller,
    contact: transom_domain::ContactId,
) -> Result<Vec<Reach>, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    let reader = desk.reader(&caller.scope);
    let found = reader.contact(contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    let now = desk.now();
    let mut reach = Vec::new();
    for identity in found.identities {
        let wires = wires(desk, &caller.scope, identity.account).await?;
        if wires.0.removed_at.is_some() {
            continue;
        }
        let situation = Situation::load(&reader, identity, wires, now).await?;
        let house = HouseRules::default().over(&situation.account);
        reach.push(Reach {
            account: situation.account.id,
            platform: situation.account.platform.clone(),
            account_name: situation.account.name.clone(),
            identity: situation.identity.id,
            decision: situation.policy.decide(&situation.facts, Ask::by(Sender::Human), now),
            house: reasons(&house, Sender::Human),
        });
    }
    reach.sort_by_key(|reach| (!reach.house.is_empty(), freedom(&reach.decision)));
    Ok(reach)
}

/// 0 for free text, then tagged, initiated, templates only, nothing.
fn freedom(decision: &Decision) -> u8 {
    let rank = |basis: &str| match basis {
        "free_form" => 0,
        "tagged" => 1,
        "initiated" => 2,
        _ => 3,
    };
    decision.permits().iter().map(|permit| rank(permit.basis().as_str())).min().unwrap_or(4)
}

async fn situation_of(
    desk: &Desk,
    caller: &Caller,
    conversation: ConversationId,
) -> Result<(StoredConversation, Situation), DeskError> {
    let reader = desk.reader(&caller.scope);
    let missing = || DeskError::NotFound { what: "conversation" };
    let stored = reader.conversation(conversation).await?.ok_or_else(missing)?;
    let identity = reader.identity(stored.conversation.identity).await?.ok_or_else(missing)?;
    let wires = wires(desk, &caller.scope, stored.account).await?;
    let situation = Situation::load(&reader, identity, wires, desk.now()).await?;
    Ok((stored, situation))
}

/// Stored windows whose policy, feature, limit or date in force changed are derived anew (design: Data).
///
/// # Errors
/// When the database fails.
pub async fn recompute_due(desk: &Desk) -> Result<u32, DeskError> {
    let mut count = 0;
    for scope in desk.storage().all_scopes().await? {
        let now = desk.now();
        for id in desk.reader(&scope).windows_to_recompute(now, 200).await? {
            let reader = desk.reader(&scope);
            let Some(identity) = reader.identity(id).await? else { continue };
            let wires = wires(desk, &scope, identity.account).await?;
            desk.storage()
                .transact(&scope, move |tx| {
                    let wires = wires.clone();
                    Box::pin(async move {
                        let Some(identity) = tx.lock_identity(id).await? else { return Ok(()) };
                        let situation = Situation::load(tx, identity, wires, now).await?;
                        tx.save_window(id, &situation.columns(now)).await?;
                        Ok::<_, DeskError>(())
                    })
                })
                .await?;
            count += 1;
        }
    }
    Ok(count)
}
