//! Many conversations in one go: status, assignee or tags; said beforehand; taken back.
//!
//! What happens to each conversation is what the single call does, by the same functions.

mod act;
mod preview;
mod undo;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use transom_domain::{Assignment, ConversationId, JobId};
use transom_storage::{Job, JobItem, JobKind, JobState, Reader, Tx, WorkspaceScope};

use crate::authorise::{Action, Caller, authorise};
use crate::idempotency::{Once, only_once};
use crate::jobs::{self, Budget, read, written};
use crate::status::{self, NewStatus};
use crate::{Desk, DeskError, search, tags};
pub use preview::{Example, Preview, preview};
pub use undo::undo;
pub(crate) use undo::undo_step;

/// How many conversations a request may name.
pub const MOST_IDS: usize = 10_000;
/// How many conversations a filter may find.
pub const MOST_FOUND: u64 = 1_000_000;
/// Up to so many ids are dealt with while the caller waits.
const AT_ONCE: usize = 200;

/// What shall be done with each conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Open, snooze or close it.
    Status(NewStatus),
    /// Give it to somebody, or to nobody.
    Assign(Assignment),
    /// Put tags on it and take tags from it.
    Tags {
        /// Those to put.
        add: Vec<String>,
        /// Those to take.
        remove: Vec<String>,
    },
}

impl BulkAction {
    const fn action(&self) -> Action {
        match self {
            BulkAction::Status(_) => Action::ChangeStatus,
            BulkAction::Assign(_) => Action::Assign,
            BulkAction::Tags { .. } => Action::TagConversations,
        }
    }
}

/// Which conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Ids(Vec<ConversationId>),
    /// All that this text finds.
    Filter(String),
}

/// What is to be done with which conversations.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkRequest {
    /// Which.
    pub selection: Selection,
    /// What.
    pub action: BulkAction,
}

/// A job that was begun; with what came of each thing where it was done at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The job.
    pub job: Job,
    /// What came of each thing, if it is done.
    pub results: Option<Vec<JobItem>>,
}

/// A request as its job keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    action: BulkAction,
    filter: Option<String>,
}

/// How far a job is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    /// The conversations are found up to this one; all are found when it is gone.
    finding: Option<Finding>,
    /// The things up to this position had their turn.
    position: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Finding {
    after: Option<ConversationId>,
}

/// The next conversations that a filter finds.
#[derive(Debug, Clone)]
pub(crate) struct Found(Arc<Vec<ConversationId>>);

/// Begins to change conversations. A few are changed at once, many by a job.
///
/// # Errors
/// [`DeskError::Invalid`] for too many ids or an empty request; [`DeskError::NotFound`] if none of the ids is known, or the
/// agent or team to assign to is not.
pub async fn start(
    desk: &Desk,
    caller: &Caller,
    request: BulkRequest,
    once: Option<Once<Started>>,
) -> Result<Started, DeskError> {
    let BulkRequest { selection, action } = checked(desk, caller, request).await?;
    let (ids, filter) = match selection {
        Selection::Ids(ids) => (ids, None),
        Selection::Filter(text) => (Vec::new(), Some(text)),
    };
    let now = desk.now();
    let stored = Stored { action, filter };
    let cursor = Cursor { finding: stored.filter.is_some().then_some(Finding { after: None }), position: None };
    let mut job = Job::queued(JobId::new(desk.ids()), JobKind::Bulk, caller.agent.id, written(&stored)?, now);
    job.cursor = written(&cursor)?;
    job.total = stored.filter.is_none().then_some(ids.len() as u64);
    let at_once = stored.filter.is_none() && ids.len() <= AT_ONCE;
    let positions = 0..;
    let items: Vec<_> =
        ids.iter().zip(positions).map(|(id, position)| JobItem::pending(position, Some(id.uuid()), None)).collect();
    let (desk_in, caller_in, once) = (desk.clone(), caller.clone(), once.map(Arc::new));
    let begun = Arc::new((job, items));
    let started = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller, begun, once) = (desk_in.clone(), caller_in.clone(), begun.clone(), once.clone());
            Box::pin(async move {
                let started = async {
                    let (mut job, items) = (begun.0.clone(), &begun.1);
                    tx.insert_job(&job).await?;
                    tx.insert_job_items(job.id, items).await?;
                    if !at_once {
                        return Ok(Started { job, results: None });
                    }
                    // All of them: the caller waits, and the next turn would be another transaction.
                    while !work(&desk, tx, &caller, &mut job, Budget::new(jobs::BATCH, None), now).await? {}
                    job.finish(JobState::Done, now);
                    jobs::save(&desk, tx, &mut job, now).await?;
                    let results = tx.job_items(job.id, None, None, AT_ONCE as u64).await?;
                    jobs::keep(&desk, tx, &job, &results, now).await?;
                    Ok(Started { job, results: Some(results) })
                };
                only_once(once.as_deref(), tx, now, started).await
            })
        })
        .await?;
    desk.work().jobs.notify_one();
    Ok(started)
}

