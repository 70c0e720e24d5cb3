//! Applying what was journalled: in order, up to a hundred calls a transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use transom_channel::{Channel, ContactField, Inbound, RawInbound};
use transom_domain::{ConnectionId, JournalId, QuarantineId};
use transom_storage::{CallOutcome, JournalCall, NewQuarantine, Reader, StorageError, Tx, WorkspaceScope};

use super::earlier::Earlier;
use super::ground::Ground;
use super::item::{self, Fate, Trouble};
use super::late;
use super::leftover::{Next, is_poison};
use super::together::{self, Outcome};
use crate::attachments::Brought;
use crate::quarantine::reason;
use crate::registry::Hook;
use crate::{Desk, DeskError};

/// How many calls are applied in one transaction.
pub(super) const BATCH: u64 = 100;
/// A call of more bytes is read before its transaction: nobody else should wait for that.
const LIGHT: usize = 64 * 1024;
/// Calls and files of so many bytes are enough for one transaction.
const HEAVY: usize = 32 * 1024 * 1024;
/// How often the journal is looked at when nobody calls: other replicas journal too.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What one round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Calls that were taken in hand.
    pub calls: u32,
    /// Items that changed something.
    pub items: u32,
    /// Items that went to quarantine.
    pub quarantined: u32,
}

