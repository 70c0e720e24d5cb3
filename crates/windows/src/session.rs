//! Sessions counted from the event that opened them: a late event may move every session after it.

use time::Duration;

use crate::facts::{Row, latest};
use crate::forget::HORIZON;
use crate::grant::CountedFrom;
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

/// The start of the current session. A refusal ended whatever was open, so an event after it began another; without
/// one, it is the refused session that is current.
fn current(rows: &[Row], session: Session, refused: Option<Moment>, until: impl Fn(Moment) -> bool) -> Option<Moment> {
    let mut events = merged(rows, session.kinds);
    events.retain(|at| until(*at));
    let before = before(rows, session.kinds);
    let is_later = |at: &Moment| refused.is_none_or(|refused| *at > refused);
    let afresh = last(before.filter(is_later), events.iter().copied().filter(is_later), session.within);
    afresh.or_else(|| last(before, events.into_iter(), session.within))
}

/// When the newest message was sent that the platform refused as outside the session.
fn refused(session: Session, rules: &Rules, refused: &[(usize, Moment)]) -> Option<Moment> {
    let counted = |position: usize| {
        let grant = rules.grants.get(position);
        grant.is_some_and(|grant| grant.counted_from == CountedFrom::First && grant.opened_by == session.kinds)
    };
    refused.iter().filter(|(position, _)| counted(*position)).map(|(_, at)| *at).max()
}

/// A session is one thing: refused to one grant, it is over for every grant that counts from it.
pub(crate) fn refuse(refusals: &mut Vec<(usize, Moment)>, grant: usize, sent_at: Moment, rules: &Rules) {
    let Some(refused) = rules.grants.get(grant).filter(|grant| grant.counted_from == CountedFrom::First) else {
        return;
    };
    for (position, other) in rules.grants.iter().enumerate() {
        if other.counted_from == CountedFrom::First && other.opened_by == refused.opened_by {
            latest(refusals, position, sent_at);
        }
    }
}

/// Writes the start of the current session to each row that takes part in it; others start with their newest event.
pub(crate) fn derive(rows: &mut [Row], rules: &Rules, refusals: &[(usize, Moment)]) {
    for place in 0..rows.len() {
        let Some(row) = rows.get(place) else { continue };
        let session = rules.kinds.get(row.kind).and_then(|kind| kind.session);
        let start = session.and_then(|session| current(rows, session, refused(session, rules, refusals), |_| true));
        let start = start.unwrap_or(row.at);
        if let Some(row) = rows.get_mut(place) {
            row.start = start;
        }
    }
}

/// Forgets events beyond the horizon and keeps only where they left the session.
pub(crate) fn fold(rows: &mut [Row], rules: &Rules, refusals: &[(usize, Moment)]) {
    for session in rules.kinds.iter().filter_map(|kind| kind.session) {
        let Some(newest) = of(rows, session.kinds).map(|row| row.at).max() else { continue };
        let edge = newest.minus(horizon(Some(session.within)));
        if !of(rows, session.kinds).any(|row| row.recent.first().is_some_and(|at| *at < edge)) {
            continue;
        }
        // An event that is older than the start found so far comes too late to move it.
        let start = current(rows, session, refused(session, rules, refusals), |at| at < edge);
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
