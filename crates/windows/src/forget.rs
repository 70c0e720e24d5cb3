//! What no longer counts is dropped, so that facts stay small.

use time::Duration;

use crate::facts::{Facts, Row, Send};
use crate::grant::CountedFrom;
use crate::moment::Moment;
use crate::policy::{Rules, positions};
use crate::quota::{Per, Scope};
use crate::session;

/// How far back an event may come and still be applied exactly.
pub(crate) const HORIZON: Duration = Duration::days(30);
/// How far the clock may lag behind the newest event before something forgotten would have counted.
const LAG: Duration = Duration::days(1);

impl Facts {
    /// Drops what can't count any more, by the newest event: what is left depends on the set of events alone.
    pub(crate) fn forget(&mut self) {
        let Some(newest) = self.newest else { return };
        let policy = self.policy.clone();
        let rules = &policy.0;
        session::fold(&mut self.rows, rules, &self.refused);
        // A right that ended long ago.
        self.rows.retain(|row| {
            let opens = rules
                .grants
                .iter()
                .filter(|grant| grant.opened_by & 1 << row.kind != 0 && grant.counted_from == CountedFrom::Each);
            let mut ends = opens.map(|grant| grant.within.map(|within| row.at.plus(within).plus(LAG)));
            row.reference.is_none() || ends.any(|end| end.is_none_or(|end| end > newest))
        });
        let rights = rules.grants.iter().filter(|grant| grant.counted_from == CountedFrom::Each);
        let longest = rights.map(|grant| grant.within.unwrap_or(Duration::MAX)).max().unwrap_or_default();
        self.refused_rights.retain(|(_, at)| at.plus(longest).plus(LAG) > newest);
        let rows = &self.rows;
        self.sends.retain(|send| counts_still(send, rows, rules, newest));
    }
}

/// Whether a send can still count in some quota of this person.
fn counts_still(send: &Send, rows: &[Row], rules: &Rules, newest: Moment) -> bool {
    let Some(grant) = rules.grants.get(send.grant) else { return false };
    let own = positions(grant.spends).filter_map(|quota| Some((quota, rules.quotas.get(quota)?)));
    own.filter(|(_, quota)| quota.scope == Scope::Identity).any(|(position, quota)| match quota.per {
        Per::Opening => {
            let spenders = rules.grants.iter().filter(|grant| grant.spends & 1 << position != 0);
            spenders.into_iter().any(|grant| match grant.counted_from {
                // No right is younger than a send on it, so it ends no later.
                CountedFrom::Each => grant.within.is_none_or(|within| send.at.plus(within).plus(LAG) > newest),
                // A late event may move the session's start back, but not before the horizon.
                CountedFrom::First => send.at.plus(session::horizon(grant.within)) > newest,
                CountedFrom::Latest => {
                    let opened = rows.iter().filter(|row| grant.opened_by & 1 << row.kind != 0).map(|row| row.at).max();
                    opened.is_none_or(|at| send.at >= at)
                }
            })
        }
        Per::Month => send.at.plus(LAG).month(quota.zone) >= newest.month(quota.zone),
        Per::Day => send.at.plus(LAG).day(quota.zone) >= newest.day(quota.zone),
        Per::Rolling(span) | Per::RollingSinceOpening(span) => send.at.plus(span).plus(LAG) > newest,
    })
}
