//! Small changes by an administrator: agents, tokens, tags.

use std::sync::Arc;

use time::OffsetDateTime;
use transom_domain::{AgentId, Role, TokenId};
use transom_storage::{NewToken, StoredAgent};

use crate::authorise::{Action, Caller, authorise};
use crate::idempotency::{Once, only_once};
use crate::workspaces::{Issued, some_name};
use crate::{Desk, DeskError};

/// What may change about an agent; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct AgentChange {
    /// The name colleagues see.
    pub name: Option<String>,
    /// The name customers see instead, where the workspace wants that; an empty one takes it away.
    pub alias: Option<String>,
    /// What it may do.
    pub role: Option<Role>,
    /// Whether it may sign in.
    pub active: Option<bool>,
}

/// Changes an agent. One that is no longer active is signed out everywhere within 5 seconds.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] for whoever would lock themselves out.
pub async fn change_agent(
    desk: &Desk,
    caller: &Caller,
    id: AgentId,
    change: AgentChange,
) -> Result<StoredAgent, DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let loses_rights = change.active == Some(false) || change.role.is_some_and(|role| role != Role::Admin);
    if id == caller.agent.id && loses_rights {
        let detail = "another administrator has to take your rights away";
        return Err(DeskError::conflict("own_rights", detail));
    }
    let (now, change) = (desk.now(), Arc::new(change));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let change = change.clone();
            Box::pin(async move {
                let missing = || DeskError::NotFound { what: "agent" };
                let StoredAgent { mut agent, active, .. } = tx.agent(id).await?.ok_or_else(missing)?;
                agent.name = change.name.as_deref().map_or(agent.name, |name| name.trim().to_owned());
                if agent.name.is_empty() {
                    return Err(DeskError::invalid("name_missing", "name", "an agent needs a name"));
                }
                agent.alias = change.alias.as_deref().map_or(agent.alias, some_name);
                agent.role = change.role.unwrap_or(agent.role);
                tx.put_agent(&agent, change.active.unwrap_or(active), now).await?;
                tx.agent(id).await?.ok_or_else(missing)
            })
        })
        .await
}

/// Makes a token for an agent, shown once.
///
/// # Errors
/// [`DeskError::NotFound`] for an agent that is not of this workspace.
pub async fn create_token(
    desk: &Desk,
    caller: &Caller,
    agent: AgentId,
    name: &str,
    expires_at: Option<OffsetDateTime>,
    once: Option<Once<Issued>>,
) -> Result<Issued, DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let new =
        NewToken { id: TokenId::new(desk.ids()), agent, name: name.trim().to_owned(), scopes: Vec::new(), expires_at };
    if new.name.is_empty() {
        return Err(DeskError::invalid("name_missing", "name", "a token needs a name"));
    }
    let (now, new, once) = (desk.now(), Arc::new(new), once.map(Arc::new));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (new, once) = (new.clone(), once.clone());
            Box::pin(async move {
                let made = async {
                    tx.agent(new.agent).await?.ok_or(DeskError::NotFound { what: "agent" })?;
                    Ok(Issued { id: new.id, token: tx.create_token(&new, now).await? })
                };
                only_once(once.as_deref(), tx, now, made).await
            })
        })
        .await
}

/// Ends a token; sessions by it end within 5 seconds. Ending it twice is no error.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn revoke_token(desk: &Desk, caller: &Caller, id: TokenId) -> Result<(), DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let known = desk.reader(&caller.scope).tokens().await?;
    if !known.iter().any(|stored| stored.token.id == id) {
        return Err(DeskError::NotFound { what: "token" });
    }
    let now = desk.now();
    desk.storage()
        .transact(&caller.scope, move |tx| {
            Box::pin(async move {
                tx.revoke_token(id, now).await?;
                Ok::<_, DeskError>(())
            })
        })
        .await
}

/// Adds a tag to those that conversations can have. One that is there already stays.
///
/// # Errors
/// [`DeskError::Invalid`] for an empty or over-long name.
pub async fn create_tag(
    desk: &Desk,
    caller: &Caller,
    name: &str,
    once: Option<Once<String>>,
) -> Result<String, DeskError> {
    authorise(caller, Action::ManageSettings)?;
    let name: Arc<str> = name.trim().into();
    if name.is_empty() || name.chars().count() > MAX_TAG {
        let detail = format!("a tag has 1 to {MAX_TAG} characters");
        return Err(DeskError::invalid("name_missing", "name", detail));
    }
    let (now, once) = (desk.now(), once.map(Arc::new));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (name, once) = (name.clone(), once.clone());
            Box::pin(async move {
                let made = async {
                    tx.create_tag(&name, now).await?;
                    Ok(name.to_string())
                };
                only_once(once.as_deref(), tx, now, made).await
            })
        })
        .await
}

/// The longest tag, in characters.
const MAX_TAG: usize = 100;
