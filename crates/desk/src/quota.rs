//! From a permit to the rows of the quota ledger that it takes from.

use transom_domain::ChannelAccount;
use transom_storage::{Counting, QuotaScope, Reservation};
use transom_windows::{Counts, Per, Permit, Scope, Spend};

use crate::situation::Situation;

/// What a part takes from which ledger row, as the permit says it.
pub(crate) fn reservations(situation: &Situation, permit: &Permit, cost: u32) -> Vec<Reservation> {
    taken(situation, &permit.spends(), cost)
}

/// The same for what is to be taken, whoever says so.
pub(crate) fn taken(situation: &Situation, spends: &[Spend], cost: u32) -> Vec<Reservation> {
    let reservation = |spend: &Spend| {
        let quota = situation.policy.quota(&spend.quota);
        Reservation {
            scope: scope_of(situation, spend.scope),
            counting: quota.map_or(Counting::Requests, |quota| counting(quota.counts(), quota.per())),
            quota: spend.quota.clone(),
            period: spend.period.clone(),
            limit: spend.limit.map(u64::from),
            // A permit was asked for the whole message; each part takes its own share.
            cost: if spend.cost == 0 { 0 } else { cost },
        }
    };
    spends.iter().map(reservation).collect()
}

/// Whose row it is.
pub(crate) fn scope_of(situation: &Situation, scope: Scope) -> QuotaScope {
    shared_by(&situation.account, scope).unwrap_or(QuotaScope::Identity(situation.identity.id))
}

/// The same for what several people share; `None` if each has their own. An account without a group is a group of its own.
pub(crate) fn shared_by(account: &ChannelAccount, scope: Scope) -> Option<QuotaScope> {
    match (scope, &account.quota_group) {
        (Scope::Identity, _) => None,
        (Scope::Group, Some(group)) => Some(QuotaScope::Group(group.clone())),
        (Scope::Account | Scope::Group, _) => Some(QuotaScope::Account(account.id)),
    }
}

fn counting(counts: Counts, per: Per) -> Counting {
    match (counts, per) {
        (Counts::DistinctRecipients, Per::Rolling(window) | Per::RollingSinceOpening(window)) => {
            Counting::DistinctRecipients { window }
        }
        (Counts::Requests | Counts::Recipients, Per::Rolling(window) | Per::RollingSinceOpening(window)) => {
            Counting::Rolling { window }
        }
        // Within a period that turns by the calendar or by an opening, the row itself ends the count.
        (Counts::DistinctRecipients, Per::Opening | Per::Month | Per::Day) => {
            Counting::DistinctRecipients { window: time::Duration::days(31) }
        }
        (Counts::Requests, _) => Counting::Requests,
        (Counts::Recipients, _) => Counting::Recipients,
    }
}
