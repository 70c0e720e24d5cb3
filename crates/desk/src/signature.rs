//! Under whose name a message goes out, where the channel can show one.

use serde_json::Value;
use transom_channel::Channel;
use transom_domain::{Actor, Agent, SenderName, Settings};
use transom_storage::Tx;

use crate::DeskError;
use crate::letter::one_line;

/// The name for the customer; `None` where the channel's own shows.
///
/// It is settled when the message is accepted: the parts of a message bear one name, and a repeat has the same bytes as the
/// first attempt, which is how LINE knows a repeat.
pub(crate) async fn of(tx: &Tx, channel: &dyn Channel, author: &Actor) -> Result<Option<String>, DeskError> {
    if !channel.capabilities().shows_sender {
        return Ok(None);
    }
    let (settings, _) = tx.settings().await?;
    let agent = match author {
        Actor::Agent { id, .. } => tx.agent(*id).await?.map(|stored| stored.agent),
        // What the service does by itself has no name.
        Actor::Automation { .. } | Actor::Customer | Actor::Platform => None,
    };
    Ok(name(settings, agent))
}

/// The name of an agent, or of the business, as the workspace wants it.
pub(crate) fn name(settings: Settings, agent: Option<Agent>) -> Option<String> {
    let name = match settings.sender_name {
        SenderName::Business => settings.business_name,
        wanted => agent.map(|agent| agent.alias.filter(|_| wanted == SenderName::Alias).unwrap_or(agent.name)),
    };
    name.map(|name| one_line(&name)).filter(|name| !name.is_empty())
}

/// The name as it stands with a stored message.
pub(crate) fn kept(extra: &Value) -> Option<String> {
    extra.pointer("/ask/signed").and_then(Value::as_str).map(str::to_owned)
}