/// Applies the journal until told to stop.
pub async fn run(desk: Desk, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let looked = apply_waiting(&desk).await;
        match looked {
            Ok(applied) if applied.calls > 0 => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the journal could not be applied; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = desk.work().inbound.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Applies one batch of every workspace that has something waiting; when nothing does, what waited for its message.
///
/// # Errors
/// When the database fails; nothing is lost, the next call goes on.
pub async fn apply_waiting(desk: &Desk) -> Result<Applied, DeskError> {
    desk.leftovers().look(desk).await?;
    let (mut total, mut failed) = (Applied::default(), None);
    for scope in desk.storage().scopes_with_unapplied_journal().await? {
        match apply_batch(desk, &scope).await {
            Ok(applied) => {
                total.calls += applied.calls;
                total.items += applied.items;
                total.quarantined += applied.quarantined;
            }
            // One workspace's trouble is not the others'.
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed.filter(|_| total.calls == 0) {
        return Err(error);
    }
    if total.calls == 0 {
        total.items += late::apply_due(desk).await?;
    }
    Ok(total)
}

/// How the items of a batch are kept apart.
#[derive(Debug, Clone, Copy)]
enum Care {
    /// Not at all: fast, and one that fails undoes the others.
    Together,
    /// Each in a savepoint.
    OneByOne,
}

async fn apply_batch(desk: &Desk, scope: &WorkspaceScope) -> Result<Applied, DeskError> {
    let next = desk.leftovers().next(desk, scope).await?;
    let applied = apply_next(desk, scope, &next).await?;
    desk.leftovers().done(scope, &next);
    Ok(applied)
}

/// Applies one call now, if it waits and nobody else has it in hand.
///
/// # Errors
/// When the database fails; the call goes on waiting.
pub(crate) async fn apply_call(desk: &Desk, scope: &WorkspaceScope, call: JournalId) -> Result<Applied, DeskError> {
    apply_next(desk, scope, &Next::Left(vec![call])).await
}

async fn apply_next(desk: &Desk, scope: &WorkspaceScope, next: &Next) -> Result<Applied, DeskError> {
    let mut ahead = Arc::default();
    let applied = match take_batch(desk, scope, next, Care::Together, &mut ahead).await {
        Err(error) => {
            let trouble = into_trouble(error)?;
            tracing::info!(reason = trouble.reason, "an item failed; its batch is applied item by item");
            take_batch(desk, scope, next, Care::OneByOne, &mut ahead).await?
        }
        Ok(applied) => applied,
    };
    if applied.calls > 0 {
        desk.work().outbound.notify_one();
        metrics::counter!("transom_inbound_items_total").increment(u64::from(applied.items));
    }
    Ok(applied)
}

/// The items of a call, or why there are none.
type Read = Result<Vec<Inbound>, Trouble>;

/// What was read before the transaction, with its files stored.
type Ahead = HashMap<JournalId, Read>;

/// What a transaction came to.
enum Taken {
    /// The oldest calls are applied.
    Applied(Applied),
    /// Nothing is: these must be read, and the files that they bring be stored, first.
    Waits(Heavy),
}

/// Calls that a transaction does not take up as they are.
#[derive(Default)]
struct Heavy {
    unread: Vec<JournalCall>,
    /// They bring files.
    read: Vec<(JournalId, Read)>,
}

impl Heavy {
    fn is_empty(&self) -> bool {
        self.unread.is_empty() && self.read.is_empty()
    }
}

async fn take_batch(
    desk: &Desk,
    scope: &WorkspaceScope,
    next: &Next,
    care: Care,
    ahead: &mut Arc<Ahead>,
) -> Result<Applied, DeskError> {
    let next = Arc::new(next.clone());
    loop {
        let ground = Arc::new(Ground::new(desk, scope, desk.now()));
        let (here, next, have) = (ground.clone(), next.clone(), ahead.clone());
        let taken = desk
            .storage()
            .transact(scope, move |tx| {
                let (ground, next, ahead) = (here.clone(), next.clone(), have.clone());
                Box::pin(async move { apply_calls(&ground, tx, &next, care, &ahead).await })
            })
            .await?;
        match taken {
            Taken::Applied(applied) => {
                ground.committed();
                return Ok(applied);
            }
            Taken::Waits(heavy) => read_ahead(desk, scope, Arc::make_mut(ahead), heavy).await?,
        }
    }
}

/// Reads what is heavy, and stores the files that it brings.
async fn read_ahead(
    desk: &Desk,
    scope: &WorkspaceScope,
    ahead: &mut Ahead,
    Heavy { unread, read: mut come }: Heavy,
) -> Result<(), DeskError> {
    let reader = desk.reader(scope);
    for call in &unread {
        come.push((call.call.id, read(desk, scope, &reader, call).await?));
    }
    for (id, read) in come {
        if let Some(files) = desk.files() {
            for bytes in brought(desk, &read) {
                files.blobs.put(scope, bytes.clone()).await.map_err(StorageError::from)?;
            }
        }
        ahead.insert(id, read);
    }
    Ok(())
}

/// The files of a call that are kept.
fn brought<'r>(desk: &Desk, read: &'r Read) -> impl Iterator<Item = &'r Bytes> {
    let max_bytes = desk.files().map(|files| files.max_bytes);
    let items = read.iter().flatten().zip(max_bytes.into_iter().cycle());
    items.flat_map(|(item, max_bytes)| Brought::by(item, max_bytes).bytes())
}

/// The oldest calls, as far as they can be applied now.
#[derive(Default)]
struct InHand<'c> {
    calls: Vec<(&'c JournalCall, Read)>,
    heavy: Heavy,
}

/// Reads calls, as long as they and the files that they bring are not too many bytes at once.
async fn take_in_hand<'c>(
    ground: &Ground,
    tx: &Tx,
    calls: &'c [JournalCall],
    ahead: &Ahead,
) -> Result<InHand<'c>, DeskError> {
    let (mut taken, mut weight) = (InHand::default(), 0);
    for call in calls {
        let (id, size) = (call.call.id, call.call.body.len());
        let known = ahead.get(&id);
        let read = match known {
            Some(read) => Some(read.clone()),
            None if size > LIGHT => None,
            None => Some(read(&ground.desk, &ground.scope, tx, call).await?),
        };
        let files = read.iter().flat_map(|read| brought(&ground.desk, read)).map(Bytes::len).sum::<usize>();
        let is_heavy = known.is_none() && (read.is_none() || files > 0);
        // What others journalled while these were read waits for the next round: this one comes to its end.
        if is_heavy && !taken.calls.is_empty() && !ahead.is_empty() {
            break;
        }
        weight += files.max(size);
        match read {
            Some(read) if !is_heavy => taken.calls.push((call, read)),
            Some(read) => taken.heavy.read.push((id, read)),
            None => taken.heavy.unread.push(call.clone()),
        }
        if weight > HEAVY {
            break;
        }
    }
    Ok(taken)
}

