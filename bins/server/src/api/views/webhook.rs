//! Webhook endpoints and their deliveries.

use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object};
use secrecy::ExposeSecret;
use time::OffsetDateTime;
use transom_desk::webhooks_out::{Delivery, EndpointChange, MadeEndpoint};
use transom_storage::{DeliveryAttempt, QueueState, StoredEndpoint};
use uuid::Uuid;

/// An address that is told what happens.
#[derive(Debug, Object)]
#[oai(rename = "WebhookEndpoint", skip_serializing_if_is_none)]
pub(crate) struct EndpointView {
    /// Its id.
    id: Uuid,
    /// Where it is.
    url: String,
    /// What it is for.
    description: String,
    /// Which events it gets: `message.state`, or `message.*`; all if there is none.
    kinds: Vec<String>,
    /// Whether it gets any.
    enabled: bool,
    /// The bot whose endpoint it is: then it gets only what is for that bot, as the bot's own stream does.
    agent: Option<Uuid>,
    /// Why it was turned off by itself: `gone` (the receiver answered 410) or `failing` (for five days).
    disabled_because: Option<String>,
    /// Events up to this number are in its queue, or behind it.
    cursor: u64,
    /// Attempts in a row that failed.
    failures: u64,
    /// When the first of them was.
    failing_since: Option<OffsetDateTime>,
    /// When it is tried again, while it fails.
    next_attempt_at: Option<OffsetDateTime>,
    /// Until when the secret before the present one signs, too.
    old_secret_until: Option<OffsetDateTime>,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it was last changed.
    updated_at: OffsetDateTime,
}

