//! Quarantine: what came in with a valid signature and could not be used, looked at, run again or put aside.
//!
//! What is replayed goes back into the journal and is read and applied there by the code that applies live calls. The keys of
//! its events see to it that nothing happens twice, however often and by however many it is replayed.

use transom_domain::{JournalId, QuarantineId};
use transom_storage::{QuarantineQuery, QuarantineState, StoredCall, StoredQuarantine, Tx};

use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError, receive};

/// The longest reason for discarding something, in characters.
pub const LONGEST_WHY: usize = 500;
/// So many calls one request replays at most.
pub const MOST_CALLS: u64 = 1_000;

/// Why something could not be used, where no code of a [`DeskError`] says so.
pub mod reason {
    /// The database refused it.
    pub const FAULT: &str = "fault";
    /// The process died each time it had the call in hand.
    pub const POISON: &str = "poison";
    /// No account of the connection has that key.
    pub const UNKNOWN_ACCOUNT: &str = "unknown_account";
    /// The connection was removed.
    pub const UNKNOWN_CONNECTION: &str = "unknown_connection";
    /// It is not the platform's format.
    pub const UNREADABLE: &str = "unreadable";
    /// The connection's settings can't be used.
    pub const UNUSABLE_CONNECTION: &str = "unusable_connection";

    /// All of them.
    pub const ALL: [&str; 6] = [FAULT, POISON, UNKNOWN_ACCOUNT, UNKNOWN_CONNECTION, UNREADABLE, UNUSABLE_CONNECTION];
}

/// Something in quarantine with the call it came with, as long as that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The entry.
    pub stored: StoredQuarantine,
    /// The call, and what became of it.
    pub call: Option<StoredCall>,
}

/// What was replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// So many calls wait to be applied again.
    pub calls: u64,
    /// Where to go on, if there are more.
    pub next: Option<JournalId>,
}

/// Up to `limit` entries after `after`, oldest first.
///
/// # Errors
/// [`DeskError::NotFound`] for a connection that is not of this workspace.
pub async fn list(
    desk: &Desk,
    caller: &Caller,
    query: &QuarantineQuery,
    after: Option<QuarantineId>,
    limit: u64,
) -> Result<Vec<StoredQuarantine>, DeskError> {
    authorise(caller, Action::ManageQuarantine)?;
    check(desk, caller, query).await?;
    Ok(desk.reader(&caller.scope).quarantine_page(query, after, limit).await?)
}

/// One entry with its call.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn entry(desk: &Desk, caller: &Caller, id: QuarantineId) -> Result<Found, DeskError> {
    authorise(caller, Action::ManageQuarantine)?;
    let reader = desk.reader(&caller.scope);
    let stored = reader.quarantined(id).await?.ok_or_else(missing)?;
    let call = reader.call(stored.entry.journal).await?;
    Ok(Found { stored, call })
}

/// Applies the call of an entry again, now, and shows what came of it. An entry that was replayed before stays as it is.
///
/// Where somebody else has the call in hand at this moment, the answer says that it waits.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] for a call that is no longer kept.
pub async fn replay(desk: &Desk, caller: &Caller, id: QuarantineId) -> Result<Found, DeskError> {
    authorise(caller, Action::ManageQuarantine)?;
    let call = entry(desk, caller, id).await?.stored.entry.journal;
    let waits = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            Box::pin(async move {
                match lock(tx, id, call).await? {
                    (stored, Some(call)) if stored.state == QuarantineState::Replayed && !waits(&call) => Ok(false),
                    (_, Some(call)) if !call.erased => {
                        tx.reopen_quarantined(id).await?;
                        Ok(tx.replay_call(call.call.id).await?)
                    }
                    (stored, _) if stored.state == QuarantineState::Replayed => Ok(false),
                    _ => {
                        let detail = "the call is no longer kept: there is nothing to apply";
                        Err(DeskError::conflict("call_gone", detail))
                    }
                }
            })
        })
        .await?;
    if waits {
        // What the replay changes is the customer's doing; that it was asked for stands in the log.
        receive::apply_call(desk, &caller.scope.unaudited(), call).await?;
        desk.work().inbound.notify_one();
    }
    entry(desk, caller, id).await
}

/// Lets the calls of up to `limit` open entries be applied again; they are, one after the other, soon after.
///
/// # Errors
/// [`DeskError::NotFound`] for a connection that is not of this workspace; [`DeskError::Invalid`] for entries that are not open.
pub async fn replay_many(
    desk: &Desk,
    caller: &Caller,
    query: QuarantineQuery,
    after: Option<JournalId>,
    limit: u64,
) -> Result<Replayed, DeskError> {
    authorise(caller, Action::ManageQuarantine)?;
    check(desk, caller, &query).await?;
    let limit = limit.min(MOST_CALLS);
    let replayed = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let query = query.clone();
            Box::pin(async move {
                let calls = tx.quarantined_calls(&query, after, limit).await?;
                let next = calls.last().copied().filter(|_| calls.len() as u64 == limit);
                Ok::<_, DeskError>(Replayed { calls: tx.replay_calls(&calls).await?, next })
            })
        })
        .await?;
    desk.work().inbound.notify_one();
    Ok(replayed)
}

/// Puts an entry aside for good, with a reason. One that was put aside before stays as it is.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Invalid`] without a reason; [`DeskError::Conflict`] for an entry that was replayed, or is
/// being replayed now.
pub async fn discard(desk: &Desk, caller: &Caller, id: QuarantineId, why: &str) -> Result<Found, DeskError> {
    authorise(caller, Action::ManageQuarantine)?;
    let why = why.trim().to_owned();
    if why.is_empty() || why.chars().count() > LONGEST_WHY {
        let detail = format!("say in 1 to {LONGEST_WHY} characters why it is not needed");
        return Err(DeskError::invalid("invalid_value", "reason", detail));
    }
    let (call, by, now) = (entry(desk, caller, id).await?.stored.entry.journal, caller.agent.id, desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let why = why.clone();
            Box::pin(async move {
                let (stored, call) = lock(tx, id, call).await?;
                match stored.state {
                    QuarantineState::Dropped => Ok(()),
                    QuarantineState::Replayed => {
                        Err(DeskError::conflict("quarantine_replayed", "it was applied after all, and stays so"))
                    }
                    QuarantineState::Open if call.as_ref().is_some_and(waits) => {
                        let detail = "it is being replayed: look at it again in a moment";
                        Err(DeskError::conflict("quarantine_replaying", detail))
                    }
                    QuarantineState::Open => {
                        tx.drop_quarantined(id, by, &why, now).await?;
                        Ok(())
                    }
                }
            })
        })
        .await?;
    entry(desk, caller, id).await
}

/// The entry as it stands now. Its call is locked first, as applying it does: so nobody settles it meanwhile.
async fn lock(tx: &Tx, id: QuarantineId, call: JournalId) -> Result<(StoredQuarantine, Option<StoredCall>), DeskError> {
    let call = tx.lock_call(call).await?;
    Ok((tx.quarantined(id).await?.ok_or_else(missing)?, call))
}

fn waits(call: &StoredCall) -> bool {
    call.outcome.is_none()
}

fn missing() -> DeskError {
    DeskError::NotFound { what: "quarantine entry" }
}

async fn check(desk: &Desk, caller: &Caller, query: &QuarantineQuery) -> Result<(), DeskError> {
    if let Some(connection) = query.connection {
        let known = desk.reader(&caller.scope).connection(connection).await?;
        known.ok_or(DeskError::NotFound { what: "connection" })?;
    }
    Ok(())
}
