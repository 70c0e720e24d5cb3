//! `transom policy rehearse`: what another policy would change, line by line as it is found.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anstream::{eprint, eprintln};
use serde_json::json;
use transom_desk::rehearse::{Answer, Change, Rehearsal, Turn};
use transom_desk::{Desk, DeskError};
use transom_domain::SystemClock;
use transom_windows::Policy;

use super::output::{Colours, instant, print};
use super::workspace::{administrator, administrators};
use super::{Failure, configured, log};
use crate::config::Flags;
use crate::server;

/// The exit code when something would change.
const CHANGES: u8 = 1;
/// The exit code for a file or arguments that can't be used.
const BAD_INPUT: u8 = 2;
/// The exit code when the database can't be read.
const NO_ANSWER: u8 = 3;
/// How often it is said how far it is.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// What `transom policy rehearse` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The policy file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The policy in force that it would replace, if it is not the one of its own name
    #[arg(long, value_name = "POLICY")]
    instead_of: Option<String>,
    /// Only this workspace, by id or name
    #[arg(long)]
    workspace: Option<String>,
    /// A JSON object a line for each conversation whose answer would change
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let policy = policy(&args.file)?;
    let config = configured(&args.flags)?;
    log(&config.log)?;
    let desk = server::open_to_look(&config, Arc::new(SystemClock)).await.map_err(|error| {
        let failure = Failure::from(error);
        if failure.exit_code() == BAD_INPUT { failure } else { no_answer(&failure) }
    })?;
    match rehearse(&desk, &policy, &args).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(Failure::Said(CHANGES)),
        Err(failure @ (Failure::Usage(_) | Failure::Said(_))) => Err(failure),
        Err(Failure::Desk(error @ (DeskError::Invalid { .. } | DeskError::Conflict { .. }))) => {
            Err(Failure::Usage(error.to_string()))
        }
        Err(failure) => Err(no_answer(&failure)),
    }
}

/// The policy of a file, or what is wrong with it: file, line and reason.
fn policy(file: &std::path::Path) -> Result<Policy, Failure> {
    let Colours { bad: red, .. } = Colours::default();
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    Policy::parse(&name, &text).map_err(|error| {
        for problem in error.problems() {
            eprintln!("{red}{problem}{red:#}");
        }
        Failure::Said(BAD_INPUT)
    })
}

fn no_answer(failure: &Failure) -> Failure {
    let Colours { error, .. } = Colours::default();
    eprintln!("{error}transom:{error:#} {failure}");
    Failure::Said(NO_ANSWER)
}

/// How many conversations would be answered otherwise.
async fn rehearse(desk: &Desk, policy: &Policy, args: &Args) -> Result<u64, Failure> {
    let callers = match &args.workspace {
        Some(workspace) => vec![administrator(desk, workspace).await?],
        None => administrators(desk).await?,
    };
    let mut tally = Tally::new();
    for caller in callers {
        let workspace = caller.scope.workspace();
        let mut rehearsal = Rehearsal::begin(desk, &caller, policy.clone(), args.instead_of.as_deref()).await?;
        while let Some(page) = rehearsal.next().await? {
            for change in &page.changes {
                tally.clear();
                if args.json {
                    let mut line = serde_json::to_value(change).map_err(|error| Failure::Usage(error.to_string()))?;
                    if let Some(line) = line.as_object_mut() {
                        line.insert("workspace".to_owned(), json!(workspace));
                    }
                    print(&format!("{line}\n"))?;
                } else {
                    if tally.changed == 0 {
                        print(&heading())?;
                    }
                    print(&row(change))?;
                }
                tally.changed += 1;
            }
            tally.looked += page.looked;
            tally.say();
        }
    }
    tally.clear();
    let Tally { looked, changed, .. } = tally;
    eprintln!("{changed} of {looked} conversations would be answered otherwise");
    Ok(changed)
}

/// How far it is.
struct Tally {
    looked: u64,
    changed: u64,
    said: Instant,
    /// On a terminal the line is written over and over.
    over: bool,
    stands: bool,
}

impl Tally {
    fn new() -> Self {
        Self { looked: 0, changed: 0, said: Instant::now(), over: std::io::stderr().is_terminal(), stands: false }
    }

    fn say(&mut self) {
        if self.said.elapsed() < SAY_EVERY {
            return;
        }
        self.said = Instant::now();
        let (looked, changed) = (self.looked, self.changed);
        if self.over {
            eprint!("\r\u{1b}[K{looked} conversations, {changed} would be answered otherwise");
            self.stands = true;
        } else {
            eprintln!("{looked} conversations, {changed} would be answered otherwise");
        }
    }

    /// Takes the line away, so that others can be written.
    fn clear(&mut self) {
        if std::mem::take(&mut self.stands) {
            eprint!("\r\u{1b}[K");
        }
    }
}

/// Columns of one width, since the rows are printed as they are found.
fn heading() -> String {
    let Colours { bold, .. } = Colours::default();
    format!("{bold}{:<36}  {:<20}  {:<10}  Now → then{bold:#}\n", "Conversation", "Channel", "For")
}

fn row(change: &Change) -> String {
    let Colours { dim, .. } = Colours::default();
    let mut lines = String::new();
    let name: String = change.channel_name.chars().take(20).collect();
    for (sender, turn) in [("a person", &change.human), ("automation", &change.automation)] {
        if turn.changes() {
            let (conversation, words) = (change.conversation, words(turn));
            // Writing into a `String` can't fail.
            let _ = writeln!(lines, "{conversation}  {dim}{name:<20}{dim:#}  {sender:<10}  {words}");
        }
    }
    lines
}

/// Green for more freedom than now, red for less.
fn words(turn: &Turn) -> String {
    let Colours { good, bad, bold, .. } = Colours::default();
    let (now, then) = (said(&turn.now), said(&turn.then));
    let shade = match freedom(&turn.then).cmp(&freedom(&turn.now)) {
        std::cmp::Ordering::Greater => good,
        std::cmp::Ordering::Less => bad,
        std::cmp::Ordering::Equal => bold,
    };
    format!("{now} → {shade}{then}{shade:#}")
}

/// What is preferred most, how long it lasts, and how many there are of it.
type Freedom = (u8, i128, usize, u32);

fn freedom(answer: &Answer) -> Freedom {
    let Some(first) = answer.permits.first() else { return (0, 0, 0, 0) };
    let rank = match first.basis {
        "free_form" => 4,
        "tagged" => 3,
        "initiated" => 2,
        _ => 1,
    };
    let until = first.lapses_at.map_or(i128::MAX, time::OffsetDateTime::unix_timestamp_nanos);
    (rank, until, answer.permits.len(), first.remaining.unwrap_or(u32::MAX))
}

fn said(answer: &Answer) -> String {
    if answer.permits.is_empty() {
        return "nothing".to_owned();
    }
    let one = |permit: &transom_desk::rehearse::Allowed| {
        let basis = match (&permit.tag, permit.basis) {
            (Some(tag), _) => format!("tagged {tag}"),
            (None, "free_form") => "free text".to_owned(),
            (None, other) => other.to_owned(),
        };
        let until = permit.lapses_at.map_or_else(String::new, |at| format!(" until {}", instant(Some(at))));
        let left = permit.remaining.map_or_else(String::new, |left| format!(" ({left} left)"));
        format!("{basis}{until}{left}")
    };
    answer.permits.iter().map(one).collect::<Vec<_>>().join(", ")
}
