//! The work on broadcasts: begin what is due, write audiences down, queue messages, withdraw them, see when all is done.
//!
//! Every replica looks, and a lease a workspace says who works, so that they don't do it twice. What must not happen twice does
//! not hang on it: a recipient is taken in the transaction that stores their message.

use std::sync::Arc;
use std::time::Duration as Pause;

use futures_util::future::join_all;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use transom_domain::{Agent, BroadcastId, ContactId};
use transom_storage::{BroadcastState, Hold, StoredBroadcast, WorkspaceScope};

use super::audience::Audience;
use super::content::BroadcastContent;
use super::{sleeps_until, tell, withdraw};
use crate::authorise::Caller;
use crate::schedule::reason;
use crate::send::{Hand, Job, Target};
use crate::{Desk, DeskError};

/// How often it is looked what there is to do.
const LOOK_EVERY: Pause = Pause::from_secs(1);
const LEASE_NAME: &str = "broadcasts";
/// Longer than a look at one batch takes.
const LEASE: Duration = Duration::seconds(30);
/// How many contacts are written down at once.
const PAGE: u32 = 500;
/// How many messages are queued between two looks whether the broadcast still runs and the lease is ours.
const BATCH: u32 = 50;
/// How many recipients are dealt with side by side.
const AT_ONCE: usize = 8;
/// A recipient who could not be looked at (no database, a channel that can't be connected) is looked at again after this long.
const AFTER_A_FAULT: Duration = Duration::seconds(30);
/// What frees itself bit by bit, such as a limit of the last 24 hours, is not looked at more often than this.
const HELD_AT_LEAST: Duration = Duration::MINUTE;
/// What says of no end is looked at again after this long.
const HELD_FOR: Duration = Duration::HOUR;

/// Works until told to stop; then another replica may at once.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    work_until(&desk, &stop).await;
    if let Err(error) = leave(&desk).await {
        tracing::warn!(%error, "the lease on broadcasts could not be given back; it ends by itself");
    }
}

