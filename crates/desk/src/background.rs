//! Everything that runs by itself: applying, sending, fetching, writing to who is away, waking, keeping windows true, tidying up.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::dispatch::Dispatcher;
use crate::{Desk, attachments, fallback, housekeeping, jobs, pull, receive, schedule, status, webhooks_out, window};

/// How often derived windows are looked at.
const RECOMPUTE_EVERY: Duration = Duration::from_secs(5);

/// The background work of one process.
#[derive(Debug)]
pub struct Background {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Background {
    /// Starts it all.
    pub fn start(desk: &Desk) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(receive::run(desk.clone(), stop.clone()));
        tasks.spawn(Dispatcher::new(desk.clone()).run(stop.clone()));
        tasks.spawn(status::run_waking(desk.clone(), stop.clone()));
        tasks.spawn(schedule::run(desk.clone(), stop.clone()));
        tasks.spawn(attachments::run(desk.clone(), stop.clone()));
        tasks.spawn(recompute(desk.clone(), stop.clone()));
        tasks.spawn(pull::run(desk.clone(), stop.clone()));
        tasks.spawn(jobs::run(desk.clone(), stop.clone()));
        tasks.spawn(fallback::run(desk.clone(), stop.clone()));
        tasks.spawn(webhooks_out::run(desk.clone(), stop.clone()));
        tasks.spawn(housekeeping::run(desk.clone(), stop.clone()));
        Self { stop, tasks }
    }

    /// Stops it: nothing new is begun, what is in hand is finished, at most for `patience`.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.cancel();
        let finish = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, finish).await.is_err() {
            tracing::warn!("background work did not end in time; leases will bring it back");
        }
    }
}

async fn recompute(desk: Desk, stop: CancellationToken) {
    if let Err(error) = window::notice_replaced_policies(&desk).await {
        tracing::warn!(%error, "whether policies were replaced could not be seen; lists may sort by what they said before");
    }
    while !stop.is_cancelled() {
        if let Err(error) = window::recompute_due(&desk).await {
            tracing::warn!(%error, "derived windows could not be renewed; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(RECOMPUTE_EVERY) => {}
        }
    }
}
