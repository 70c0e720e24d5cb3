//! What platforms tell about accounts and templates.

use serde_json::json;
use transom_channel::{AccountEffect, AccountNotice, TemplateNotice};

use super::item::Case;
use crate::DeskError;
use crate::quota::shared_by;

/// Something about the account: its limits, its features, whether it may send.
pub(super) async fn about_account(case: &Case<'_>, notice: &AccountNotice) -> Result<(), DeskError> {
    // Not the one that is kept in memory: what another replica changed meanwhile must stay.
    let Some(known) = case.tx.lock_account(case.account.id).await? else { return Ok(()) };
    let mut account = known.clone();
    match &notice.effect {
        None => {}
        Some(AccountEffect::Suspended) => account.suspended = Some(notice.what.clone()),
        Some(AccountEffect::Restored) => account.suspended = None,
        Some(AccountEffect::Limit { quota, limit }) => {
            account.limits.insert(quota.clone(), *limit);
        }
        Some(AccountEffect::Used { quota, used }) => {
            let quota = case.policy.quota(quota);
            let row = quota
                .and_then(|quota| Some((shared_by(&account, quota.scope())?, quota.name(), quota.period_at(case.at)?)));
            if let Some((scope, quota, period)) = row {
                case.tx.raise_used(&scope, quota, &period, *used, case.now).await?;
            }
        }
        Some(AccountEffect::Feature { name, granted: true }) => {
            account.features.insert(name.clone());
        }
        Some(AccountEffect::Feature { name, granted: false }) => {
            account.features.remove(name);
        }
    }
    if account != known {
        case.tx.put_account(&account, case.now).await?;
        case.ground.account_changed();
    }
    let data =
        json!({ "account": account.id, "what": notice.what, "text": notice.text, "suspended": account.suspended });
    case.emit("channel.notice", None, data).await
}

/// Something about a template: a status that no longer lets it be sent is in force at once.
pub(super) async fn about_template(case: &Case<'_>, notice: &TemplateNotice) -> Result<(), DeskError> {
    let known = match notice.status {
        None => true,
        Some(status) => {
            case.tx
                .set_template_status(
                    case.account.id,
                    &notice.name,
                    &notice.language,
                    status,
                    &notice.provider_status,
                    notice.category.as_deref(),
                    case.latest(),
                )
                .await?
        }
    };
    let data = json!({
        "account": case.account.id,
        "name": notice.name,
        "language": notice.language,
        "status": notice.status,
        "provider_status": notice.provider_status,
        "reason": notice.reason,
        "known": known,
    });
    case.emit("template.changed", None, data).await
}
