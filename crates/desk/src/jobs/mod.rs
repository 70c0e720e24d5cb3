//! Jobs: work on many things that outlives its request, batch by batch, in whichever replica has the time.
//!
//! Each turn is one short transaction: what is done to the things, what came of each and how far the job is are stored
//! together. So a process may end anywhere: nothing is done twice, and the next one goes on. A lease keeps replicas apart.

mod record;
mod turn;

use std::time::Duration as Pause;

use serde_json::json;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use transom_domain::{JobId, Role};
use transom_storage::{Job, JobItem, JobKind, JobState, Tx};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::tell;
use crate::{Desk, DeskError};
pub(crate) use record::keep;
pub(crate) use turn::{BATCH, Budget};

/// How often it is looked for jobs of other replicas.
const LOOK_EVERY: Pause = Pause::from_secs(1);
/// Room for others between two turns.
const BREATH: Pause = Pause::from_millis(5);
/// How many jobs take turns.
const AT_ONCE: u64 = 50;

/// Works on jobs until told to stop.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match round(&desk, &stop).await {
            // Somebody had a turn: the next round may follow at once.
            Ok(true) => tokio::time::sleep(BREATH).await,
            Ok(false) => wait(&desk, &stop).await,
            Err(error) => {
                tracing::warn!(%error, "jobs could not be looked for; trying again");
                wait(&desk, &stop).await;
            }
        }
    }
}

async fn wait(desk: &Desk, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = desk.work().jobs.notified() => {}
        () = tokio::time::sleep(LOOK_EVERY) => {}
    }
}

/// One turn for each job; whether any moved.
async fn round(desk: &Desk, stop: &CancellationToken) -> Result<bool, DeskError> {
    let mut moved = false;
    for (scope, job) in desk.storage().unfinished_jobs(AT_ONCE).await? {
        if stop.is_cancelled() {
            break;
        }
        match turn::turn(desk, &scope, job).await {
            Ok(did) => moved |= did,
            Err(error) => tracing::warn!(%job, %error, "a job got no further; it is tried again"),
        }
    }
    Ok(moved)
}

/// Jobs, the newest first, older than `before`.
///
/// # Errors
/// When the database fails.
pub async fn list(desk: &Desk, caller: &Caller, before: Option<JobId>, limit: u64) -> Result<Vec<Job>, DeskError> {
    authorise(caller, Action::ReadJobs)?;
    Ok(desk.reader(&caller.scope).jobs(before, limit).await?)
}

/// One job.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn job(desk: &Desk, caller: &Caller, id: JobId) -> Result<Job, DeskError> {
    authorise(caller, Action::ReadJobs)?;
    desk.reader(&caller.scope).job(id).await?.ok_or(DeskError::NotFound { what: "job" })
}

/// What came of a job's things, in its order, behind a position.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn results(
    desk: &Desk,
    caller: &Caller,
    id: JobId,
    after: Option<u64>,
    limit: u64,
) -> Result<Vec<JobItem>, DeskError> {
    job(desk, caller, id).await?;
    Ok(desk.reader(&caller.scope).job_items(id, None, after, limit).await?)
}

/// Stops a job: what was done stays done. One that was stopped before stays as it is.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Forbidden`] for another agent's job, unless one leads; [`DeskError::Conflict`] for one
/// that came to its end, and for an erasure, which goes on once it has begun.
pub async fn cancel(desk: &Desk, caller: &Caller, id: JobId) -> Result<Job, DeskError> {
    authorise(caller, Action::ReadJobs)?;
    let (desk_in, caller_in, now) = (desk.clone(), caller.clone(), desk.now());
    let job = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller) = (desk_in.clone(), caller_in.clone());
            Box::pin(async move {
                let mut job = tx.lock_job(id).await?.ok_or(DeskError::NotFound { what: "job" })?;
                let leads = matches!(caller.agent.role, Role::Admin | Role::Supervisor);
                if job.actor != caller.agent.id && !leads {
                    let role = caller.agent.role.as_str();
                    return Err(DeskError::Forbidden { role, action: "cancel other agents' jobs" });
                }
                if job.state == JobState::Canceled {
                    return Ok(job);
                }
                if job.finished_at.is_some() {
                    return Err(finished(&job));
                }
                if job.kind == JobKind::Erase {
                    return Err(DeskError::conflict("job_goes_on", "an erasure can't be stopped halfway"));
                }
                job.stop = true;
                if job.state == JobState::Queued {
                    job.finish(JobState::Canceled, now);
                }
                save(&desk, tx, &mut job, now).await?;
                Ok(job)
            })
        })
        .await?;
    desk.work().jobs.notify_one();
    Ok(job)
}

/// Whoever stops a job wants to know that it was too late for that.
fn finished(job: &Job) -> DeskError {
    let (state, id) = (job.state.as_str(), job.id.uuid());
    let next = match job.kind {
        JobKind::Bulk => {
            format!("`POST /v1/jobs/{id}/undo` takes a change of status or assignee back, for 10 minutes after its end")
        }
        JobKind::Undo | JobKind::Import | JobKind::Erase => format!("`GET /v1/jobs/{id}/results` says what came of it"),
    };
    DeskError::conflict("job_finished", format!("the job is `{state}`, and there is nothing left to stop; {next}"))
}

/// Stores how far a job is, and tells it.
pub(crate) async fn save(desk: &Desk, tx: &Tx, job: &mut Job, now: OffsetDateTime) -> Result<(), DeskError> {
    job.updated_at = now;
    tx.save_job(job, now).await?;
    let kind = if job.finished_at.is_some() { "job.finished" } else { "job.progress" };
    let data = json!({
        "job": job.id,
        "kind": job.kind.as_str(),
        "state": job.state.as_str(),
        "total": job.total,
        "done": job.done,
        "changed": job.changed,
        "failed": job.failed,
        "reason": job.reason,
    });
    tell(tx, desk.ids(), None, kind, data, now).await
}

/// What a job keeps as JSON.
pub(crate) fn written<T: serde::Serialize>(value: &T) -> Result<serde_json::Value, DeskError> {
    serde_json::to_value(value).map_err(|error| DeskError::conflict("unreadable_row", error))
}

/// What a job kept.
pub(crate) fn read<T: serde::de::DeserializeOwned>(value: &serde_json::Value) -> Result<T, DeskError> {
    serde_json::from_value(value.clone()).map_err(|error| DeskError::conflict("unreadable_row", error))
}
