//! Contacts from a file: line by line, found by phone number, email address or external id; what is so already stays.

mod file;
mod line;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use transom_domain::{AttachmentId, CustomField, JobId};
use transom_storage::{Job, JobItem, JobKind, Reader, Tx};

use crate::authorise::{Action, Caller, authorise};
use crate::bulk::Started;
use crate::idempotency::{Once, only_once};
use crate::jobs::{Budget, read, written};
use crate::{Desk, DeskError};
pub use file::{COLUMNS, MOST_LINES};

/// Where the lines come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The CSV itself.
    Text(String),
    /// An uploaded file.
    Attachment(AttachmentId),
}

/// Contacts to add and change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// The lines.
    pub source: Source,
    /// Labels for everybody in the file, besides those of their line.
    pub labels: Vec<String>,
    /// Only say what would happen to each line.
    pub dry_run: bool,
}

/// A request as its job keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    labels: Vec<String>,
    dry_run: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    position: Option<u64>,
}

/// Begins to import contacts: what comes of each line is in the results of the job.
///
/// # Errors
/// [`DeskError::Invalid`] for a file that is no CSV, has columns that nobody knows or too many lines; [`DeskError::NotFound`] for
/// an unknown attachment.
pub async fn start(
    desk: &Desk,
    caller: &Caller,
    request: ImportRequest,
    once: Option<Once<Started>>,
) -> Result<Started, DeskError> {
    authorise(caller, Action::ImportContacts)?;
    let text = match request.source {
        Source::Text(text) => text.into_bytes(),
        Source::Attachment(id) => file::bytes(desk, caller, id).await?,
    };
    let lines = file::lines(&text, &fields_of(&desk.reader(&caller.scope)).await?)?;
    let labels = line::labels(request.labels.iter().map(String::as_str))?;
    let now = desk.now();
    let stored = written(&Stored { labels, dry_run: request.dry_run })?;
    let mut job = Job::queued(JobId::new(desk.ids()), JobKind::Import, caller.agent.id, stored, now);
    job.total = Some(lines.len() as u64);
    let item = |(position, line): (u64, serde_json::Value)| JobItem::pending(position, None, Some(line));
    let items: Vec<JobItem> = (1..).zip(lines).map(item).collect();
    let (begun, once) = (Arc::new((job, items)), once.map(Arc::new));
    let started = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (begun, once) = (begun.clone(), once.clone());
            Box::pin(async move {
                let started = async {
                    tx.insert_job(&begun.0).await?;
                    tx.insert_job_items(begun.0.id, &begun.1).await?;
                    Ok(Started { job: begun.0.clone(), results: None })
                };
                only_once(once.as_deref(), tx, now, started).await
            })
        })
        .await?;
    desk.work().jobs.notify_one();
    Ok(started)
}

/// The workspace's custom fields, those in the archive too.
async fn fields_of(reader: &Reader) -> Result<Vec<CustomField>, DeskError> {
    Ok(reader.custom_fields(true).await?.into_iter().map(|stored| stored.field).collect())
}

/// One turn of an import; whether it is done.
pub(crate) async fn step(
    desk: &Desk,
    tx: &Tx,
    caller: &Caller,
    job: &mut Job,
    budget: Budget,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    authorise(caller, Action::ImportContacts)?;
    let Stored { labels, dry_run } = read(&job.request)?;
    let mut cursor: Cursor = read(&job.cursor)?;
    // Two imports at once could both miss the same new person.
    tx.take_turn("import").await?;
    let (settings, _) = tx.settings().await?;
    let country = settings.default_country.as_deref();
    let fields = fields_of(tx).await?;
    let filing = line::Filing { desk, labels: &labels, fields: &fields, dry_run, country, now };
    let items = tx.job_items(job.id, None, cursor.position, budget.most).await?;
    let (waiting, mut had_turn) = (items.len(), Vec::new());
    for item in items {
        if !had_turn.is_empty() && !budget.lasts() {
            break;
        }
        let settled = match budget.skip {
            Some(code) => item.failed(code),
            None => filing.on(tx, item).await?,
        };
        job.count(settled.state);
        cursor.position = Some(settled.position);
        had_turn.push(settled);
    }
    tx.settle_job_items(job.id, &had_turn).await?;
    job.cursor = written(&cursor)?;
    Ok(had_turn.len() == waiting && (waiting as u64) < budget.most)
}
