//! `transom keys`.

use anstream::eprintln;
use serde_json::json;

use super::Failure;
use super::output::{json, print};
use super::workspace::desk;
use crate::config::Flags;

/// Master keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Whether an earlier master key is still needed
    Status {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Seal everything by the present master key; the earlier ones stand in `master_key.previous` meanwhile
    Rotate(Flags),
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Status { json: as_json, flags } => {
            let desk = desk(&flags).await?;
            let status = desk.storage().keys_status().await?;
            desk.storage().close().await?;
            if as_json {
                return json(
                    &json!({ "data_keys": status.data_keys, "under_earlier_keys": status.under_earlier_keys }),
                );
            }
            let verdict = if status.under_earlier_keys == 0 {
                "no earlier master key is needed"
            } else {
                "earlier master keys are still needed: run `transom keys rotate`"
            };
            print(&format!(
                "{} data keys, {} of them sealed by earlier master keys: {verdict}\n",
                status.data_keys, status.under_earlier_keys
            ))
        }
        Command::Rotate(flags) => {
            let desk = desk(&flags).await?;
            let sealed = desk.storage().rewrap_data_keys().await?;
            desk.storage().close().await?;
            eprintln!("{sealed} data keys were sealed anew; `transom keys status` says whether any is left");
            Ok(())
        }
    }
}