/// The request, if it can be done at all: ids in order and once each, everything that it names in this workspace.
async fn checked(desk: &Desk, caller: &Caller, request: BulkRequest) -> Result<BulkRequest, DeskError> {
    authorise(caller, Action::ChangeMany)?;
    authorise(caller, request.action.action())?;
    let reader = desk.reader(&caller.scope);
    match &request.action {
        BulkAction::Status(status) => status.check(&reader, caller).await?,
        BulkAction::Assign(to) => status::check_assignee(&reader, *to).await?,
        BulkAction::Tags { add, remove } => check_tags(&reader, add, remove).await?,
    }
    let selection = match request.selection {
        Selection::Filter(text) => {
            search::conversation_query(desk, caller, &text, desk.now())
                .await
                .map_err(|error| error.in_field("filter"))?;
            Selection::Filter(text)
        }
        Selection::Ids(ids) => {
            if ids.is_empty() || ids.len() > MOST_IDS {
                let detail = format!("`ids` takes 1 to {MOST_IDS} ids, and there are {}", ids.len());
                return Err(DeskError::invalid("too_many", "ids", detail));
            }
            let ids: BTreeSet<ConversationId> = ids.into_iter().collect();
            let ids: Vec<ConversationId> = ids.into_iter().collect();
            any_known(&reader, &ids).await?;
            Selection::Ids(ids)
        }
    };
    Ok(BulkRequest { selection, ..request })
}

/// Whether at least one of them is there.
///
/// # Errors
/// [`DeskError::NotFound`].
pub(crate) async fn any_known(reader: &Reader, ids: &[ConversationId]) -> Result<(), DeskError> {
    for some in ids.chunks(usize::try_from(jobs::BATCH).unwrap_or(usize::MAX)) {
        if !reader.known_conversations(some).await?.is_empty() {
            return Ok(());
        }
    }
    Err(DeskError::NotFound { what: "conversation" })
}

async fn check_tags(reader: &Reader, add: &[String], remove: &[String]) -> Result<(), DeskError> {
    if add.is_empty() && remove.is_empty() {
        return Err(DeskError::invalid("invalid_value", "tags", "give tags to `add` or to `remove`"));
    }
    if let Some(tag) = add.iter().find(|tag| remove.contains(tag)) {
        return Err(DeskError::invalid("invalid_value", "tags", format!("`{tag}` is to be added and removed")));
    }
    let known = reader.known_tags().await?;
    match add.iter().find(|tag| !known.contains(tag)) {
        None => Ok(()),
        Some(tag) => Err(tags::unknown(tag, &known, "tags")),
    }
}

/// The next conversations of a job that still finds them.
pub(crate) async fn find(desk: &Desk, scope: &WorkspaceScope, job: &Job) -> Result<Option<Found>, DeskError> {
    let Some(Finding { after }) = read::<Cursor>(&job.cursor)?.finding else { return Ok(None) };
    let reader = desk.reader(scope);
    let Some(agent) = reader.agent(job.actor).await? else { return Ok(None) };
    let caller = Caller { scope: scope.clone(), agent: agent.agent };
    let text = read::<Stored>(&job.request)?.filter.unwrap_or_default();
    let query = search::conversation_query(desk, &caller, &text, job.created_at).await?;
    let limit = u32::try_from(jobs::BATCH).unwrap_or(u32::MAX);
    Ok(Some(Found(Arc::new(reader.conversation_ids(&query, after, limit).await?))))
}

/// One turn of a job; whether it is done.
pub(crate) async fn step(
    desk: &Desk,
    tx: &Tx,
    caller: &Caller,
    job: &mut Job,
    found: Option<Found>,
    budget: Budget,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let mut cursor: Cursor = read(&job.cursor)?;
    if cursor.finding.is_none() {
        return work(desk, tx, caller, job, budget, now).await;
    }
    let Found(ids) = found.unwrap_or(Found(Arc::default()));
    let begin = tx.last_job_item(job.id).await?.map_or(0, |last| last + 1);
    let items: Vec<_> =
        ids.iter().zip(begin..).map(|(id, position)| JobItem::pending(position, Some(id.uuid()), None)).collect();
    tx.insert_job_items(job.id, &items).await?;
    let last = ids.last().copied();
    let has_more = ids.len() as u64 == jobs::BATCH;
    let count = begin + ids.len() as u64;
    if count > MOST_FOUND {
        return Err(DeskError::invalid("too_many", "filter", format!("the filter finds more than {MOST_FOUND}")));
    }
    cursor.finding = has_more.then_some(Finding { after: last });
    job.total = (!has_more).then_some(count);
    job.cursor = written(&cursor)?;
    Ok(!has_more && count == 0)
}

/// Gives as many things their turn as there is time for; whether all had it.
async fn work(
    desk: &Desk,
    tx: &Tx,
    caller: &Caller,
    job: &mut Job,
    budget: Budget,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let action = read::<Stored>(&job.request)?.action;
    authorise(caller, action.action())?;
    let mut cursor: Cursor = read(&job.cursor)?;
    let (settings, _) = tx.settings().await?;
    let act = act::Act { desk, caller, action: &action, settings: &settings, now };
    let items = tx.job_items(job.id, None, cursor.position, budget.most).await?;
    let mut had_turn = Vec::with_capacity(items.len());
    let waiting = items.len();
    for item in items {
        if !had_turn.is_empty() && !budget.lasts() {
            break;
        }
        let settled = match budget.skip {
            Some(code) => item.failed(code),
            None => act.on(tx, item).await?,
        };
        job.count(settled.state);
        cursor.position = Some(settled.position);
        had_turn.push(settled);
    }
    tx.settle_job_items(job.id, &had_turn).await?;
    job.cursor = written(&cursor)?;
    Ok(had_turn.len() == waiting && (waiting as u64) < budget.most)
}
