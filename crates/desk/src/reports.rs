//! Reports: what supervisors look back on.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};
use transom_domain::{ChannelAccountId, MessageId, TeamId};
use transom_storage::{MissedCount, MissedOutcome, StoredMissed};

use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError};

/// The longest time that one report looks back on.
const LONGEST: Duration = Duration::days(366);
/// The time of those who do not say.
const USUAL: Duration = Duration::days(7);

/// By what a report is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// By team and channel account.
    Both,
    /// By team.
    Team,
    /// By channel account.
    Channel,
}

/// How many windows were missed by somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedGroup {
    /// The team, with its name; `None` where no team had the conversation, or teams are not told apart.
    pub team: Option<(TeamId, Option<String>)>,
    /// The channel account, with its name; `None` where they are not told apart.
    pub account: Option<(ChannelAccountId, Option<String>)>,
    /// How many with each outcome; those that are missing have none.
    pub outcomes: BTreeMap<MissedOutcome, u64>,
}

impl MissedGroup {
    /// How many there are.
    pub fn total(&self) -> u64 {
        self.outcomes.values().sum()
    }
}

/// The time that a report looks back on: from an instant on, and before another. What is left out is the last seven days.
///
/// # Errors
/// [`DeskError::Invalid`] for a time that ends before it begins, or is longer than a year.
pub fn span(
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(OffsetDateTime, OffsetDateTime), DeskError> {
    let to = to.unwrap_or(now);
    let from = from.unwrap_or(to.saturating_sub(USUAL));
    if from < to && to - from <= LONGEST {
        return Ok((from, to));
    }
    let detail = format!("`from` lies before `to`, by at most {} days", LONGEST.whole_days());
    Err(DeskError::invalid("span_invalid", "from", detail))
}

/// How many windows ended unanswered in that time, the group with the most first.
///
/// # Errors
/// When the database fails.
pub async fn missed_groups(
    desk: &Desk,
    caller: &Caller,
    span: (OffsetDateTime, OffsetDateTime),
    by: Grouping,
) -> Result<Vec<MissedGroup>, DeskError> {
    authorise(caller, Action::ReadReports)?;
    let reader = desk.reader(&caller.scope);
    let counts = reader.missed_counts(span).await?;
    let mut groups: BTreeMap<(Option<TeamId>, Option<ChannelAccountId>), BTreeMap<MissedOutcome, u64>> =
        BTreeMap::new();
    for MissedCount { team, account, outcome, count } in counts {
        let key = match by {
            Grouping::Both => (team, Some(account)),
            Grouping::Team => (team, None),
            Grouping::Channel => (None, Some(account)),
        };
        *groups.entry(key).or_default().entry(outcome).or_default() += count;
    }
    let teams: BTreeMap<TeamId, String> = reader.teams().await?.into_iter().map(|team| (team.id, team.name)).collect();
    let mut accounts = BTreeMap::new();
    for id in groups.keys().filter_map(|(_, account)| *account).collect::<BTreeSet<_>>() {
        accounts.insert(id, reader.account(id).await?.map(|account| account.name));
    }
    let mut groups: Vec<MissedGroup> = groups
        .into_iter()
        .map(|((team, account), outcomes)| MissedGroup {
            team: team.map(|team| (team, teams.get(&team).cloned())),
            account: account.map(|account| (account, accounts.get(&account).cloned().flatten())),
            outcomes,
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.total()));
    Ok(groups)
}

/// The windows that ended unanswered in that time, the newest first; behind `after`, an end and a message.
///
/// # Errors
/// When the database fails.
pub async fn missed_windows(
    desk: &Desk,
    caller: &Caller,
    span: (OffsetDateTime, OffsetDateTime),
    after: Option<(OffsetDateTime, MessageId)>,
    limit: u32,
) -> Result<Vec<StoredMissed>, DeskError> {
    authorise(caller, Action::ReadReports)?;
    Ok(desk.reader(&caller.scope).missed_windows(span, after, limit).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_report_looks_back_on_a_week_unless_told_and_on_a_year_at_most() {
        let now = datetime!(2026-11-20 10:00 UTC);
        assert_eq!(span(None, None, now).unwrap(), (now - Duration::days(7), now));
        let to = now - Duration::days(30);
        assert_eq!(span(None, Some(to), now).unwrap(), (to - Duration::days(7), to));
        for (from, to) in [(now, now), (now, to), (now - Duration::days(367), now)] {
            assert_eq!(span(Some(from), Some(to), now).unwrap_err().code(), "span_invalid");
        }
    }
}
