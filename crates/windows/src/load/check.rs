//! What contradicts itself, or can never be used, in a policy whose parts could all be read.

use super::Names;
use super::reader::Problems;
use crate::grant::{Condition, CountedFrom, Grant, standing};
use crate::policy::{Rules, Session, positions};
use crate::quota::{Counts, Per, Scope};

/// Checks the policy as a whole and derives what follows from it.
pub(super) fn check(rules: &mut Rules, names: &Names<'_>, problems: &mut Problems<'_>) {
    if rules.grants.is_empty() {
        problems.at(&(0..0), "a policy without a [[grant]] lets nothing through: at least one is expected");
    }
    for (grant, (_, span)) in rules.grants.iter().zip(&names.grants) {
        for reason in useless(grant, rules) {
            problems.at(span, format!("no message can use `{}`: {reason}", grant.name));
        }
        if taken_away_by_an_event(grant) {
            let reason = "a customer's message would take it away, and events of a customer only add";
            problems.at(span, format!("`{}` cannot need or exclude that: {reason}", grant.name));
        }
    }
    quotas(rules, names, problems);
    billing(rules, names, problems);
    unused(rules, names, problems);
    sessions(rules, names, problems);
    for position in 0..rules.kinds.len() {
        let openers = || rules.grants.iter().filter(|grant| grant.opened_by & 1 << position != 0);
        let needs_ref = openers().next().is_some() && openers().all(|grant| grant.counted_from == CountedFrom::Each);
        let mixed = !needs_ref && openers().any(|grant| grant.counted_from == CountedFrom::Each);
        let ends = rules.grants.iter().any(|grant| grant.ended_by & 1 << position != 0);
        if needs_ref
            && ends
            && let Some((name, span)) = names.kinds.get(position)
        {
            problems.at(span, format!("the kind `{name}` is a right of its own each time, and ends no other"));
        }
        if mixed && let Some((name, span)) = names.kinds.get(position) {
            let reason = "counts each event on its own for one grant and together for another: make it two kinds";
            problems.at(span, format!("the kind `{name}` {reason}"));
        }
        if let Some(kind) = rules.kinds.get_mut(position) {
            kind.needs_ref = needs_ref;
        }
    }
}

/// Why no message could ever use this grant.
fn useless(grant: &Grant, rules: &Rules) -> Vec<String> {
    let mut reasons = Vec::new();
    let Condition { standing: needs, features, templates } = grant.needs;
    if needs & grant.unless.standing != 0
        || features & grant.unless.features != 0
        || !templates.and(grant.unless.templates).is_empty()
    {
        reasons.push("it needs what it excludes".to_owned());
    }
    let categories = grant.templates();
    if !categories.and(grant.unless.templates).is_empty() {
        reasons.push("it excludes a category of template that it carries".to_owned());
    }
    for quota in positions(grant.spends).filter_map(|quota| rules.quotas.get(quota)) {
        if quota.limit == Some(0) {
            reasons.push(format!("its quota `{}` is 0", quota.name));
        }
        if quota.per == Per::Opening && grant.opened_by == 0 {
            reasons.push(format!("its quota `{}` is counted per opening, and it has none", quota.name));
        }
    }
    reasons
}

/// Whether an event that implies something about its customer would end the grant.
fn taken_away_by_an_event(grant: &Grant) -> bool {
    let implied = standing::WROTE_BEFORE | standing::SUBSCRIBED;
    grant.needs.standing & standing::UNSUBSCRIBED != 0 || grant.unless.standing & implied != 0
}

