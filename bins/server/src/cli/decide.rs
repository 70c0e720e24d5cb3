//! `transom decide`: the JSON contract, from stdin or a file to stdout.

use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;

use transom_windows::{Decision, Question, WindowState, evaluate};

use super::Failure;
use super::output::{Colours, instant, json, print};
use crate::{policies, registry};

/// What `transom decide` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Read the question from this file instead of stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Policy files that replace built-in ones
    #[arg(long, value_name = "DIR", env = "TRANSOM_POLICY_DIR")]
    policy_dir: Option<PathBuf>,
    /// A table for people instead of JSON
    #[arg(long)]
    pretty: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let text = match &args.file {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?
        }
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
    };
    let policies = policies::load(&registry::registry(), args.policy_dir.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let place = args.file.as_ref().map_or_else(|| "stdin".to_owned(), |file| file.display().to_string());
    let question = Question::from_json(&text).map_err(|error| {
        let example = r#"{"platform":"…","now":"2026-11-20T10:00:00Z"}"#;
        Failure::Usage(format!("{place}: the {error}\na question is a JSON object, at least {example}"))
    })?;
    let decision = evaluate(&policies, &question).map_err(|error| Failure::Usage(error.to_string()))?;
    if args.pretty { print(&pretty(&decision)) } else { json(&decision) }
}

/// What may be sent, until when, and why not the rest.
fn pretty(decision: &Decision) -> String {
    let Colours { good, bad, dim, bold, .. } = Colours::default();
    let policy = decision.policy();
    let mut page =
        format!("{bold}{}{bold:#} {dim}policy {} {}{dim:#}\n", policy.platform(), policy.name(), policy.version());
    let window = decision.window();
    let shade = if window.state == WindowState::Closed { bad } else { good };
    // Writing to a String does not fail.
    let _ = write!(page, "window {shade}{}{shade:#}", window.state.as_str());
    if window.closes_at.is_some() {
        let since = if window.state == WindowState::Closed { "since" } else { "until" };
        let _ = write!(page, " {dim}{since} {}{dim:#}", instant(window.closes_at));
    }
    page.push('\n');
    for permit in decision.permits() {
        let left = permit.remaining().map_or_else(String::new, |left| format!(", {left} left"));
        let until = permit.lapses_at().map_or_else(String::new, |_| format!(" until {}", instant(permit.lapses_at())));
        let _ = writeln!(
            page,
            "  {good}yes{good:#} {bold}{}{bold:#} {dim}{}{until}{left}{dim:#}",
            permit.grant(),
            permit.basis().as_str()
        );
    }
    for refusal in decision.refusals() {
        let _ = writeln!(page, "  {bad}no{bad:#}  {} {dim}{}{dim:#}", refusal.grant(), refusal.basis().as_str());
        for because in refusal.because() {
            let until = because.until().map_or_else(String::new, |_| format!(", until {}", instant(because.until())));
            let _ = writeln!(page, "      {}{until}", because.detail());
        }
    }
    if decision.next_change().is_some() {
        let _ = writeln!(page, "{dim}this changes at {}{dim:#}", instant(decision.next_change()));
    }
    page
}
