//! What a refusal proves, taken into facts and ledger before anything is decided again.

use serde_json::json;
use time::OffsetDateTime;
use transom_channel::Evidence;
use transom_domain::Ids;
use transom_storage::Tx;
use transom_windows::{Blocker, Event, PermitRecord, PlatformRefusal, Policy, Quota, Spend, What};

use crate::quota::scope_of;
use crate::situation::Situation;
use crate::{DeskError, changes};

/// A message that was refused.
pub(crate) struct Refused<'m> {
    /// The right by which it went.
    pub(crate) permit: Option<&'m PermitRecord>,
    /// What it took from the ledger, where that is still known.
    pub(crate) spends: Option<&'m [Spend]>,
    /// When it went.
    pub(crate) sent_at: OffsetDateTime,
}

/// Records a proof. Whether the account is another one now: what is kept of it in memory is outdated after the commit.
pub(crate) async fn record(
    tx: &Tx,
    ids: &dyn Ids,
    situation: &mut Situation,
    of: &Refused<'_>,
    proof: &Evidence,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let Refused { permit, sent_at, .. } = *of;
    let spends = of.spends.unwrap_or_default();
    let mut learnt = false;
    let refused = |cause| {
        permit.map(|permit| What::Refused {
            grant: permit.grant.clone(),
            reference: permit.reference.clone(),
            sent_at,
            cause,
        })
    };
    let what = match proof {
        Evidence::WindowClosed => refused(PlatformRefusal::WindowClosed),
        Evidence::QuotaReached { quota } => {
            let policy = situation.policy.clone();
            let grants_own = || {
                permit.and_then(|permit| policy.grant(&permit.grant)).into_iter().flat_map(|own| policy.spent_by(own))
            };
            let quota = known_quota(situation, &policy, quota.as_deref()).or_else(|| grants_own().next());
            let spent = |spend: &&Spend| quota.is_some_and(|quota| quota.name() == spend.quota);
            // The period's row counts as full, for everybody who shares it.
            match (spends.iter().find(spent), quota) {
                (Some(spend), _) => {
                    tx.use_up(&scope_of(situation, spend.scope), &spend.quota, &spend.period, now).await?;
                    learnt = learn_limit(tx, ids, situation, spend, now).await?;
                }
                (None, Some(quota)) => {
                    if let Some(period) = quota.period_at(sent_at) {
                        tx.use_up(&scope_of(situation, quota.scope()), quota.name(), &period, now).await?;
                    }
                }
                (None, None) => {}
            }
            // What a full quota does not keep from going again would be refused again: the right itself is refused.
            let holds_back = match of.spends {
                Some(spends) => spends.iter().any(|spend| spent(&spend)),
                None => grants_own().any(|own| quota.is_some_and(|quota| quota.name() == own.name())),
            };
            if !holds_back && let Some(what) = refused(PlatformRefusal::WindowClosed) {
                situation.apply(&Event { at: now, what });
            }
            quota.and_then(|quota| refused(PlatformRefusal::QuotaReached { quota: quota.name().to_owned() }))
        }
        Evidence::Cooling { category, span } => match category.as_deref().map(str::parse) {
            Some(Ok(category)) => Some(What::Cooling { category, until: now.saturating_add(*span) }),
            Some(Err(_)) | None => None,
        },
        Evidence::Blocked => Some(What::Blocked { by: Blocker::Customer }),
        Evidence::OptedOut(scope) => Some(What::OptOut { scope: *scope }),
        Evidence::Unreachable { reason } => Some(What::Unreachable { reason: reason.clone() }),
        // The catalogue is told by the platform's own notice or the next sync.
        Evidence::Template(_) => None,
    };
    if let Some(what) = what {
        situation.apply(&Event { at: now, what });
    }
    Ok(learnt)
}

/// The account's own limit, once two people were refused at the same count, where the policy lists that as possible.
async fn learn_limit(
    tx: &Tx,
    ids: &dyn Ids,
    situation: &Situation,
    spend: &Spend,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let Some(limit) = spend.used else { return Ok(false) };
    let possible = situation.policy.quota(&spend.quota).is_some_and(|quota| quota.possible().contains(&limit));
    let account = situation.account.id;
    if !possible || !tx.note_limit_evidence(account, &spend.quota, situation.identity.id, limit, now).await? {
        return Ok(false);
    }
    // Not the one that is kept in memory: what was changed meanwhile must stay.
    let Some(mut account) = tx.lock_account(account).await? else { return Ok(false) };
    if account.limits.insert(spend.quota.clone(), Some(limit)) == Some(Some(limit)) {
        return Ok(false);
    }
    tx.put_account(&account, now).await?;
    let data = json!({ "account": account.id, "quota": spend.quota, "limit": limit });
    changes::tell(tx, ids, None, "channel.limit_learnt", data, now).await?;
    Ok(true)
}

/// The quota of that name, as the channel tells it.
fn known_quota<'p>(situation: &Situation, policy: &'p Policy, name: Option<&str>) -> Option<&'p Quota> {
    let name = name?;
    let found = policy.quota(name);
    if found.is_none() {
        let account = situation.account.id;
        tracing::warn!(%account, policy = policy.name(), quota = name, "a refusal names a quota that the policy does not have");
    }
    found
}
