//! Housekeeping: what no agent needs any more is deleted in small batches (reliability.md 18).
//!
//! Every replica looks; a lease a workspace decides who tidies it up.

use std::time::Duration as Pause;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _};
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transom_storage::{StorageError, Tx, WorkspaceScope};

use crate::{Desk, DeskError, labels};

/// How often it is looked whether it is time.
const LOOK_EVERY: Pause = Pause::from_secs(5);
/// How often a workspace is tidied up.
const EVERY: Duration = Duration::minutes(10);
/// Longer than the time between two rounds, so that one replica does it all the while it lives.
const LEASE: Duration = Duration::minutes(15);
const LEASE_NAME: &str = "housekeeping";
/// How often the database looks after its query plans.
const OPTIMIZE_EVERY: Duration = Duration::DAY;
/// How many rows one transaction deletes: others wait for it on SQLite.
const BATCH: u64 = 500;
/// Room for others between two batches.
const BREATH: Pause = Pause::from_millis(20);

/// How long answers to idempotency keys are kept (reliability.md 10).
const IDEMPOTENCY: Duration = Duration::hours(72);
/// How long the audit log is kept (reliability.md 18).
const AUDIT: Duration = Duration::days(731);
/// How long a receipt waits for its message; platforms repeat for a week at most.
const PARKED: Duration = Duration::days(30);
/// How long quota counts are kept: longer than any span that is looked back on.
const QUOTAS: Duration = Duration::days(62);
/// How long mailboxes keep what they hold: longer than the day for which a hosted platform drops what is sent to it twice.
const MAILBOXES: Duration = Duration::days(7);

/// How long jobs and what came of each thing are kept.
const JOBS: Duration = Duration::days(30);

/// How often the store of files is looked through for bytes that no file has.
const SWEEP_EVERY: Duration = Duration::DAY;
/// How old such bytes are at least, by the clocks of store and database: what is younger may be named in an instant.
const UNNAMED: Duration = Duration::DAY;
/// How many of them are looked up at once.
const BLOBS: usize = 500;

/// How long things are kept that no agent needs any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Calls of platforms as they came, once they were dealt with.
    pub journal: Duration,
    /// Events.
    pub events: Duration,
    /// Attempts to send.
    pub attempts: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { journal: Duration::days(14), events: Duration::days(7), attempts: Duration::days(90) }
    }
}

/// What is deleted, and how.
struct Chore {
    /// For metrics.
    kind: &'static str,
    /// What is older goes.
    before: OffsetDateTime,
    delete: for<'t> fn(&'t Tx, OffsetDateTime) -> BoxFuture<'t, Result<u64, StorageError>>,
}

fn chores(keep: Retention, now: OffsetDateTime) -> [Chore; 14] {
    let chore = |kind, age, delete| Chore { kind, before: now.saturating_sub(age), delete };
    [
        chore("journal", keep.journal, |tx, before| Box::pin(tx.purge_calls(before, BATCH))),
        // Without its call nothing can be made of an entry.
        chore("quarantine", keep.journal, |tx, before| Box::pin(tx.purge_quarantine(before, BATCH))),
        chore("events", keep.events, |tx, before| Box::pin(tx.purge_events(before, BATCH))),
        chore("webhook_deliveries", keep.events, |tx, before| Box::pin(tx.purge_deliveries(before, BATCH))),
        chore("audit", AUDIT, |tx, before| Box::pin(tx.purge_audit(before, BATCH))),
        chore("attempts", keep.attempts, |tx, before| Box::pin(tx.purge_attempts(before, BATCH))),
        // Each key and proof says itself how long it is kept.
        chore("dedupe_keys", Duration::ZERO, |tx, before| Box::pin(tx.purge_dedupe(before, BATCH))),
        chore("call_proofs", Duration::ZERO, |tx, before| Box::pin(tx.purge_proofs(before, BATCH))),
        chore("idempotency_keys", IDEMPOTENCY, |tx, before| Box::pin(tx.purge_idempotency(before, BATCH))),
        chore("parked_receipts", PARKED, |tx, before| Box::pin(tx.purge_parked_receipts(before, BATCH))),
        chore("quotas", QUOTAS, |tx, before| Box::pin(tx.purge_quotas(before, BATCH))),
        chore("mailboxes", MAILBOXES, |tx, before| Box::pin(tx.purge_mail(before, BATCH))),
        chore("jobs", JOBS, |tx, before| Box::pin(tx.purge_jobs(before, BATCH))),
        // Each key says itself until when it is good.
        chore("mailbox_keys", Duration::ZERO, |tx, before| Box::pin(tx.purge_mailbox_keys(before, BATCH))),
    ]
}

