//! Fetching one account: under a lease, cursor by cursor.
//!
//! ```text
//!  lease ─► next(cursor) ─► raw and cursor in one transaction, if lease and cursor are still ours ─► done(cursor)
//!               ▲                                                                                        │
//!               └────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Killed before the transaction, the platform gives the same again; killed after it, the cursor is further.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration as Pause;

use rand::RngExt as _;
use serde_json::json;
use time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transom_channel::{Channel, Pull, RawInbound, SendError};
use transom_domain::{ChannelAccount, ChannelAccountId, EventId, JournalId, WorkspaceId};
use transom_storage::{CallSource, NewCall, NewEvent, StorageError, WorkspaceScope};

use crate::{Desk, DeskError, event_kinds};

/// The shortest lease; usually it is a quarter of the dispatcher's. Renewed all the while, so it bounds only how long another
/// replica waits for one that died.
const LEAST_LEASE: Duration = Duration::seconds(3);
/// Between two questions that brought nothing, where the platform does not wait for news itself.
const BREATH: Pause = Pause::from_secs(1);
/// After this many failures in a row people are told.
const TELL_AFTER: u32 = 3;
/// The longest pause after failures.
const LONGEST_PAUSE: Pause = Pause::from_mins(1);

/// One account that is fetched.
#[derive(Debug)]
pub(super) struct Fetch {
    desk: Desk,
    scope: WorkspaceScope,
    account: ChannelAccountId,
    lease: String,
    ttl: Duration,
}

/// Why a turn ended without having asked successfully.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    /// Another replica has the account.
    #[error("another replica has it")]
    NotOurs,
    /// It is not fetched any more.
    #[error("it is not fetched any more")]
    Gone,
    /// The platform did not answer as hoped.
    #[error(transparent)]
    Platform(#[from] SendError),
    /// The database did not do it.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl From<StorageError> for Stopped {
    fn from(error: StorageError) -> Self {
        Stopped::Desk(error.into())
    }
}

impl Fetch {
    pub(super) fn new(desk: Desk, scope: WorkspaceScope, account: ChannelAccountId) -> Self {
        let ttl = LEAST_LEASE.max(desk.config().lease / 4_i32);
        Self { lease: format!("pull:{account}"), desk, scope, account, ttl }
    }

    pub(super) fn workspace(&self) -> WorkspaceId {
        self.scope.workspace()
    }

