//! `transom channel`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anstream::eprintln;
use secrecy::SecretString;
use serde_json::json;
use transom_channel::Platform;
use transom_desk::channels::{self, NewChannel};
use transom_desk::queries::{self, ChannelDetail};
use transom_domain::ChannelAccountId;
use url::Url;

use super::output::{json, print, table};
use super::workspace::administrator;
use super::{Failure, configured, log, open};
use crate::config::{Config, Flags};

/// Channels.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the platforms, and what each needs to connect a channel
    Platforms {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// List channels
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
    /// Connect a channel, and print the webhook address to enter on the platform
    Add {
        /// The workspace, by id or name
        #[arg(long)]
        workspace: String,
        /// The platform; `transom channel platforms` lists them with their settings
        #[arg(long)]
        platform: String,
        /// A name for people [default: what the platform calls the account]
        #[arg(long)]
        name: Option<String>,
        /// A policy other than the platform's own
        #[arg(long)]
        policy: Option<String>,
        /// A setting; `key=@file` reads the value from a file, so that no secret stands in the shell's history
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// Don't ask the platform whether the credentials work
        #[arg(long)]
        no_check: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Remove a channel: its conversations stay readable, nothing goes in or out any more
    Remove {
        /// The channel
        id: ChannelAccountId,
        /// The workspace, by id or name
        #[arg(long)]
        workspace: String,
        #[command(flatten)]
        flags: Flags,
    },
    /// Ask the platform for a channel's templates
    Sync {
        /// The channel
        id: ChannelAccountId,
        /// The workspace, by id or name
        #[arg(long)]
        workspace: String,
        #[command(flatten)]
        flags: Flags,
    },
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Platforms { json: as_json } => platforms(as_json),
        Command::List { workspace, json: as_json, flags } => {
            let (config, desk) = ready(&flags).await?;
            let caller = administrator(&desk, &workspace).await?;
            let details = queries::channels(&desk, &caller).await?;
            desk.storage().close().await?;
            if as_json {
                return json(&details.iter().map(|detail| view(&config, detail)).collect::<Vec<_>>());
            }
            let row = |detail: &ChannelDetail| {
                let account = &detail.account;
                let state = match (&account.suspended, account.enabled) {
                    (Some(why), _) => format!("suspended: {why}"),
                    (None, true) => "enabled".to_owned(),
                    (None, false) => "disabled".to_owned(),
                };
                let id = account.id.to_string();
                [id, account.platform.clone(), account.name.clone(), account.policy.clone(), state]
            };
            table(["Channel", "Platform", "Name", "Policy", "State"], details.iter().map(row).collect())
        }
        Command::Add { workspace, platform, name, policy, settings, no_check, json: as_json, flags } => {
            let (config, desk) = ready(&flags).await?;
            let caller = administrator(&desk, &workspace).await?;
            let new = NewChannel {
                platform,
                name: name.unwrap_or_default(),
                policy,
                connection: None,
                settings: read_settings(&settings)?,
                features: BTreeSet::new(),
                limits: BTreeMap::new(),
                quota_group: None,
                country: None,
                check: !no_check,
            };
            let detail = channels::connect(&desk, &caller, new, None).await?;
            desk.storage().close().await?;
            if as_json {
                return json(&view(&config, &detail));
            }
            let (name, id) = (&detail.account.name, detail.account.id);
            eprintln!("channel {name} ({id}); enter this webhook address on the platform:");
            if config.public_url.is_none() {
                eprintln!(
                    "(the service's public address is not known here: put `public_url` into the configuration file, or set \
                     TRANSOM_PUBLIC_URL, for all commands)"
                );
            }
            print(&format!("{}\n", webhook_url(&config, &detail)))
        }
        Command::Remove { id, workspace, flags } => {
            let (_, desk) = ready(&flags).await?;
            let caller = administrator(&desk, &workspace).await?;
            let withheld = channels::remove(&desk, &caller, id).await?;
            desk.storage().close().await?;
            eprintln!("removed; {withheld} messages that waited to be sent are shown as not sent");
            Ok(())
        }
        Command::Sync { id, workspace, flags } => {
            let (_, desk) = ready(&flags).await?;
            let caller = administrator(&desk, &workspace).await?;
            let counts = channels::sync_templates(&desk, &caller, id).await?;
            desk.storage().close().await?;
            eprintln!("{} new, {} changed, {} gone", counts.added, counts.changed, counts.gone);
            Ok(())
        }
    }
}

/// What `--set` takes, platform by platform.
fn platforms(as_json: bool) -> Result<(), Failure> {
    let registry = crate::registry::registry();
    if as_json {
        let view = |platform: &Arc<dyn Platform>| json!({ "name": platform.name(), "label": platform.label(), "settings": platform.settings() });
        return json(&registry.iter().map(view).collect::<Vec<_>>());
    }
    let rows = registry.iter().flat_map(|platform| {
        platform.settings().iter().map(|field| {
            let needed = match (field.required, field.secret) {
                (true, true) => "yes, secret",
                (true, false) => "yes",
                (false, true) => "no, secret",
                (false, false) => "no",
            };
            [
                platform.name().to_owned(),
                field.name.to_owned(),
                needed.to_owned(),
                format!("{}: {}", field.label, field.help),
            ]
        })
    });
    table(["Platform", "Setting", "Needed", "What"], rows.collect())
}

async fn ready(flags: &Flags) -> Result<(Config, transom_desk::Desk), Failure> {
    let config = configured(flags)?;
    log(&config.log)?;
    let desk = open(&config).await?;
    Ok((config, desk))
}

fn view(config: &Config, detail: &ChannelDetail) -> serde_json::Value {
    let account = &detail.account;
    json!({ "id": account.id, "platform": account.platform, "name": account.name, "policy": account.policy,
            "enabled": account.enabled, "suspended": account.suspended, "webhook_url": webhook_url(config, detail) })
}

fn webhook_url(config: &Config, detail: &ChannelDetail) -> String {
    let base = config.public_url.as_ref().map_or_else(|| format!("http://{}", config.listen), Url::to_string);
    format!("{}/webhooks/{}", base.trim_end_matches('/'), detail.public_id)
}

fn read_settings(given: &[String]) -> Result<BTreeMap<String, SecretString>, Failure> {
    let mut settings = BTreeMap::new();
    for pair in given {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| Failure::Usage("`--set` takes KEY=VALUE, or KEY=@FILE".to_owned()))?;
        let value = match value.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file)
                .map_err(|error| Failure::Usage(format!("{file}: {error}")))?
                .trim()
                .to_owned(),
            None => value.to_owned(),
        };
        settings.insert(name.to_owned(), SecretString::from(value));
    }
    Ok(settings)
}
