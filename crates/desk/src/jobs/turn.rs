//! One turn of one job: found, checked, done, stored.

use std::time::Duration as Span;

use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use transom_domain::JobId;
use transom_storage::{Job, JobKind, JobState, StorageError, Tx, WorkspaceScope};

use super::{record, save};
use crate::authorise::Caller;
use crate::{Desk, DeskError, bulk, erase, import};

/// How many things one transaction takes at most.
pub(crate) const BATCH: u64 = 500;
/// How long one transaction goes on with the next thing.
const LONGEST: Span = Span::from_millis(200);
/// Longer than any turn; what a process had in hand when it died is free after it.
const LEASE: Duration = Duration::seconds(10);

/// How much one transaction may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// So many things.
    pub(crate) most: u64,
    /// Nothing is done: the things count as failed, for this reason.
    pub(crate) skip: Option<&'static str>,
    began: Instant,
}

impl Budget {
    pub(crate) fn new(most: u64, skip: Option<&'static str>) -> Self {
        Self { most, skip, began: Instant::now() }
    }

    /// Whether there is time for another thing.
    pub(crate) fn lasts(&self) -> bool {
        self.began.elapsed() < LONGEST
    }
}

/// Does what fits into one transaction; whether the job moved. A batch that fails is done thing by thing, and a thing that fails
/// alone is passed over.
///
/// # Errors
/// When the database fails: nothing was done, and it is tried again.
pub(super) async fn turn(desk: &Desk, scope: &WorkspaceScope, id: JobId) -> Result<bool, DeskError> {
    let mut code = None;
    for (most, skip) in [(BATCH, false), (1, false), (1, true)] {
        match attempt(desk, scope, id, most, code.filter(|_| skip)).await {
            Err(error) if !passes(&error) => {
                tracing::warn!(job = %id, %error, most, skip, "a turn of a job failed");
                code = Some(error.code());
            }
            other => return other,
        }
    }
    give_up(desk, scope, id, code.unwrap_or("internal")).await
}

/// Whether it may work next time just so.
fn passes(error: &DeskError) -> bool {
    matches!(
        error,
        DeskError::Storage(
            StorageError::Conflict
                | StorageError::Unavailable(_)
                | StorageError::Timeout
                | StorageError::Full
                | StorageError::CommitUnknown
                | StorageError::Fatal(_)
        )
    )
}

async fn attempt(
    desk: &Desk,
    scope: &WorkspaceScope,
    id: JobId,
    most: u64,
    skip: Option<&'static str>,
) -> Result<bool, DeskError> {
    // What takes long to find is looked for outside of the transaction, which then checks that nobody was faster.
    let seen = desk.reader(scope).job(id).await?;
    let Some(seen) = seen.filter(|job| job.finished_at.is_none()) else { return Ok(false) };
    let found = match seen.kind {
        JobKind::Bulk if !seen.stop => bulk::find(desk, scope, &seen).await?,
        JobKind::Erase if !erase::prepare(desk, scope, &seen).await? => return Ok(false),
        _ => None,
    };
    let (desk_in, scope_in, now) = (desk.clone(), scope.clone(), desk.now());
    let began = Instant::now();
    let moved = desk
        .storage()
        .transact(scope, move |tx| {
            let (desk, scope, seen, found) = (desk_in.clone(), scope_in.clone(), seen.clone(), found.clone());
            Box::pin(async move {
                let lease = format!("job:{id}");
                if tx.acquire_lease(&lease, desk.owner(), LEASE).await?.is_none() {
                    return Ok(false);
                }
                let Some(mut job) = tx.lock_job(id).await? else { return Ok(false) };
                if job.finished_at.is_some() || job.cursor != seen.cursor || job.state != seen.state {
                    return Ok(false);
                }
                job.state = JobState::Running;
                let before = record::position(&job);
                let budget = Budget::new(most, skip);
                let ended = if job.stop {
                    Some(JobState::Canceled)
                } else {
                    step(&desk, &scope, tx, &mut job, found, budget, now).await?
                };
                if let Some(state) = ended {
                    job.finish(state, now);
                    tx.release_lease(&lease, desk.owner()).await?;
                }
                record::turn(&desk, tx, &job, before, now).await?;
                save(&desk, tx, &mut job, now).await?;
                Ok(true)
            })
        })
        .await;
    metrics::histogram!("transom_job_turn_seconds").record(began.elapsed().as_secs_f64());
    moved
}

/// How it ended, if it did.
async fn step(
    desk: &Desk,
    scope: &WorkspaceScope,
    tx: &Tx,
    job: &mut Job,
    found: Option<bulk::Found>,
    budget: Budget,
    now: OffsetDateTime,
) -> Result<Option<JobState>, DeskError> {
    if job.kind == JobKind::Erase {
        // Goes on whoever asked for it.
        let done = erase::step(desk, scope, tx, job, budget, now).await?;
        return Ok(done.then_some(JobState::Done));
    }
    // Who was let go, or may no longer do it, does no more of it.
    let agent = tx.agent(job.actor).await?.filter(|agent| agent.active);
    let caller = agent.map(|stored| Caller { scope: scope.clone(), agent: stored.agent });
    let stopped = |job: &mut Job, code: &str| {
        job.reason = Some(code.to_owned());
        Ok(Some(JobState::Failed))
    };
    let Some(caller) = caller else { return stopped(job, "forbidden") };
    let done = match job.kind {
        JobKind::Bulk => bulk::step(desk, tx, &caller, job, found, budget, now).await,
        JobKind::Undo => bulk::undo_step(desk, tx, &caller, job, budget, now).await,
        JobKind::Import => import::step(desk, tx, &caller, job, budget, now).await,
        JobKind::Erase => return stopped(job, "kind_unknown"),
    };
    match done {
        Ok(true) => Ok(Some(JobState::Done)),
        Ok(false) => Ok(None),
        Err(DeskError::Storage(error)) => Err(error.into()),
        Err(error) => stopped(job, error.code()),
    }
}

async fn give_up(desk: &Desk, scope: &WorkspaceScope, id: JobId, code: &'static str) -> Result<bool, DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let desk = desk_in.clone();
            Box::pin(async move {
                let Some(mut job) = tx.lock_job(id).await?.filter(|job| job.finished_at.is_none()) else {
                    return Ok(false);
                };
                job.reason = Some(code.to_owned());
                job.finish(JobState::Failed, now);
                record::keep(&desk, tx, &job, &[], now).await?;
                save(&desk, tx, &mut job, now).await?;
                Ok(true)
            })
        })
        .await
}
