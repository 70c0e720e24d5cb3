//! Which indexes a list of conversations is read along.

use std::collections::BTreeSet;

use sea_orm::Value;
use time::{Duration, OffsetDateTime};
use transom_domain::Tab;
use uuid::Uuid;

use super::conversations::tab_name;
use super::facts::WindowColumns;
use super::lists::Sort;
use super::wanted::Wanted;

/// How many indexes are merged at most.
const BRANCHES: usize = 32;

/// An index to walk along: its name, and what its leading columns are to be.
pub(super) struct Branch {
    pub(super) index: &'static str,
    pub(super) given: Vec<(&'static str, Value)>,
    /// What its rows have in common besides.
    pub(super) all: &'static str,
    /// ` AND …`, and the instant that a time of theirs is compared with.
    pub(super) bound: Option<(&'static str, OffsetDateTime)>,
}

impl Branch {
    const fn of(index: &'static str, given: Vec<(&'static str, Value)>) -> Self {
        Self { index, given, all: "", bound: None }
    }

    /// Of those rows that may be open: what the index holds.
    fn maybe_open(self) -> Self {
        Self { all: WindowColumns::MAYBE_OPEN, ..self }
    }
}

/// The indexes whose rows, merged, are the list in its order. Whatever else is wanted is asked row by row.
pub(super) fn branches(wanted: &Wanted, sort: Sort) -> Vec<Branch> {
    let branches = branches_of(wanted, sort);
    // Of one agent, team, account or contact there are few, and the indexes of those below are everybody's.
    let is_everybodys =
        |branch: &Branch| branch.all.is_empty() && branch.given.iter().all(|(column, _)| *column == "tab");
    match (sort, wanted.inbound_before, wanted.inbound_after) {
        _ if !branches.iter().all(is_everybodys) => branches,
        (Sort::Newest, Some(before), _) => since_long_ago(branches, before),
        (Sort::LongestWaiting, _, Some(after)) => still_asking(branches, after),
        _ => branches,
    }
}

/// Whose customer was last heard before: among the newest there is hardly any. The last word came within a day after the customer's, and so
/// before that day ended, or later: those few have an index of their own.
fn since_long_ago(branches: Vec<Branch>, before: OffsetDateTime) -> Vec<Branch> {
    const SOON: &str = " AND c.active_at - c.last_inbound_at < 86400000";
    const LATE: &str = " AND c.active_at - c.last_inbound_at >= 86400000";
    let bound = Some((" AND c.active_at < ", before.saturating_add(Duration::DAY)));
    let soon = branches.into_iter().map(|branch| Branch { all: SOON, bound, ..branch });
    let late = Branch { all: LATE, ..Branch::of("lists_by_silence", Vec::new()) };
    soon.chain([late]).collect()
}

/// Whose customer was heard since: among those who wait longest there is hardly any. They wait since then, less a day, or wrote again more
/// than a day after they began to wait: those few have an index of their own.
fn still_asking(branches: Vec<Branch>, after: OffsetDateTime) -> Vec<Branch> {
    const ONCE: &str = " AND c.last_inbound_at - c.waiting_since < 86400000";
    const AGAIN: &str = " AND c.last_inbound_at - c.waiting_since >= 86400000";
    let bound = Some((" AND c.waiting_since > ", after.saturating_sub(Duration::DAY)));
    let once = branches.into_iter().map(|branch| Branch { all: ONCE, bound, ..branch });
    let again = Branch { all: AGAIN, ..Branch::of("lists_by_asking", Vec::new()) };
    once.chain([again]).collect()
}

fn branches_of(wanted: &Wanted, sort: Sort) -> Vec<Branch> {
    let tabs = wanted.tabs();
    let each = |index, column: &'static str, values: &BTreeSet<Uuid>| -> Vec<Branch> {
        let of_tab = |value: Uuid, tab: &Tab| vec![(column, value.into()), ("tab", tab_name(*tab).into())];
        let all = values.iter().flat_map(|value| tabs.iter().map(move |tab| of_tab(*value, tab)));
        all.map(|given| Branch::of(index, given)).collect()
    };
    let in_tab = |index, tab: &Tab| Branch::of(index, vec![("tab", tab_name(*tab).into())]);
    if let Some(contacts) = wanted.contacts.as_ref().filter(|contacts| contacts.len() <= BRANCHES) {
        let given = contacts.iter().map(|contact| vec![("contact_id", Value::from(*contact))]);
        return given.map(|given| Branch::of("lists_by_contact", given)).collect();
    }
    let few = |values: &&BTreeSet<Uuid>| values.len() * tabs.len() <= BRANCHES;
    let agents = wanted.agents.as_ref().filter(few);
    // Of several tabs the rows of all are merged, and in one of them the first that belongs may be far.
    let tab = tabs.first().filter(|_| tabs.len() == 1);
    match (sort, agents, tab) {
        (Sort::LongestWaiting, Some(agents), _) => return each("lists_by_agent_waiting", "agent_id", agents),
        (Sort::LongestWaiting, None, _) if wanted.wants_open() => {
            return vec![Branch::of("lists_by_open_waiting", Vec::new()).maybe_open()];
        }
        (Sort::LongestWaiting, None, Some(tab)) => return vec![in_tab("lists_by_tab_waiting", tab)],
        // Each tab's rows in the order of an index: asked for several at once, PostgreSQL would sort them all.
        (Sort::LongestWaiting, None, None) if wanted.wants_tabs_alone() => {
            return tabs.iter().map(|tab| in_tab("lists_by_tab_waiting", tab)).collect();
        }
        (Sort::LongestWaiting, None, None) => return vec![Branch::of("lists_by_waiting", Vec::new())],
        (Sort::ClosingSoonest, Some(agents), _) => {
            let all = each("lists_by_agent_closing", "agent_id", agents);
            return all.into_iter().map(Branch::maybe_open).collect();
        }
        (Sort::ClosingSoonest, None, Some(tab)) => return vec![in_tab("lists_by_tab_closing", tab).maybe_open()],
        (Sort::ClosingSoonest, None, None) if wanted.wants_tabs_alone() => {
            return tabs.iter().map(|tab| in_tab("lists_by_tab_closing", tab).maybe_open()).collect();
        }
        (Sort::ClosingSoonest, None, None) => return vec![Branch::of("lists_by_closing", Vec::new()).maybe_open()],
        (Sort::Newest | Sort::Oldest, Some(agents), _) => return each("conversations_by_agent", "agent_id", agents),
        (Sort::Newest | Sort::Oldest, None, _) => {}
    }
    if let Some(teams) = wanted.teams.as_ref().filter(few) {
        return each("conversations_by_team", "team_id", teams);
    }
    // Of an account most windows are closed: what is open is found sooner among all that are.
    if wanted.wants_open() {
        return vec![Branch::of("lists_by_open", Vec::new()).maybe_open()];
    }
    if let Some(accounts) = wanted.accounts.as_ref().filter(few) {
        return each("lists_by_account", "account_id", accounts);
    }
    match &wanted.tabs {
        Some(tabs) => tabs.iter().map(|tab| in_tab("lists_by_tab", tab)).collect(),
        None => vec![Branch::of("lists_by_time", Vec::new())],
    }
}
