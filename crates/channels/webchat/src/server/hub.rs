//! What all visitors of this process have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;
use transom_channel::Host;

use super::rates::{Rates, What};
use super::refusal::Refused;

/// Sockets of one visitor; the oldest goes (webchat.md 4).
const SOCKETS: usize = 5;
/// Sockets of one address (webchat.md 8).
const SOCKETS_OF_ADDRESS: usize = 50;
/// A visitor's signs of life are one for this long.
const VISIT: Duration = Duration::seconds(30);
/// That a visitor is here is stored at most so often: each sign of a side that says something every 25 seconds.
const PRESENCE: Duration = Duration::seconds(20);
/// Signs of life that are over are forgotten at this many.
const SWEPT_AT: usize = 10_000;

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) host: Arc<dyn Host>,
    rates: Rates,
    open: Mutex<Open>,
    visits: Mutex<Signs>,
    presence: Mutex<Signs>,
}

/// When whose last sign was.
type Signs = HashMap<String, OffsetDateTime>;

#[derive(Debug, Default)]
struct Open {
    count: u64,
    /// By mailbox, the oldest first.
    visitors: HashMap<String, Vec<(u64, Arc<Notify>)>>,
    addresses: HashMap<String, usize>,
}

/// A socket among those of its visitor: it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    hub: Arc<Hub>,
    place: String,
    address: String,
    number: u64,
    /// Told once a newer socket takes its place.
    pub(super) replaced: Arc<Notify>,
}

impl Hub {
    pub(super) fn new(host: Arc<dyn Host>) -> Self {
        let (visits, presence) = (Mutex::default(), Mutex::default());
        Self { host, rates: Rates::default(), open: Mutex::default(), visits, presence }
    }

    /// Takes from somebody's bucket.
    pub(super) fn take(&self, what: What, who: &str, cost: f64) -> Result<(), Refused> {
        self.rates.take(what, who, cost, Instant::now())
    }

    /// Seats a socket of a visitor; the oldest beyond five is told to go.
    pub(super) fn seat(self: &Arc<Self>, place: String, address: String) -> Result<Seat, Refused> {
        let mut open = self.open();
        let of_address = open.addresses.entry(address.clone()).or_default();
        if *of_address >= SOCKETS_OF_ADDRESS {
            return Err(Refused::too_fast(60));
        }
        *of_address += 1;
        open.count += 1;
        let (number, replaced) = (open.count, Arc::new(Notify::new()));
        let sockets = open.visitors.entry(place.clone()).or_default();
        sockets.push((number, Arc::clone(&replaced)));
        if sockets.len() > SOCKETS {
            let (_, oldest) = sockets.remove(0);
            oldest.notify_one();
        }
        drop(open);
        Ok(Seat { hub: Arc::clone(self), place, address, number, replaced })
    }

    /// Whether a sign of life of a visitor is the first for a while.
    pub(super) fn is_visit(&self, place: &str, now: OffsetDateTime) -> bool {
        is_first(&self.visits, place, VISIT, now)
    }

    /// Whether it is time to store again that a visitor is here.
    pub(super) fn is_news_of_presence(&self, place: &str, now: OffsetDateTime) -> bool {
        is_first(&self.presence, place, PRESENCE, now)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_first(signs: &Mutex<Signs>, place: &str, span: Duration, now: OffsetDateTime) -> bool {
    // A clock that was set back begins anew.
    let counts = |at: &OffsetDateTime| (Duration::ZERO..span).contains(&(now - *at));
    let mut signs = signs.lock().unwrap_or_else(PoisonError::into_inner);
    if signs.len() >= SWEPT_AT {
        signs.retain(|_, at| counts(at));
    }
    if signs.get(place).is_some_and(counts) {
        return false;
    }
    signs.insert(place.to_owned(), now);
    true
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.hub.open();
        if let Some(sockets) = open.visitors.get_mut(&self.place) {
            sockets.retain(|(number, _)| *number != self.number);
            if sockets.is_empty() {
                open.visitors.remove(&self.place);
            }
        }
        if let Some(count) = open.addresses.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.addresses.remove(&self.address);
            }
        }
    }
}
