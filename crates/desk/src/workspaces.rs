//! Setting up: workspaces, agents, teams, tokens, settings.

use std::sync::Arc;

use secrecy::SecretString;
use time::OffsetDateTime;
use transom_domain::{Agent, AgentId, Role, Settings, Team, TeamId, TokenId, WorkspaceId};
use transom_storage::{NewToken, NewWorkspace, WorkspaceScope};

use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError};

/// Makes a workspace with its first administrator, and a token for them: for the command line, never for the API.
///
/// # Errors
/// When the database fails.
pub async fn create(desk: &Desk, name: &str, admin: &str) -> Result<(Caller, SecretString), DeskError> {
    let now = desk.now();
    let new = NewWorkspace { id: WorkspaceId::new(desk.ids()), name: name.to_owned(), settings: Settings::default() };
    let scope = desk.storage().create_workspace(new, now).await?;
    let agent =
        Agent { id: AgentId::new(desk.ids()), workspace: scope.workspace(), name: admin.to_owned(), role: Role::Admin };
    let token = put_agent_with_token(desk, &scope, agent.clone(), "first token", None).await?;
    Ok((Caller { scope, agent }, token))
}

/// Adds an agent with a token, shown once.
///
/// # Errors
/// [`DeskError::Invalid`] without a name.
pub async fn add_agent(
    desk: &Desk,
    caller: &Caller,
    name: &str,
    role: Role,
    expires_at: Option<OffsetDateTime>,
) -> Result<(Agent, SecretString), DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let name = name.trim();
    if name.is_empty() {
        return Err(DeskError::invalid("name_missing", "name", "an agent needs a name"));
    }
    let agent =
        Agent { id: AgentId::new(desk.ids()), workspace: caller.scope.workspace(), name: name.to_owned(), role };
    let token = put_agent_with_token(desk, &caller.scope, agent.clone(), "api", expires_at).await?;
    Ok((agent, token))
}

/// Adds a team with its members.
///
/// # Errors
/// [`DeskError::NotFound`] for an agent that is not of this workspace.
pub async fn add_team(desk: &Desk, caller: &Caller, name: &str, members: Vec<AgentId>) -> Result<Team, DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let team = Team { id: TeamId::new(desk.ids()), name: name.trim().to_owned() };
    if team.name.is_empty() {
        return Err(DeskError::invalid("name_missing", "name", "a team needs a name"));
    }
    let (now, members, stored) = (desk.now(), Arc::new(members), team.clone());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (team, members) = (stored.clone(), members.clone());
            Box::pin(async move {
                tx.put_team(&team, now).await?;
                for member in members.iter() {
                    tx.agent(*member).await?.ok_or(DeskError::NotFound { what: "agent" })?;
                    tx.add_member(team.id, *member).await?;
                }
                Ok::<_, DeskError>(())
            })
        })
        .await?;
    Ok(team)
}

/// Changes the settings of the workspace.
///
/// # Errors
/// [`DeskError::VersionMismatch`] when `expected` is not the present version.
pub async fn change_settings(
    desk: &Desk,
    caller: &Caller,
    settings: Settings,
    expected: Option<u64>,
) -> Result<u64, DeskError> {
    authorise(caller, Action::ManageSettings)?;
    let settings = Arc::new(settings);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let settings = settings.clone();
            Box::pin(async move { tx.update_settings(&settings, expected).await?.ok_or(DeskError::VersionMismatch) })
        })
        .await
}

async fn put_agent_with_token(
    desk: &Desk,
    scope: &WorkspaceScope,
    agent: Agent,
    token_name: &str,
    expires_at: Option<OffsetDateTime>,
) -> Result<SecretString, DeskError> {
    let (now, token_name, token_id) = (desk.now(), token_name.to_owned(), TokenId::new(desk.ids()));
    desk.storage()
        .transact(scope, move |tx| {
            let (agent, name) = (agent.clone(), token_name.clone());
            Box::pin(async move {
                tx.put_agent(&agent, true, now).await?;
                let new = NewToken { id: token_id, agent: agent.id, name, scopes: Vec::new(), expires_at };
                Ok::<_, DeskError>(tx.create_token(&new, now).await?)
            })
        })
        .await
}
