//! The mailboxes of a connection, for platforms that the service hosts itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use transom_channel::{MailboxEntry, MailboxError, MailboxEvent, MailboxKey, MailboxPage, MailboxPort};
use transom_domain::{Clock, ConnectionId, WorkspaceId};
use transom_storage::{NewMail, Signal, Storage, StorageError, StoredMail, WorkspaceScope};

/// How often it is looked what other replicas have appended.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How many mailboxes one query asks for.
const AT_ONCE: usize = 500;

/// The kind of signal that is for whoever reads a mailbox.
const WHISPER: &str = "mailbox.whisper";
/// Whispers that wait for a slow reader; it loses the oldest.
const WHISPERS: usize = 16;

/// What is told to whoever reads a mailbox now.
#[derive(Serialize, Deserialize)]
struct Whisper {
    connection: ConnectionId,
    mailbox: String,
    data: Value,
}

/// Who is waiting for news of which mailbox, in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct News {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    places: BTreeMap<Place, Waiters>,
    /// Whether somebody looks what other replicas have appended.
    looked_after: bool,
}

#[derive(Debug)]
struct Waiters {
    scope: WorkspaceScope,
    told: watch::Sender<u64>,
    whispered: broadcast::Sender<Value>,
    /// The newest event, as it was seen last.
    head: Option<u64>,
}

type Place = (WorkspaceId, ConnectionId, String);

impl News {
    /// Begins to wait, with what is taken of those who wait at that place.
    fn subscribe<T>(
        &self,
        storage: &Storage,
        scope: &WorkspaceScope,
        place: Place,
        take: impl FnOnce(&Waiters) -> T,
    ) -> T {
        let mut waiting = self.lock();
        let begin = || Waiters {
            scope: scope.clone(),
            told: watch::Sender::new(0),
            whispered: broadcast::Sender::new(WHISPERS),
            head: None,
        };
        let taken = take(waiting.places.entry(place).or_insert_with(begin));
        if !waiting.looked_after {
            waiting.looked_after = true;
            tokio::spawn(self.clone().look(storage.clone(), storage.signals()));
        }
        taken
    }

    /// Passes a whisper on to those who wait here.
    fn whisper(&self, place: &Place, data: &Value) {
        if let Some(waiters) = self.lock().places.get(place) {
            let _ = waiters.whispered.send(data.clone());
        }
    }

