//! `transom token`.

use anstream::eprintln;
use secrecy::ExposeSecret;
use serde_json::json;
use transom_desk::{administration, queries, workspaces};
use transom_domain::{AgentId, Role, TokenId};

use super::Failure;
use super::output::{instant, json, print, table};
use super::workspace::{administrator, desk};
use crate::config::Flags;

/// API tokens.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a token, for a new agent or one that is there
    Create {
        /// The workspace, by id or name
        #[arg(long)]
        workspace: String,
        /// The agent: the id of one that is there, or a name for a new one
        #[arg(long)]
        agent: String,
        /// What a new agent may do
        #[arg(long, value_parser = role, default_value = "agent")]
        role: Role,
        /// A name for the token
        #[arg(long, default_value = "command line")]
        name: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// List tokens, without the tokens
    List {
        /// The workspace, by id or name
        #[arg(long)]
        workspace: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Revoke a token
    Revoke {
        /// The token's id
        id: TokenId,
        /// The workspace, by id or name
        #[arg(long)]
        workspace: String,
        #[command(flatten)]
        flags: Flags,
    },
}

fn role(name: &str) -> Result<Role, String> {
    let found = Role::ALL.into_iter().find(|role| role.as_str() == name);
    found.ok_or_else(|| "admin, supervisor, agent or bot is expected".to_owned())
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create { workspace, agent, role, name, json: as_json, flags } => {
            let desk = desk(&flags).await?;
            let caller = administrator(&desk, &workspace).await?;
            let (agent, token) = match agent.parse::<AgentId>() {
                Ok(id) => (id, administration::create_token(&desk, &caller, id, &name, None, None).await?.token),
                Err(_) => {
                    let (agent, issued) =
                        workspaces::add_agent(&desk, &caller, agent.as_str(), role, None, None).await?;
                    (agent.id, issued.token)
                }
            };
            desk.storage().close().await?;
            if as_json {
                json(&json!({ "agent": agent, "token": token.expose_secret() }))
            } else {
                eprintln!("a token for agent {agent}; it is shown this once:");
                print(&format!("{}\n", token.expose_secret()))
            }
        }
        Command::List { workspace, json: as_json, flags } => {
            let desk = desk(&flags).await?;
            let caller = administrator(&desk, &workspace).await?;
            let tokens = queries::tokens(&desk, &caller).await?;
            let agents = queries::agents(&desk, &caller).await?;
            desk.storage().close().await?;
            let name_of = |id: AgentId| {
                let found = agents.iter().find(|stored| stored.agent.id == id);
                found.map_or_else(|| id.to_string(), |stored| stored.agent.name.clone())
            };
            if as_json {
                let view = |stored: &transom_storage::StoredToken| {
                    json!({ "id": stored.token.id, "agent": stored.token.agent, "name": stored.token.name,
                            "created_at": instant(Some(stored.created_at)), "revoked": stored.revoked_at.is_some() })
                };
                return json(&tokens.iter().map(view).collect::<Vec<_>>());
            }
            let row = |stored: &transom_storage::StoredToken| {
                let ended = stored.revoked_at.map_or(stored.token.expires_at, Some);
                [
                    stored.token.id.to_string(),
                    name_of(stored.token.agent),
                    stored.token.name.clone(),
                    instant(Some(stored.created_at)),
                    instant(stored.last_used_at),
                    instant(ended),
                ]
            };
            table(["Token", "Agent", "Name", "Made", "Last used", "Ends"], tokens.iter().map(row).collect())
        }
        Command::Revoke { id, workspace, flags } => {
            let desk = desk(&flags).await?;
            let caller = administrator(&desk, &workspace).await?;
            administration::revoke_token(&desk, &caller, id).await?;
            desk.storage().close().await?;
            eprintln!("revoked");
            Ok(())
        }
    }
}
