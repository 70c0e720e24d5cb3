//! Webhooks out: addresses that are told what happens, by Standard Webhooks 1.0 (R-513, reliability.md 11).

mod deliver;
mod queue;
mod sign;

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;
use time::Duration;
use transom_domain::{AgentId, EndpointId, EventId};
use transom_storage::{DeliveryAttempt, Endpoint, NumberedEvent, QueueState, StoredDelivery, StoredEndpoint, Tx};
use url::Url;

use crate::authorise::{Action, Caller, authorise};
use crate::bots::is_bot;
use crate::changes::Notice;
use crate::idempotency::{Once, only_once};
use crate::{Desk, DeskError, event_kinds};

pub(crate) use queue::run;

/// How long the secret before the present one signs, too.
const ROTATION: Duration = Duration::DAY;
/// How many endpoints a workspace may have.
const MOST: usize = 50;
const MAX_URL: usize = 2_000;
const MAX_DESCRIPTION: usize = 500;
const MAX_KINDS: usize = 100;
/// How many events one request puts into a queue again.
const REPLAYED_AT_ONCE: u64 = 10_000;
/// How many of them in one transaction.
const BATCH: u64 = 500;

/// What may be said of an endpoint; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct EndpointChange {
    /// Where it is.
    pub url: Option<String>,
    /// What it is for, for people.
    pub description: Option<String>,
    /// Which events it gets; none for all.
    pub kinds: Option<Vec<String>>,
    /// Whether it gets any.
    pub enabled: Option<bool>,
    /// The bot whose endpoint it shall be; `Some(None)` makes it everybody's.
    pub agent: Option<Option<AgentId>>,
}

/// An endpoint that was just made. Its secret is sealed: nobody can show it again.
#[derive(Debug, Clone)]
pub struct MadeEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What its messages are signed with.
    pub secret: SecretString,
}

/// Which events are told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// One.
    Event(EventId),
    /// This one and all that the endpoint was told, or should have been, after it.
    Since(EventId),
}

/// A delivery with how each attempt went.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The delivery.
    pub delivery: StoredDelivery,
    /// Every attempt.
    pub attempts: Vec<DeliveryAttempt>,
}

/// Adds an endpoint, which is told what happens from now on.
///
/// # Errors
/// [`DeskError::Invalid`] for an address that may not be called, or a filter that names no event.
pub async fn add(
    desk: &Desk,
    caller: &Caller,
    change: EndpointChange,
    once: Option<Once<MadeEndpoint>>,
) -> Result<MadeEndpoint, DeskError> {
    authorise(caller, Action::ManageWebhooks)?;
    let url = change.url.clone().ok_or_else(|| DeskError::invalid("url_invalid", "url", "an address is needed"))?;
    let (id, description, kinds) = (EndpointId::new(desk.ids()), String::new(), Vec::new());
    let blank = Endpoint { id, url, description, kinds, enabled: true, agent: None };
    let (endpoint, now, once) = (Arc::new(changed(desk, blank, change)?), desk.now(), once.map(Arc::new));
    let notice = Notice::by(desk, &caller.agent);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (endpoint, once, notice) = (endpoint.clone(), once.clone(), notice.clone());
            Box::pin(async move {
                let added = async {
                    if tx.endpoints().await?.len() >= MOST {
                        let detail = format!("a workspace has at most {MOST} endpoints");
                        return Err(DeskError::invalid("too_many", "url", detail));
                    }
                    check_bot(tx, endpoint.agent).await?;
                    let cursor = tx.last_event_seq().await?;
                    let secret = tx.create_endpoint(&endpoint, cursor, now).await?;
                    notice.tell(tx, "webhook_endpoint.created", json!({ "endpoint": endpoint.id })).await?;
                    Ok(MadeEndpoint { endpoint: Endpoint::clone(&endpoint), secret })
                };
                only_once(once.as_deref(), tx, now, added).await
            })
        })
        .await
}

/// Every endpoint.
///
/// # Errors
/// When the database fails.
pub async fn list(desk: &Desk, caller: &Caller) -> Result<Vec<StoredEndpoint>, DeskError> {
    authorise(caller, Action::ManageWebhooks)?;
    Ok(desk.reader(&caller.scope).endpoints().await?)
}

