//! `transom audit`: the chain of the audit log, checked and carried elsewhere.

use anstream::eprintln;
use serde_json::json;
use transom_desk::audit;
use transom_storage::AuditHead;

use super::Failure;
use super::output::{Colours, json, print};
use super::workspace::{administrator, desk};
use crate::config::Flags;

/// The audit log.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Walk the whole chain; exit code 1 with the first broken link, if there is one
    Verify {
        /// The workspace, by id or name
        #[arg(long)]
        workspace: String,
        /// A head that was kept, as `transom audit head` printed it: it has to be in the chain
        #[arg(long, value_name = "SEQ:HASH", value_parser = kept)]
        head: Option<Kept>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: Flags,
    },
    /// Print the newest link, to be kept somewhere else
    Head {
        /// The workspace, by id or name
        #[arg(long)]
        workspace: String,
        #[command(flatten)]
        flags: Flags,
    },
}

/// A head that was kept.
#[derive(Debug, Clone)]
pub(super) struct Kept(AuditHead);

fn kept(text: &str) -> Result<Kept, String> {
    let read = || {
        let (seq, hash) = text.trim().split_once(':')?;
        Some(AuditHead { seq: seq.parse().ok()?, hash: hex::decode(hash).ok()? })
    };
    read().map(Kept).ok_or_else(|| "a number, a colon and 64 hexadecimal digits are expected".to_owned())
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Verify { workspace, head, json: as_json, flags } => {
            let desk = desk(&flags).await?;
            let caller = administrator(&desk, &workspace).await?;
            let found = audit::verify(&desk, &caller, head.as_ref().map(|kept| &kept.0)).await?;
            desk.storage().close().await?;
            if as_json {
                json(&match &found {
                    Ok(rows) => json!({ "ok": true, "rows": rows }),
                    Err(broken) => json!({ "ok": false, "seq": broken.seq, "what": broken.what }),
                })?;
            }
            let Colours { bad: red, .. } = Colours::default();
            match found {
                Ok(rows) if !as_json => print(&format!("{rows} rows, no link is broken\n")),
                Ok(_) => Ok(()),
                Err(broken) => {
                    let what = match broken.what {
                        "missing" => "is missing",
                        "changed" => "was changed",
                        _ => "is not the end that the chain names",
                    };
                    eprintln!("{red}row {} {what}{red:#}", broken.seq);
                    Err(Failure::Said(1))
                }
            }
        }
        Command::Head { workspace, flags } => {
            let desk = desk(&flags).await?;
            let caller = administrator(&desk, &workspace).await?;
            let head = audit::head(&desk, &caller).await?;
            desk.storage().close().await?;
            match head {
                Some(head) => print(&format!("{}:{}\n", head.seq, hex::encode(head.hash))),
                None => {
                    eprintln!("nothing was done yet");
                    Ok(())
                }
            }
        }
    }
}