    /// Fetches until told to stop, or until the account is not fetched any more.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let mut failures = 0_u32;
        let mut told_platform = false;
        while !stop.is_cancelled() {
            let turn = tokio::select! {
                () = stop.cancelled() => break,
                turn = self.turn(&mut told_platform) => turn,
            };
            let pause = match turn {
                Ok(pause) => {
                    if failures >= TELL_AFTER {
                        self.tell("channel.fetch_resumed", None).await;
                    }
                    failures = 0;
                    pause
                }
                Err(Stopped::Gone) => break,
                Err(Stopped::NotOurs) => {
                    (failures, told_platform) = (0, false);
                    self.ttl.unsigned_abs() / 3
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(account = %self.account, %error, failures, "an account could not be fetched");
                    metrics::counter!("transom_pull_failures_total").increment(1);
                    if failures == TELL_AFTER {
                        self.tell("channel.fetch_failing", Some(&error)).await;
                    }
                    pause_after(failures, &error)
                }
            };
            // The lease is kept while waiting: another replica would meet the same trouble.
            tokio::select! {
                () = stop.cancelled() => {}
                _ = self.keeping(tokio::time::sleep(pause)) => {}
            }
        }
        if let Err(error) = self.release().await {
            tracing::debug!(%error, "a lease could not be given back; it lapses");
        }
    }

    /// Asks once and stores what came; how long to wait before the next time.
    async fn turn(&self, told_platform: &mut bool) -> Result<Pause, Stopped> {
        if !self.renew().await? {
            return Err(Stopped::NotOurs);
        }
        let (account, channel) = match self.desk.account(&self.scope, self.account).await {
            Err(DeskError::NotFound { .. }) => return Err(Stopped::Gone),
            found => found?,
        };
        let Some(pull) = channel.pull().filter(|_| account.enabled) else { return Err(Stopped::Gone) };
        let cursor = self.desk.reader(&self.scope).pull_cursor(self.account).await?;
        if let Some(cursor) = cursor.as_deref().filter(|_| !*told_platform) {
            // Whoever stored it may have died before telling.
            pull.done(cursor).await?;
        }
        *told_platform = true;
        let asked = Instant::now();
        let from = match &cursor {
            Some(cursor) => Some(cursor.clone()),
            None => self.desk.reader(&self.scope).connected_at(self.account).await?.and_then(|at| pull.beginning(at)),
        };
        let (raw, next) = self.keeping(pull.next(from.as_deref())).await??;
        if raw.is_empty() && next == cursor.clone().unwrap_or_default() {
            return Ok(BREATH.saturating_sub(asked.elapsed()));
        }
        let came = raw.len() as u64;
        self.store(&account, &channel, raw, cursor, &next).await?;
        metrics::counter!("transom_pulled_total", "platform" => account.platform.clone()).increment(came);
        self.desk.work().inbound.notify_one();
        // Stored is stored: what could not be told now is told with the next cursor.
        if let Err(error) = pull.done(&next).await {
            *told_platform = false;
            tracing::warn!(account = %self.account, %error, "the platform could not be told what is stored");
        }
        Ok(Pause::ZERO)
    }

    /// Raw and cursor, or nothing: not if the lease is lost, and not if somebody else has moved the cursor.
    async fn store(
        &self,
        account: &ChannelAccount,
        channel: &Arc<dyn Channel>,
        raw: Vec<RawInbound>,
        from: Option<String>,
        to: &str,
    ) -> Result<(), Stopped> {
        let covers = channel.pull().is_some_and(Pull::covers_connection);
        let call = |raw: RawInbound| NewCall {
            id: JournalId::new(self.desk.ids()),
            connection: account.connection,
            account: (!covers).then_some(account.id),
            source: CallSource::Pull,
            headers: raw.headers,
            body: raw.body,
            received_at: raw.received_at,
        };
        let calls: Arc<Vec<NewCall>> = Arc::new(raw.into_iter().map(call).collect());
        let (id, owner, ttl, now) = (account.id, self.desk.owner(), self.ttl, self.desk.now());
        let (lease, to) = (self.lease.clone(), to.to_owned());
        let stored = self
            .desk
            .storage()
            .transact(&self.scope, move |tx| {
                let (lease, from, to, calls) = (lease.clone(), from.clone(), to.clone(), calls.clone());
                Box::pin(async move {
                    if tx.acquire_lease(&lease, owner, ttl).await?.is_none()
                        || !tx.advance_pull_cursor(id, from.as_deref(), &to, now).await?
                    {
                        return Ok::<_, StorageError>(false);
                    }
                    for call in calls.iter() {
                        tx.append_call(call).await?;
                    }
                    Ok(true)
                })
            })
            .await?;
        if stored { Ok(()) } else { Err(Stopped::NotOurs) }
    }

    /// Does something that takes its time, and renews the lease meanwhile.
    async fn keeping<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = tokio::time::sleep(self.ttl.unsigned_abs() / 3) => {
                    // A database that is away for a moment takes nothing from us: the lease is checked before storing.
                    if matches!(self.renew().await, Ok(false)) {
                        return Err(Stopped::NotOurs);
                    }
                }
            }
        }
    }

    async fn renew(&self) -> Result<bool, Stopped> {
        let (lease, owner, ttl) = (self.lease.clone(), self.desk.owner(), self.ttl);
        let held = self
            .desk
            .storage()
            .transact(&self.scope, move |tx| {
                let lease = lease.clone();
                Box::pin(async move { tx.acquire_lease(&lease, owner, ttl).await })
            })
            .await?;
        Ok(held.is_some())
    }

    async fn release(&self) -> Result<bool, StorageError> {
        let (lease, owner) = (self.lease.clone(), self.desk.owner());
        self.desk
            .storage()
            .transact(&self.scope, move |tx| {
                let lease = lease.clone();
                Box::pin(async move { tx.release_lease(&lease, owner).await })
            })
            .await
    }

    /// An event for people: the account can't be fetched, or can be again.
    async fn tell(&self, kind: &'static str, error: Option<&Stopped>) {
        let report = match error {
            Some(Stopped::Platform(error)) => json!({ "code": error.code(), "error": error }),
            Some(other) => json!({ "code": "storage", "error": other.to_string() }),
            None => serde_json::Value::Null,
        };
        let now = self.desk.now();
        let event = NewEvent {
            id: EventId::new(self.desk.ids()),
            kind: event_kinds::told(kind),
            conversation: None,
            contact: None,
            data: json!({ "account": self.account, "error": report }),
            at: now,
        };
        let told: Result<(), StorageError> = self
            .desk
            .storage()
            .transact(&self.scope, move |tx| {
                let event = event.clone();
                Box::pin(async move { tx.emit(&event).await })
            })
            .await;
        if let Err(error) = told {
            tracing::warn!(%error, "an event could not be stored");
        }
    }
}

/// The platform's wish, if it has one; else 1 s doubling to a minute, with equal jitter.
fn pause_after(failures: u32, error: &Stopped) -> Pause {
    if let Stopped::Platform(SendError::RateLimited { retry_after_ms: Some(wish), .. }) = error {
        return Pause::from_millis(*wish).min(Pause::from_hours(1));
    }
    let longest = Pause::from_secs(1_u64 << failures.saturating_sub(1).min(6)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + 0.5 * rand::rng().random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_minute_and_wishes_are_followed() {
        let gone = || Stopped::Platform(SendError::NotConnected { detail: String::new() });
        for (failures, seconds) in [(1, 1.0), (2, 2.0), (4, 8.0), (7, 60.0), (u32::MAX, 60.0)] {
            for _ in 0..50 {
                let pause = pause_after(failures, &gone()).as_secs_f64();
                assert!((seconds / 2.0..=seconds).contains(&pause), "{failures}: {pause}");
            }
        }
        let report = transom_channel::PlatformReport::default();
        let wish = Stopped::Platform(SendError::RateLimited { retry_after_ms: Some(7_000), report });
        assert_eq!(pause_after(1, &wish), Pause::from_secs(7));
    }
}