/// One endpoint.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn get(desk: &Desk, caller: &Caller, id: EndpointId) -> Result<StoredEndpoint, DeskError> {
    authorise(caller, Action::ManageWebhooks)?;
    desk.reader(&caller.scope).endpoint(id).await?.ok_or(UNKNOWN)
}

/// Changes an endpoint. One that is turned on goes on where it stopped, as far as events are kept.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Invalid`] as for [`add`].
pub async fn change(
    desk: &Desk,
    caller: &Caller,
    id: EndpointId,
    change: EndpointChange,
) -> Result<StoredEndpoint, DeskError> {
    authorise(caller, Action::ManageWebhooks)?;
    let (desk_in, now, notice) = (desk.clone(), desk.now(), Notice::by(desk, &caller.agent));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, change, notice) = (desk_in.clone(), change.clone(), notice.clone());
            Box::pin(async move {
                let stored = tx.lock_endpoint(id).await?.ok_or(UNKNOWN)?;
                let after = changed(&desk, stored.endpoint.clone(), change)?;
                if after.agent != stored.endpoint.agent {
                    check_bot(tx, after.agent).await?;
                }
                if after != stored.endpoint {
                    tx.change_endpoint(&after, now).await?;
                    let data = json!({ "endpoint": id, "enabled": after.enabled });
                    notice.tell(tx, "webhook_endpoint.changed", data).await?;
                }
                tx.endpoint(id).await?.ok_or(UNKNOWN)
            })
        })
        .await
}

/// Removes an endpoint with its queue.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn remove(desk: &Desk, caller: &Caller, id: EndpointId) -> Result<(), DeskError> {
    authorise(caller, Action::ManageWebhooks)?;
    let notice = Notice::by(desk, &caller.agent);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let notice = notice.clone();
            Box::pin(async move {
                if !tx.delete_endpoint(id).await? {
                    return Err(UNKNOWN);
                }
                notice.tell(tx, "webhook_endpoint.deleted", json!({ "endpoint": id })).await
            })
        })
        .await
}

/// Gives an endpoint a new secret, shown once. The one before signs beside it for a day, so that nothing is lost meanwhile.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn rotate(
    desk: &Desk,
    caller: &Caller,
    id: EndpointId,
    once: Option<Once<MadeEndpoint>>,
) -> Result<MadeEndpoint, DeskError> {
    authorise(caller, Action::ManageWebhooks)?;
    let (now, once) = (desk.now(), once.map(Arc::new));
    let (until, notice) = (now.saturating_add(ROTATION), Notice::by(desk, &caller.agent));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (once, notice) = (once.clone(), notice.clone());
            Box::pin(async move {
                let rotated = async {
                    let secret = tx.rotate_endpoint_secret(id, until, now).await?.ok_or(UNKNOWN)?;
                    let endpoint = tx.endpoint(id).await?.ok_or(UNKNOWN)?.endpoint;
                    notice.tell(tx, "webhook_endpoint.rotated", json!({ "endpoint": id })).await?;
                    Ok(MadeEndpoint { endpoint, secret })
                };
                only_once(once.as_deref(), tx, now, rotated).await
            })
        })
        .await
}

/// Tells an endpoint an event that says nothing, now and once, whatever waits; how that went.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn test(desk: &Desk, caller: &Caller, id: EndpointId) -> Result<DeliveryAttempt, DeskError> {
    authorise(caller, Action::ManageWebhooks)?;
    let stored = get(desk, caller, id).await?;
    deliver::test(desk, &caller.scope, &stored).await
}