/// Tidies up until told to stop.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    let (mut tidied, mut optimized, mut swept) = (None, None, None);
    while !stop.is_cancelled() {
        let now = desk.now();
        if is_time(tidied, EVERY, now) {
            tidied = Some(now);
            tokio::select! {
                () = stop.cancelled() => break,
                done = tidy(&desk) => match done {
                    Ok(deleted) if deleted > 0 => tracing::info!(deleted, "old rows were deleted"),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "old rows could not be deleted; trying again later"),
                },
            }
        }
        if is_time(swept, SWEEP_EVERY, now) {
            swept = Some(now);
            tokio::select! {
                () = stop.cancelled() => break,
                done = sweep_files(&desk, UNNAMED) => match done {
                    Ok(0) => {}
                    Ok(deleted) => tracing::info!(deleted, "bytes that no file has were deleted"),
                    Err(error) => tracing::warn!(%error, "the store of files could not be looked through; trying again tomorrow"),
                },
            }
        }
        if is_time(optimized, OPTIMIZE_EVERY, now) {
            optimized = Some(now);
            if let Err(error) = desk.storage().optimize().await {
                tracing::warn!(%error, "the query plans could not be looked after; trying again tomorrow");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn is_time(last: Option<OffsetDateTime>, every: Duration, now: OffsetDateTime) -> bool {
    // A clock that was set back (tests) begins anew.
    last.is_none_or(|last| now < last || now >= last.saturating_add(every))
}

/// Deletes what is over in every workspace that no other replica tidies up; how many rows.
///
/// # Errors
/// When the database fails; what was deleted stays deleted.
pub async fn tidy(desk: &Desk) -> Result<u64, DeskError> {
    let began = Instant::now();
    let mut total = 0;
    for scope in desk.storage().all_scopes().await? {
        for chore in chores(desk.config().retention, desk.now()) {
            let deleted = all_of(desk, &scope, &chore).await?;
            metrics::counter!("transom_purged_rows_total", "kind" => chore.kind).increment(deleted);
            total += deleted;
        }
        labels::finish_moves(desk, &scope).await?;
    }
    metrics::histogram!("transom_housekeeping_seconds").record(began.elapsed().as_secs_f64());
    Ok(total)
}

/// Deletes bytes of at least this age that no file has: a process died between storing them and naming them, or with the last file
/// that had them. How many.
///
/// # Errors
/// When the store or the database fails; what was deleted stays deleted.
pub async fn sweep_files(desk: &Desk, age: Duration) -> Result<u64, DeskError> {
    let Some(files) = desk.files() else { return Ok(0) };
    let before = desk.storage().database_now().await?.saturating_sub(age);
    let mut total = 0;
    for scope in desk.storage().all_scopes().await? {
        let mut written = files.blobs.written_before(&scope, before).try_chunks(BLOBS);
        while let Some(blobs) = written.next().await {
            let blobs = blobs.map_err(|error| StorageError::from(error.1))?;
            for blob in desk.reader(&scope).unnamed_blobs(&blobs).await? {
                files.blobs.delete(&scope, blob).await.map_err(StorageError::from)?;
                total += 1;
            }
        }
    }
    metrics::counter!("transom_unnamed_blobs_total").increment(total);
    Ok(total)
}

/// Batch by batch, as long as there is something and the lease is ours.
async fn all_of(desk: &Desk, scope: &WorkspaceScope, chore: &Chore) -> Result<u64, StorageError> {
    let mut total = 0;
    loop {
        let (owner, before, delete) = (desk.owner(), chore.before, chore.delete);
        let deleted = desk
            .storage()
            .transact(scope, move |tx| {
                Box::pin(async move {
                    match tx.acquire_lease(LEASE_NAME, owner, LEASE).await? {
                        Some(_) => delete(tx, before).await,
                        None => Ok(0),
                    }
                })
            })
            .await?;
        total += deleted;
        if deleted < BATCH {
            return Ok(total);
        }
        tokio::time::sleep(BREATH).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn it_is_time_at_first_then_after_the_span_and_when_the_clock_was_set_back() {
        let now = datetime!(2026-11-20 10:00 UTC);
        assert!(is_time(None, EVERY, now));
        assert!(!is_time(Some(now), EVERY, now + EVERY - Duration::SECOND));
        assert!(is_time(Some(now), EVERY, now + EVERY));
        assert!(is_time(Some(now), EVERY, now - Duration::SECOND));
    }
}