fn quotas(rules: &Rules, names: &Names<'_>, problems: &mut Problems<'_>) {
    for (position, (quota, (_, span))) in rules.quotas.iter().zip(&names.quotas).enumerate() {
        let mut wrong = |reason: &str| problems.at(span, format!("quota `{}`: {reason}", quota.name));
        let own = matches!(quota.per, Per::Opening | Per::RollingSinceOpening(_));
        if own && quota.scope != Scope::Identity {
            wrong("what is counted since a person's event has the scope `identity`");
        }
        let spenders = || rules.grants.iter().filter(|grant| grant.spends & 1 << position != 0);
        let opened = |grant: &Grant| (grant.opened_by, grant.counted_from, grant.within);
        let first = spenders().next().map(opened);
        if quota.per == Per::Opening && spenders().any(|grant| Some(opened(grant)) != first) {
            wrong("what is counted per opening is spent by grants that are opened alike");
        }
        if quota.per == Per::Opening && quota.limit.is_none() {
            wrong("`limit` is missing");
        }
        if matches!(quota.per, Per::RollingSinceOpening(_)) != (quota.reset_by != 0) {
            wrong("`reset_by` names the kinds of events that start a `rolling_since_opening` anew, and only that");
        }
        let windowed = |grant: &Grant| grant.is_timed() && grant.counted_from != CountedFrom::Each;
        if quota.free_within.is_some_and(|grant| !rules.grants.get(grant).is_some_and(windowed)) {
            wrong(
                "`free_within` names a grant that has `opened_by` and `within`, and does not count each event on its own",
            );
        }
        if quota.counts == Counts::DistinctRecipients && quota.scope == Scope::Identity {
            wrong("one person is one recipient: `distinct_recipients` is for quotas of an account or group");
        }
        // A late event may show that this person's messages were free: only the window that is kept can tell.
        let by_its_window = |free: &Grant| {
            let alike = |grant: &Grant| grant.counted_from == CountedFrom::Latest && grant.opened_by == free.opened_by;
            quota.per == Per::Opening && free.ended_by == 0 && alike(free) && spenders().all(alike)
        };
        let free = quota.free_within.and_then(|grant| rules.grants.get(grant));
        if quota.scope == Scope::Identity && free.is_some_and(|grant| !by_its_window(grant)) {
            wrong(
                "`free_within` of one person's quota is for what is counted per opening; the grant that it names and those that \
                 spend it are opened alike, from the latest event, and it has no `ended_by`: else nobody knows later which \
                 messages were free",
            );
        }
        if !quota.possible.is_empty() && !quota.limit.is_some_and(|limit| quota.possible.contains(&limit)) {
            wrong("`limit` is not among the `possible` ones");
        }
    }
}

/// Names that are declared and never used are misspelt, or left over.
/// A message is booked anew when the platform says that it counted it by another grant, so a word means one grant, and what
/// such grants do not share must be countable after the fact.
fn billing(rules: &Rules, names: &Names<'_>, problems: &mut Problems<'_>) {
    let billed = || rules.grants.iter().zip(&names.grants).filter(|(grant, _)| !grant.billed_as.is_empty());
    for (grant, (_, span)) in billed() {
        let same = |other: &Grant| {
            other.name != grant.name && other.billed_as().any(|word| grant.billed_as().any(|own| own == word))
        };
        if let Some((other, _)) = billed().find(|(other, _)| same(other)) {
            problems.at(
                span,
                format!("`billed_as` of `{}` and `{}` share a word: it means one of them", grant.name, other.name),
            );
        }
    }
    let shared = billed().fold(u64::MAX, |bits, (grant, _)| bits & grant.spends);
    let own = billed().fold(0, |bits, (grant, _)| bits | grant.spends & !shared);
    for position in positions(own) {
        let Some((quota, (_, span))) = rules.quotas.get(position).zip(names.quotas.get(position)) else { continue };
        if !matches!(quota.per, Per::Month | Per::Day) || quota.counts == Counts::DistinctRecipients {
            let reason = "is spent by only some of the grants with `billed_as`: such a quota counts requests or recipients, per \
                          month or day";
            problems.at(span, format!("quota `{}` {reason}", quota.name));
        }
    }
}

fn unused(rules: &Rules, names: &Names<'_>, problems: &mut Problems<'_>) {
    for (position, (name, span)) in names.quotas.iter().enumerate() {
        if !rules.grants.iter().any(|grant| grant.spends & 1 << position != 0) {
            problems.at(span, format!("no grant spends the quota `{name}`"));
        }
    }
    for (position, (name, span)) in names.features.iter().enumerate() {
        let named = |grant: &Grant| (grant.needs.features | grant.unless.features) & 1 << position != 0;
        if !rules.grants.iter().any(named) {
            problems.at(span, format!("no grant names the feature `{name}`"));
        }
    }
}

/// Grants counted from the first event share one session with every grant that such an event opens.
fn sessions(rules: &mut Rules, names: &Names<'_>, problems: &mut Problems<'_>) {
    for (grant, (_, span)) in rules.grants.iter().zip(&names.grants) {
        if grant.opened_by == 0 || grant.counted_from != CountedFrom::First {
            continue;
        }
        let Some(within) = grant.within else {
            problems.at(
                span,
                format!("`{}` is counted from the first event, so it needs `within`: nothing else ends it", grant.name),
            );
            continue;
        };
        let session = Session { kinds: grant.opened_by, within };
        for position in positions(grant.opened_by) {
            let Some(kind) = rules.kinds.get_mut(position) else { continue };
            if *kind.session.get_or_insert(session) != session {
                let reason = format!(
                    "`{}` is counted from the first event and shares the kind `{}` with a grant of another session",
                    grant.name, kind.name
                );
                problems.at(span, reason);
            }
        }
    }
}
