//! Everything the sandbox knows, behind one lock.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokio::time::Instant;
use transom_domain::{Clock, SettableClock};

use crate::Problem;
use crate::chats::{Chat, ChatKey, Entry, Progress};
use crate::deliveries::{Deliveries, Queue};
use crate::faults::{Fault, Faults};
use crate::ledger::{Calls, Ledger, Send};
use crate::media::Files;
use crate::names::Names;
use crate::people::Customer;
use crate::shelf::Shelves;

/// An account on a platform: a number, a bot.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) platform: &'static str,
    pub(crate) name: String,
    pub(crate) webhook_url: Option<String>,
    pub(crate) receipts: Receipts,
    pub(crate) faults: Faults,
    pub(crate) queue: Queue,
}

/// Whether receipts come by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Receipts {
    /// After these pauses.
    Auto(AutoReceipts),
    /// Only by [`Control::receipt`](crate::Control::receipt).
    Manual(Manual),
}

/// The word `manual`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manual {
    /// No receipt comes by itself.
    Manual,
}

/// Pauses in milliseconds of real time, each counted from the acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoReceipts {
    /// Until `sent`.
    pub sent_ms: u64,
    /// Until `delivered`; never while the customer blocks the account.
    pub delivered_ms: u64,
    /// Until `read`; `None`: when the customer next writes or reads.
    pub read_ms: Option<u64>,
}

impl Default for AutoReceipts {
    fn default() -> Self {
        Self { sent_ms: 0, delivered_ms: 20, read_ms: None }
    }
}

impl Default for Receipts {
    fn default() -> Self {
        Self::Auto(AutoReceipts::default())
    }
}

/// An account to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewAccount {
    /// A name of [`Control::platforms`](crate::Control::platforms).
    pub platform: String,
    /// What people call it.
    pub name: Option<String>,
    /// Where its webhooks go.
    pub webhook_url: Option<String>,
    /// Whether receipts come by themselves.
    pub receipts: Option<Receipts>,
    /// The platform's own settings; what is left out is made up.
    pub settings: Value,
}

impl NewAccount {
    /// An account with made-up settings.
    pub fn on(platform: &str) -> Self {
        Self { platform: platform.to_owned(), settings: Value::Object(serde_json::Map::new()), ..Self::default() }
    }

    /// With a webhook URL.
    #[must_use]
    pub fn webhook(mut self, url: impl Into<String>) -> Self {
        self.webhook_url = Some(url.into());
        self
    }

    /// With settings of the platform.
    #[must_use]
    pub fn settings(mut self, settings: Value) -> Self {
        self.settings = settings;
        self
    }

    /// With receipts as said.
    #[must_use]
    pub fn receipts(mut self, receipts: Receipts) -> Self {
        self.receipts = Some(receipts);
        self
    }
}

/// What may change about an account. What is left out stays; settings are merged.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountPatch {
    /// What people call it.
    pub name: Option<String>,
    /// Where its webhooks go; an empty one takes it away.
    pub webhook_url: Option<String>,
    /// Whether receipts come by themselves.
    pub receipts: Option<Receipts>,
    /// The platform's own settings.
    pub settings: Option<Value>,
}

/// An account as the control API shows it, secrets included: they are made up.
#[derive(Debug, Clone, Serialize)]
pub struct AccountView {
    /// The platform's id of it: phone number id, bot id.
    pub id: String,
    /// The platform.
    pub platform: String,
    /// What people call it.
    pub name: String,
    /// Where its webhooks go.
    pub webhook_url: Option<String>,
    /// What a client puts in the place of the platform's own address.
    pub api_base: String,
    /// Whether receipts come by themselves.
    pub receipts: Receipts,
    /// The platform's own settings.
    pub settings: Value,
    /// The webhooks on their way.
    pub queue: QueueView,
    /// The faults in store.
    pub faults: Vec<Fault>,
}

/// The webhooks of an account that are on their way.
#[derive(Debug, Clone, Serialize)]
pub struct QueueView {
    /// How many.
    pub waiting: usize,
    /// They are kept back.
    pub held: bool,
}

type Job = Box<dyn FnOnce(&mut World) + std::marker::Send>;

/// Everything the sandbox knows.
pub(crate) struct World {
    /// Where the platforms answer, for addresses of files in webhooks.
    pub(crate) base_url: String,
    /// Where platforms answer that speak another protocol than HTTP, by their names.
    pub(crate) ports: BTreeMap<&'static str, SocketAddr>,
    pub(crate) clock: SettableClock,
    pub(crate) names: Names,
    pub(crate) accepting: bool,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) customers: BTreeMap<String, Customer>,
    pub(crate) chats: BTreeMap<ChatKey, Chat>,
    pub(crate) ledger: Ledger,
    pub(crate) calls: Calls,
    pub(crate) deliveries: Deliveries,
    pub(crate) files: Files,
    pub(crate) shelves: Shelves,
    /// What customers do over lines of their own, and the service has not answered yet.
    pub(crate) under_way: usize,
    agenda: BTreeMap<(Instant, u64), Job>,
    agenda_bell: std::sync::Arc<tokio::sync::Notify>,
}