/// Applies the calls whose turn it is.
async fn apply_calls(
    ground: &Arc<Ground>,
    tx: &Tx,
    next: &Next,
    care: Care,
    ahead: &Ahead,
) -> Result<Taken, DeskError> {
    let calls = tx.lock_unapplied(next.waiting(), BATCH).await?;
    let InHand { calls, heavy } = take_in_hand(ground, tx, &calls, ahead).await?;
    if !heavy.is_empty() {
        return Ok(Taken::Waits(heavy));
    }
    let mut items = Vec::with_capacity(calls.len());
    let mut places = Vec::with_capacity(calls.len());
    let mut done = Vec::with_capacity(calls.len());
    let (mut unread, count) = (0, calls.len());
    for (call, read) in calls {
        let mut earlier = Earlier::of(tx, call).await?;
        match read {
            Ok(mut read) => {
                read.retain(|inbound| earlier.wants(inbound));
                places.push((call, read.len(), earlier));
                items.extend(read.into_iter().map(|inbound| (call.call.connection, inbound)));
            }
            Err(trouble) => {
                quarantine(ground, tx, call, &mut earlier, None, &trouble).await?;
                done.push((call.call.id, CallOutcome::Quarantined, json!({ "reason": trouble.reason })));
                unread += 1;
            }
        }
    }
    let items = Arc::new(items);
    let outcomes = match care {
        Care::Together => Box::pin(together::apply(ground, tx, &items, into_trouble)).await?,
        Care::OneByOne => one_by_one(ground, tx, &items).await?,
    };
    let mut applied = Applied { calls: u32::try_from(count).unwrap_or(u32::MAX), items: 0, quarantined: unread };
    let mut outcomes = items.iter().zip(outcomes);
    for (call, count, mut earlier) in places {
        let (mut changed, mut bad, mut erased) = (0, 0, 0);
        for ((_, inbound), outcome) in outcomes.by_ref().take(count) {
            match outcome {
                Ok(Fate::Taken) => changed += 1,
                Ok(Fate::Repeated) => {}
                Ok(Fate::Erased) => erased += 1,
                Err(trouble) => {
                    quarantine(ground, tx, call, &mut earlier, Some(inbound), &trouble).await?;
                    bad += 1;
                }
            }
        }
        earlier.settle(tx, ground.now).await?;
        let outcome = if bad > 0 { CallOutcome::Quarantined } else { CallOutcome::Applied };
        let mut summary = json!({ "items": changed, "quarantined": bad });
        if let (1.., Some(summary)) = (erased, summary.as_object_mut()) {
            summary.insert("erased".to_owned(), erased.into());
        }
        done.push((call.call.id, outcome, summary));
        (applied.items, applied.quarantined) = (applied.items + changed, applied.quarantined + bad);
    }
    tx.finish_calls(&done, ground.now).await?;
    Ok(Taken::Applied(applied))
}

/// Each item in a savepoint: a bad one undoes only itself.
async fn one_by_one(
    ground: &Arc<Ground>,
    tx: &Tx,
    items: &Arc<Vec<(ConnectionId, Inbound)>>,
) -> Result<Vec<Outcome>, DeskError> {
    let mut outcomes = Vec::with_capacity(items.len());
    for place in 0..items.len() {
        let (here, all) = (ground.clone(), items.clone());
        let outcome = tx
            .savepoint(|tx| {
                Box::pin(async move {
                    match all.get(place) {
                        Some((connection, inbound)) => item::apply(&here, tx, *connection, inbound).await,
                        None => Ok(Fate::Repeated),
                    }
                })
            })
            .await;
        ground.moved();
        outcomes.push(match outcome {
            Ok(changed) => Ok(changed),
            Err(error) => Err(into_trouble(error)?),
        });
    }
    Ok(outcomes)
}

