//! A broadcast before anybody gets it: who would, by which right, who not and why. Nothing is stored.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use time::OffsetDateTime;
use transom_domain::{BroadcastId, ContactId};
use transom_storage::StorageError;
use transom_windows::PermitRecord;

use super::audience::Audience;
use super::content::BroadcastContent;
use super::{found, sleeps_until};
use crate::authorise::{Action, Caller, authorise};
use crate::schedule::{reason, word_for};
use crate::send::{Draft, Hand, Job, Target};
use crate::{Desk, DeskError};

/// How many contacts are looked at, at most: an answer must not take minutes.
const MOST: usize = 2_000;
/// How many of them in one transaction.
const BATCH: u32 = 25;
/// How many examples are shown of each kind.
const EXAMPLES: usize = 3;

/// What would become of a broadcast now.
#[derive(Debug, Clone, Default)]
pub struct Rehearsal {
    /// How many contacts were looked at.
    pub looked_at: u64,
    /// Whether that is all of the audience.
    pub complete: bool,
    /// Those who would get it, by right.
    pub permitted: Vec<PermitCount>,
    /// How many requests the platform would get for them.
    pub requests: u64,
    /// Those who would wait for the end of their quiet hours.
    pub waiting: u64,
    /// Those who would not get it, by reason.
    pub refused: Vec<RefusalCount>,
}

/// How many would get it by a right.
#[derive(Debug, Clone)]
pub struct PermitCount {
    /// The right.
    pub permit: PermitRecord,
    /// How many contacts.
    pub count: u64,
    /// How many requests.
    pub requests: u64,
    /// Some of them.
    pub examples: Vec<ContactId>,
}

/// How many would not get it for a reason.
#[derive(Debug, Clone)]
pub struct RefusalCount {
    /// The code of the reason.
    pub reason: String,
    /// How many contacts.
    pub count: u64,
    /// Some of them, each with everything that stands against it.
    pub examples: Vec<Example>,
}

/// Somebody who would not get it.
#[derive(Debug, Clone)]
pub struct Example {
    /// Who.
    pub contact: ContactId,
    /// Why, as a message that was not sent would say it.
    pub why: serde_json::Value,
}

/// What would become of one contact's message.
#[derive(Debug, Clone)]
enum Fate {
    Goes { permit: PermitRecord, requests: u64 },
    Waits,
    Stays { reason: String, why: serde_json::Value },
}

/// Goes through the audience as the broadcast would, and stores nothing.
///
/// # Errors
/// [`DeskError::NotFound`]; when the database fails.
pub async fn rehearse(desk: &Desk, caller: &Caller, id: BroadcastId) -> Result<Rehearsal, DeskError> {
    authorise(caller, Action::WriteBroadcasts)?;
    let reader = desk.reader(&caller.scope);
    let broadcast = found(&reader, id).await?;
    let audience = Audience::read(id, &broadcast.plan.audience)?;
    let content = BroadcastContent::read(id, &broadcast.plan.content)?;
    let author = reader.agent(broadcast.author).await?.ok_or(DeskError::NotFound { what: "agent" })?.agent;
    let hand = Hand::broadcasting(&author, id, broadcast.plan.promotional);
    let mut tally = Tally::default();
    let mut after = None;
    while tally.looked_at < MOST {
        let page = audience.page((desk, caller), after, BATCH).await?;
        let mut jobs = Vec::new();
        for stored in page.contacts {
            let contact = stored.contact.id;
            let target = Target::Contact { contact, account: broadcast.plan.account };
            match job(desk, caller, &hand, target, content.for_contact(&stored, &author)).await {
                Ok(job) => jobs.push((contact, job)),
                Err(error) => tally.add(contact, fate_of(error, desk.now())?),
            }
        }
        for (contact, fate) in fates(desk, caller, jobs).await? {
            tally.add(contact, fate);
        }
        after = page.after;
        if page.last {
            tally.complete = true;
            break;
        }
    }
    Ok(tally.told())
}