async fn work_until(desk: &Desk, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let worked = tokio::select! {
            () = stop.cancelled() => break,
            worked = work(desk) => worked,
        };
        match worked {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "broadcasts could not be worked on; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// One batch of every broadcast at work; how many contacts were written down or dealt with.
///
/// # Errors
/// When the database fails.
pub async fn work(desk: &Desk) -> Result<usize, DeskError> {
    let mut count = 0;
    for scope in desk.storage().scopes_with_broadcasts_at_work().await? {
        let at_work = desk.reader(&scope).broadcasts_at_work().await?;
        for broadcast in &at_work {
            if !is_ours(desk, &scope).await? {
                break;
            }
            count += match step(desk, &scope, broadcast, pace_of(&at_work, broadcast)).await {
                Ok(done) => done,
                Err(error @ DeskError::Storage(_)) => return Err(error),
                Err(error) => {
                    tracing::warn!(broadcast = %broadcast.id, %error, "a broadcast could not go on; trying again");
                    0
                }
            };
        }
    }
    Ok(count)
}

async fn leave(desk: &Desk) -> Result<(), DeskError> {
    let owner = desk.owner();
    for scope in desk.storage().scopes_with_broadcasts_at_work().await? {
        desk.storage()
            .transact(&scope, move |tx| {
                Box::pin(async move { Ok::<_, DeskError>(tx.release_lease(LEASE_NAME, owner).await?) })
            })
            .await?;
    }
    Ok(())
}

async fn is_ours(desk: &Desk, scope: &WorkspaceScope) -> Result<bool, DeskError> {
    let owner = desk.owner();
    desk.storage()
        .transact(scope, move |tx| {
            Box::pin(async move { Ok::<_, DeskError>(tx.acquire_lease(LEASE_NAME, owner, LEASE).await?.is_some()) })
        })
        .await
}

/// How many messages all broadcasts over the account of one queue a minute: as many as the fastest of them.
fn pace_of(at_work: &[StoredBroadcast], one: &StoredBroadcast) -> u64 {
    let beside =
        |other: &&StoredBroadcast| other.state == BroadcastState::Running && other.plan.account == one.plan.account;
    at_work.iter().filter(beside).map(|other| u64::from(other.plan.per_minute)).max().unwrap_or_default()
}

async fn step(
    desk: &Desk,
    scope: &WorkspaceScope,
    broadcast: &StoredBroadcast,
    pace_of_account: u64,
) -> Result<usize, DeskError> {
    let (id, now) = (broadcast.id, desk.now());
    if broadcast.state == BroadcastState::Canceled {
        return withdraw(desk, scope, broadcast).await;
    }
    if broadcast.state == BroadcastState::Scheduled {
        if broadcast.plan.send_at.is_some_and(|at| now < at) {
            return Ok(0);
        }
        turn(desk, scope, id, (BroadcastState::Scheduled, BroadcastState::Running), None).await?;
        return Ok(1);
    }
    let reader = desk.reader(scope);
    let author = reader.agent(broadcast.author).await?.filter(|found| found.active).map(|found| found.agent);
    let Some(author) = author else {
        // Nobody answers for it: a person has to look.
        hold(desk, scope, id, "author_inactive", None).await?;
        return Ok(0);
    };
    let caller = Caller { scope: scope.clone(), agent: author };
    let mut count = 0;
    if !broadcast.collected {
        count += collect(desk, &caller, broadcast).await?;
    }
    if broadcast.held.as_ref().and_then(|held| held.until).is_some_and(|until| now < until) {
        return Ok(count);
    }
    let (own, all) = reader.queued_after(broadcast, now.saturating_sub(Duration::MINUTE)).await?;
    let room = u64::from(broadcast.plan.per_minute).saturating_sub(own).min(pace_of_account.saturating_sub(all));
    let room = room.min(u64::from(BATCH));
    let due = reader.recipients_due(id, now, u32::try_from(room).unwrap_or(BATCH)).await?;
    if !due.is_empty() {
        let content = BroadcastContent::read(id, &broadcast.plan.content)?;
        let run = Run { desk, scope, broadcast, content, author: caller.agent };
        for some in due.chunks(AT_ONCE) {
            let turns: Vec<_> = some.iter().map(|contact| run.deal_with(*contact)).collect();
            let mut held = None;
            for dealt_with in join_all(turns).await {
                held = held.or(dealt_with?);
            }
            desk.work().outbound.notify_one();
            if let Some((because, until)) = held {
                hold(desk, scope, id, because, until).await?;
                return Ok(count);
            }
            count += some.len();
        }
        if broadcast.held.is_some() {
            let_go(desk, scope, id).await?;
        }
    }
    if broadcast.collected && !reader.has_waiting(id).await? {
        turn(desk, scope, id, (BroadcastState::Running, BroadcastState::Done), None).await?;
    }
    Ok(count)
}

/// Takes a broadcast to another state, and says why if it is held up.
async fn turn(
    desk: &Desk,
    scope: &WorkspaceScope,
    id: BroadcastId,
    (from, to): (BroadcastState, BroadcastState),
    because: Option<&'static str>,
) -> Result<(), DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let desk = desk_in.clone();
            Box::pin(async move {
                if tx.turn_broadcast(id, &[from], to, None, now).await? {
                    let hold = because.map(|because| Hold { because: because.to_owned(), until: None });
                    tx.hold_broadcast(id, hold.as_ref()).await?;
                    let kind = format!("broadcast.{}", to.as_str());
                    tell(tx, &desk, id, &kind, None, now).await?;
                }
                Ok(())
            })
        })
        .await
}

/// Holds a broadcast up: until an instant, or, where none is known to help, until a person looks.
async fn hold(
    desk: &Desk,
    scope: &WorkspaceScope,
    id: BroadcastId,
    because: &'static str,
    until: Option<OffsetDateTime>,
) -> Result<(), DeskError> {
    if until.is_none() {
        return turn(desk, scope, id, (BroadcastState::Running, BroadcastState::Paused), Some(because)).await;
    }
    desk.storage()
        .transact(scope, move |tx| {
            let hold = Hold { because: because.to_owned(), until };
            Box::pin(async move { Ok(tx.hold_broadcast(id, Some(&hold)).await?) })
        })
        .await
}

async fn let_go(desk: &Desk, scope: &WorkspaceScope, id: BroadcastId) -> Result<(), DeskError> {
    desk.storage().transact(scope, move |tx| Box::pin(async move { Ok(tx.hold_broadcast(id, None).await?) })).await
}

/// Writes the next page of the audience down.
async fn collect(desk: &Desk, caller: &Caller, broadcast: &StoredBroadcast) -> Result<usize, DeskError> {
    let audience = Audience::read(broadcast.id, &broadcast.plan.audience)?;
    let page = audience.page((desk, caller), broadcast.after, PAGE).await?;
    let contacts: Vec<ContactId> = page.contacts.iter().map(|stored| stored.contact.id).collect();
    let (count, broadcast, contacts) = (contacts.len().max(1), Arc::new(broadcast.clone()), Arc::new(contacts));
    let (after, last, now) = (page.after, page.last, desk.now());
    let written = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (broadcast, contacts) = (broadcast.clone(), contacts.clone());
            Box::pin(async move {
                Ok::<_, DeskError>(tx.collect_recipients(&broadcast, &contacts, after, last, now).await?)
            })
        })
        .await?;
    Ok(if written { count } else { 0 })
}

