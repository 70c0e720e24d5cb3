//! Applying what was journalled: in order, up to a hundred calls a transaction.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use transom_channel::{Inbound, RawInbound};
use transom_domain::QuarantineId;
use transom_storage::{CallOutcome, JournalCall, NewQuarantine, StorageError, Tx, WorkspaceScope};

use super::item::{self, Trouble};
use crate::registry::Hook;
use crate::{Desk, DeskError};

/// How many calls are applied in one transaction.
const BATCH: u64 = 100;
/// A call that was in hand at this many crashes is quarantined.
const POISON: u32 = 3;
/// How often the journal is looked at when nobody calls: other replicas journal too.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Calls that were taken in hand.
    pub calls: u32,
    /// Items that changed something.
    pub items: u32,
    /// Items that went to quarantine.
    pub quarantined: u32,
}

/// Applies the journal until told to stop.
pub async fn run(desk: Desk, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let looked = apply_waiting(&desk).await;
        match looked {
            Ok(applied) if applied.calls > 0 => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the journal could not be applied; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = desk.work().inbound.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Applies one batch of every workspace that has something waiting.
///
/// # Errors
/// When the database fails; nothing is lost, the next call goes on.
pub async fn apply_waiting(desk: &Desk) -> Result<Applied, DeskError> {
    let mut total = Applied::default();
    for scope in desk.storage().scopes_with_unapplied_journal().await? {
        let applied = apply_batch(desk, &scope).await?;
        total.calls += applied.calls;
        total.items += applied.items;
        total.quarantined += applied.quarantined;
    }
    Ok(total)
}

async fn apply_batch(desk: &Desk, scope: &WorkspaceScope) -> Result<Applied, DeskError> {
    let now = desk.now();
    let (desk_in, scope_in) = (desk.clone(), scope.clone());
    let applied = desk
        .storage()
        .transact(scope, move |tx| {
            let (desk, scope) = (desk_in.clone(), scope_in.clone());
            Box::pin(async move {
                let mut applied = Applied::default();
                for call in tx.lock_unapplied(BATCH).await? {
                    let done = apply_call(&desk, &scope, tx, &call, now).await?;
                    applied.calls += 1;
                    applied.items += done.items;
                    applied.quarantined += done.quarantined;
                }
                Ok::<_, DeskError>(applied)
            })
        })
        .await?;
    if applied.calls > 0 {
        desk.work().outbound.notify_one();
        metrics::counter!("transom_inbound_items_total").increment(u64::from(applied.items));
    }
    Ok(applied)
}

/// One call: all its items, each on its own.
async fn apply_call(
    desk: &Desk,
    scope: &WorkspaceScope,
    tx: &Tx,
    call: &JournalCall,
    now: OffsetDateTime,
) -> Result<Applied, DeskError> {
    let mut done = Applied::default();
    let items = match read(desk, scope, tx, call).await? {
        Ok(items) => items,
        Err(trouble) => {
            quarantine(desk, tx, call, None, &trouble, now).await?;
            tx.finish_call(call.call.id, CallOutcome::Quarantined, &json!({ "reason": trouble.reason }), now).await?;
            return Ok(Applied { quarantined: 1, ..done });
        }
    };
    for inbound in items {
        let inbound = Arc::new(inbound);
        let (desk_in, scope_in, inbound_in) = (desk.clone(), scope.clone(), inbound.clone());
        let connection = call.call.connection;
        let outcome = tx
            .savepoint(|tx| {
                Box::pin(async move { item::apply(&desk_in, &scope_in, tx, connection, &inbound_in, now).await })
            })
            .await;
        match outcome {
            Ok(changed) => done.items += u32::from(changed),
            Err(error) => {
                let trouble = into_trouble(error)?;
                quarantine(desk, tx, call, Some(&inbound), &trouble, now).await?;
                done.quarantined += 1;
            }
        }
    }
    let outcome = if done.quarantined > 0 { CallOutcome::Quarantined } else { CallOutcome::Applied };
    let summary = json!({ "items": done.items, "quarantined": done.quarantined });
    tx.finish_call(call.call.id, outcome, &summary, now).await?;
    Ok(done)
}

/// The items of a call, or why there are none.
async fn read(
    desk: &Desk,
    scope: &WorkspaceScope,
    tx: &Tx,
    call: &JournalCall,
) -> Result<Result<Vec<Inbound>, Trouble>, DeskError> {
    if call.crashes >= POISON {
        return Ok(Err(Trouble::new("poison", "this call was in hand each time the service crashed")));
    }
    let channel = match call.call.account {
        // Fetched for one account: its own settings say how it is read.
        Some(account) => match desk.account(scope, account).await {
            Ok((_, channel)) => channel,
            Err(error @ DeskError::Storage(_)) => return Err(error),
            Err(error) => return Ok(Err(Trouble::new("unknown_account", error.to_string()))),
        },
        None => match desk.channels().hook(tx, scope, call.call.connection).await? {
            Some(Hook { channel, .. }) => channel,
            None => return Ok(Err(Trouble::new("unknown_connection", "the connection was removed"))),
        },
    };
    let (query, headers): (Vec<_>, Vec<_>) =
        call.call.headers.iter().cloned().partition(|(name, _)| name == super::accept::QUERY);
    let raw = RawInbound {
        headers,
        query: query.into_iter().next().map(|(_, query)| query),
        body: call.call.body.clone(),
        received_at: call.call.received_at,
    };
    Ok(channel.parse(&raw).map_err(|error| Trouble::new("unreadable", error.to_string())))
}

/// A fault that belongs to the item; what belongs to the database is passed on and the whole batch runs again.
fn into_trouble(error: DeskError) -> Result<Trouble, DeskError> {
    match error {
        DeskError::Storage(
            error @ (StorageError::Unreadable { .. }
            | StorageError::MissingReference { .. }
            | StorageError::Duplicate { .. }
            | StorageError::Panicked { .. }),
        ) => Ok(Trouble::new("fault", error.to_string())),
        DeskError::Storage(error) => Err(DeskError::Storage(error)),
        other => Ok(Trouble::new(other.code(), other.to_string())),
    }
}

async fn quarantine(
    desk: &Desk,
    tx: &Tx,
    call: &JournalCall,
    inbound: Option<&Inbound>,
    trouble: &Trouble,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    metrics::counter!("transom_quarantined_total", "reason" => trouble.reason).increment(1);
    let item = inbound.map(|inbound| json!({ "account": inbound.account, "event_key": inbound.event_key }));
    let entry = NewQuarantine {
        id: QuarantineId::new(desk.ids()),
        journal: call.call.id,
        account: None,
        item,
        reason: trouble.reason.to_owned(),
        detail: trouble.detail.clone(),
        at: now,
    };
    Ok(tx.quarantine(&entry).await?)
}
