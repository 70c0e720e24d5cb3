//! The operator's hand: plays the customers and the platforms' moods, and reads what happened.

pub(crate) mod http;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use time::OffsetDateTime;
use transom_domain::Clock;

use crate::acts::{Act, Acted, Action};
use crate::chats::{ChatKey, Conversation};
use crate::deliveries::{Delivery, DeliveryState, WebhookOrder};
use crate::faults::{Fault, Faults};
use crate::ledger::{CallRecord, Send};
use crate::media::Media;
use crate::people::{Customer, CustomerPatch, NewCustomer};
use crate::platforms::{Ask, Personality, ReceiptOrder, Verdict};
use crate::sandbox::Shared;
use crate::world::{Account, AccountPatch, AccountView, NewAccount, QueueView, World};
use crate::{Problem, webhooks};

/// The operator's hand on a sandbox. Clones are the same hand.
///
/// Verbs fail with a [`Problem`] that says what was wrong.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.shared.world()
    }

    /// The personality that plays an account.
    fn of(&self, world: &World, account: &str) -> Result<&dyn Personality, Problem> {
        self.platform_named(world.account(account)?.platform)
    }

    fn platform_named(&self, name: &str) -> Result<&dyn Personality, Problem> {
        self.shared.personality(name).ok_or_else(|| {
            Problem::invalid(format!("platform is `{name}`, and must be one of: {}", self.platforms().join(", ")))
        })
    }

    /// The names of the platforms that this sandbox plays.
    pub fn platforms(&self) -> Vec<&'static str> {
        self.shared.personalities.iter().map(|personality| personality.name()).collect()
    }

    /// Whether a platform tells the business how far its messages came.
    pub(crate) fn has_receipts(&self, platform: &str) -> bool {
        self.shared.personality(platform).is_some_and(Personality::has_receipts)
    }

    // Accounts

    /// Makes an account.
    pub fn create_account(&self, new: NewAccount) -> Result<AccountView, Problem> {
        let personality = self.platform_named(&new.platform)?;
        let id = {
            let mut world = self.world();
            let settings = if new.settings.is_null() { Value::Object(serde_json::Map::new()) } else { new.settings };
            let id = personality.open(&mut world, new.name.as_deref(), settings)?;
            let account = Account {
                id: id.clone(),
                platform: personality.name(),
                name: new.name.unwrap_or_else(|| format!("{} {id}", personality.name())),
                webhook_url: new.webhook_url,
                receipts: new.receipts.unwrap_or_default(),
                faults: Faults::default(),
                queue: crate::deliveries::Queue::default(),
            };
            world.accounts.insert(id.clone(), account);
            id
        };
        self.shared.spawn(webhooks::deliver(Arc::clone(&self.shared), id.clone()));
        if let Some(company) = personality.accompany(Arc::clone(&self.shared), id.clone()) {
            self.shared.spawn(company);
        }
        self.account(&id)
    }

    /// Changes an account.
    pub fn patch_account(&self, id: &str, patch: AccountPatch) -> Result<AccountView, Problem> {
        {
            let mut world = self.world();
            let personality = self.of(&world, id)?;
            if let Some(settings) = patch.settings {
                personality.patch(&mut world, id, settings)?;
            }
            let account = world.account_mut(id)?;
            account.name = patch.name.unwrap_or_else(|| std::mem::take(&mut account.name));
            account.webhook_url = patch.webhook_url.or(account.webhook_url.take()).filter(|url| !url.is_empty());
            account.receipts = patch.receipts.unwrap_or(account.receipts);
            account.queue.ring();
        }
        self.account(id)
    }

    /// Closes an account: its calls are answered like an unknown one's, its webhooks stop.
    pub fn close_account(&self, id: &str) -> Result<(), Problem> {
        let mut world = self.world();
        let personality = self.of(&world, id)?;
        personality.close(&mut world, id);
        if let Some(mut account) = world.accounts.remove(id) {
            account.queue.ring();
        }
        Ok(())
    }

    /// One account.
    pub fn account(&self, id: &str) -> Result<AccountView, Problem> {
        let mut world = self.world();
        let personality = self.of(&world, id)?;
        let settings = personality.settings(&mut world, id);
        let account = world.account(id)?;
        Ok(AccountView {
            id: account.id.clone(),
            platform: account.platform.to_owned(),
            name: account.name.clone(),
            webhook_url: account.webhook_url.clone(),
            api_base: format!("{}/{}", self.shared.base_url, account.platform),
            receipts: account.receipts,
            settings,
            queue: QueueView { waiting: account.queue.waiting.len(), held: account.queue.held },
            faults: account.faults.list(),
        })
    }

    /// All accounts.
    pub fn accounts(&self) -> Vec<AccountView> {
        let ids: Vec<_> = self.world().accounts.keys().cloned().collect();
        ids.iter().filter_map(|id| self.account(id).ok()).collect()
    }

    // Customers

    /// Makes a customer, with an address on each platform.
    pub fn create_customer(&self, new: NewCustomer) -> Result<Customer, Problem> {
        let mut world = self.world();
        let number = world.names.number();
        let id = new.id.unwrap_or_else(|| format!("customer-{number}"));
        if id.is_empty() || id.contains('/') {
            return Err(Problem::invalid("a customer's id is not empty and has no slash"));
        }
        if world.customers.contains_key(&id) {
            return Err(Problem::conflict(format!("there is a customer `{id}` already")));
        }
        let mut customer = Customer {
            name: new.name.unwrap_or_else(|| format!("Customer {number}")),
            id: id.clone(),
            phone: new.phone,
            username: new.username,
            language: new.language,
            addresses: new.addresses,
            hides_phone: new.hides_phone,
            unreachable_on: new.unreachable_on,
            marketing_capped: false,
            generation: 0,
        };
        for personality in &self.shared.personalities {
            personality.adopt(&mut world, &mut customer);
        }
        let taken = customer.addresses.iter().find_map(|(platform, address)| {
            let holder = world.customer_at(platform, address).filter(|_| !address.is_empty())?;
            Some(format!("`{address}` on {platform} belongs to customer `{}`", holder.id))
        });
        if let Some(taken) = taken {
            return Err(Problem::conflict(taken));
        }
        world.customers.insert(id, customer.clone());
        Ok(customer)
    }

    /// Changes a customer.
    pub fn patch_customer(&self, id: &str, patch: CustomerPatch) -> Result<Customer, Problem> {
        let mut world = self.world();
        world.customer(id)?;
        if let Some(customer) = world.customers.get_mut(id) {
            customer.patch(patch);
        }
        world.customer(id).cloned()
    }

    /// One customer.
    pub fn customer(&self, id: &str) -> Result<Customer, Problem> {
        self.world().customer(id).cloned()
    }

    /// All customers.
    pub fn customers(&self) -> Vec<Customer> {
        self.world().customers.values().cloned().collect()
    }

    /// A customer does something.
    pub fn act(&self, account: &str, customer: &str, action: impl Into<Action>) -> Result<Acted, Problem> {
        let action = action.into();
        let mut world = self.world();
        let personality = self.of(&world, account)?;
        world.customer(customer)?;
        let key = ChatKey { via: action.via.clone(), ..ChatKey::direct(account, customer) };
        personality.act(&mut world, &key, &action)
    }

    /// A customer writes.
    pub fn writes(&self, account: &str, customer: &str, text: &str) -> Result<Acted, Problem> {
        self.act(account, customer, Act::Text { text: text.to_owned() })
    }

    /// A receipt by hand. Answers with the delivery it made.
    pub fn receipt(&self, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        let mut world = self.world();
        let personality = self.of(&world, account)?;
        personality.receipt(&mut world, account, order)
    }

    // Moods

    /// Puts a fault in store.
    pub fn fault(&self, account: &str, fault: Fault) -> Result<(), Problem> {
        self.world().account_mut(account)?.faults.add(fault);
        Ok(())
    }

    /// Takes all faults of an account away.
    pub fn clear_faults(&self, account: &str) -> Result<(), Problem> {
        self.world().account_mut(account)?.faults.clear();
        Ok(())
    }

    /// Holds, releases, repeats or spoils webhooks. Answers with the deliveries concerned.
    pub fn webhooks(&self, account: &str, order: &WebhookOrder) -> Result<Vec<u64>, Problem> {
        let mut world = self.world();
        if let WebhookOrder::Redeliver { delivery } = order {
            let known = world.deliveries.get_mut(*delivery).filter(|found| found.account == account);
            let found =
                known.ok_or_else(|| Problem::not_found(format!("account `{account}` has no delivery {delivery}")))?;
            found.state = DeliveryState::Waiting;
        }
        let queue = &mut world.account_mut(account)?.queue;
        match order {
            WebhookOrder::Hold => queue.held = true,
            WebhookOrder::Release { order } => queue.release(*order),
            WebhookOrder::Redeliver { delivery } => {
                queue.waiting.push_back(*delivery);
                queue.ring();
                return Ok(vec![*delivery]);
            }
            WebhookOrder::Duplicate { count } => queue.duplicate_next += count,
            WebhookOrder::BadSignature { count } => queue.badly_sign_next += count,
        }
        Ok(queue.waiting.iter().copied().collect())
    }

    /// Off: every send to every platform is refused, and nothing enters the ledger.
    pub fn accept(&self, on: bool) {
        self.world().accepting = on;
    }

    /// Whether sends are accepted at all.
    pub fn is_accepting(&self) -> bool {
        self.world().accepting
    }

    /// On: the platforms' ports are closed, and with them all their connections, until it is off again. Returns once it is so.
    pub async fn refuse_connections(&self, on: bool) {
        let mut listening = self.shared.listening.subscribe();
        // What is so already is left alone: to bind anew would refuse a request in between.
        self.shared.open.send_if_modified(|open| std::mem::replace(open, !on) == on);
        let wanted = if on { 0 } else { self.shared.ports };
        let _ = listening.wait_for(|listening| *listening == wanted).await;
    }

    /// A verb of one platform alone, as listed in the crate's documentation.
    pub async fn platform(&self, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        let platform = self.world().account(account)?.platform;
        self.platform_named(platform)?.verb(&self.shared, account, verb, body).await
    }

    /// Puts content behind an outside URL, for messages that link to it.
    pub fn publish(&self, url: &str, mime: &str, bytes: impl Into<Bytes>) {
        self.world().files.publish(url.to_owned(), mime.to_owned(), bytes.into());
    }

    // Time

    /// The sandbox's present.
    pub fn now(&self) -> OffsetDateTime {
        self.shared.clock.now()
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: time::Duration) -> OffsetDateTime {
        self.shared.clock.advance(by);
        self.now()
    }

    /// Waits until no receipt is due and no webhook is on its way. `false`: that took longer than `patience`.
    ///
    /// Webhooks that are held, or have nowhere to go, do not count.
    pub async fn idle(&self, patience: Duration) -> bool {
        let quiet = async {
            while !self.world().is_idle() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(patience, quiet).await.is_ok()
    }

    // What happened

    /// The sends that were accepted, oldest first: the truth about sends.
    ///
    /// A refusal is not among them, nor one that the platform reports later (WhatsApp's `failed` for a closed window): see
    /// [`calls`](Self::calls) for those.
    pub fn ledger(&self) -> Vec<Send> {
        self.world().ledger.sends.iter().cloned().collect()
    }

    /// How many old sends the ledger has dropped.
    pub fn ledger_dropped(&self) -> u64 {
        self.world().ledger.sends.dropped()
    }

    /// The webhook deliveries, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.world().deliveries.all.values().cloned().collect()
    }

    /// The calls that reached a platform, in the order of their arrival, those without an answer yet included.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.world().calls.records.iter().cloned().collect()
    }

    /// The conversations as they stand on the customers' phones.
    pub fn conversations(&self) -> Vec<Conversation> {
        let view = |(key, chat): (&ChatKey, &crate::chats::Chat)| Conversation {
            account: key.account.clone(),
            customer: key.customer.clone(),
            via: key.via.clone(),
            blocked: chat.blocked,
            opted_out: chat.opted_out,
            entries: chat.entries.iter().cloned().collect(),
        };
        self.world().chats.iter().map(view).collect()
    }

    /// What the platform would answer now, by window and quota, from the raw history.
    pub fn would_accept(&self, account: &str, customer: &str, ask: &Ask) -> Result<Verdict, Problem> {
        let mut world = self.world();
        let personality = self.of(&world, account)?;
        world.customer(customer)?;
        let key = ChatKey { via: ask.via.clone(), ..ChatKey::direct(account, customer) };
        Ok(personality.would_accept(&mut world, &key, ask))
    }

    /// A file that was uploaded, sent or received.
    pub fn media(&self, id: &str) -> Option<Media> {
        self.world().files.get(id).cloned()
    }
}
