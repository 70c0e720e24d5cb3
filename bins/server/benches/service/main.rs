//! What the service does a second, each figure beside the raw limit of the same machine in the same run.
//!
//! ```text
//! cargo bench -p transom-server --bench service -- [--json] [--only accept|apply|send|process] [--rounds N]
//! ```
//! Rounds of ours and of the raw limit take turns, and medians are compared: a busy machine slows both.
#![allow(
    clippy::disallowed_methods,
    clippy::format_push_string,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    unreachable_pub,
    missing_docs,
    reason = "a benchmark stops at the first surprise, and its output is the point"
)]

mod accept;
mod apply;
mod process;
mod raw;
mod send;
mod wire;
mod world;

use serde_json::json;
use transom_storage::test_support::TestDatabase;

/// One line of the table.
#[derive(Debug)]
struct Figure {
    what: String,
    database: &'static str,
    ours: f64,
    unit: &'static str,
    /// The raw limit, in the same unit.
    raw: Option<f64>,
    goal: Goal,
}

#[derive(Debug, Clone, Copy)]
enum Goal {
    /// Ours by raw, at least.
    Ratio(f64),
    /// Ours, below.
    Below(f64),
}

impl Figure {
    fn ratio(&self) -> Option<f64> {
        self.raw.map(|raw| self.ours / raw)
    }

    fn goal(&self) -> (String, &'static str) {
        let said = |met: bool| if met { "met" } else { "missed" };
        match self.goal {
            Goal::Ratio(least) => (format!("≥ {least}"), said(self.ratio().is_some_and(|ratio| ratio >= least))),
            Goal::Below(most) => (format!("< {most}"), said(self.ours < most)),
        }
    }
}

/// What was asked for on the command line.
#[derive(Debug, Clone)]
struct Asked {
    json: bool,
    only: Option<String>,
    rounds: usize,
}

impl Asked {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().collect();
        let after = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1)).cloned();
        Self {
            json: words.iter().any(|word| word == "--json"),
            only: after("--only"),
            rounds: after("--rounds").and_then(|rounds| rounds.parse().ok()).unwrap_or(5),
        }
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

#[tokio::main]
async fn main() {
    let asked = Asked::read();
    let mut figures = Vec::new();
    for name in ["SQLite", "PostgreSQL"] {
        if asked.wants("accept")
            && let Some(database) = database(name).await
        {
            figures.push(accept::measure(name, &database, asked.rounds).await);
        }
        if asked.wants("apply")
            && let Some(database) = database(name).await
        {
            figures.extend(apply::measure(name, &database, asked.rounds).await);
        }
    }
    if asked.wants("send") {
        figures.push(send::measure().await);
    }
    if asked.wants("process") {
        figures.extend(process::measure(asked.rounds).await);
    }
    if asked.json {
        let row = |figure: &Figure| {
            json!({
                "what": figure.what, "database": figure.database, "ours": figure.ours, "unit": figure.unit,
                "raw": figure.raw, "ratio": figure.ratio(), "goal": figure.goal().0, "verdict": figure.goal().1,
            })
        };
        println!("{}", serde_json::to_string_pretty(&figures.iter().map(row).collect::<Vec<_>>()).unwrap());
        return;
    }
    println!("| What | Database | Ours | Raw | Unit | Ratio | Goal | |\n|---|---|---|---|---|---|---|---|");
    for figure in &figures {
        let (goal, verdict) = figure.goal();
        let number = |number: f64| if number < 100.0 { format!("{number:.1}") } else { format!("{number:.0}") };
        let (what, database, unit, ours) = (&figure.what, figure.database, figure.unit, number(figure.ours));
        let raw = figure.raw.map(number).unwrap_or_default();
        let ratio = figure.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        println!("| {what} | {database} | {ours} | {raw} | {unit} | {ratio} | {goal} | {verdict} |");
    }
}

/// An empty one; none where PostgreSQL is not installed.
async fn database(name: &str) -> Option<TestDatabase> {
    if name == "SQLite" { Some(TestDatabase::sqlite()) } else { TestDatabase::postgres().await }
}

/// The middle of several measurements.
fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
