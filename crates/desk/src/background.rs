//! Everything that runs by itself: applying, sending, looking up, fetching, writing to who is away, waking, keeping windows true, telling of their ends, tidying up.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::dispatch::{Dispatcher, run_looking_up};
use crate::{
    Desk, DeskError, attachments, broadcast, fallback, follow, housekeeping, jobs, moments, pull, receive, schedule,
    status, templates, webhooks_out, window,
};

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
        tasks.spawn(run_looking_up(desk.clone(), stop.clone()));
        tasks.spawn(status::run_waking(desk.clone(), stop.clone()));
        tasks.spawn(schedule::run(desk.clone(), stop.clone()));
        tasks.spawn(broadcast::run(desk.clone(), stop.clone()));
        tasks.spawn(attachments::run(desk.clone(), stop.clone()));
        tasks.spawn(follow::run(desk.clone(), stop.clone()));
        tasks.spawn(recompute(desk.clone(), stop.clone()));
        tasks.spawn(moments::run(desk.clone(), stop.clone()));
        tasks.spawn(pull::run(desk.clone(), stop.clone()));
        tasks.spawn(templates::run(desk.clone(), stop.clone()));
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

/// Looks what there is to do until told to stop: at once again after a look that found as much as it takes at once (`full`), else
/// after a pause.
pub(crate) async fn look<F>(stop: &CancellationToken, pause: Duration, full: usize, mut look: impl FnMut() -> F)
where
    F: Future<Output = Result<usize, DeskError>>,
{
    while !stop.is_cancelled() {
        if look().await.is_ok_and(|found| found >= full) {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 250 things a hundred are dealt with at a time: with a pause between them this would take hours.
    #[tokio::test]
    async fn there_is_no_pause_while_much_is_to_do() {
        let stop = CancellationToken::new();
        let mut waiting = 250_usize;
        let mut looks = Vec::new();
        let all = look(&stop, Duration::from_hours(1), 100, || {
            let found = waiting.min(100);
            waiting -= found;
            looks.push(found);
            if waiting == 0 {
                stop.cancel();
            }
            async move { Ok(found) }
        });
        tokio::time::timeout(Duration::from_mins(1), all).await.unwrap();
        assert_eq!(looks, [100, 100, 50]);
    }
}
