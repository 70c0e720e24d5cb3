//! Who works now, and whose contacts are whose.

use serde_json::json;
use transom_domain::{AgentId, ContactId, Role};
use transom_storage::Tx;

use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError, changes};

/// Says whether an agent is away. Rules give nothing to whoever is.
///
/// # Errors
/// [`DeskError::Forbidden`] for an agent who says it of somebody else; [`DeskError::NotFound`].
pub async fn set_away(desk: &Desk, caller: &Caller, agent: AgentId, away: bool) -> Result<(), DeskError> {
    authorise(caller, Action::SetPresence)?;
    let (desk_in, of_another) = (desk.clone(), caller.agent.role == Role::Agent && agent != caller.agent.id);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let desk = desk_in.clone();
            Box::pin(async move {
                tx.agent(agent).await?.ok_or(DeskError::NotFound { what: "agent" })?;
                if of_another {
                    let action = "say that somebody else is away";
                    return Err(DeskError::Forbidden { role: Role::Agent.as_str(), action });
                }
                if tx.is_away(agent).await? == away {
                    return Ok(());
                }
                tx.set_away(agent, away).await?;
                let data = json!({ "agent": agent, "away": away });
                changes::tell(tx, desk.ids(), None, "agent.presence", data, desk.now()).await
            })
        })
        .await
}

/// Everybody who is away.
///
/// # Errors
/// When the database fails.
pub async fn away(desk: &Desk, caller: &Caller) -> Result<Vec<AgentId>, DeskError> {
    authorise(caller, Action::ReadAgents)?;
    Ok(desk.reader(&caller.scope).agents_away().await?)
}

/// The agent that a contact belongs to.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn dedicated_agent(desk: &Desk, caller: &Caller, contact: ContactId) -> Result<Option<AgentId>, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    let reader = desk.reader(&caller.scope);
    let stored = reader.contact(contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    Ok(reader.dedicated_agent(stored.contact.id).await?)
}

/// Makes a contact somebody's, or nobody's.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Invalid`] for a bot.
pub async fn dedicate(
    desk: &Desk,
    caller: &Caller,
    contact: ContactId,
    agent: Option<AgentId>,
) -> Result<(), DeskError> {
    authorise(caller, Action::WriteContacts)?;
    let desk_in = desk.clone();
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let desk = desk_in.clone();
            Box::pin(async move {
                let stored = tx.contact(contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                if let Some(agent) = agent {
                    person(tx, agent).await?;
                }
                tx.set_dedicated_agent(stored.contact.id, agent).await?;
                let data = json!({ "agent": agent });
                changes::tell(tx, desk.ids(), Some(stored.contact.id), "contact.dedicated", data, desk.now()).await
            })
        })
        .await
}

/// Somebody who can be given conversations.
pub(crate) async fn person(tx: &Tx, agent: AgentId) -> Result<(), DeskError> {
    let stored = tx.agent(agent).await?.ok_or(DeskError::NotFound { what: "agent" })?;
    if stored.active && stored.agent.role.is_person() {
        return Ok(());
    }
    let detail = format!("`{}` is a bot or signed out for good: choose a person who works here", stored.agent.name);
    Err(DeskError::invalid("agent_unfit", "agent", detail))
}
