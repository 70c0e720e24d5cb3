//! Dispatch: claim, decide anew, write `sending`, send before the permit's end, record (reliability.md 4 to 7).
//!
//! Every replica runs one dispatcher. What it may do to a part it learns from the database: a claim is a lease, every result
//! is fenced by the attempt's number, and what was in hand at a crash is recovered by whoever is alive.

mod begin;
mod breaker;
mod budget;
mod lanes;
mod look_up;
mod outcome;
mod pacing;
mod part;
mod recover;
mod schedule;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transom_domain::WorkspaceId;
use transom_storage::{AccountRoom, ClaimBound, ClaimRequest, Claimed, WorkspaceScope};

use crate::{Desk, DeskError};
use breaker::{Breakers, LockedAccount};
use budget::Budgets;
use lanes::{Lanes, PER_ACCOUNT};
pub(crate) use look_up::run as run_looking_up;
use pacing::Pacers;
pub use recover::recover;

/// How many parts are claimed at once.
const BATCH: u32 = 50;
/// How often the outbox is looked at when nobody tells: for what other replicas queued and for what fell due.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often the outbox is swept without the moving lower bound, and lapsed leases are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Sends what is due.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    desk: Desk,
    breakers: Arc<Breakers>,
    pacers: Arc<Pacers>,
    budgets: Arc<Budgets>,
    lanes: Arc<Lanes>,
}

impl Dispatcher {
    /// For a desk.
    pub fn new(desk: Desk) -> Self {
        let (breakers, pacers, budgets, lanes) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        Self { desk, breakers, pacers, budgets, lanes }
    }

    /// Sends until told to stop; what is in hand is finished first.
    pub async fn run(self, stop: CancellationToken) {
        let mut bounds: HashMap<WorkspaceId, ClaimBound> = HashMap::new();
        let mut in_hand = JoinSet::new();
        let mut swept: Option<Instant> = None;
        let mut turn = 0;
        while !stop.is_cancelled() {
            while in_hand.try_join_next().is_some() {}
            if swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) {
                bounds.clear();
                swept = Some(Instant::now());
                self.sweep().await;
            }
            turn += 1;
            match self.round(turn, &mut bounds, &mut in_hand).await {
                Ok(0) => {}
                Ok(_) => continue,
                Err(error) => tracing::warn!(%error, "the outbox could not be read; trying again"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.desk.work().outbound.notified() => {}
                Some(_) = in_hand.join_next(), if !in_hand.is_empty() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        while in_hand.join_next().await.is_some() {}
        self.release().await;
    }

    /// Claims and sends one batch of every workspace, and waits for it: for tests and tools that have no loop.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_once(&self) -> Result<usize, DeskError> {
        let mut in_hand = JoinSet::new();
        let claimed = self.round(0, &mut HashMap::new(), &mut in_hand).await?;
        while in_hand.join_next().await.is_some() {}
        Ok(claimed)
    }

    /// One batch of every workspace, beginning with another one each turn.
    async fn round(
        &self,
        turn: usize,
        bounds: &mut HashMap<WorkspaceId, ClaimBound>,
        in_hand: &mut JoinSet<()>,
    ) -> Result<usize, DeskError> {
        let mut count = 0;
        let now = self.desk.now();
        let mut scopes = self.desk.storage().scopes_with_due_work(now).await?;
        let first = turn.checked_rem(scopes.len()).unwrap_or_default();
        scopes.rotate_left(first);
        for scope in scopes {
            let limit = BATCH.min(self.lanes.room_for(scope.workspace()));
            if limit == 0 {
                continue;
            }
            let bound = bounds.entry(scope.workspace()).or_default();
            for claimed in self.claim(&scope, limit, bound, now).await? {
                count += 1;
                let place = self.lanes.enter(scope.workspace(), claimed.account);
                let (this, scope) = (self.clone(), scope.clone());
                in_hand.spawn(async move {
                    part::handle(&this, &scope, &claimed).await;
                    drop(place);
                    this.desk.work().outbound.notify_one();
                });
            }
        }
        Ok(count)
    }

    async fn claim(
        &self,
        scope: &WorkspaceScope,
        limit: u32,
        bound: &mut ClaimBound,
        now: OffsetDateTime,
    ) -> Result<Vec<Claimed>, DeskError> {
        let (owner, lease, room) = (self.desk.owner(), self.desk.config().lease, self.room(now));
        let request = ClaimRequest { owner, limit, now, lease, bound, room: &room };
        Ok(self.desk.storage().claim(scope, request).await?)
    }

    /// How much each account can take: its lane's width, less by what its breaker says and by what is in hand.
    fn room(&self, now: OffsetDateTime) -> AccountRoom {
        let mut lanes = self.lanes.accounts();
        for (account, narrowed) in self.breakers.narrowed(now) {
            let (width, _) = lanes.entry(account).or_insert((PER_ACCOUNT, 0));
            *width = narrowed.of(*width);
        }
        let usual = AccountRoom::of(PER_ACCOUNT);
        lanes.into_iter().fold(usual, |room, (account, (width, held))| room.with(account, width.saturating_sub(held)))
    }

    /// What is looked at every few seconds: lapsed leases, and credentials that were mended.
    async fn sweep(&self) {
        if let Err(error) = recover(&self.desk).await {
            tracing::warn!(%error, "lapsed leases could not be looked for; trying again");
        }
        for locked in self.breakers.locked() {
            match self.is_mended(&locked).await {
                Ok(true) => self.breakers.unlock(locked.account, self.desk.now()),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "a connection could not be read; trying again"),
            }
        }
    }

    /// Whether an account's connection was changed after the platform refused it.
    async fn is_mended(&self, locked: &LockedAccount) -> Result<bool, DeskError> {
        let reader = self.desk.reader(&locked.scope);
        let Some(account) = reader.account(locked.account).await? else { return Ok(false) };
        let Some(stored) = reader.connection(account.connection).await? else { return Ok(false) };
        Ok(stored.updated_at > locked.since)
    }

    /// Gives claims that were not begun back, so that another replica need not wait for the lease.
    async fn release(&self) {
        let Ok(scopes) = self.desk.storage().all_scopes().await else { return };
        for scope in scopes {
            if let Err(error) = self.desk.storage().release_claims(&scope, self.desk.owner(), self.desk.now()).await {
                tracing::warn!(%error, "claims could not be given back; their leases will do it");
            }
        }
    }
}