/// Reads a call.
async fn read(desk: &Desk, scope: &WorkspaceScope, reader: &Reader, call: &JournalCall) -> Result<Read, DeskError> {
    if is_poison(call) {
        return Ok(Err(Trouble::new(reason::POISON, "the service died each time it had this call in hand")));
    }
    let channel = match call.call.account {
        // Fetched for one account: its own settings say how it is read.
        Some(account) => match desk.account(scope, account).await {
            Ok((_, channel)) => channel,
            Err(error @ DeskError::Storage(_)) => return Err(error),
            Err(error) => return Ok(Err(Trouble::new(reason::UNKNOWN_ACCOUNT, error.to_string()))),
        },
        None => match desk.channels().hook(reader, scope, call.call.connection).await {
            Ok(Some(Hook { channel, .. })) => channel,
            Ok(None) => return Ok(Err(Trouble::new(reason::UNKNOWN_CONNECTION, "the connection was removed"))),
            Err(error @ DeskError::Storage(_)) => return Err(error),
            // Its settings can't be used any more: one connection must not hold up the others.
            Err(error) => return Ok(Err(Trouble::new(reason::UNUSABLE_CONNECTION, error.to_string()))),
        },
    };
    let (query, headers): (Vec<_>, Vec<_>) =
        call.call.headers.iter().cloned().partition(|(name, _)| name == super::accept::QUERY);
    let raw = RawInbound {
        headers,
        query: query.into_iter().next().map(|(_, query)| query),
        body: call.call.body.clone(),
        received_at: call.call.received_at,
    };
    let mut items = channel.parse(&raw).map_err(|error| Trouble::new(reason::UNREADABLE, error.to_string()));
    items.iter_mut().flatten().for_each(|item| spell_alike(channel.as_ref(), item));
    Ok(items)
}

/// However a mailbox is written, it is one person's.
fn spell_alike(channel: &dyn Channel, item: &mut Inbound) {
    let rules = &channel.capabilities().addresses;
    let is_mailbox = |kind: &str| rules.iter().any(|rule| rule.kind == kind && rule.from == Some(ContactField::Email));
    for address in item.person.iter_mut().flat_map(|person| &mut person.addresses) {
        if is_mailbox(&address.kind) {
            address.value = address.value.to_lowercase();
        }
    }
}

/// A fault that belongs to the item; what belongs to the database is passed on and the whole batch runs again.
fn into_trouble(error: DeskError) -> Result<Trouble, DeskError> {
    match error {
        DeskError::Storage(
            error @ (StorageError::Unreadable { .. }
            | StorageError::MissingReference { .. }
            | StorageError::Duplicate { .. }
            | StorageError::Panicked { .. }
            // Such as a text with a NUL in it, which PostgreSQL does not store.
            | StorageError::Database(_)),
        ) => Ok(Trouble::new(reason::FAULT, error.to_string())),
        DeskError::Storage(error) => Err(DeskError::Storage(error)),
        other => Ok(Trouble::new(other.code(), other.to_string())),
    }
}

async fn quarantine(
    ground: &Ground,
    tx: &Tx,
    call: &JournalCall,
    earlier: &mut Earlier,
    inbound: Option<&Inbound>,
    trouble: &Trouble,
) -> Result<(), DeskError> {
    metrics::counter!("transom_quarantined_total", "reason" => trouble.reason).increment(1);
    if let Some(known) = earlier.take(inbound) {
        return Ok(tx.quarantine_again(known, trouble.reason, &trouble.detail, ground.now).await?);
    }
    let account = match inbound {
        Some(inbound) => ground.account(tx, call.call.connection, &inbound.account).await?,
        None => call.call.account,
    };
    let entry = NewQuarantine {
        id: QuarantineId::new(ground.desk.ids()),
        journal: call.call.id,
        connection: Some(call.call.connection),
        account,
        item: inbound.map(named),
        reason: trouble.reason.to_owned(),
        detail: trouble.detail.clone(),
        at: ground.now,
    };
    Ok(tx.quarantine(&entry).await?)
}

/// What names an item among those of its call.
pub(super) fn named(inbound: &Inbound) -> serde_json::Value {
    json!({ "account": inbound.account, "event_key": inbound.event_key })
}
