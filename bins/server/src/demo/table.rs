//! What can be sent to each contact and until when, as a table; and what the demo's other tables look like.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use time::{Duration, OffsetDateTime};
use transom_desk::window::window;
use transom_windows::{Ask, Basis, Decision, Facts, Permit, Sender, Subject};

use super::seed::Seeded;
use super::world::{Trouble, World};

/// The table of the demo.
///
/// # Errors
/// [`Trouble`] when the service does not answer.
pub async fn of(world: &World, people: &[Seeded], colour: bool) -> Result<Table, Trouble> {
    let mut table = headed(["Contact", "Channel", "Story", "You may send now", "Until"]);
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for person in people {
        let (what, until, tint) = match person.conversation {
            Some(conversation) => {
                let view = window(world.desk(), &world.caller, conversation).await.map_err(Trouble::new)?;
                said(&view.human.decision, view.now)
            }
            None => said(&of_a_stranger(world, person.platform)?, world.now()),
        };
        table.add_row([
            Cell::new(person.name).add_attribute(Attribute::Bold),
            Cell::new(&person.channel),
            Cell::new(person.story),
            Cell::new(what).fg(tint),
            Cell::new(until),
        ]);
    }
    Ok(table)
}

/// A table with nothing in it yet.
pub(super) fn headed<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED.with_rounded_corners())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// What may be sent to somebody of whom nothing is known yet.
fn of_a_stranger(world: &World, platform: &str) -> Result<Decision, Trouble> {
    let policies = world.desk().policies();
    let policy = policies.for_platform(platform).ok_or_else(|| Trouble(format!("no policy for {platform}")))?;
    Ok(policy.decide(&Facts::new(Subject::new(0), policy), Ask::by(Sender::Human), world.now()))
}

/// In words: what, until when, and how good that is.
fn said(decision: &Decision, now: OffsetDateTime) -> (String, String, Color) {
    let permits = decision.permits();
    let free = permits.iter().find(|permit| !matches!(permit.basis(), Basis::Template { .. }));
    match (free, permits.is_empty()) {
        (Some(permit), _) => {
            let soon = permit.lapses_at().is_some_and(|end| end - now < Duration::HOUR);
            let tint = if soon { Color::Yellow } else { Color::Green };
            (format!("{}{}", words(permit), templates(permits)), until(permit, now), tint)
        }
        (None, false) => ("an approved template".into(), "any time".into(), Color::Yellow),
        (None, true) => {
            let because = decision.refusals().iter().flat_map(transom_windows::Refusal::because).next();
            let why = because.map(|because| because.detail().into_owned()).unwrap_or_default();
            (format!("nothing: {why}"), "-".into(), Color::Red)
        }
    }
}

fn words(permit: &Permit) -> String {
    match permit.basis() {
        Basis::FreeForm => "free text".into(),
        Basis::Tagged { tag } => format!("free text under {tag}"),
        Basis::Initiated => "free text, counted".into(),
        Basis::Template { .. } => "an approved template".into(),
    }
}

fn templates(permits: &[Permit]) -> &'static str {
    let any = permits.iter().any(|permit| matches!(permit.basis(), Basis::Template { .. }));
    if any { ", or a template" } else { "" }
}

/// The end, as an hour and as a span.
fn until(permit: &Permit, now: OffsetDateTime) -> String {
    match permit.lapses_at() {
        None => "no end".into(),
        Some(end) => format!("{}\n{}", clock_time(end), span(end - now)),
    }
}

/// `Nov 21 10:05 UTC`.
pub fn clock_time(at: OffsetDateTime) -> String {
    let format = time::macros::format_description!("[month repr:short] [day] [hour]:[minute] UTC");
    at.format(format).unwrap_or_else(|_| at.to_string())
}

/// `in 23 h 55 min`.
pub fn span(left: Duration) -> String {
    // The last begun minute counts as a whole one: people read "10 minutes", not 9.
    let minutes = (left.whole_seconds().max(0) + 59) / 60;
    match (minutes / (24 * 60), minutes / 60, minutes % 60) {
        (0, 0, minutes) => format!("in {minutes} min"),
        (0, hours, minutes) => format!("in {hours} h {minutes} min"),
        (days, hours, _) => format!("in {days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_people_say_them() {
        assert_eq!(span(Duration::seconds(595)), "in 10 min");
        assert_eq!(span(Duration::minutes(24 * 60 - 5)), "in 23 h 55 min");
        assert_eq!(span(Duration::hours(49)), "in 2 d 1 h");
        assert_eq!(span(Duration::seconds(-5)), "in 0 min");
    }
}
