//! Agents, teams, tokens, and who did something.

use poem_openapi::{Enum, Object};
use time::OffsetDateTime;
use transom_domain::{Actor, Agent, Assignment, Author, Role, Team};
use transom_storage::{StoredAgent, StoredToken};
use uuid::Uuid;

/// What an agent may do; docs/api.md says what exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Role")]
pub(crate) enum RoleWord {
    /// Runs the workspace.
    Admin,
    /// Runs the desk.
    Supervisor,
    /// Works on conversations.
    Agent,
    /// A program that answers in closed conversations only.
    Bot,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Admin => Role::Admin,
            RoleWord::Supervisor => Role::Supervisor,
            RoleWord::Agent => Role::Agent,
            RoleWord::Bot => Role::Bot,
        }
    }
}

impl From<Role> for RoleWord {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => RoleWord::Admin,
            Role::Supervisor => RoleWord::Supervisor,
            Role::Agent => RoleWord::Agent,
            Role::Bot => RoleWord::Bot,
        }
    }
}

/// A person, bot or integration of the workspace.
#[derive(Debug, Object)]
#[oai(rename = "Agent", skip_serializing_if_is_none)]
pub(crate) struct AgentView {
    /// Its id.
    id: Uuid,
    /// The name colleagues see.
    name: String,
    /// The name customers see instead, where the setting `sender_name` is `alias`.
    alias: Option<String>,
    /// What it may do.
    role: RoleWord,
    /// Whether it may sign in.
    active: bool,
    /// When it was made.
    created_at: Option<OffsetDateTime>,
}

impl From<&StoredAgent> for AgentView {
    fn from(stored: &StoredAgent) -> Self {
        Self { active: stored.active, created_at: Some(stored.created_at), ..Self::from(&stored.agent) }
    }
}

impl From<&Agent> for AgentView {
    fn from(agent: &Agent) -> Self {
        Self {
            id: agent.id.uuid(),
            name: agent.name.clone(),
            alias: agent.alias.clone(),
            role: agent.role.into(),
            active: true,
            created_at: None,
        }
    }
}

/// Who is asking, and where.
#[derive(Debug, Object)]
#[oai(rename = "Me")]
pub(crate) struct MeView {
    /// The workspace.
    pub(crate) workspace: WorkspaceView,
    /// The agent.
    pub(crate) agent: AgentView,
    /// The token.
    pub(crate) token: Uuid,
    /// What the role allows, as verbs.
    pub(crate) may: Vec<String>,
}

/// A workspace.
#[derive(Debug, Object)]
#[oai(rename = "Workspace")]
pub(crate) struct WorkspaceView {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its name.
    pub(crate) name: String,
}

/// A new agent, with a token of its own.
#[derive(Debug, Object)]
#[oai(rename = "NewAgent", deny_unknown_fields)]
pub(crate) struct NewAgent {
    /// The name colleagues see.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: String,
    /// The name customers see instead, where the setting `sender_name` is `alias`.
    #[oai(validator(max_length = 200))]
    pub(crate) alias: Option<String>,
    /// What it may do.
    pub(crate) role: RoleWord,
    /// When its token ends; never unless said.
    pub(crate) token_expires_at: Option<OffsetDateTime>,
}

/// What may change about an agent; what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "AgentPatch", deny_unknown_fields)]
pub(crate) struct AgentPatch {
    /// The name colleagues see.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: Option<String>,
    /// The name customers see instead, where the setting `sender_name` is `alias`; an empty text takes it away.
    #[oai(validator(max_length = 200))]
    pub(crate) alias: Option<String>,
    /// What it may do.
    pub(crate) role: Option<RoleWord>,
    /// Whether it may sign in: `false` ends every session within 5 seconds.
    pub(crate) active: Option<bool>,
}

/// An agent that was just made, with its token, which is shown this once.
#[derive(Debug, Object)]
#[oai(rename = "AgentWithToken")]
pub(crate) struct AgentWithToken {
    /// The agent.
    pub(crate) agent: AgentView,
    /// The token's id, to revoke it by.
    pub(crate) token_id: Uuid,
    /// The token: it can't be shown again.
    pub(crate) token: String,
}