async fn job(
    desk: &Desk,
    caller: &Caller,
    hand: &Hand,
    target: Target,
    draft: Result<Draft, DeskError>,
) -> Result<Arc<Job>, DeskError> {
    Job::of(desk, &caller.scope, hand.clone(), target, draft?, None).await
}

/// Why the rehearsal ended: it always does, so that nothing of it is stored.
enum End {
    Seen(Vec<(ContactId, Fate)>),
    Failed(DeskError),
}

impl From<StorageError> for End {
    fn from(error: StorageError) -> Self {
        End::Failed(error.into())
    }
}

async fn fates(
    desk: &Desk,
    caller: &Caller,
    jobs: Vec<(ContactId, Arc<Job>)>,
) -> Result<Vec<(ContactId, Fate)>, DeskError> {
    let (jobs, now) = (Arc::new(jobs), desk.now());
    let rehearsed = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let jobs = jobs.clone();
            Box::pin(async move {
                let mut seen = Vec::new();
                for (contact, job) in jobs.iter() {
                    let fate = match job.ready(tx).await {
                        Ok(ready) => {
                            let requests = u64::try_from(ready.plan.len()).unwrap_or(u64::MAX);
                            match ready.verdict.into_permit() {
                                Ok(permit) => Ok(Fate::Goes { permit: permit.record(), requests }),
                                Err(error) => fate_of(error, now),
                            }
                        }
                        Err(error) => fate_of(error, now),
                    };
                    seen.push((*contact, fate.map_err(End::Failed)?));
                }
                Err::<Infallible, _>(End::Seen(seen))
            })
        })
        .await;
    match rehearsed {
        Ok(never) => match never {},
        Err(End::Seen(seen)) => Ok(seen),
        Err(End::Failed(error)) => Err(error),
    }
}

fn fate_of(error: DeskError, now: OffsetDateTime) -> Result<Fate, DeskError> {
    if sleeps_until(&error, now).is_some() {
        return Ok(Fate::Waits);
    }
    match reason(&error) {
        Some(why) => Ok(Fate::Stays { reason: word_for(&error).to_owned(), why }),
        None => Err(error),
    }
}

#[derive(Default)]
struct Tally {
    looked_at: usize,
    complete: bool,
    waiting: u64,
    permitted: BTreeMap<String, PermitCount>,
    refused: BTreeMap<String, RefusalCount>,
}

impl Tally {
    fn add(&mut self, contact: ContactId, fate: Fate) {
        self.looked_at += 1;
        match fate {
            Fate::Waits => self.waiting += 1,
            Fate::Goes { permit, requests } => {
                let none = || PermitCount { permit: permit.clone(), count: 0, requests: 0, examples: Vec::new() };
                let of_it = self.permitted.entry(permit.grant.clone()).or_insert_with(none);
                of_it.count += 1;
                of_it.requests += requests;
                if of_it.examples.len() < EXAMPLES {
                    of_it.examples.push(contact);
                }
            }
            Fate::Stays { reason, why } => {
                let none = || RefusalCount { reason: reason.clone(), count: 0, examples: Vec::new() };
                let of_it = self.refused.entry(reason.clone()).or_insert_with(none);
                of_it.count += 1;
                if of_it.examples.len() < EXAMPLES {
                    of_it.examples.push(Example { contact, why });
                }
            }
        }
    }

    fn told(self) -> Rehearsal {
        let permitted: Vec<PermitCount> = self.permitted.into_values().collect();
        Rehearsal {
            looked_at: u64::try_from(self.looked_at).unwrap_or(u64::MAX),
            complete: self.complete,
            requests: permitted.iter().map(|count| count.requests).sum(),
            waiting: self.waiting,
            refused: self.refused.into_values().collect(),
            permitted,
        }
    }
}
