//! How answers look: tables and colours for people, JSON for machines.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use super::Failure;
use crate::terminal;

/// Colours; the streams leave them out where nobody would see them (no terminal, `NO_COLOR`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Colours {
    pub(super) good: Style,
    pub(super) bad: Style,
    pub(super) error: Style,
    pub(super) dim: Style,
    pub(super) bold: Style,
}

impl Default for Colours {
    fn default() -> Self {
        Self {
            good: AnsiColor::Green.on_default().bold(),
            bad: AnsiColor::Red.on_default(),
            error: AnsiColor::Red.on_default().bold(),
            dim: AnsiColor::BrightBlack.on_default(),
            bold: Style::new().bold(),
        }
    }
}

impl Colours {
    pub(super) fn wanted_on_stderr() -> bool {
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }
}

/// Prints to stdout; a reader that went away is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Usage(error.to_string()))?;
    print(&format!("{text}\n"))
}

/// Prints rows as a table: with lines on a terminal, plain in a pipe.
pub(super) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> Result<(), Failure> {
    let mut table = Table::new();
    let for_people = std::io::stdout().is_terminal();
    table.load_style(if for_people { UTF8_FULL_CONDENSED.with_rounded_corners() } else { NOTHING });
    table.set_content_arrangement(ContentArrangement::Dynamic).set_header(header).add_rows(rows);
    terminal::fit(&mut table);
    print(&format!("{}\n", table.trim_fmt()))
}

/// An instant for people; a dash for none.
pub(super) fn instant(at: Option<time::OffsetDateTime>) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    at.and_then(|at| at.format(format).ok()).unwrap_or_else(|| "-".to_owned())
}
