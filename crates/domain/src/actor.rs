//! Who acts: people, bots, automations, customers and platforms.

use serde::{Deserialize, Serialize};

use crate::{AgentId, TeamId, WorkspaceId};

/// What an agent may do. The permission table is the desk's; a role only names its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the workspace: accounts, agents, settings.
    Admin,
    /// Runs the desk: everything about conversations, of every team.
    Supervisor,
    /// Works on conversations.
    Agent,
    /// A program that answers in closed conversations only.
    Bot,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Admin, Role::Supervisor, Role::Agent, Role::Bot];

    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Supervisor => "supervisor",
            Role::Agent => "agent",
            Role::Bot => "bot",
        }
    }

    /// Whether a message of this role counts as written by a person: only those reopen and assign.
    pub const fn is_person(self) -> bool {
        !matches!(self, Role::Bot)
    }
}

/// A person, bot or integration of one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// The name colleagues see.
    pub name: String,
    /// The name that customers see instead, where the workspace's `sender_name` is `alias`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// What it may do.
    pub role: Role,
}

/// A group of agents that conversations can be assigned to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its name, unique in the workspace.
    pub name: String,
}

/// Who caused a change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Actor {
    /// Somebody of the workspace.
    Agent {
        /// Who.
        id: AgentId,
        /// In which role at that time.
        role: Role,
    },
    /// A rule or timer of ours: waking from a snooze, surveys, reminders.
    Automation {
        /// Which rule.
        name: String,
    },
    /// The customer.
    Customer,
    /// The platform: receipts, notices, echoes of its own inbox.
    Platform,
}

impl Actor {
    /// The person or bot behind it, if there is one.
    pub fn agent(&self) -> Option<AgentId> {
        match self {
            Actor::Agent { id, .. } => Some(*id),
            Actor::Automation { .. } | Actor::Customer | Actor::Platform => None,
        }
    }

    /// Whether a person of the workspace acts.
    pub fn is_person(&self) -> bool {
        matches!(self, Actor::Agent { role, .. } if role.is_person())
    }
}

impl From<&Agent> for Actor {
    fn from(agent: &Agent) -> Self {
        Actor::Agent { id: agent.id, role: agent.role }
    }
}
