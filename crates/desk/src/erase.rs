//! Erasing a contact for good (R-527; reliability.md 18).
//!
//! What is queued is withheld at once, what is on the wire finishes, then words, names, numbers and files go, batch by batch.
//! Counters stay, and a keyed digest of each address, so that nobody brings the person back by a list.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{Actor, Address, Contact, ContactId, JobId, Profile};
use transom_storage::{
    Choice, ConversationQuery, Job, JobKind, Reader, StorageError, Sweep, Traces, Tx, WorkspaceScope,
};
use transom_windows::{Blocker, Event, What};
use uuid::Uuid;

use crate::authorise::{Action, Caller, authorise};
use crate::bulk::Started;
use crate::changes::tell;
use crate::idempotency::{Once, only_once};
use crate::jobs::{Budget, read, written};
use crate::situation::{Situation, wires};
use crate::{Desk, DeskError, contacts};

/// How many messages one transaction erases at most.
const MESSAGES: u64 = 100;

/// How many conversations stored answers are recognised by.
const CONVERSATIONS: u32 = 100;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    contact: ContactId,
}

/// How far an erasure is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    /// What is looked for in rows that hang on nobody; gone with the job's end.
    traces: Option<Vec<String>>,
    /// The kind of rows that are looked at, once the person is a shell.
    sweep: Option<usize>,
    after: Option<Uuid>,
}

/// Begins to erase a contact. A second request finds the first one's job.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown contact.
pub async fn start(
    desk: &Desk,
    caller: &Caller,
    id: ContactId,
    once: Option<Once<Started>>,
) -> Result<Started, DeskError> {
    authorise(caller, Action::EraseContacts)?;
    let reader = desk.reader(&caller.scope);
    let known = reader.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    let id = known.contact.id;
    if reader.erasure_of(id).await?.is_none() {
        // From here on nothing is sent; the rest may take its time.
        contacts::set_blocked(desk, caller, id, true).await?;
    }
    let now = desk.now();
    let job =
        Job::queued(JobId::new(desk.ids()), JobKind::Erase, caller.agent.id, written(&Stored { contact: id })?, now);
    let (job, once) = (Arc::new(job), once.map(Arc::new));
    let started = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (job, once) = (job.clone(), once.clone());
            Box::pin(async move {
                let started = async {
                    // Nobody merges them from here on; who was faster made them another contact.
                    if tx.hold_contact(id).await? != Some(id) {
                        return Err(StorageError::Conflict.into());
                    }
                    if tx.insert_erasure(id, job.id, now).await? {
                        let mut job = (*job).clone();
                        let addresses = addresses_of(tx, id).await?;
                        tx.remember_erased(&addresses, now).await?;
                        let cursor = Cursor { traces: Some(traces_of(tx, id, &addresses).await?), ..Cursor::default() };
                        job.cursor = written(&cursor)?;
                        tx.insert_job(&job).await?;
                        return Ok(Started { job, results: None });
                    }
                    let earlier = tx.erasure_of(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                    // Jobs are kept for a while; what they did stays done.
                    let mut done = (*job).clone();
                    done.finish(transom_storage::JobState::Done, now);
                    Ok(Started { job: tx.job(earlier).await?.unwrap_or(done), results: None })
                };
                only_once(once.as_deref(), tx, now, started).await
            })
        })
        .await?;
    desk.work().jobs.notify_one();
    Ok(started)
}

/// Everything that names a contact: on its channels, and in its profile.
async fn addresses_of(reader: &Reader, id: ContactId) -> Result<Vec<Address>, DeskError> {
    let Some(stored) = reader.contact(id).await? else { return Ok(Vec::new()) };
    let mut addresses = named_in(&stored.contact.profile);
    addresses.extend(stored.identities.into_iter().flat_map(|identity| identity.addresses));
    addresses.sort_by(|one, other| (&one.kind, &one.value).cmp(&(&other.kind, &other.value)));
    addresses.dedup();
    Ok(addresses)
}

/// What names somebody in a profile.
pub(crate) fn named_in(profile: &Profile) -> Vec<Address> {
    let named = [("phone", &profile.phone), ("email", &profile.email), ("external_id", &profile.external_id)];
    named.into_iter().filter_map(|(kind, value)| Some(Address::new(kind, value.as_deref()?))).collect()
}