impl World {
    pub(crate) fn new(
        base_url: String,
        clock: SettableClock,
        seed: u64,
        agenda_bell: std::sync::Arc<tokio::sync::Notify>,
    ) -> Self {
        Self {
            base_url,
            ports: BTreeMap::new(),
            clock,
            names: Names::new(seed),
            accepting: true,
            accounts: BTreeMap::new(),
            customers: BTreeMap::new(),
            chats: BTreeMap::new(),
            ledger: Ledger::default(),
            calls: Calls::default(),
            deliveries: Deliveries::default(),
            files: Files::default(),
            shelves: Shelves::default(),
            under_way: 0,
            agenda: BTreeMap::new(),
            agenda_bell,
        }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    pub(crate) fn account(&self, id: &str) -> Result<&Account, Problem> {
        self.accounts.get(id).ok_or_else(|| Problem::not_found(format!("there is no account `{id}`")))
    }

    pub(crate) fn account_mut(&mut self, id: &str) -> Result<&mut Account, Problem> {
        self.accounts.get_mut(id).ok_or_else(|| Problem::not_found(format!("there is no account `{id}`")))
    }

    pub(crate) fn customer(&self, id: &str) -> Result<&Customer, Problem> {
        self.customers.get(id).ok_or_else(|| Problem::not_found(format!("there is no customer `{id}`")))
    }

    /// The customer whose address on `platform` is this.
    pub(crate) fn customer_at(&self, platform: &str, address: &str) -> Option<&Customer> {
        self.customers.values().find(|customer| customer.address(platform) == address)
    }

    /// A conversation, begun if it does not exist.
    pub(crate) fn chat_mut(&mut self, key: &ChatKey) -> &mut Chat {
        self.chats.entry(key.clone()).or_default()
    }

    /// The conversation of an account that holds this message.
    pub(crate) fn chat_with(&self, account: &str, message: &str) -> Option<ChatKey> {
        self.chats
            .iter()
            .find(|(key, chat)| key.account == account && chat.entry(message).is_some())
            .map(|(key, _)| key.clone())
    }

    /// Puts a webhook into the account's queue.
    pub(crate) fn report(&mut self, account: &str, event: &str, body: String) -> Option<u64> {
        let account = self.accounts.get_mut(account)?;
        let body = RawValue::from_string(body).ok()?;
        Some(self.deliveries.add(&mut account.queue, &account.id, event, body))
    }

    /// Books a send and shows it on the phone.
    pub(crate) fn accept(&mut self, key: &ChatKey, send: Send, entries: Vec<Entry>) -> u64 {
        let chat = self.chat_mut(key);
        for entry in entries {
            chat.entries.push(entry);
        }
        self.ledger.book(send)
    }

    /// Moves a message of the business on; a receipt never moves it back. Says whether it moved.
    pub(crate) fn progress(&mut self, key: &ChatKey, message: &str, to: Progress, code: Option<i64>) -> bool {
        let Some(entry) = self.chats.get_mut(key).and_then(|chat| chat.entry_mut(message)) else { return false };
        if entry.progress >= to {
            return false;
        }
        (entry.progress, entry.failed) = (to, code);
        if let Some(send) = self.ledger.by_provider_id(&key.account, message) {
            (send.receipt, send.failed) = (to, code);
        }
        true
    }

    /// Does something after a pause of real time.
    pub(crate) fn later(
        &mut self,
        pause: std::time::Duration,
        job: impl FnOnce(&mut World) + std::marker::Send + 'static,
    ) {
        let order = self.names.number();
        self.agenda.insert((Instant::now() + pause, order), Box::new(job));
        self.agenda_bell.notify_one();
    }

    /// Does what is due, and says when the next thing is.
    pub(crate) fn catch_up(&mut self) -> Option<Instant> {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > Instant::now() {
                return Some(entry.key().0);
            }
            entry.remove()(self);
        }
        None
    }

    /// No receipt is due and no webhook is on its way, held ones and those without an address aside.
    pub(crate) fn is_idle(&self) -> bool {
        let quiet =
            |account: &Account| account.queue.held || account.webhook_url.is_none() || account.queue.waiting.is_empty();
        self.agenda.is_empty() && self.under_way == 0 && self.accounts.values().all(quiet)
    }
}
