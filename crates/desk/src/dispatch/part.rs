//! One claimed part, from its turn to the platform's answer.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use transom_channel::{OutboundPart, SendError};
use transom_storage::{Claimed, WorkspaceScope};
use transom_windows::Sender;

use super::Dispatcher;
use super::begin::{Begun, Ready, begin};
use super::outcome::{Answer, Attempted, settle};
use super::pacing::Load;
use crate::situation::wires;
use crate::{DeskError, signature, unsubscribe};

/// A part that could not be looked at (no database, an account that can't be connected) is looked at again after this long.
const AFTER_A_FAULT: Duration = Duration::seconds(5);

/// Handles a part.
///
/// A fault of the surroundings gives the claim back. A panic leaves it to the lease, which counts: three of them withhold the
/// part. What has begun is brought back by its lease in both cases.
pub(super) async fn handle(dispatcher: &Dispatcher, scope: &WorkspaceScope, claimed: &Claimed) {
    let part = claimed.part;
    match AssertUnwindSafe(dispatch(dispatcher, scope, claimed)).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%part, %error, "a part could not be handled; it is given back");
            let now = dispatcher.desk.now();
            if let Err(error) = postpone(dispatcher, scope, claimed, now.saturating_add(AFTER_A_FAULT), now).await {
                tracing::warn!(%part, %error, "a part could not be given back; its lease will do it");
            }
        }
        Err(_) => {
            metrics::counter!("transom_panics_total", "job" => "dispatch").increment(1);
            tracing::error!(%part, "handling a part panicked; its lease will bring it back");
        }
    }
}

async fn dispatch(dispatcher: &Dispatcher, scope: &WorkspaceScope, claimed: &Claimed) -> Result<(), DeskError> {
    let desk = &dispatcher.desk;
    let (now, began) = (desk.now(), Instant::now());
    let wires = wires(desk, scope, claimed.account).await?;
    let pacing = wires.1.capabilities().pacing;
    dispatcher.lanes.learn(claimed.account, pacing.concurrency.get());
    // Nothing may come between the decision and the wire, so rates are asked before.
    let load = Load::of(claimed);
    let taken = dispatcher.pacers.take(&pacing, load, now);
    let is_retry = claimed.attempt > 1;
    let turn = taken.and_then(|()| dispatcher.budgets.spend(claimed.account, is_retry, now));
    let begun = begin(desk, scope, claimed, wires, turn.err(), now).await;
    if let Ok(Begun::Ready(ready)) = begun {
        return Box::pin(send(dispatcher, scope, claimed, *ready, (now, began))).await;
    }
    if taken.is_ok() {
        dispatcher.pacers.put_back(&pacing, load);
    }
    begun.map(|_| ())
}

/// Sends what `sending` was written for; nothing is decided here any more.
async fn send(
    dispatcher: &Dispatcher,
    scope: &WorkspaceScope,
    claimed: &Claimed,
    ready: Ready,
    (started_at, began): (OffsetDateTime, Instant),
) -> Result<(), DeskError> {
    let Ready { situation, permit, attempt } = ready;
    let channel = situation.channel.clone();
    let platform = situation.account.platform.clone();
    // Writing took its time: the permit must still hold, and the lease must outlast the longest request.
    let (id, content, now) = ((claimed.part, attempt), claimed.content.clone(), dispatcher.desk.now());
    let outbound = OutboundPart::new(permit.clone(), &situation.identity, id, content, now);
    let permit_is_for_many = permit.sender() == Sender::Broadcast;
    let slow = began.elapsed() > dispatcher.desk.config().lease.unsigned_abs() / 4;
    let mut attempted = Attempted { claimed: claimed.clone(), situation, permit, attempt, started_at, duration_ms: 0 };
    let answer = match outbound {
        Err(refused) => Answer::TooLate(refused.to_string()),
        Ok(_) if slow => Answer::TooLate("beginning took too long".to_owned()),
        Ok(outbound) => {
            let outbound = outbound.in_thread(claimed.thread.clone()).of_message(claimed.message);
            let outbound = outbound.accepted_at(claimed.accepted_at);
            let outbound = outbound.signed(signature::kept(&claimed.ask));
            let to_many = permit_is_for_many.then(|| unsubscribe::link(&dispatcher.desk, scope, claimed.identity));
            let outbound = outbound.unsubscribed_at(to_many.flatten());
            let started = Instant::now();
            let sent = AssertUnwindSafe(channel.send(&outbound)).catch_unwind().await.unwrap_or_else(|_| {
                metrics::counter!("transom_panics_total", "job" => "send").increment(1);
                Err(SendError::OutcomeUnknown { detail: "the channel panicked".to_owned() })
            });
            let took = started.elapsed();
            let verdict = sent.as_ref().map_or_else(SendError::code, |_| "sent");
            metrics::counter!("transom_send_attempts_total", "platform" => platform.clone(), "verdict" => verdict)
                .increment(1);
            metrics::histogram!("transom_send_seconds", "platform" => platform).record(took.as_secs_f64());
            attempted.duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            Answer::Came(sent)
        }
    };
    settle(dispatcher, scope, attempted, answer).await
}

/// Back into the queue, before the wire: no attempt.
async fn postpone(
    dispatcher: &Dispatcher,
    scope: &WorkspaceScope,
    claimed: &Claimed,
    at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let (part, owner) = (claimed.part, dispatcher.desk.owner());
    dispatcher
        .desk
        .storage()
        .transact(scope, move |tx| {
            Box::pin(async move { Ok::<_, DeskError>(tx.postpone(part, owner, at, now).await?) })
        })
        .await?;
    Ok(())
}
