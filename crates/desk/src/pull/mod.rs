//! Pull: what platforms don't bring us is fetched, journalled with its cursor in one transaction, and applied like any call.
//!
//! Every replica looks for accounts to fetch; a lease decides which of them fetches one.

mod account;

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use transom_domain::{ChannelAccountId, ConnectionId, WorkspaceId};
use transom_storage::WorkspaceScope;

use crate::{Desk, DeskError};
use account::Fetch;

/// How often it is looked for accounts that came or went.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Accounts in hand, with what stops each.
type Running = HashMap<(WorkspaceId, ChannelAccountId), CancellationToken>;

/// Fetches until told to stop.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    if !desk.registry().iter().any(|platform| platform.fetches()) {
        return;
    }
    let mut running = Running::new();
    let mut tasks = JoinSet::new();
    while !stop.is_cancelled() {
        while let Some(ended) = tasks.try_join_next() {
            ended.ok().and_then(|key| running.remove(&key));
        }
        if let Err(error) = look(&desk, &stop, &mut running, &mut tasks).await {
            tracing::warn!(%error, "accounts to fetch could not be looked for; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn look(
    desk: &Desk,
    stop: &CancellationToken,
    running: &mut Running,
    tasks: &mut JoinSet<(WorkspaceId, ChannelAccountId)>,
) -> Result<(), DeskError> {
    let mut wanted = Vec::new();
    for scope in desk.storage().all_scopes().await? {
        for account in fetched(desk, &scope).await? {
            wanted.push((scope.workspace(), account));
            running.entry((scope.workspace(), account)).or_insert_with(|| {
                let stop = stop.child_token();
                let fetch = Fetch::new(desk.clone(), scope.clone(), account);
                let ends = stop.clone();
                tasks.spawn(async move {
                    // A panic ends this one only: the next look begins it again.
                    if AssertUnwindSafe(fetch.run(ends)).catch_unwind().await.is_err() {
                        metrics::counter!("transom_panics_total", "job" => "pull").increment(1);
                        tracing::error!(%account, "fetching an account panicked; it begins again");
                    }
                    (fetch.workspace(), account)
                });
                stop
            });
        }
    }
    // An account that was removed or switched off is let go; its task ends by itself.
    for (_, stop) in running.iter().filter(|(key, _)| !wanted.contains(key)) {
        stop.cancel();
    }
    Ok(())
}

/// The accounts of a workspace that are fetched; one of each connection, where that is enough.
async fn fetched(desk: &Desk, scope: &WorkspaceScope) -> Result<Vec<ChannelAccountId>, DeskError> {
    let mut accounts = desk.reader(scope).accounts().await?;
    accounts.retain(|account| {
        account.enabled && desk.registry().get(&account.platform).is_some_and(|platform| platform.fetches())
    });
    let mut found = Vec::new();
    let mut covered: BTreeMap<ConnectionId, ChannelAccountId> = BTreeMap::new();
    for account in accounts {
        // An account that can't be connected can't be fetched; what is wrong with it is told where it is set up.
        let Ok((_, channel)) = desk.account(scope, account.id).await else { continue };
        match channel.pull() {
            None => {}
            Some(pull) if pull.covers_connection() => {
                let first = covered.entry(account.connection).or_insert(account.id);
                *first = (*first).min(account.id);
            }
            Some(_) => found.push(account.id),
        }
    }
    found.extend(covered.into_values());
    Ok(found)
}
