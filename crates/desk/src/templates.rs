//! Message templates, kept as the platforms have them: each account's catalogue is asked for about once an hour, by one replica
//! at a time, and what could not be confirmed for a day is shown as stale.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration as Pause;

use rand::RngExt as _;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use transom_channel::Channel;
use transom_domain::{ChannelAccount, ChannelAccountId, Template, TemplateId, TemplateStatus, WorkspaceId};
use transom_storage::{SyncCounts, Tx, WorkspaceScope};

use crate::changes::tell;
use crate::{Desk, DeskError};

/// How often a catalogue is asked for.
const EVERY: Duration = Duration::HOUR;
/// Accounts that were connected together are asked for within so long.
const SPREAD: u128 = 600;
/// What the platform has not confirmed for so long may be otherwise by now.
const STALE_AFTER: Duration = Duration::DAY;
/// How often it is looked what is due.
const LOOK_EVERY: Pause = Pause::from_secs(5);
/// How long one replica has an account to itself, by the database's clock: longer than a catalogue takes.
const LEASE: Duration = Duration::minutes(5);
/// The longest pause after a failure (reliability.md 7).
const LONGEST_PAUSE: Duration = Duration::minutes(10);
/// After so many failures in a row it is told.
const TELL_AFTER: u32 = 5;

/// Failures in a row of an account, and before when it is left alone.
type Failing = HashMap<(WorkspaceId, ChannelAccountId), (u32, OffsetDateTime)>;

/// Whether nobody knows any more that the platform still has a template as it is shown. It may be sent all the same: the
/// platform has the last word.
pub fn is_stale(template: &Template, now: OffsetDateTime) -> bool {
    template.definition.status != TemplateStatus::Deleted && now - template.synced_at >= STALE_AFTER
}

