//! What a job did, in the audit log: a row a turn that names the things it changed, and the last with how it ended.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use transom_domain::AuditId;
use transom_storage::{ItemState, Job, JobItem, JobState, Trail, Tx};

use crate::{Desk, DeskError};

/// The position that a job stood at: the things behind it have had no turn.
pub(super) fn position(job: &Job) -> Option<u64> {
    job.cursor.get("position").and_then(Value::as_u64)
}

/// Keeps what a turn changed, if it changed anything or ended the job. It began with the things behind `before`.
pub(super) async fn turn(
    desk: &Desk,
    tx: &Tx,
    job: &Job,
    before: Option<u64>,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let had_turn = match position(job).filter(|after| Some(*after) != before) {
        None => Vec::new(),
        Some(after) => {
            let most = before.map_or(after + 1, |before| after - before.min(after));
            tx.job_items(job.id, None, before, most).await?
        }
    };
    keep(desk, tx, job, &had_turn, now).await
}

/// The same for things that are at hand.
pub(crate) async fn keep(
    desk: &Desk,
    tx: &Tx,
    job: &Job,
    had_turn: &[JobItem],
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let of = |state: ItemState| -> Vec<Value> {
        had_turn.iter().filter(|item| item.state == state).filter_map(|item| Some(json!(item.item?))).collect()
    };
    let mut told = Map::new();
    for (name, ids) in [("created", of(ItemState::Created)), ("changed", of(ItemState::Changed))] {
        if !ids.is_empty() {
            told.insert(name.to_owned(), json!(ids));
        }
    }
    if job.finished_at.is_some() {
        let counts = json!({ "total": job.total, "done": job.done, "changed": job.changed, "failed": job.failed });
        told.insert("ended".to_owned(), counts);
    }
    if told.is_empty() {
        return Ok(());
    }
    let outcome = match job.state {
        JobState::Failed => job.reason.as_deref().unwrap_or("failed"),
        JobState::Canceled => "canceled",
        JobState::Queued | JobState::Running | JobState::Done => "done",
    };
    let role = tx.agent(job.actor).await?.map_or("none", |stored| stored.agent.role.as_str());
    let trail = Trail {
        actor: job.actor,
        role,
        via: "job",
        token: None,
        action: format!("job.{}", job.kind.as_str()),
        object: Some(("jobs".to_owned(), job.id.to_string())),
        address: None,
        request: None,
        at: now,
    };
    Ok(tx.audit_work(AuditId::new(desk.ids()), &trail, outcome, &Value::Object(told)).await?)
}
