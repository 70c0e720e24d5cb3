//! What a refusal proves, taken into facts, ledger and catalogue before anything is decided again.

use time::OffsetDateTime;
use transom_channel::Evidence;
use transom_storage::Tx;
use transom_windows::{Blocker, Event, PermitRecord, PlatformRefusal, Spend, What};

use crate::DeskError;
use crate::quota::scope_of;
use crate::situation::Situation;

/// Records a proof. `permit` is the right by which the refused message went, `spends` what it took from the ledger where that
/// is still known, `sent_at` when it went.
pub(crate) async fn record(
    tx: &Tx,
    situation: &mut Situation,
    permit: Option<&PermitRecord>,
    spends: &[Spend],
    proof: &Evidence,
    sent_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
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
            let quota = quota.clone().or_else(|| spent_quota(situation, permit));
            // The period's row counts as full, for everybody who shares it.
            for spend in spends.iter().filter(|spend| quota.as_deref() == Some(&*spend.quota)) {
                tx.use_up(&scope_of(situation, spend.scope), &spend.quota, &spend.period, now).await?;
            }
            quota.and_then(|quota| refused(PlatformRefusal::QuotaReached { quota }))
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
    Ok(())
}

/// The quota that the grant spends, where the platform's code does not tell which.
fn spent_quota(situation: &Situation, permit: Option<&PermitRecord>) -> Option<String> {
    let grant = situation.policy.grant(&permit?.grant)?;
    situation.policy.spent_by(grant).next().map(|quota| quota.name().to_owned())
}
