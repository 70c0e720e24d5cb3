//! Sessions counted from the event that opened them: a late event may move every session after it.

use time::Duration;

use crate::facts::{HORIZON, Row};
use crate::moment::Moment;
use crate::policy::{Bits, Rules, Session};

/// How far back the events are kept of which sessions of that span are worked out.
pub(crate) fn horizon(within: Option<Duration>) -> Duration {
    HORIZON.max(within.unwrap_or_default().saturating_mul(2))
}

/// The start of the last session that these events, in order, have opened.
fn last(before: Option<Moment>, events: impl Iterator<Item = Moment>, within: Duration) -> Option<Moment> {
    events.fold(before, |start, at| match start {
        Some(start) if at < start.plus(within) => Some(start),
        _ => Some(at),
    })
}

/// The start of the last session after a refusal, which ended whatever was open.
pub(crate) fn start_after(rows: &[Row], session: Session, refused: Option<Moment>) -> Option<Moment> {
    let mut events = merged(rows, session.kinds);
    match refused {
        None => last(before(rows, session.kinds), events.into_iter(), session.within),
        Some(refused) => {
            events.retain(|at| *at > refused);
            last(None, events.into_iter(), session.within)
        }
    }
}

/// Writes the start of the current session to each row that takes part in it; others start with their newest event.
pub(crate) fn derive(rows: &mut [Row], rules: &Rules) {
    for place in 0..rows.len() {
        let Some(row) = rows.get(place) else { continue };
        let session = rules.kinds.get(row.kind).and_then(|kind| kind.session);
        let start = session.and_then(|session| start_after(rows, session, None)).unwrap_or(row.at);
        if let Some(row) = rows.get_mut(place) {
            row.start = start;
        }
    }
}

/// Forgets events beyond the horizon and keeps only where they left the session.
pub(crate) fn fold(rows: &mut [Row], rules: &Rules) {
    for session in rules.kinds.iter().filter_map(|kind| kind.session) {
        let Some(newest) = of(rows, session.kinds).map(|row| row.at).max() else { continue };
        let edge = newest.minus(horizon(Some(session.within)));
        let mut events = merged(rows, session.kinds);
        events.retain(|at| *at < edge);
        if events.is_empty() {
            continue;
        }
        // One that is older than the start found so far comes too late to move it.
        let start = last(before(rows, session.kinds), events.into_iter(), session.within);
        for row in rows.iter_mut().filter(|row| session.kinds & 1 << row.kind != 0) {
            row.recent.retain(|at| *at >= edge);
            row.before_recent = start;
        }
    }
}

fn of(rows: &[Row], kinds: Bits) -> impl Iterator<Item = &Row> {
    rows.iter().filter(move |row| kinds & 1 << row.kind != 0)
}

fn before(rows: &[Row], kinds: Bits) -> Option<Moment> {
    of(rows, kinds).filter_map(|row| row.before_recent).max()
}

fn merged(rows: &[Row], kinds: Bits) -> Vec<Moment> {
    let mut events: Vec<Moment> = of(rows, kinds).flat_map(|row| row.recent.iter().copied()).collect();
    events.sort_unstable();
    events.dedup();
    events
}
