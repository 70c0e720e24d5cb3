//! Jobs, and what a request for many conversations would do.

use poem_openapi::Object;
use time::OffsetDateTime;
use transom_desk::bulk::{Example, Preview, Started};
use transom_storage::{Job, JobItem};
use uuid::Uuid;

/// Work on many things that outlives its request.
#[derive(Debug, Object)]
#[oai(rename = "Job", skip_serializing_if_is_none)]
pub(crate) struct JobView {
    /// Its id.
    id: Uuid,
    /// `bulk`, `undo`, `import` or `erase`.
    kind: String,
    /// `queued`, `running`, `done`, `failed` or `canceled`.
    state: String,
    /// The agent who asked for it.
    asked_by: Uuid,
    /// How many things there are; left out until all are found.
    total: Option<u64>,
    /// How many had their turn.
    done: u64,
    /// How many of those were made or changed.
    changed: u64,
    /// How many of those could not be done.
    failed: u64,
    /// Why it failed.
    reason: Option<String>,
    /// When it was asked for.
    created_at: OffsetDateTime,
    /// When it last moved.
    updated_at: OffsetDateTime,
    /// When it ended.
    finished_at: Option<OffsetDateTime>,
    /// What came of each thing, where the job was done at once.
    results: Option<Vec<JobItemView>>,
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id.uuid(),
            kind: job.kind.as_str().to_owned(),
            state: job.state.as_str().to_owned(),
            asked_by: job.actor.uuid(),
            total: job.total,
            done: job.done,
            changed: job.changed,
            failed: job.failed,
            reason: job.reason.clone(),
            created_at: job.created_at,
            updated_at: job.updated_at,
            finished_at: job.finished_at,
            results: None,
        }
    }
}

impl From<&Started> for JobView {
    fn from(started: &Started) -> Self {
        let results = started.results.as_ref().map(|items| items.iter().map(Into::into).collect());
        Self { results, ..Self::from(&started.job) }
    }
}

/// A page of jobs.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct JobPage {
    /// The jobs, the newest first.
    pub(crate) items: Vec<JobView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// What came of one thing of a job.
#[derive(Debug, Object)]
#[oai(rename = "JobResult", skip_serializing_if_is_none)]
pub(crate) struct JobItemView {
    /// Its place: of a file, the line, the first below the names being 1.
    position: u64,
    /// The conversation.
    conversation: Option<Uuid>,
    /// The contact.
    contact: Option<Uuid>,
    /// `pending`, `created`, `changed`, `unchanged` or `failed`.
    result: String,
    /// Why not, as the single call would say it.
    code: Option<String>,
    /// What is wrong with the line of a file and what to do, as the single call would say it.
    detail: Option<String>,
}

impl From<&JobItem> for JobItemView {
    fn from(item: &JobItem) -> Self {
        let told = |name: &str| item.outcome.as_ref().and_then(|outcome| outcome.get(name)?.as_str());
        Self {
            position: item.position,
            conversation: item.item,
            contact: told("contact").and_then(|id| Uuid::parse_str(id).ok()),
            result: item.state.as_str().to_owned(),
            code: item.code.clone(),
            detail: told("detail").map(str::to_owned),
        }
    }
}

/// A page of results.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct JobItemPage {
    /// The results, in the order of the job.
    pub(crate) items: Vec<JobItemView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// What a request for many conversations would do; nothing was done.
#[derive(Debug, Object)]
#[oai(rename = "BulkPreview")]
pub(crate) struct BulkPreviewView {
    /// How many conversations were looked at: the first 10,000 at most.
    looked_at: u64,
    /// Whether there are more than those.
    more: bool,
    /// How many would change.
    change: u64,
    /// How many are so already.
    unchanged: u64,
    /// How many can't be changed.
    failed: u64,
    /// Why conversations would not change.
    reasons: Vec<BulkReasonView>,
    /// The first 20 that would change, that are so already, and that can't be changed.
    examples: Vec<BulkExampleView>,
}

/// Why conversations would not change.
#[derive(Debug, Object)]
#[oai(rename = "BulkReason")]
struct BulkReasonView {
    /// The code, as the single call would say it.
    code: String,
    /// How many conversations.
    count: u64,
}

/// One conversation of a dry run.
#[derive(Debug, Object)]
#[oai(rename = "BulkExample", skip_serializing_if_is_none)]
struct BulkExampleView {
    /// Which.
    conversation: Uuid,
    /// `changed`, `unchanged` or `failed`.
    result: String,
    /// Why not.
    code: Option<String>,
}

impl From<&Preview> for BulkPreviewView {
    fn from(preview: &Preview) -> Self {
        let reason = |(code, count): (&&str, &u64)| BulkReasonView { code: (*code).to_owned(), count: *count };
        let example = |example: &Example| BulkExampleView {
            conversation: example.conversation.uuid(),
            result: example.state.as_str().to_owned(),
            code: example.code.map(str::to_owned),
        };
        Self {
            looked_at: preview.looked_at,
            more: preview.more,
            change: preview.change,
            unchanged: preview.unchanged,
            failed: preview.failed,
            reasons: preview.reasons.iter().map(reason).collect(),
            examples: preview.examples.iter().map(example).collect(),
        }
    }
}
