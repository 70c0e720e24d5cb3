//! Setting up: workspaces, agents, teams, tokens, settings.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Value, json};
use time::OffsetDateTime;
use transom_domain::{Agent, AgentId, Role, Settings, Team, TeamId, TokenId, WorkspaceId};
use transom_storage::{NewToken, NewWorkspace, WorkspaceScope};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::Notice;
use crate::idempotency::{Once, only_once};
use crate::quiet::checked_zone;
use crate::{Desk, DeskError, moments};

/// A token that was just made. Only its digest is stored: nobody can show it again.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Its id, to revoke it by.
    pub id: TokenId,
    /// The token.
    pub token: SecretString,
}

/// Makes a workspace with its first administrator, and a token for them: for the command line, never for the API.
///
/// # Errors
/// When the database fails.
pub async fn create(desk: &Desk, name: &str, admin: &str) -> Result<(Caller, SecretString), DeskError> {
    let now = desk.now();
    let new = NewWorkspace { id: WorkspaceId::new(desk.ids()), name: name.to_owned(), settings: Settings::default() };
    let scope = desk.storage().create_workspace(new, now).await?;
    let agent = Agent {
        id: AgentId::new(desk.ids()),
        workspace: scope.workspace(),
        name: admin.to_owned(),
        alias: None,
        role: Role::Admin,
    };
    let notice = Notice::by(desk, &agent);
    let (_, issued) = put_agent_with_token(&notice, desk, &scope, agent.clone(), ("first token", None), None).await?;
    Ok((Caller { scope, agent }, issued.token))
}

/// What an agent goes by.
#[derive(Debug, Clone, Copy)]
pub struct AgentNames<'n> {
    /// What colleagues see.
    pub name: &'n str,
    /// What customers see instead, where the workspace wants that.
    pub alias: Option<&'n str>,
}

impl<'n> From<&'n str> for AgentNames<'n> {
    fn from(name: &'n str) -> Self {
        Self { name, alias: None }
    }
}

/// Adds an agent with a token, shown once.
///
/// # Errors
/// [`DeskError::Invalid`] without a name.
pub async fn add_agent(
    desk: &Desk,
    caller: &Caller,
    names: impl Into<AgentNames<'_>>,
    role: Role,
    expires_at: Option<OffsetDateTime>,
    once: Option<Once<(Agent, Issued)>>,
) -> Result<(Agent, Issued), DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let AgentNames { name, alias } = names.into();
    let agent = Agent {
        id: AgentId::new(desk.ids()),
        workspace: caller.scope.workspace(),
        name: name.trim().to_owned(),
        alias: alias.and_then(some_name),
        role,
    };
    if agent.name.is_empty() {
        return Err(DeskError::invalid("name_missing", "name", "an agent needs a name"));
    }
    let notice = Notice::by(desk, &caller.agent);
    put_agent_with_token(&notice, desk, &caller.scope, agent, ("api", expires_at), once).await
}

/// Adds a team with its members.
///
/// # Errors
/// [`DeskError::NotFound`] for an agent that is not of this workspace.
pub async fn add_team(
    desk: &Desk,
    caller: &Caller,
    name: &str,
    members: Vec<AgentId>,
    once: Option<Once<Team>>,
) -> Result<Team, DeskError> {
    authorise(caller, Action::ManageAgents)?;
    let team = Team { id: TeamId::new(desk.ids()), name: name.trim().to_owned() };
    if team.name.is_empty() {
        return Err(DeskError::invalid("name_missing", "name", "a team needs a name"));
    }
    let (now, members, once) = (desk.now(), Arc::new(members), once.map(Arc::new));
    let notice = Notice::by(desk, &caller.agent);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (team, members, once, notice) = (team.clone(), members.clone(), once.clone(), notice.clone());
            Box::pin(async move {
                let added = async {
                    tx.put_team(&team, now).await?;
                    for member in members.iter() {
                        tx.agent(*member).await?.ok_or(DeskError::NotFound { what: "agent" })?;
                        tx.add_member(team.id, *member).await?;
                    }
                    notice.tell(tx, "team.created", json!({ "team": team.id })).await?;
                    Ok(team)
                };
                only_once(once.as_deref(), tx, now, added).await
            })
        })
        .await
}

/// Changes the settings of the workspace.
///
/// # Errors
/// [`DeskError::VersionMismatch`] when `expected` is not the present version, [`DeskError::Invalid`] for what makes no sense
/// together.
pub async fn change_settings(
    desk: &Desk,
    caller: &Caller,
    settings: Settings,
    expected: Option<u64>,
) -> Result<u64, DeskError> {
    authorise(caller, Action::ManageSettings)?;
    checked_zone(&settings.time_zone, "time_zone")?;
    let (settings, notice) = (Arc::new(settings), Notice::by(desk, &caller.agent));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (settings, notice) = (settings.clone(), notice.clone());
            Box::pin(async move {
                let before = tx.settings().await?.0;
                moments::check(tx, &before, &settings).await?;
                let version = tx.update_settings(&settings, expected).await?.ok_or(DeskError::VersionMismatch)?;
                let changed = names_of_changes(&before, &settings);
                if !changed.is_empty() {
                    notice.tell(tx, "settings.changed", json!({ "changed": changed, "version": version })).await?;
                }
                Ok(version)
            })
        })
        .await
}

async fn put_agent_with_token(
    notice: &Notice,
    desk: &Desk,
    scope: &WorkspaceScope,
    agent: Agent,
    (token_name, expires_at): (&str, Option<OffsetDateTime>),
    once: Option<Once<(Agent, Issued)>>,
) -> Result<(Agent, Issued), DeskError> {
    let (now, name, id, once) = (desk.now(), token_name.to_owned(), TokenId::new(desk.ids()), once.map(Arc::new));
    let notice = notice.clone();
    desk.storage()
        .transact(scope, move |tx| {
            let (agent, name, once, notice) = (agent.clone(), name.clone(), once.clone(), notice.clone());
            Box::pin(async move {
                let added = async {
                    tx.put_agent(&agent, true, now).await?;
                    notice.tell(tx, "agent.created", json!({ "agent": agent.id, "role": agent.role })).await?;
                    notice.tell(tx, "token.created", json!({ "token": id, "agent": agent.id })).await?;
                    let new = NewToken { id, agent: agent.id, name, scopes: Vec::new(), expires_at };
                    let token = tx.create_token(&new, now).await?;
                    Ok((agent, Issued { id, token }))
                };
                only_once(once.as_deref(), tx, now, added).await
            })
        })
        .await
}

/// Which settings differ; what they say now is for whoever may read them.
fn names_of_changes(before: &Settings, after: &Settings) -> Vec<String> {
    let fields = |settings: &Settings| match json!(settings) {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    let before = fields(before);
    fields(after).into_iter().filter(|(name, value)| before.get(name) != Some(value)).map(|(name, _)| name).collect()
}

/// A name without blanks around it; `None` for an empty one.
pub(crate) fn some_name(name: &str) -> Option<String> {
    Some(name.trim()).filter(|name| !name.is_empty()).map(str::to_owned)
}
