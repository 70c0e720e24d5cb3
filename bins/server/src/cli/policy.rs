//! `transom policy`.

use std::path::PathBuf;

use anstream::eprintln;
use serde_json::json;
use transom_windows::Policy;

use super::Failure;
use super::output::{Colours, json, table};
use super::rehearse;

/// Policy files.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check policy files: file, line and reason of whatever is wrong; exit code 1 if anything is
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// List the conversations whose answer would change, now, if this policy were in force; exit code 0 if none would, 1 if some
    /// would, 2 if the file or the configuration is wrong, 3 if the database can't be read
    Rehearse(rehearse::Args),
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check { files, json } => check(&files, json),
        Command::Rehearse(args) => rehearse::run(args).await,
    }
}

fn check(files: &[PathBuf], as_json: bool) -> Result<(), Failure> {
    let mut good = Vec::new();
    let mut bad = Vec::new();
    let mut unread = Vec::new();
    for file in files {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => match Policy::parse(&name, &text) {
                Ok(policy) => good.push((name, policy)),
                Err(error) => bad.extend(error.problems().to_vec()),
            },
            Err(error) => unread.push((name, error.to_string())),
        }
    }
    if as_json {
        let policies: Vec<_> = good
            .iter()
            .map(|(file, policy)| {
                json!({ "file": file, "name": policy.name(), "platform": policy.platform(), "version": policy.version(),
                        "grants": policy.grants().len(), "quotas": policy.quotas().len() })
            })
            .collect();
        let problems: Vec<_> = bad
            .iter()
            .map(|problem| json!({ "file": problem.file, "line": problem.line, "reason": problem.reason }))
            // What can't be read has no lines.
            .chain(unread.iter().map(|(file, reason)| json!({ "file": file, "line": null, "reason": reason })))
            .collect();
        json(&json!({ "policies": policies, "problems": problems }))?;
    } else {
        let rows: Vec<[String; 6]> = good.iter().map(|(file, policy)| row(file, policy)).collect();
        if !rows.is_empty() {
            table(["File", "Policy", "Platform", "Version", "Grants", "Quotas"], rows)?;
        }
        let Colours { bad: red, .. } = Colours::default();
        for problem in &bad {
            eprintln!("{red}{problem}{red:#}");
        }
        for (file, reason) in &unread {
            eprintln!("{red}{file}: {reason}{red:#}");
        }
    }
    if bad.is_empty() && unread.is_empty() { Ok(()) } else { Err(Failure::Said(1)) }
}

fn row(file: &str, policy: &Policy) -> [String; 6] {
    [
        file.to_owned(),
        policy.name().to_owned(),
        policy.platform().to_owned(),
        policy.version().to_owned(),
        policy.grants().len().to_string(),
        policy.quotas().len().to_string(),
    ]
}