/// Asks for what is due until told to stop.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    let mut failing = Failing::new();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            looked = look(&desk, &mut failing) => if let Err(error) = looked {
                tracing::warn!(%error, "templates could not be looked after; trying again");
            },
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn look(desk: &Desk, failing: &mut Failing) -> Result<(), DeskError> {
    for scope in desk.storage().all_scopes().await? {
        let mut accounts = desk.reader(&scope).accounts().await?;
        accounts.retain(|account| account.enabled && keeps_templates(desk, account));
        for account in accounts {
            let key = (scope.workspace(), account.id);
            let rests = failing.get(&key).is_some_and(|(_, until)| desk.now() < *until);
            if rests || !is_due(desk, &scope, account.id).await? {
                continue;
            }
            match in_turn(desk, &scope, &account).await {
                Ok(()) => drop(failing.remove(&key)),
                Err(error) => {
                    let failures = failing.get(&key).map_or(0, |(failures, _)| *failures).saturating_add(1);
                    failing.insert(key, (failures, desk.now() + pause_after(failures)));
                    tracing::warn!(account = %account.id, %error, failures, "templates could not be fetched");
                    if failures == TELL_AFTER {
                        tell_failing(desk, &scope, account.id, &error).await?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn keeps_templates(desk: &Desk, account: &ChannelAccount) -> bool {
    desk.registry().get(&account.platform).is_some_and(|platform| platform.keeps_templates())
}

async fn is_due(desk: &Desk, scope: &WorkspaceScope, account: ChannelAccountId) -> Result<bool, DeskError> {
    let spread = i64::try_from(account.uuid().as_u128() % SPREAD).unwrap_or_default();
    let synced_at = desk.reader(scope).templates_synced_at(account).await?;
    Ok(synced_at.is_none_or(|at| desk.now() >= at + EVERY + Duration::seconds(spread)))
}

/// 1 s, doubled each time, with equal jitter.
fn pause_after(failures: u32) -> Duration {
    let doubled = Duration::seconds(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_PAUSE) * (0.5 + 0.5 * rand::rng().random::<f64>())
}

/// Fetches the templates of an account, if it has any and no other replica does.
async fn in_turn(desk: &Desk, scope: &WorkspaceScope, account: &ChannelAccount) -> Result<(), DeskError> {
    // An account that can't be connected can't be asked; what is wrong with it is told where it is set up.
    let Ok((account, channel)) = desk.account(scope, account.id).await else { return Ok(()) };
    if channel.templates().is_none() {
        return Ok(());
    }
    let (lease, owner) = (format!("templates:{}", account.id), desk.owner());
    let name = lease.clone();
    let ours = desk.storage().transact(scope, move |tx| {
        let name = name.clone();
        Box::pin(async move { Ok::<_, DeskError>(tx.acquire_lease(&name, owner, LEASE).await?) })
    });
    if ours.await?.is_none() {
        return Ok(());
    }
    let synced = match is_due(desk, scope, account.id).await {
        Ok(true) => sync(desk, scope, &account, channel.as_ref()).await.map(drop),
        other => other.map(drop),
    };
    let release = desk.storage().transact(scope, move |tx| {
        let lease = lease.clone();
        Box::pin(async move { Ok::<_, DeskError>(tx.release_lease(&lease, owner).await?) })
    });
    release.await?;
    synced
}

/// Asks the platform for an account's templates and stores what it says. What changed is told, each status by itself.
pub(crate) async fn sync(
    desk: &Desk,
    scope: &WorkspaceScope,
    account: &ChannelAccount,
    channel: &dyn Channel,
) -> Result<SyncCounts, DeskError> {
    let catalog = channel
        .templates()
        .ok_or_else(|| DeskError::conflict("no_templates", "this channel has no message templates"))?;
    let definitions = Arc::new(catalog.list().await?);
    let (desk_in, id, now) = (desk.clone(), account.id, desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let (desk, definitions) = (desk_in.clone(), definitions.clone());
            Box::pin(async move {
                // Locked before it is read: of two that synchronise one tells what changed.
                tx.lock_account(id).await?.ok_or(DeskError::NotFound { what: "channel" })?;
                let before = statuses(tx, id).await?;
                let counts = tx.upsert_templates(id, &definitions, desk.ids(), now).await?;
                if counts == SyncCounts::default() {
                    return Ok(counts);
                }
                for template in tx.templates(id).await? {
                    let status = template.definition.status;
                    if before.get(&template.id).is_some_and(|known| *known != status) {
                        tell_changed(tx, &desk, &template, now).await?;
                    }
                }
                let data =
                    json!({ "account": id, "added": counts.added, "changed": counts.changed, "gone": counts.gone });
                tell(tx, desk.ids(), None, "templates.synced", data, now).await?;
                Ok(counts)
            })
        })
        .await
}

async fn statuses(tx: &Tx, account: ChannelAccountId) -> Result<BTreeMap<TemplateId, TemplateStatus>, DeskError> {
    let templates = tx.templates(account).await?;
    Ok(templates.into_iter().map(|template| (template.id, template.definition.status)).collect())
}

async fn tell_changed(tx: &Tx, desk: &Desk, template: &Template, now: OffsetDateTime) -> Result<(), DeskError> {
    let definition = &template.definition;
    let data = json!({
        "account": template.account,
        "name": definition.name,
        "language": definition.language,
        "status": definition.status,
        "provider_status": definition.provider_status,
        "reason": null,
        "known": true,
    });
    tell(tx, desk.ids(), None, "template.changed", data, now).await
}

async fn tell_failing(
    desk: &Desk,
    scope: &WorkspaceScope,
    account: ChannelAccountId,
    error: &DeskError,
) -> Result<(), DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    let data = Arc::new(json!({ "account": account, "error": error.code() }));
    desk.storage()
        .transact(scope, move |tx| {
            let (desk, data) = (desk_in.clone(), data.clone());
            Box::pin(async move { tell(tx, desk.ids(), None, "templates.failing", (*data).clone(), now).await })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        for (failures, longest) in [(1, 1), (2, 2), (5, 16), (11, 600), (u32::MAX, 600)] {
            for _ in 0..50 {
                let (pause, longest) = (pause_after(failures), Duration::seconds(longest));
                assert!(longest / 2_i32 <= pause && pause <= longest, "{failures}: {pause}");
            }
        }
    }
}
