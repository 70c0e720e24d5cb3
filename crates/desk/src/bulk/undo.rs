//! Taking back what a job did to status and assignee, for ten minutes, wherever nobody changed it since.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use transom_domain::{Actor, ConversationId, EpisodeId, JobId};
use transom_storage::{ItemState, Job, JobItem, JobKind, JobState, Tx};

use super::act::Before;
use super::{BulkAction, Started, Stored};
use crate::authorise::{Action, Caller, authorise};
use crate::changes::{self, Change};
use crate::idempotency::{Once, only_once};
use crate::jobs::{Budget, read, written};
use crate::{Desk, DeskError};

/// For how long after its end a job can be taken back.
const FOR: Duration = Duration::minutes(10);

#[derive(Debug, Serialize, Deserialize)]
struct Undo {
    job: JobId,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    position: Option<u64>,
}

/// Begins to take a job back: each conversation gets the status and assignee that it had, unless somebody changed it since.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] for a job that still runs, ended too long ago, changed nothing that can be
/// taken back, or is taken back already.
pub async fn undo(desk: &Desk, caller: &Caller, id: JobId, once: Option<Once<Started>>) -> Result<Started, DeskError> {
    authorise(caller, Action::ChangeMany)?;
    let (desk_in, caller_in, now, once) = (desk.clone(), caller.clone(), desk.now(), once.map(Arc::new));
    let undoing = JobId::new(desk.ids());
    let started = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller, once) = (desk_in.clone(), caller_in.clone(), once.clone());
            Box::pin(async move {
                let begun = async {
                    let source = tx.lock_job(id).await?.ok_or(DeskError::NotFound { what: "job" })?;
                    let action = undoable(&source, now)?;
                    authorise(&caller, action.action())?;
                    let request = written(&Undo { job: id })?;
                    not_again(tx, &request, now).await?;
                    let mut job = Job::queued(undoing, JobKind::Undo, caller.agent.id, request, now);
                    job.total = Some(source.changed);
                    tx.insert_job(&job).await?;
                    desk.work().jobs.notify_one();
                    Ok(Started { job, results: None })
                };
                only_once(once.as_deref(), tx, now, begun).await
            })
        })
        .await?;
    desk.work().jobs.notify_one();
    Ok(started)
}

fn undoable(job: &Job, now: OffsetDateTime) -> Result<BulkAction, DeskError> {
    let impossible = |detail: &str| Err(DeskError::conflict("undo_impossible", detail));
    if job.kind != JobKind::Bulk {
        return impossible("only changes of many conversations can be taken back");
    }
    let action = read::<Stored>(&job.request)?.action;
    if matches!(action, BulkAction::Tags { .. }) {
        return impossible("tags are not taken back: add or remove them with another request");
    }
    match job.finished_at {
        None => impossible("the job still runs: cancel it first"),
        Some(end) if now > end.saturating_add(FOR) => {
            Err(DeskError::conflict("undo_over", "a job can be taken back for 10 minutes after its end"))
        }
        Some(_) => Ok(action),
    }
}

/// A job is taken back once; one whose undoing was stopped or failed halfway may have the rest taken back. The caller has locked
/// it, so that nobody else begins at the same moment. Whatever takes it back began [`FOR`] ago at most: clocks differ by less than an hour.
async fn not_again(tx: &Tx, request: &serde_json::Value, now: OffsetDateTime) -> Result<(), DeskError> {
    let undoing = tx.jobs_that(JobKind::Undo, request, now.saturating_sub(Duration::HOUR)).await?;
    let stands = undoing.iter().find_map(|job| match job.state {
        JobState::Queued | JobState::Running => Some((job.id, "is taken back already")),
        JobState::Done => Some((job.id, "was taken back before")),
        JobState::Failed | JobState::Canceled => None,
    });
    stands.map_or(Ok(()), |(job, how)| {
        let job = job.uuid();
        Err(DeskError::conflict("job_undone", format!("the job {how}: `GET /v1/jobs/{job}` says what came of it")))
    })
}

/// One turn of taking back; whether it is done.
pub(crate) async fn undo_step(
    desk: &Desk,
    tx: &Tx,
    caller: &Caller,
    job: &mut Job,
    budget: Budget,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let Undo { job: source } = read(&job.request)?;
    let mut cursor: Cursor = read(&job.cursor)?;
    let items = tx.job_items(source, Some(ItemState::Changed), cursor.position, budget.most).await?;
    let waiting = items.len();
    let mut had_turn = Vec::with_capacity(waiting);
    let by = Actor::from(&caller.agent);
    for item in items {
        if !had_turn.is_empty() && !budget.lasts() {
            break;
        }
        let (state, code) = match budget.skip {
            Some(code) => (ItemState::Failed, Some(code)),
            None => one(desk, tx, &by, &item, now).await?,
        };
        job.count(state);
        cursor.position = Some(item.position);
        had_turn.push(JobItem { state, code: code.map(str::to_owned), input: None, outcome: None, ..item });
    }
    tx.insert_job_items(job.id, &had_turn).await?;
    job.cursor = written(&cursor)?;
    Ok(had_turn.len() == waiting && (waiting as u64) < budget.most)
}

async fn one(
    desk: &Desk,
    tx: &Tx,
    by: &Actor,
    item: &JobItem,
    now: OffsetDateTime,
) -> Result<(ItemState, Option<&'static str>), DeskError> {
    let (Some(id), Some(before)) = (item.item.map(ConversationId::from), &item.outcome) else {
        return Ok((ItemState::Failed, Some("undo_impossible")));
    };
    let before: Before = read(before)?;
    let Some(stored) = tx.lock_conversation(id).await? else { return Ok((ItemState::Failed, Some("not_found"))) };
    if stored.version != before.version {
        return Ok((ItemState::Failed, Some("version_mismatch")));
    }
    let mut assignment = before.assignment;
    if let Some(agent) = assignment.agent {
        // Who was let go meanwhile gets nothing back.
        assignment.agent = tx.agent(agent).await?.filter(|known| known.active).map(|known| known.agent.id);
    }
    let mut after = stored.conversation.clone();
    let restored = after.restore(before.status, assignment, EpisodeId::new(desk.ids()), now);
    let Some(transition) = restored else { return Ok((ItemState::Unchanged, None)) };
    let change = Change::new(by, "undo", now);
    changes::record(tx, desk.ids(), &stored, &after, &transition, &change).await?;
    Ok((ItemState::Changed, None))
}
