//! Who delivers what when: a lease an endpoint, its events in their order, and the schedule of reliability.md 7.

use std::collections::HashSet;
use std::time::Duration as StdDuration;

use rand::RngExt as _;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transom_domain::EndpointId;
use transom_storage::{Health, NewAttempt, NumberedEvent, QueueState, StoredDelivery, StoredEndpoint, WorkspaceScope};

use super::deliver::{self, DELIVERED, GONE};
use crate::{Desk, DeskError, changes};

/// How many endpoints are served at once.
const AT_ONCE: usize = 16;
/// How often to look for what became due.
const LOOK_EVERY: StdDuration = StdDuration::from_millis(250);
/// How long an endpoint is one process's own, by the database's clock: longer than a turn with its last attempt.
const LEASE: Duration = Duration::seconds(60);
/// After so long a turn ends, so that others have theirs.
const TURN: StdDuration = StdDuration::from_secs(20);
/// How many events are put into the queue in one transaction.
const BATCH: u64 = 200;
/// How long to wait after each attempt that failed (reliability.md 7); then the event is given up.
const WAITS: [Duration; 9] = [
    Duration::seconds(5),
    Duration::minutes(5),
    Duration::minutes(30),
    Duration::hours(2),
    Duration::hours(5),
    Duration::hours(10),
    Duration::hours(14),
    Duration::hours(20),
    Duration::hours(24),
];
/// After so many failures in a row the breaker is open: one probe, then a pause.
const BREAKER: u64 = 5;
const BREAKER_PAUSE: Duration = Duration::minutes(5);
/// An endpoint that fails for so long is turned off.
const PATIENCE: Duration = Duration::days(5);