/// What tells of a contact wherever it stands.
async fn traces_of(reader: &Reader, id: ContactId, addresses: &[Address]) -> Result<Vec<String>, DeskError> {
    let Some(stored) = reader.contact(id).await? else { return Ok(Vec::new()) };
    let mut traces: Vec<String> = addresses.iter().map(|address| address.value.clone()).collect();
    traces.extend(stored.contact.profile.username);
    traces.push(id.to_string());
    traces.extend(stored.identities.iter().map(|identity| identity.id.to_string()));
    let theirs = ConversationQuery { contact: Some(id), ..ConversationQuery::new(OffsetDateTime::UNIX_EPOCH) };
    traces.extend(reader.conversation_ids(&theirs, None, CONVERSATIONS).await?.iter().map(ToString::to_string));
    Ok(traces)
}

/// Refuses to change who was erased, or is being erased.
///
/// # Errors
/// `contact_erased`.
pub(crate) async fn refuse_shell(reader: &Reader, contact: ContactId) -> Result<(), DeskError> {
    match reader.erasure_of(contact).await? {
        None => Ok(()),
        Some(_) => Err(DeskError::conflict("contact_erased", "this contact was erased for good")),
    }
}

/// Refuses to make a contact of somebody who was erased.
///
/// # Errors
/// `contact_erased`.
pub(crate) async fn refuse_erased(reader: &Reader, contact: &Contact) -> Result<(), DeskError> {
    if reader.any_erased(&named_in(&contact.profile)).await? {
        return Err(erased());
    }
    Ok(())
}

/// Nobody else brings them back.
pub(crate) fn erased() -> DeskError {
    let detail =
        "somebody of this number, address or id was erased for good: only they themselves come back, by writing";
    DeskError::conflict("contact_erased", detail)
}

/// Whether a job can't go on yet: something is in the hands of a platform. And the bytes that only the next messages name are
/// deleted: before their rows, so that none is left behind.
pub(crate) async fn prepare(desk: &Desk, scope: &WorkspaceScope, job: &Job) -> Result<bool, DeskError> {
    let (Stored { contact }, reader) = (read(&job.request)?, desk.reader(scope));
    if reader.is_on_the_wire(contact).await? {
        return Ok(false);
    }
    if let Some(files) = desk.files() {
        for blob in reader.blobs_of_next(contact, MESSAGES).await? {
            files.blobs.delete(scope, blob).await.map_err(StorageError::from)?;
        }
    }
    Ok(true)
}

/// One turn of an erasure; whether it is done.
pub(crate) async fn step(
    desk: &Desk,
    scope: &WorkspaceScope,
    tx: &Tx,
    job: &mut Job,
    budget: Budget,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let Stored { contact } = read(&job.request)?;
    let mut cursor: Cursor = read(&job.cursor)?;
    let Some(at) = cursor.sweep else {
        let by = Actor::Automation { name: "erase".to_owned() };
        for part in tx.unknown_parts_for(contact, MESSAGES).await? {
            tx.settle_unknown(part, Choice::GiveUp, &by, now).await?;
        }
        let erased = tx.erase_messages(contact, MESSAGES.min(budget.most)).await?;
        job.done += erased;
        job.changed += erased;
        if erased == 0 {
            forget_person(desk, scope, tx, contact, now).await?;
            cursor.sweep = Some(0);
            job.cursor = written(&cursor)?;
        }
        return Ok(false);
    };
    let traces = Traces::new(cursor.traces.clone().unwrap_or_default());
    let Some(sweep) = Sweep::ALL.get(at) else {
        // Messages may have come in while the rows were swept.
        if tx.erase_messages(contact, MESSAGES).await? > 0 {
            return Ok(false);
        }
        tx.finish_erasure(contact, now).await?;
        tell(tx, desk.ids(), Some(contact), "contact.erased", json!({}), now).await?;
        job.cursor = json!({});
        return Ok(true);
    };
    match tx.sweep(*sweep, contact, &traces, cursor.after).await? {
        Some(end) => cursor.after = Some(end),
        None => (cursor.sweep, cursor.after) = (Some(at + 1), None),
    }
    job.cursor = written(&cursor)?;
    Ok(false)
}

/// Makes a shell of the contact, with no fact but that it may not be written to.
async fn forget_person(
    desk: &Desk,
    scope: &WorkspaceScope,
    tx: &Tx,
    contact: ContactId,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    for identity in tx.identities_of(contact).await? {
        let Some(identity) = tx.lock_identity(identity.id).await? else { continue };
        let wires = wires(desk, scope, identity.account).await?;
        let mut nobody = Situation::restore(identity, wires, &transom_windows::Snapshot::default());
        nobody.apply(&Event { at: now, what: What::Blocked { by: Blocker::Us } });
        nobody.save(tx, now).await?;
    }
    Ok(tx.erase_person(contact, now).await?)
}