impl From<&StoredEndpoint> for EndpointView {
    fn from(stored: &StoredEndpoint) -> Self {
        let endpoint = &stored.endpoint;
        Self {
            id: endpoint.id.uuid(),
            url: endpoint.url.clone(),
            description: endpoint.description.clone(),
            kinds: endpoint.kinds.clone(),
            enabled: endpoint.enabled,
            agent: endpoint.agent.map(Uuid::from),
            disabled_because: stored.disabled_because.clone(),
            cursor: stored.cursor,
            failures: stored.failures,
            failing_since: stored.failing_since,
            next_attempt_at: (endpoint.enabled && stored.failures > 0).then_some(stored.next_at),
            old_secret_until: stored.old_secret_until,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// All endpoints.
#[derive(Debug, Object)]
#[oai(rename = "WebhookEndpointList")]
pub(crate) struct EndpointList {
    /// The endpoints, oldest first.
    pub(crate) items: Vec<EndpointView>,
}

/// An endpoint with its secret, which is shown this once.
#[derive(Debug, Object)]
#[oai(rename = "WebhookEndpointOnce")]
pub(crate) struct EndpointOnce {
    /// Its id.
    id: Uuid,
    /// What its messages are signed with: it can't be shown again.
    secret: String,
}

impl From<&MadeEndpoint> for EndpointOnce {
    fn from(made: &MadeEndpoint) -> Self {
        Self { id: made.endpoint.id.uuid(), secret: made.secret.expose_secret().to_owned() }
    }
}

/// A new endpoint.
#[derive(Debug, Object)]
#[oai(rename = "NewWebhookEndpoint", deny_unknown_fields)]
pub(crate) struct NewEndpoint {
    /// Where it is.
    #[oai(validator(min_length = 1, max_length = 2_000))]
    url: String,
    /// What it is for.
    #[oai(validator(max_length = 500))]
    description: Option<String>,
    /// Which events it gets: `message.state`, or `message.*`; all unless said.
    #[oai(validator(max_items = 100))]
    kinds: Option<Vec<String>>,
    /// Whether it gets any; yes unless said.
    enabled: Option<bool>,
    /// A bot, to tell only what is for it by its bindings; everything unless said.
    agent: Option<Uuid>,
}

impl From<NewEndpoint> for EndpointChange {
    fn from(new: NewEndpoint) -> Self {
        let NewEndpoint { url, description, kinds, enabled, agent } = new;
        Self { url: Some(url), description, kinds, enabled, agent: agent.map(|bot| Some(bot.into())) }
    }
}

/// What may change; what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "WebhookEndpointPatch", deny_unknown_fields)]
pub(crate) struct EndpointPatch {
    /// Where it is.
    #[oai(validator(min_length = 1, max_length = 2_000))]
    url: Option<String>,
    /// What it is for.
    #[oai(validator(max_length = 500))]
    description: Option<String>,
    /// Which events it gets; none for all.
    #[oai(validator(max_items = 100))]
    kinds: Option<Vec<String>>,
    /// Whether it gets any. One that is turned on goes on where it stopped, as far as events are kept.
    enabled: Option<bool>,
    /// A bot, to tell only what is for it from now on; null to tell everything.
    agent: MaybeUndefined<Uuid>,
}

impl From<EndpointPatch> for EndpointChange {
    fn from(patch: EndpointPatch) -> Self {
        let EndpointPatch { url, description, kinds, enabled, agent } = patch;
        let agent = match agent {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(bot) => Some(Some(bot.into())),
        };
        Self { url, description, kinds, enabled, agent }
    }
}

/// What became of an event on its way to an endpoint.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "WebhookDeliveryState", rename_all = "snake_case")]
pub(crate) enum DeliveryStateWord {
    /// It is in the queue.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Failed,
}

impl From<QueueState> for DeliveryStateWord {
    fn from(state: QueueState) -> Self {
        match state {
            QueueState::Waiting => Self::Waiting,
            QueueState::Delivered => Self::Delivered,
            QueueState::Failed => Self::Failed,
        }
    }
}

impl From<DeliveryStateWord> for QueueState {
    fn from(word: DeliveryStateWord) -> Self {
        match word {
            DeliveryStateWord::Waiting => Self::Waiting,
            DeliveryStateWord::Delivered => Self::Delivered,
            DeliveryStateWord::Failed => Self::Failed,
        }
    }
}

/// An event on its way to an endpoint.
#[derive(Debug, Object)]
#[oai(rename = "WebhookDelivery", skip_serializing_if_is_none)]
pub(crate) struct DeliveryView {
    /// The event: it is the `webhook-id`, too.
    event: Uuid,
    /// Its number.
    pub(crate) seq: u64,
    /// What happened.
    #[oai(rename = "type")]
    kind: String,
    /// What became of it.
    state: DeliveryStateWord,
    /// When it was last put into the queue.
    queued_at: OffsetDateTime,
    /// When it was taken or given up.
    settled_at: Option<OffsetDateTime>,
    /// Every attempt.
    attempts: Vec<WebhookAttemptView>,
}

impl From<&Delivery> for DeliveryView {
    fn from(Delivery { delivery, attempts }: &Delivery) -> Self {
        Self {
            event: delivery.event.uuid(),
            seq: delivery.seq,
            kind: delivery.kind.clone(),
            state: delivery.state.into(),
            queued_at: delivery.queued_at,
            settled_at: delivery.settled_at,
            attempts: attempts.iter().map(Into::into).collect(),
        }
    }
}

/// One attempt.
#[derive(Debug, Object)]
#[oai(rename = "WebhookAttempt", skip_serializing_if_is_none)]
pub(crate) struct WebhookAttemptView {
    /// Which one, from 1.
    number: u64,
    /// When it began.
    at: OffsetDateTime,
    /// How long it took, in milliseconds.
    took_ms: u64,
    /// `delivered`, `refused` (4xx), `failed` (5xx), `redirected` (3xx), `gone` (410), `timeout`, `not_connected`, `broken`,
    /// `address_refused`, `port_refused` or `event_gone` (not kept any more).
    outcome: String,
    /// The status that the receiver answered, if it did.
    status: Option<u16>,
}

impl From<&DeliveryAttempt> for WebhookAttemptView {
    fn from(attempt: &DeliveryAttempt) -> Self {
        Self {
            number: attempt.number,
            at: attempt.at,
            took_ms: attempt.took_ms,
            outcome: attempt.outcome.clone(),
            status: attempt.status,
        }
    }
}

/// A page of deliveries.
#[derive(Debug, Object)]
#[oai(rename = "WebhookDeliveryPage", skip_serializing_if_is_none)]
pub(crate) struct DeliveryPage {
    /// The deliveries, newest event first.
    pub(crate) items: Vec<DeliveryView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// Which events shall be told again: one of both.
#[derive(Debug, Object)]
#[oai(rename = "WebhookReplay", deny_unknown_fields)]
pub(crate) struct ReplayBody {
    /// This event.
    pub(crate) event: Option<Uuid>,
    /// This event and those after it.
    pub(crate) since: Option<Uuid>,
}

/// What went into the queue again.
#[derive(Debug, Object)]
#[oai(rename = "WebhookReplayed")]
pub(crate) struct ReplayedView {
    /// How many events; at most 10,000 a request.
    pub(crate) queued: u64,
}