/// Why nobody would get a message now, and until when, where that is known.
type Held = (&'static str, Option<OffsetDateTime>);

/// The word for a quota that has no room.
const USED_UP: &str = "quota_used";

/// A broadcast at work.
struct Run<'d> {
    desk: &'d Desk,
    scope: &'d WorkspaceScope,
    broadcast: &'d StoredBroadcast,
    content: BroadcastContent,
    /// In whose name it goes.
    author: Agent,
}

impl Run<'_> {
    /// One recipient gets their message, is left out with the reason, or waits for a better hour. Where nobody would get it now,
    /// they wait, and so does the broadcast.
    async fn deal_with(&self, contact: ContactId) -> Result<Option<Held>, DeskError> {
        let Err(error) = self.queue(contact).await else { return Ok(None) };
        if let Some(held) = self.holds_all_up(&error) {
            return Ok(Some(held));
        }
        self.leave(contact, error).await.map(|()| None)
    }

    fn holds_all_up(&self, error: &DeskError) -> Option<Held> {
        let DeskError::NotPermitted(verdict) = error else { return None };
        let (because, until) = verdict.holds_all_up()?;
        let now = self.desk.now();
        let is_quota = because == USED_UP;
        let until = until.unwrap_or(now.saturating_add(HELD_FOR)).max(now.saturating_add(HELD_AT_LEAST));
        Some((because, is_quota.then_some(until)))
    }

    async fn leave(&self, contact: ContactId, error: DeskError) -> Result<(), DeskError> {
        if let Some(until) = sleeps_until(&error, self.desk.now()) {
            return self.defer(contact, until).await;
        }
        match reason(&error) {
            Some(_) if error.code() == taken().code() => Ok(()),
            // Somebody else took the last place meanwhile: the rules say next time how long that lasts.
            Some(_) if error.code() == USED_UP => {
                self.defer(contact, self.desk.now().saturating_add(AFTER_A_FAULT)).await
            }
            Some(reason) => {
                let (id, reason) = (self.broadcast.id, Arc::new(reason));
                self.desk
                    .storage()
                    .transact(self.scope, move |tx| {
                        let reason = reason.clone();
                        Box::pin(async move { Ok::<_, DeskError>(tx.leave_recipient_out(id, contact, &reason).await?) })
                    })
                    .await?;
                Ok(())
            }
            None => {
                tracing::warn!(broadcast = %self.broadcast.id, %error, "a recipient could not be looked at; trying again");
                self.defer(contact, self.desk.now().saturating_add(AFTER_A_FAULT)).await
            }
        }
    }

    /// Recipient and message in one transaction: once, whatever happens between two of them.
    async fn queue(&self, contact: ContactId) -> Result<(), DeskError> {
        let (id, now) = (self.broadcast.id, self.desk.now());
        let stored = self.desk.reader(self.scope).contact(contact).await?;
        let stored = stored.ok_or(DeskError::NotFound { what: "contact" })?;
        let draft = self.content.for_contact(&stored, &self.author)?;
        let hand = Hand::broadcasting(&self.author, id, self.broadcast.plan.promotional);
        let target = Target::Contact { contact, account: self.broadcast.plan.account };
        let job = Job::of(self.desk, self.scope, hand, target, draft, None).await?;
        self.desk
            .storage()
            .transact(self.scope, move |tx| {
                let job = job.clone();
                Box::pin(async move {
                    if !tx.take_recipient(id, contact, now).await? {
                        return Err(taken());
                    }
                    let sent = job.run(tx).await?;
                    Ok(tx.note_recipient(id, contact, sent.message).await?)
                })
            })
            .await
    }

    async fn defer(&self, contact: ContactId, until: OffsetDateTime) -> Result<(), DeskError> {
        let id = self.broadcast.id;
        self.desk
            .storage()
            .transact(self.scope, move |tx| {
                Box::pin(async move { Ok::<_, DeskError>(tx.defer_recipient(id, contact, until).await?) })
            })
            .await
    }
}

/// Somebody else has the recipient, or the broadcast was held up.
fn taken() -> DeskError {
    DeskError::conflict("broadcast_state", "the recipient waits no more")
}