    /// Passes on what is whispered, here and on other replicas.
    async fn listen(&self, mut signals: broadcast::Receiver<Signal>) {
        loop {
            match signals.recv().await {
                Ok(Signal { workspace, kind, data }) if kind == WHISPER => {
                    if let Ok(Whisper { connection, mailbox, data }) = serde_json::from_value(data) {
                        self.whisper(&(workspace, connection, mailbox), &data);
                    }
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn tell(&self, place: &Place) {
        if let Some(waiters) = self.lock().places.get(place) {
            waiters.told.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Looks what other replicas have appended, and hears what is whispered, for all who wait, as long as somebody does.
    async fn look(self, storage: Storage, signals: broadcast::Receiver<Signal>) {
        tokio::select! {
            () = self.look_again(storage) => {}
            () = self.listen(signals) => {}
        }
    }

    async fn look_again(&self, storage: Storage) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let watched = {
                let mut waiting = self.lock();
                waiting
                    .places
                    .retain(|_, waiters| waiters.told.receiver_count() + waiters.whispered.receiver_count() > 0);
                waiting.looked_after = !waiting.places.is_empty();
                if !waiting.looked_after {
                    return;
                }
                let mut watched: BTreeMap<(WorkspaceId, ConnectionId), (WorkspaceScope, Vec<String>)> = BTreeMap::new();
                for ((workspace, connection, name), waiters) in &waiting.places {
                    let group = watched.entry((*workspace, *connection));
                    group.or_insert_with(|| (waiters.scope.clone(), Vec::new())).1.push(name.clone());
                }
                watched
            };
            for ((_, connection), (scope, names)) in watched {
                let reader = storage.reader(&scope);
                for names in names.chunks(AT_ONCE) {
                    match reader.mailbox_heads(connection, names.iter().map(String::as_str)).await {
                        Ok(heads) => self.seen(&scope, connection, heads),
                        Err(error) => tracing::debug!(%error, "mailboxes can't be looked at; trying again"),
                    }
                }
            }
        }
    }

    fn seen(&self, scope: &WorkspaceScope, connection: ConnectionId, heads: Vec<(String, u64)>) {
        let mut waiting = self.lock();
        for (name, head) in heads {
            let Some(waiters) = waiting.places.get_mut(&(scope.workspace(), connection, name)) else { continue };
            if waiters.head.replace(head) != Some(head) {
                waiters.told.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mailboxes of one connection.
#[derive(Debug)]
pub(super) struct StoredMailboxes {
    pub(super) storage: Storage,
    pub(super) scope: WorkspaceScope,
    pub(super) connection: ConnectionId,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) news: News,
}

impl StoredMailboxes {
    fn place(&self, name: &str) -> Place {
        (self.scope.workspace(), self.connection, name.to_owned())
    }

    fn tell(&self, name: &str) {
        self.news.tell(&self.place(name));
    }
}

#[async_trait]
impl MailboxPort for StoredMailboxes {
    async fn append(&self, name: &str, events: Vec<MailboxEvent>) -> Result<Vec<MailboxEntry>, MailboxError> {
        let (connection, now) = (self.connection, self.clock.now());
        let new = |MailboxEvent { key, data }| NewMail { key, data };
        let (place, events) = (Arc::new(name.to_owned()), Arc::new(events.into_iter().map(new).collect::<Vec<_>>()));
        let stored = self.storage.transact::<_, StorageError, _>(&self.scope, move |tx| {
            let (place, events) = (Arc::clone(&place), Arc::clone(&events));
            Box::pin(async move {
                let stored = tx.append_mail(connection, &place, &events, now).await?;
                Ok((stored, tx.mailbox(connection, &place).await?.leads_to))
            })
        });
        let (stored, leads_to) = stored.await.map_err(of_write)?;
        // Who reads the old mailbox must learn that it leads elsewhere now.
        self.tell(name);
        if let Some(leads_to) = leads_to {
            self.tell(&leads_to);
        }
        Ok(stored.into_iter().map(entry).collect())
    }

    async fn read_after(&self, name: &str, seq: u64, limit: u32) -> Result<MailboxPage, MailboxError> {
        let reader = self.storage.reader(&self.scope);
        let stands = reader.mailbox(self.connection, name).await.map_err(of_read)?;
        let mail = match stands.last_seq > seq && limit > 0 {
            true => reader.mail_after(self.connection, name, seq, limit).await.map_err(of_read)?,
            false => Vec::new(),
        };
        Ok(MailboxPage {
            // What was appended between the two reads is newer than the count.
            last_seq: mail.last().map_or(stands.last_seq, |newest| newest.seq.max(stands.last_seq)),
            entries: mail.into_iter().map(entry).collect(),
            purged_to: stands.purged_to,
            acked_seq: stands.acked_seq,
            leads_to: stands.leads_to,
            seen_at: stands.seen_at,
        })
    }

    async fn event(&self, name: &str, key: &str) -> Result<Option<MailboxEntry>, MailboxError> {
        let mail = self.storage.reader(&self.scope).mail_of(self.connection, name, [key]).await;
        Ok(mail.map_err(of_read)?.pop().map(entry))
    }

    fn news(&self, name: &str) -> BoxStream<'static, ()> {
        let take = |waiters: &Waiters| waiters.told.subscribe();
        let receiver = self.news.subscribe(&self.storage, &self.scope, self.place(name), take);
        stream::unfold(receiver, |mut receiver| async move {
            // The sender stays as long as somebody waits.
            receiver.changed().await.ok().map(|()| ((), receiver))
        })
        .boxed()
    }

    async fn whisper(&self, name: &str, data: Value) {
        let whisper = Whisper { connection: self.connection, mailbox: name.to_owned(), data };
        if let Ok(data) = serde_json::to_value(whisper) {
            self.storage.signal(Signal { workspace: self.scope.workspace(), kind: WHISPER.to_owned(), data }).await;
        }
    }

    fn whispers(&self, name: &str) -> BoxStream<'static, Value> {
        let take = |waiters: &Waiters| waiters.whispered.subscribe();
        let receiver = self.news.subscribe(&self.storage, &self.scope, self.place(name), take);
        stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(data) => return Some((data, receiver)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }

    async fn ack(&self, name: &str, seq: u64) -> Result<(), MailboxError> {
        let (connection, name) = (self.connection, Arc::new(name.to_owned()));
        let acked = self.storage.transact::<_, StorageError, _>(&self.scope, move |tx| {
            let name = Arc::clone(&name);
            Box::pin(async move { tx.ack_mail(connection, &name, seq).await })
        });
        acked.await.map_err(of_write)
    }

    async fn see(&self, name: &str) -> Result<(), MailboxError> {
        let (connection, now, name) = (self.connection, self.clock.now(), Arc::new(name.to_owned()));
        let seen = self.storage.transact::<_, StorageError, _>(&self.scope, move |tx| {
            let name = Arc::clone(&name);
            Box::pin(async move { tx.see_mailbox(connection, &name, now).await })
        });
        seen.await.map_err(of_write)
    }

    async fn lead(&self, name: &str, to: &str) -> Result<String, MailboxError> {
        let (connection, now) = (self.connection, self.clock.now());
        let (from, to) = (Arc::new(name.to_owned()), Arc::new(to.to_owned()));
        let led = self.storage.transact::<_, StorageError, _>(&self.scope, move |tx| {
            let (from, to) = (Arc::clone(&from), Arc::clone(&to));
            Box::pin(async move { tx.lead_mailbox(connection, &from, &to, now).await })
        });
        let leads_to = led.await.map_err(of_write)?;
        self.tell(name);
        Ok(leads_to)
    }

    async fn put_key(&self, hash: [u8; 32], opens: &MailboxKey) -> Result<(), MailboxError> {
        let (connection, opens) = (self.connection, Arc::new(opens.clone()));
        let put = self.storage.transact::<_, StorageError, _>(&self.scope, move |tx| {
            let opens = Arc::clone(&opens);
            Box::pin(async move { tx.put_mailbox_key(connection, hash, &opens.name, opens.until).await })
        });
        put.await.map_err(of_write)
    }

    async fn opens(&self, name: &str) -> Result<bool, MailboxError> {
        let reader = self.storage.reader(&self.scope);
        reader.mailbox_opens(self.connection, name, self.clock.now()).await.map_err(of_read)
    }

    async fn key(&self, hash: [u8; 32]) -> Result<Option<MailboxKey>, MailboxError> {
        let found = self.storage.reader(&self.scope).mailbox_key(self.connection, hash, self.clock.now()).await;
        Ok(found.map_err(of_read)?.map(key))
    }

    async fn take_key(&self, hash: [u8; 32]) -> Result<Option<MailboxKey>, MailboxError> {
        let (connection, now) = (self.connection, self.clock.now());
        let taken = self.storage.transact::<_, StorageError, _>(&self.scope, move |tx| {
            Box::pin(async move { tx.take_mailbox_key(connection, hash, now).await })
        });
        Ok(taken.await.map_err(of_write)?.map(key))
    }
}

fn entry(StoredMail { seq, key, data, at }: StoredMail) -> MailboxEntry {
    MailboxEntry { seq, key, data, at }
}

fn key((name, until): (String, time::OffsetDateTime)) -> MailboxKey {
    MailboxKey { name, until }
}

fn of_read(error: StorageError) -> MailboxError {
    MailboxError::Unavailable(error.code().to_owned())
}

/// Only an answer that was lost leaves a doubt; after every other error nothing is stored.
fn of_write(error: StorageError) -> MailboxError {
    match error {
        StorageError::CommitUnknown => MailboxError::Unknown(error.code().to_owned()),
        StorageError::MissingReference { .. } => MailboxError::Closed,
        StorageError::Full => MailboxError::Busy { retry_after_ms: 30_000 },
        error => MailboxError::Unavailable(error.code().to_owned()),
    }
}
