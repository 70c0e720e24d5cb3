//! `transom workspace`: the first of everything, since there is no way in before it.

use anstream::eprintln;
use secrecy::ExposeSecret;
use serde_json::json;
use transom_desk::{Caller, Desk, workspaces};
use transom_domain::Role;
use transom_storage::{Trail, WorkspaceScope};

use super::output::{json, table};
use super::{Failure, configured, log, open};
use crate::config::Flags;

/// Workspaces.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a workspace with its first administrator and a token for them
    Create {
        /// The workspace's name
        name: String,
        /// The administrator's name
        #[arg(long, default_value = "Administrator")]
        admin: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// List workspaces
    List {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create { name, admin, json: as_json, flags } => {
            let desk = desk(&flags).await?;
            let (caller, token) = workspaces::create(&desk, &name, &admin).await?;
            desk.storage().close().await?;
            let workspace = caller.scope.workspace();
            if as_json {
                let agent = caller.agent.id;
                json(&json!({ "workspace": workspace, "agent": agent, "token": token.expose_secret() }))
            } else {
                eprintln!("workspace {name} ({workspace}), administrator {admin}; the token is shown this once:");
                super::output::print(&format!("{}\n", token.expose_secret()))
            }
        }
        Command::List { json: as_json, flags } => {
            let desk = desk(&flags).await?;
            let mut rows = Vec::new();
            for scope in desk.storage().all_scopes().await? {
                let workspace = desk.storage().reader(&scope).workspace().await?;
                rows.push([workspace.id.to_string(), workspace.name]);
            }
            desk.storage().close().await?;
            if as_json {
                let view = |[id, name]: &[String; 2]| json!({ "id": id, "name": name });
                json(&rows.iter().map(view).collect::<Vec<_>>())
            } else {
                table(["Workspace", "Name"], rows)
            }
        }
    }
}

/// The configured database, with its logs.
pub(super) async fn desk(flags: &Flags) -> Result<Desk, Failure> {
    let config = configured(flags)?;
    log(&config.log)?;
    open(&config).await
}

/// The first administrator of a workspace, which is given by id or name: on whose behalf the command line acts. Whoever can
/// open the database with its master key may do everything anyway.
pub(super) async fn administrator(desk: &Desk, workspace: &str) -> Result<Caller, Failure> {
    let mut found = Vec::new();
    for scope in desk.storage().all_scopes().await? {
        let known = desk.storage().reader(&scope).workspace().await?;
        if known.id.to_string() == workspace || known.name == workspace {
            found.push(scope);
        }
    }
    let scope = match found.as_slice() {
        [scope] => scope.clone(),
        [] => {
            let detail = format!("there is no workspace `{workspace}`; `transom workspace list` shows them");
            return Err(Failure::Usage(detail));
        }
        several => {
            let count = several.len();
            let detail = format!(
                "there are {count} workspaces `{workspace}`: say which one by its id, from `transom workspace list`"
            );
            return Err(Failure::Usage(detail));
        }
    };
    acting(desk, scope, workspace).await
}

/// The same for every workspace.
pub(super) async fn administrators(desk: &Desk) -> Result<Vec<Caller>, Failure> {
    let mut callers = Vec::new();
    for scope in desk.storage().all_scopes().await? {
        let name = desk.storage().reader(&scope).workspace().await?.name;
        callers.push(acting(desk, scope, &name).await?);
    }
    Ok(callers)
}

async fn acting(desk: &Desk, scope: WorkspaceScope, workspace: &str) -> Result<Caller, Failure> {
    let agents = desk.storage().reader(&scope).agents().await?;
    let admin = agents.into_iter().find(|agent| agent.active && agent.agent.role == Role::Admin);
    let admin = admin.ok_or_else(|| Failure::Usage(format!("`{workspace}` has no active administrator")))?;
    let trail = Trail {
        actor: admin.agent.id,
        role: admin.agent.role.as_str(),
        via: "command_line",
        token: None,
        action: std::env::args().skip(1).take(2).collect::<Vec<_>>().join(" "),
        object: None,
        address: None,
        request: None,
        at: desk.now(),
    };
    Ok(Caller { scope: scope.audited(trail), agent: admin.agent })
}
