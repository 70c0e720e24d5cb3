//! Webhooks on their way: a queue an account, in order unless told otherwise, tried until the receiver answers 2xx.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::names::mix;

/// How many deliveries are remembered over all accounts.
const ROOM: usize = 50_000;

/// A webhook call, with what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// Its number in this sandbox.
    pub id: u64,
    /// The account it belongs to.
    pub account: String,
    /// What it reports: `messages`, `statuses`, `callback_query`, …
    pub event: String,
    /// The body, byte for byte.
    pub body: Box<RawValue>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Each try.
    pub tries: Vec<Try>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// In the queue.
    Waiting,
    /// Answered by a 2xx, or fetched by polling.
    Delivered,
    /// Tried as often as the configuration says.
    GaveUp,
}

/// One try of a delivery.
#[derive(Debug, Clone, Serialize)]
pub struct Try {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The receiver's answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// It was signed wrongly on purpose.
    pub badly_signed: bool,
}

/// What to do with an account's webhooks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum WebhookOrder {
    /// Keeps them back.
    Hold,
    /// Lets them go, in this order.
    Release {
        /// First come first served unless said otherwise.
        #[serde(default)]
        order: ReleaseOrder,
    },
    /// Delivers one again, as it was.
    Redeliver {
        /// Its number.
        delivery: u64,
    },
    /// Delivers each of the next events twice.
    Duplicate {
        /// How many events.
        count: u32,
    },
    /// Signs the next tries wrongly. An event refused for that is tried again with the right signature.
    BadSignature {
        /// How many tries.
        count: u32,
    },
}

/// The order in which held webhooks go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseOrder {
    /// As they came.
    #[default]
    Fifo,
    /// The last one first.
    Reverse,
    /// Shuffled, the same way each time.
    Shuffle,
}

/// The queue of one account.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) waiting: VecDeque<u64>,
    pub(crate) held: bool,
    pub(crate) not_before: Option<Instant>,
    pub(crate) failures: u32,
    pub(crate) duplicate_next: u32,
    pub(crate) badly_sign_next: u32,
    pub(crate) bell: Arc<Notify>,
}

impl Queue {
    /// Something changed: the worker looks again, at once.
    pub(crate) fn ring(&mut self) {
        self.not_before = None;
        self.bell.notify_one();
    }

    pub(crate) fn release(&mut self, order: ReleaseOrder) {
        let queued = self.waiting.make_contiguous();
        match order {
            ReleaseOrder::Fifo => {}
            ReleaseOrder::Reverse => queued.reverse(),
            ReleaseOrder::Shuffle => queued.sort_by_key(|id| mix(*id)),
        }
        self.held = false;
        self.ring();
    }

    /// Takes the first mention of a delivery out of the queue.
    pub(crate) fn done(&mut self, id: u64) {
        if let Some(at) = self.waiting.iter().position(|queued| *queued == id) {
            self.waiting.remove(at);
        }
        (self.failures, self.not_before) = (0, None);
    }

    /// Puts the next try off.
    pub(crate) fn put_off(&mut self, redelivery: &crate::Redelivery) -> u32 {
        let pause = redelivery.first.saturating_mul(1 << self.failures.min(16)).min(redelivery.longest);
        self.failures += 1;
        self.not_before = Some(Instant::now() + pause);
        self.failures
    }

    /// What stands at the head of the queue, or how long to wait for it.
    pub(crate) fn head(&self) -> Head {
        match (self.waiting.front(), self.not_before) {
            (None, _) => Head::Nothing,
            _ if self.held => Head::Nothing,
            (Some(id), None) => Head::Now(*id),
            (Some(id), Some(at)) => match at.saturating_duration_since(Instant::now()) {
                Duration::ZERO => Head::Now(*id),
                pause => Head::In(pause),
            },
        }
    }
}

/// See [`Queue::head`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    Nothing,
    Now(u64),
    In(Duration),
}

/// The deliveries of all accounts, by number.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    pub(crate) all: BTreeMap<u64, Delivery>,
    last: u64,
}

impl Deliveries {
    /// Writes a delivery down and puts it into its account's queue.
    pub(crate) fn add(&mut self, queue: &mut Queue, account: &str, event: &str, body: Box<RawValue>) -> u64 {
        self.last += 1;
        let id = self.last;
        let delivery = Delivery {
            id,
            account: account.to_owned(),
            event: event.to_owned(),
            body,
            state: DeliveryState::Waiting,
            tries: Vec::new(),
        };
        self.all.insert(id, delivery);
        queue.waiting.push_back(id);
        if queue.duplicate_next > 0 {
            queue.duplicate_next -= 1;
            queue.waiting.push_back(id);
        }
        // The oldest go first; one that still waits is then skipped by the worker.
        while self.all.len() > ROOM {
            self.all.pop_first();
        }
        queue.bell.notify_one();
        id
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Delivery> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Delivery> {
        self.all.get_mut(&id)
    }
}
