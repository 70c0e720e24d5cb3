//! Dispatch: claim, decide anew, write `sending`, send before the permit's end, record (reliability.md 4 to 7).
//!
//! Every replica runs one dispatcher. What it may do to a part it learns from the database: a claim is a lease, every result
//! is fenced by the attempt's number, and what was in hand at a crash is recovered by whoever is alive.

mod breaker;
mod pacing;
mod part;
mod recover;
mod schedule;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use transom_domain::WorkspaceId;
use transom_storage::{ClaimBound, ClaimRequest, Claimed, WorkspaceScope};

use crate::{Desk, DeskError};
use breaker::Breakers;
use pacing::Pacers;
pub use recover::recover;

/// How many parts are claimed at once.
const BATCH: u32 = 50;
/// How many parts are in hand at once, over all workspaces.
const IN_HAND: usize = 64;
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
    slots: Arc<Semaphore>,
}

impl Dispatcher {
    /// For a desk.
    pub fn new(desk: Desk) -> Self {
        Self { desk, breakers: Arc::default(), pacers: Arc::default(), slots: Arc::new(Semaphore::new(IN_HAND)) }
    }

    /// Sends until told to stop; what is in hand is finished first.
    pub async fn run(self, stop: CancellationToken) {
        let mut bounds: HashMap<WorkspaceId, ClaimBound> = HashMap::new();
        let mut in_hand = JoinSet::new();
        let mut swept: Option<tokio::time::Instant> = None;
        while !stop.is_cancelled() {
            if swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) {
                bounds.clear();
                swept = Some(tokio::time::Instant::now());
                if let Err(error) = recover(&self.desk).await {
                    tracing::warn!(%error, "lapsed leases could not be looked for; trying again");
                }
            }
            match self.round(&mut bounds, &mut in_hand).await {
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
        let claimed = self.round(&mut HashMap::new(), &mut in_hand).await?;
        while in_hand.join_next().await.is_some() {}
        Ok(claimed)
    }

    async fn round(
        &self,
        bounds: &mut HashMap<WorkspaceId, ClaimBound>,
        in_hand: &mut JoinSet<()>,
    ) -> Result<usize, DeskError> {
        let mut count = 0;
        let now = self.desk.now();
        let scopes = self.desk.storage().scopes_with_due_work(now).await?;
        // A workspace holds at most half of the slots while another one has work as well (reliability.md 7).
        let fair = if scopes.len() > 1 { BATCH / 2 } else { BATCH };
        for scope in scopes {
            let limit = fair.min(u32::try_from(self.slots.available_permits()).unwrap_or(BATCH));
            if limit == 0 {
                break;
            }
            let bound = bounds.entry(scope.workspace()).or_default();
            for claimed in self.claim(&scope, limit, bound, now).await? {
                count += 1;
                let Ok(slot) = self.slots.clone().acquire_owned().await else { return Ok(count) };
                let (this, scope) = (self.clone(), scope.clone());
                in_hand.spawn(async move {
                    part::handle(&this, &scope, claimed).await;
                    drop(slot);
                    this.desk.work().outbound.notify_one();
                });
            }
        }
        Ok(count)
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

    async fn claim(
        &self,
        scope: &WorkspaceScope,
        limit: u32,
        bound: &mut ClaimBound,
        now: OffsetDateTime,
    ) -> Result<Vec<Claimed>, DeskError> {
        let skip = self.breakers.open(now);
        let request = ClaimRequest {
            owner: self.desk.owner(),
            limit,
            now,
            lease: self.desk.config().lease,
            bound,
            skip_accounts: &skip,
        };
        Ok(self.desk.storage().claim(scope, request).await?)
    }
}