/// Deliveries of an endpoint before event `before`, newest first, with every attempt.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn deliveries(
    desk: &Desk,
    caller: &Caller,
    id: EndpointId,
    state: Option<QueueState>,
    before: Option<u64>,
    limit: u64,
) -> Result<Vec<Delivery>, DeskError> {
    get(desk, caller, id).await?;
    let reader = desk.reader(&caller.scope);
    let found = reader.deliveries(id, state, before, limit).await?;
    let seqs: Vec<u64> = found.iter().map(|delivery| delivery.seq).collect();
    let attempts = reader.delivery_attempts(id, &seqs).await?;
    let of = |seq| attempts.iter().filter(move |(of, _)| *of == seq).map(|(_, attempt)| attempt.clone()).collect();
    Ok(found.into_iter().map(|delivery| Delivery { attempts: of(delivery.seq), delivery }).collect())
}

/// Tells events again, in their order and under their ids; how many went into the queue.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown endpoint, or an event that is not kept any more.
pub async fn replay(desk: &Desk, caller: &Caller, id: EndpointId, what: Replay) -> Result<u64, DeskError> {
    let stored = get(desk, caller, id).await?;
    let reader = desk.reader(&caller.scope);
    let (Replay::Event(event) | Replay::Since(event)) = what;
    let first = reader.numbered_event(event).await?.ok_or(DeskError::NotFound { what: "event" })?;
    let (mut after, mut queued) = (first.seq.saturating_sub(1), 0);
    // What lies behind the cursor is told anyway.
    while after < stored.cursor && queued < REPLAYED_AT_ONCE {
        let events = match what {
            Replay::Event(_) => vec![first.clone()],
            Replay::Since(_) => reader.events_after(after, BATCH).await?,
        };
        let Some(last) = events.last() else { break };
        after = if matches!(what, Replay::Event(_)) { stored.cursor } else { last.seq };
        let told = |event: &NumberedEvent| event.seq <= stored.cursor && stored.endpoint.wants(&event.event);
        let events: Arc<Vec<_>> = Arc::new(events.into_iter().filter(told).collect());
        queued += events.len() as u64;
        let now = desk.now();
        desk.storage()
            .transact(&caller.scope, move |tx| {
                let events = events.clone();
                Box::pin(async move { Ok::<_, DeskError>(tx.queue_deliveries(id, &events, now).await?) })
            })
            .await?;
    }
    Ok(queued)
}

const UNKNOWN: DeskError = DeskError::NotFound { what: "webhook endpoint" };

/// Whether an endpoint may be this agent's own.
async fn check_bot(tx: &Tx, agent: Option<AgentId>) -> Result<(), DeskError> {
    let Some(id) = agent else { return Ok(()) };
    let stored = tx.agent(id).await?.ok_or(DeskError::NotFound { what: "agent" })?;
    is_bot(&stored.agent)
}

fn changed(desk: &Desk, before: Endpoint, change: EndpointChange) -> Result<Endpoint, DeskError> {
    let EndpointChange { url, description, kinds, enabled, agent } = change;
    // What stands there already may be of a version that told more.
    let why_never_told = kinds.iter().flatten().find_map(|kind| event_kinds::why_never_told(kind));
    let after = Endpoint {
        id: before.id,
        url: url.map_or(before.url, |url| url.trim().to_owned()),
        description: description.map_or(before.description, |text| text.trim().to_owned()),
        kinds: kinds.unwrap_or(before.kinds),
        enabled: enabled.unwrap_or(before.enabled),
        agent: agent.unwrap_or(before.agent),
    };
    let parsed = Url::parse(&after.url).ok().filter(|_| after.url.len() <= MAX_URL);
    let parsed = parsed.ok_or_else(|| {
        let detail = format!("an https address of at most {MAX_URL} characters is expected");
        DeskError::invalid("url_invalid", "url", detail)
    })?;
    desk.outside().rules().check(&parsed).map_err(|why| DeskError::invalid("url_refused", "url", why))?;
    if after.description.chars().count() > MAX_DESCRIPTION {
        let detail = format!("at most {MAX_DESCRIPTION} characters are taken");
        return Err(DeskError::invalid("text_too_long", "description", detail));
    }
    if after.kinds.len() > MAX_KINDS {
        return Err(DeskError::invalid("too_many", "kinds", format!("at most {MAX_KINDS} kinds are taken")));
    }
    match why_never_told {
        Some(why) => Err(DeskError::invalid("kind_invalid", "kinds", why)),
        None => Ok(after),
    }
}
