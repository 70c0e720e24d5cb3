//! Small changes by an administrator: agents, teams, tokens, tags.

use std::sync::Arc;

use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{AgentId, AssignmentRule, Role, RuleTarget, Team, TeamId, TokenId};
use transom_storage::{NewToken, StorageError, StoredAgent};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::Notice;
use crate::idempotency::{Once, only_once};
use crate::routing::RULES_TURN;
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
    let (now, change, notice) = (desk.now(), Arc::new(change), Notice::by(desk, &caller.agent));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (change, notice) = (change.clone(), notice.clone());
            Box::pin(async move {
                let missing = || DeskError::NotFound { what: "agent" };
                let StoredAgent { mut agent, active, .. } = tx.agent(id).await?.ok_or_else(missing)?;
                agent.name = change.name.as_deref().map_or(agent.name, |name| name.trim().to_owned());
                if agent.name.is_empty() {
                    return Err(DeskError::invalid("name_missing", "name", "an agent needs a name"));
                }
                agent.alias = change.alias.as_deref().map_or(agent.alias, some_name);
                agent.role = change.role.unwrap_or(agent.role);
                let active = change.active.unwrap_or(active);
                tx.put_agent(&agent, active, now).await?;
                let data = json!({ "agent": id, "role": agent.role, "active": active });
                notice.tell(tx, "agent.changed", data).await?;
                tx.agent(id).await?.ok_or_else(missing)
            })
        })
        .await
}

/// What may change about a team.
#[derive(Debug, Clone, Default)]
pub struct TeamChange {
    /// Its name.
    pub name: Option<String>,
    /// Everybody who shall be in it.
    pub members: Option<Vec<AgentId>>,
}

/// Renames a team, or says who is in it.
///
/// # Errors
/// [`DeskError::NotFound`]; `duplicate` where another team has the name.
pub async fn change_team(
    desk: &Desk,
    caller: &Caller,
    id: TeamId,
    change: TeamChange,
) -> Result<(Team, Vec<AgentId>), DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let (now, change, notice) = (desk.now(), Arc::new(change), Notice::by(desk, &caller.agent));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (change, notice) = (change.clone(), notice.clone());
            Box::pin(async move {
                let mut team = tx.team(id).await?.ok_or(DeskError::NotFound { what: "team" })?;
                if let Some(name) = &change.name {
                    name.trim().clone_into(&mut team.name);
                    if team.name.is_empty() {
                        return Err(DeskError::invalid("name_missing", "name", "a team needs a name"));
                    }
                    tx.put_team(&team, now).await?;
                }
                if let Some(members) = &change.members {
                    for member in tx.members_of(id).await?.iter().filter(|member| !members.contains(member)) {
                        tx.remove_member(id, *member).await?;
                    }
                    for member in members {
                        tx.agent(*member).await?.ok_or(DeskError::NotFound { what: "agent" })?;
                        tx.add_member(id, *member).await?;
                    }
                }
                notice.tell(tx, "team.changed", json!({ "team": id })).await?;
                Ok((team, tx.members_of(id).await?))
            })
        })
        .await
}

/// Deletes a team that no conversation is assigned to, and no rule gives to.
///
/// # Errors
/// [`DeskError::NotFound`]; `team_in_use`.
pub async fn delete_team(desk: &Desk, caller: &Caller, id: TeamId) -> Result<(), DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let notice = Notice::by(desk, &caller.agent);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let notice = notice.clone();
            Box::pin(async move {
                tx.take_turn(RULES_TURN).await?;
                let gives = |rule: &AssignmentRule| matches!(rule.target, RuleTarget::Team { team, .. } if team == id);
                if let Some(rule) = tx.assignment_rules().await?.into_iter().find(gives) {
                    let detail = format!("the rule `{}` gives to this team: change it first", rule.name);
                    return Err(DeskError::conflict("team_in_use", detail));
                }
                match tx.delete_team(id).await {
                    Ok(true) => notice.tell(tx, "team.deleted", json!({ "team": id })).await,
                    Ok(false) => Err(DeskError::NotFound { what: "team" }),
                    Err(StorageError::MissingReference { .. }) => {
                        let detail = "conversations are assigned to this team: give them to somebody else first";
                        Err(DeskError::conflict("team_in_use", detail))
                    }
                    Err(error) => Err(error.into()),
                }
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
    let notice = Notice::by(desk, &caller.agent);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (new, once, notice) = (new.clone(), once.clone(), notice.clone());
            Box::pin(async move {
                let made = async {
                    tx.agent(new.agent).await?.ok_or(DeskError::NotFound { what: "agent" })?;
                    let token = tx.create_token(&new, now).await?;
                    notice.tell(tx, "token.created", json!({ "token": new.id, "agent": new.agent })).await?;
                    Ok(Issued { id: new.id, token })
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
    let (now, notice) = (desk.now(), Notice::by(desk, &caller.agent));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let notice = notice.clone();
            Box::pin(async move {
                if tx.revoke_token(id, now).await? {
                    notice.tell(tx, "token.revoked", json!({ "token": id })).await?;
                }
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
    let (now, once, notice) = (desk.now(), once.map(Arc::new), Notice::by(desk, &caller.agent));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (name, once, notice) = (name.clone(), once.clone(), notice.clone());
            Box::pin(async move {
                let made = async {
                    if tx.create_tag(&name, now).await? {
                        notice.tell(tx, "tag.created", json!({ "tag": *name })).await?;
                    }
                    Ok(name.to_string())
                };
                only_once(once.as_deref(), tx, now, made).await
            })
        })
        .await
}

/// The longest tag, in characters.
const MAX_TAG: usize = 100;