/// Delivers until told to stop; what is in hand is finished first.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    let mut in_hand: JoinSet<EndpointId> = JoinSet::new();
    let mut busy = HashSet::new();
    let mut hints = desk.storage().event_hints();
    while !stop.is_cancelled() {
        match desk.storage().endpoints_with_work(desk.now()).await {
            Ok(due) => {
                for (scope, id) in due {
                    if in_hand.len() >= AT_ONCE {
                        break;
                    }
                    if busy.insert(id) {
                        in_hand.spawn(turn(desk.clone(), scope, id, stop.clone()));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "webhook endpoints could not be read; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            Some(ended) = in_hand.join_next(), if !in_hand.is_empty() => ended_turn(ended, &mut busy, &in_hand),
            _ = hints.recv() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        while let Some(ended) = in_hand.try_join_next() {
            ended_turn(ended, &mut busy, &in_hand);
        }
    }
    while in_hand.join_next().await.is_some() {}
}

fn ended_turn(
    ended: Result<EndpointId, tokio::task::JoinError>,
    busy: &mut HashSet<EndpointId>,
    left: &JoinSet<EndpointId>,
) {
    match ended {
        Ok(id) => {
            busy.remove(&id);
        }
        Err(error) => {
            metrics::counter!("transom_panics_total", "where" => "webhooks_out").increment(1);
            tracing::error!(%error, "delivering webhooks broke off; the lease ends by itself");
            // Whose turn it was is not known any more: the leases keep the others apart until all have ended.
            if left.is_empty() {
                busy.clear();
            }
        }
    }
}

/// One turn of an endpoint, if no other replica has it.
async fn turn(desk: Desk, scope: WorkspaceScope, id: EndpointId, stop: CancellationToken) -> EndpointId {
    if let Err(error) = serve(&desk, &scope, id, &stop).await {
        tracing::warn!(endpoint = %id, %error, "webhooks could not be delivered; trying again");
    }
    id
}

async fn serve(desk: &Desk, scope: &WorkspaceScope, id: EndpointId, stop: &CancellationToken) -> Result<(), DeskError> {
    let began = Instant::now();
    while hold(desk, scope, id).await? {
        let due = desk.reader(scope).endpoint(id).await?.filter(|stored| is_due(stored, desk.now()));
        let next = match &due {
            Some(stored) => next_of(desk, scope, stored).await?,
            None => None,
        };
        let (Some(stored), Some(head)) = (due, next) else { break };
        let attempt = match desk.reader(scope).numbered_event(head.event).await? {
            Some(event) => deliver::attempt(desk, scope, &stored, &event).await?,
            None => NewAttempt { at: desk.now(), took: Duration::ZERO, outcome: "event_gone", status: None },
        };
        settle(desk, scope, &stored, head, attempt).await?;
        if stop.is_cancelled() || began.elapsed() > TURN {
            break;
        }
    }
    let owner = desk.owner();
    let release = desk.storage().transact(scope, move |tx| {
        Box::pin(async move { Ok::<_, DeskError>(tx.release_lease(&lease_name(id), owner).await?) })
    });
    release.await.map(drop)
}

fn is_due(stored: &StoredEndpoint, now: OffsetDateTime) -> bool {
    stored.endpoint.enabled && stored.next_at <= now
}

fn lease_name(id: EndpointId) -> String {
    format!("webhook:{id}")
}

async fn hold(desk: &Desk, scope: &WorkspaceScope, id: EndpointId) -> Result<bool, DeskError> {
    let owner = desk.owner();
    let lease = desk.storage().transact(scope, move |tx| {
        Box::pin(async move { Ok::<_, DeskError>(tx.acquire_lease(&lease_name(id), owner, LEASE).await?) })
    });
    Ok(lease.await?.is_some())
}

/// The head of the queue, which is filled from the events if it is empty.
async fn next_of(
    desk: &Desk,
    scope: &WorkspaceScope,
    stored: &StoredEndpoint,
) -> Result<Option<StoredDelivery>, DeskError> {
    let (reader, id) = (desk.reader(scope), stored.endpoint.id);
    let mut cursor = stored.cursor;
    loop {
        if let Some(head) = reader.delivery_head(id).await? {
            return Ok(Some(head));
        }
        let events = reader.events_after(cursor, BATCH).await?;
        let Some(to) = events.last().map(|event| event.seq) else { return Ok(None) };
        let wanted: Vec<NumberedEvent> =
            events.into_iter().filter(|event| stored.endpoint.wants(&event.event)).collect();
        let (from, now) = (cursor, desk.now());
        let moved = desk.storage().transact(scope, move |tx| {
            let wanted = wanted.clone();
            Box::pin(async move {
                let moved = tx.move_endpoint_cursor(id, from, to).await?;
                if moved {
                    tx.queue_deliveries(id, &wanted, now).await?;
                }
                Ok::<_, DeskError>(moved)
            })
        });
        if !moved.await? {
            return Ok(None);
        }
        cursor = to;
    }
}

/// Records an attempt, and decides when the next one is.
async fn settle(
    desk: &Desk,
    scope: &WorkspaceScope,
    stored: &StoredEndpoint,
    head: StoredDelivery,
    attempt: NewAttempt,
) -> Result<(), DeskError> {
    let verdict = Verdict::of(stored, &head, &attempt, desk.now(), rand::rng().random_range(0.0..1.0));
    if let Some(why) = verdict.disable {
        tracing::warn!(endpoint = %stored.endpoint.id, why, "a webhook endpoint is turned off");
    }
    let (desk_in, id, now) = (desk.clone(), stored.endpoint.id, desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let (desk, head) = (desk_in.clone(), head.clone());
            Box::pin(async move {
                if !tx.record_delivery(id, &head, &attempt, verdict.state, now).await? {
                    return Ok(());
                }
                tx.put_endpoint_health(id, verdict.health).await?;
                if let Some(why) = verdict.disable
                    && tx.disable_endpoint(id, why, now).await?
                {
                    let data = json!({ "endpoint": id, "because": why });
                    changes::tell(tx, desk.ids(), None, "webhook_endpoint.disabled", data, now).await?;
                }
                Ok::<_, DeskError>(())
            })
        })
        .await
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    state: QueueState,
    health: Health,
    disable: Option<&'static str>,
}

impl Verdict {
    /// `spread` in 0..1 keeps endpoints that failed together from coming back together.
    fn of(
        stored: &StoredEndpoint,
        head: &StoredDelivery,
        attempt: &NewAttempt,
        now: OffsetDateTime,
        spread: f64,
    ) -> Self {
        match attempt.outcome {
            DELIVERED => Self {
                state: QueueState::Delivered,
                health: Health { failures: 0, failing_since: None, next_at: now },
                disable: None,
            },
            // Nobody's fault but time's.
            "event_gone" => {
                let Health { failures, failing_since, .. } = health(stored);
                Self {
                    state: QueueState::Failed,
                    health: Health { failures, failing_since, next_at: now },
                    disable: None,
                }
            }
            outcome => {
                let failures = stored.failures + 1;
                let since = stored.failing_since.unwrap_or(now);
                let wait = usize::try_from(head.tries).ok().and_then(|tries| WAITS.get(tries));
                let disable = match outcome {
                    GONE => Some("gone"),
                    _ if now - since >= PATIENCE => Some("failing"),
                    _ => None,
                };
                let state = match (wait, disable) {
                    // It waits, should the endpoint be turned on again.
                    (_, Some(_)) | (Some(_), None) => QueueState::Waiting,
                    (None, None) => QueueState::Failed,
                };
                let pause = if failures >= BREAKER { BREAKER_PAUSE } else { Duration::ZERO };
                let wait = wait.copied().unwrap_or_default().max(pause);
                let next_at = now.saturating_add(wait + wait * (0.1 * spread));
                Self { state, health: Health { failures, failing_since: Some(since), next_at }, disable }
            }
        }
    }
}

fn health(stored: &StoredEndpoint) -> Health {
    Health { failures: stored.failures, failing_since: stored.failing_since, next_at: stored.next_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use transom_domain::{EventId, UuidV7};
    use transom_storage::Endpoint;

    const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

    fn stored() -> StoredEndpoint {
        StoredEndpoint {
            endpoint: Endpoint {
                id: EndpointId::new(&UuidV7),
                url: "https://example.com/".to_owned(),
                description: String::new(),
                kinds: Vec::new(),
                enabled: true,
                agent: None,
            },
            disabled_because: None,
            old_secret_until: None,
            cursor: 1,
            next_at: NOW,
            failures: 0,
            failing_since: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn head() -> StoredDelivery {
        StoredDelivery {
            seq: 1,
            event: EventId::new(&UuidV7),
            kind: "message.sent".to_owned(),
            state: QueueState::Waiting,
            tries: 0,
            attempts: 0,
            queued_at: NOW,
            settled_at: None,
        }
    }

    fn attempt(outcome: &'static str) -> NewAttempt {
        NewAttempt { at: NOW, took: Duration::ZERO, outcome, status: None }
    }

    /// Tries again and again at the instants that the verdicts give, until one gives the event up or the endpoint off.
    fn failing(outcome: &'static str, mut events: usize) -> (Vec<Duration>, Option<&'static str>) {
        let (mut stored, mut head, mut now, mut waits) = (stored(), head(), NOW, Vec::new());
        loop {
            let verdict = Verdict::of(&stored, &head, &attempt(outcome), now, 0.0);
            waits.push(verdict.health.next_at - now);
            now = verdict.health.next_at;
            (stored.failures, stored.failing_since) = (verdict.health.failures, verdict.health.failing_since);
            head.tries += 1;
            if verdict.disable.is_some() {
                return (waits, verdict.disable);
            }
            if verdict.state == QueueState::Failed {
                events -= 1;
                head.tries = 0;
                if events == 0 {
                    return (waits, None);
                }
            }
        }
    }

    #[test]
    fn an_event_is_tried_ten_times_over_three_days() {
        let (waits, disabled) = failing("failed", 1);
        assert_eq!((waits.len(), disabled), (10, None));
        assert_eq!(waits[..9], WAITS, "the breaker never makes these waits shorter");
        let total: Duration = waits[..9].iter().sum();
        assert!(total > Duration::days(3) && total < Duration::days(4), "{total}");
    }

    #[test]
    fn five_days_of_failure_turn_it_off_and_410_does_at_once() {
        let (waits, disabled) = failing("timeout", 10);
        assert_eq!(disabled, Some("failing"));
        let before: Duration = waits[..waits.len() - 1].iter().sum();
        assert!(before >= PATIENCE, "{before}");
        assert_eq!(failing(GONE, 1), (vec![Duration::seconds(5)], Some("gone")));
    }

    #[test]
    fn behind_an_event_that_was_given_up_the_breaker_is_open() {
        let (waits, _) = failing("failed", 2);
        assert_eq!(waits[10], BREAKER_PAUSE, "the first wait of the next event is no five seconds");
    }

    #[test]
    fn one_success_forgets_all_failures() {
        let stored = StoredEndpoint { failures: 7, failing_since: Some(NOW - Duration::days(2)), ..stored() };
        let verdict = Verdict::of(&stored, &head(), &attempt(DELIVERED), NOW, 0.5);
        assert_eq!(verdict.state, QueueState::Delivered);
        assert_eq!(verdict.health, Health { failures: 0, failing_since: None, next_at: NOW });
    }
}