/// A group of agents.
#[derive(Debug, Object)]
#[oai(rename = "Team")]
pub(crate) struct TeamView {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// Who is in it.
    members: Vec<Uuid>,
}

impl TeamView {
    pub(crate) fn new(team: &Team, members: impl IntoIterator<Item = Uuid>) -> Self {
        Self { id: team.id.uuid(), name: team.name.clone(), members: members.into_iter().collect() }
    }
}

/// A new team.
#[derive(Debug, Object)]
#[oai(rename = "NewTeam", deny_unknown_fields)]
pub(crate) struct NewTeam {
    /// Its name, unique in the workspace.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: String,
    /// Agents to put into it.
    #[oai(default, validator(max_items = 1_000))]
    pub(crate) members: Vec<Uuid>,
}

/// A token, without the token.
#[derive(Debug, Object)]
#[oai(rename = "Token", skip_serializing_if_is_none)]
pub(crate) struct TokenView {
    /// Its id.
    id: Uuid,
    /// A name for people.
    name: String,
    /// Whom it signs in.
    agent: Uuid,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it ends.
    expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    revoked_at: Option<OffsetDateTime>,
    /// About when it was last used.
    last_used_at: Option<OffsetDateTime>,
}

impl From<&StoredToken> for TokenView {
    fn from(stored: &StoredToken) -> Self {
        Self {
            id: stored.token.id.uuid(),
            name: stored.token.name.clone(),
            agent: stored.token.agent.uuid(),
            created_at: stored.created_at,
            expires_at: stored.token.expires_at,
            revoked_at: stored.revoked_at,
            last_used_at: stored.last_used_at,
        }
    }
}

/// A new token for an agent.
#[derive(Debug, Object)]
#[oai(rename = "NewToken", deny_unknown_fields)]
pub(crate) struct NewTokenBody {
    /// Whom it signs in.
    pub(crate) agent: Uuid,
    /// A name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub(crate) name: String,
    /// When it ends; never unless said.
    pub(crate) expires_at: Option<OffsetDateTime>,
}

/// A token that was just made: it is shown this once.
#[derive(Debug, Object)]
#[oai(rename = "TokenOnce")]
pub(crate) struct TokenOnce {
    /// The token's id.
    pub(crate) id: Uuid,
    /// The token: it can't be shown again.
    pub(crate) token: String,
}

/// Who has a conversation.
#[derive(Debug, Object)]
#[oai(rename = "Assignee", skip_serializing_if_is_none)]
pub(crate) struct AssigneeView {
    /// The agent.
    agent: Option<Uuid>,
    /// The team.
    team: Option<Uuid>,
}

impl From<Assignment> for AssigneeView {
    fn from(assignment: Assignment) -> Self {
        Self { agent: assignment.agent.map(Into::into), team: assignment.team.map(Into::into) }
    }
}

/// Who did something.
#[derive(Debug, Object)]
#[oai(rename = "Actor", skip_serializing_if_is_none)]
pub(crate) struct ActorView {
    /// `agent`, `automation`, `customer`, `platform`, `echo` (written in the platform's own app) or `third_party`.
    kind: String,
    /// The agent.
    agent: Option<Uuid>,
    /// The agent's role at that time.
    role: Option<RoleWord>,
    /// Which automation.
    name: Option<String>,
    /// How the platform names a third party.
    address: Option<String>,
}

impl ActorView {
    fn of_kind(kind: &str) -> Self {
        Self { kind: kind.to_owned(), agent: None, role: None, name: None, address: None }
    }
}

impl From<&Actor> for ActorView {
    fn from(actor: &Actor) -> Self {
        match actor {
            Actor::Agent { id, role } => {
                Self { agent: Some(id.uuid()), role: Some((*role).into()), ..Self::of_kind("agent") }
            }
            Actor::Automation { name } => Self { name: Some(name.clone()), ..Self::of_kind("automation") },
            Actor::Customer => Self::of_kind("customer"),
            Actor::Platform => Self::of_kind("platform"),
        }
    }
}

impl From<&Author> for ActorView {
    fn from(author: &Author) -> Self {
        match author {
            Author::Actor(actor) => actor.into(),
            Author::Echo => Self::of_kind("echo"),
            Author::ThirdParty { address } => Self { address: Some(address.clone()), ..Self::of_kind("third_party") },
        }
    }
}
