//! What opened each grant, worked out when the facts change.

use crate::facts::{Facts, Row, look_up};
use crate::grant::{CountedFrom, Grant};
use crate::moment::{Moment, sooner};

/// What opened a grant, worked out when the facts change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) position: usize,
    /// `None` for a grant that needs no opening, or has none.
    pub(crate) opened: Option<Opened>,
}

/// An opening: where a grant's time starts and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) start: Moment,
    pub(crate) end: Option<Moment>,
    /// When the platform refused a message on it after it was opened.
    pub(crate) refused: Option<Moment>,
    /// What is booked on it by number.
    pub(crate) sent: u32,
    /// The right of its own that it is, by its place among the facts' rows.
    pub(crate) right: Option<usize>,
}

/// Each grant with what opened it; a grant whose every event is a right of its own comes once for each, and once without
/// any if it has none.
pub(crate) fn slots(facts: &Facts) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (position, grant) in facts.policy.0.grants.iter().enumerate() {
        let rows = || facts.rows.iter().enumerate().filter(|(_, row)| grant.opened_by & 1 << row.kind != 0);
        if grant.counted_from == CountedFrom::Each && rows().next().is_some() {
            slots.extend(rows().map(|(place, row)| Slot {
                position,
                opened: Some(Opened::right(facts, position, grant, place, row)),
            }));
        } else {
            slots.push(Slot { position, opened: Opened::window(facts, position, grant) });
        }
    }
    slots
}

impl Opened {
    /// The latest event, or the start of the session.
    fn window(facts: &Facts, position: usize, grant: &Grant) -> Option<Self> {
        let rows = || facts.rows.iter().filter(|row| grant.opened_by & 1 << row.kind != 0);
        let from = |row: &Row| if grant.counted_from == CountedFrom::First { row.start } else { row.at };
        let start = rows().map(from).max()?;
        let sent = rows().filter(|row| from(row) == start).fold(0_u32, |sum, row| sum.saturating_add(row.sent));
        let refused = look_up(&facts.refused, position);
        let enders = facts.rows.iter().filter(|row| grant.ended_by & 1 << row.kind != 0);
        let ended = enders.map(|row| row.at).max().filter(|ended| *ended >= start);
        let opened = Self::new(start, grant, refused, sent, None);
        Some(Self { end: sooner(opened.end, ended), ..opened })
    }

    /// A right of its own.
    fn right(facts: &Facts, position: usize, grant: &Grant, place: usize, row: &Row) -> Self {
        let mut rights = facts.refused_rights.iter();
        let own = rights.find(|(reference, _)| Some(reference) == row.reference.as_ref()).map(|(_, at)| *at);
        let refused = look_up(&facts.refused, position).max(own);
        Self::new(row.at, grant, refused, row.sent, Some(place))
    }

    fn new(start: Moment, grant: &Grant, refused: Option<Moment>, sent: u32, right: Option<usize>) -> Self {
        let end = grant.within.map(|within| start.plus(within));
        Self { start, end, refused: refused.filter(|refused| *refused >= start), sent, right }
    }

    /// What a send on it must refer to.
    #[inline]
    pub(crate) fn reference<'a>(&self, facts: &'a Facts) -> Option<&'a str> {
        facts.rows.get(self.right?)?.reference.as_deref()
    }

    /// Until when it is open at an instant; `None` if it isn't.
    #[inline]
    pub(crate) fn open_until(&self, at: Moment) -> Option<Moment> {
        self.whole_until().filter(|end| at < *end)
    }

    /// Where it ends, unless the platform refused something in it: nobody knows then how long it was open.
    #[inline]
    pub(crate) fn whole_until(&self) -> Option<Moment> {
        self.end.filter(|_| self.refused.is_none())
    }
}
