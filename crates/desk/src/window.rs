//! What may be sent in a conversation, until when, and what comes after.

use serde::Serialize;
use time::OffsetDateTime;
use transom_channel::Capabilities;
use transom_domain::{ConversationId, IdentityId};
use transom_storage::{StaleWindows, StoredConversation, WorkspaceScope};
use transom_windows::{Ask, Category, Decision, Interval, Sender};

use crate::afterwards::{Way, afterwards};
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
    /// What may be sent once the window has run out, if the customer stays silent; `None` where no time ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub afterwards: Option<Vec<Way>>,
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
    let (reader, now) = (desk.reader(&caller.scope), desk.now());
    let (settings, _) = reader.settings().await?;
    let (over, to) = ((&*situation.account, situation.channel.as_ref()), (stored.contact, Some(&stored)));
    let house = HouseRules::towards(&reader, &settings, over, to, false).await?;
    let by_night = house.clone().by_the_clock(&reader, &settings, Sender::Automation, stored.contact, now).await?;
    let view = |sender, house| {
        let (policy, facts, ask) = (&situation.policy, &situation.facts, Ask::by(sender));
        let decision = policy.decide(facts, ask, now);
        let afterwards = afterwards(policy, facts, ask, &decision);
        SenderView { decision, afterwards, house: reasons(house, sender) }
    };
    Ok(WindowView {
        now,
        human: view(Sender::Human, &house),
        automation: view(Sender::Automation, &by_night),
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

/// How many people are looked at before what was done is noted.
const PEOPLE: u32 = 200;
/// How many such pages are gone through at a time: other accounts wait no longer than this.
const PAGES: usize = 20;

/// Stored windows whose policy, feature, limit or date in force changed are derived anew (design: Data).
///
/// # Errors
/// When the database fails.
pub async fn recompute_due(desk: &Desk) -> Result<u32, DeskError> {
    let mut count = 0;
    for scope in desk.storage().all_scopes().await? {
        let reader = desk.reader(&scope);
        for id in reader.windows_to_recompute(desk.now(), PEOPLE.into()).await? {
            count += u32::from(recompute(desk, &scope, id).await?);
        }
        for stale in reader.stale_windows().await? {
            count += recompute_account(desk, &scope, stale).await?;
        }
    }
    Ok(count)
}

/// Goes on through the people of an account.
async fn recompute_account(desk: &Desk, scope: &WorkspaceScope, mut stale: StaleWindows) -> Result<u32, DeskError> {
    let mut count = 0;
    for _ in 0..PAGES {
        let people = desk.reader(scope).people_of_account(stale.account, stale.after, PEOPLE).await?;
        for id in &people {
            count += u32::from(recompute(desk, scope, *id).await?);
        }
        let seen = stale;
        stale.after = people.last().copied();
        let after = stale.after;
        desk.storage()
            .transact(scope, move |tx| Box::pin(async move { tx.windows_renewed(&seen, after).await }))
            .await?;
        if stale.after.is_none() {
            break;
        }
    }
    Ok(count)
}

/// Whether there is such a person: their windows are as they should be now.
async fn recompute(desk: &Desk, scope: &WorkspaceScope, id: IdentityId) -> Result<bool, DeskError> {
    let Some(identity) = desk.reader(scope).identity(id).await? else { return Ok(false) };
    let (wires, now) = (wires(desk, scope, identity.account).await?, desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let wires = wires.clone();
            Box::pin(async move {
                let Some(identity) = tx.lock_identity(id).await? else { return Ok(false) };
                let situation = Situation::load(tx, identity, wires, now).await?;
                tx.save_window(situation.identity.id, &situation.columns(now), now).await?;
                Ok::<_, DeskError>(true)
            })
        })
        .await
}

/// Finds the accounts whose policy is another one, or of another version, than when the service last ran.
///
/// # Errors
/// When the database fails.
pub(crate) async fn notice_replaced_policies(desk: &Desk) -> Result<(), DeskError> {
    for scope in desk.storage().all_scopes().await? {
        let reader = desk.reader(&scope);
        for account in reader.accounts().await? {
            let Some(policy) = desk.policies().get(&account.policy) else { continue };
            let version = format!("{}@{}", policy.name(), policy.version());
            if reader.oldest_window_versions(account.id).await?.iter().all(|known| *known == version) {
                continue;
            }
            let now = desk.now();
            desk.storage()
                .transact(&scope, move |tx| Box::pin(async move { tx.windows_are_stale(account.id, now).await }))
                .await?;
        }
    }
    Ok(())
}
