//! What the items of one transaction ask for again and again, asked once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use transom_domain::{AgentId, BotCondition, ChannelAccountId, ConnectionId, Settings};
use transom_storage::{Met, Tx, WorkspaceScope};
use transom_windows::{Account, Counts, Per, Policy, Scope};

use crate::situation::{Situation, Wires};
use crate::{Desk, DeskError};

/// What the items of one transaction have in common.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) desk: Desk,
    pub(crate) scope: WorkspaceScope,
    pub(crate) now: OffsetDateTime,
    found: Mutex<Found>,
    account_changed: AtomicBool,
}

#[derive(Debug, Default)]
struct Found {
    accounts: HashMap<(ConnectionId, String), Option<ChannelAccountId>>,
    settings: Option<Arc<Settings>>,
    bots: HashMap<ChannelAccountId, Arc<Vec<(AgentId, BotCondition)>>>,
    /// What everybody on an account shares, where it is the same for all.
    shared: HashMap<ChannelAccountId, Account>,
}

impl Ground {
    pub(crate) fn new(desk: &Desk, scope: &WorkspaceScope, now: OffsetDateTime) -> Self {
        let (desk, scope) = (desk.clone(), scope.clone());
        Self { desk, scope, now, found: Mutex::default(), account_changed: AtomicBool::new(false) }
    }

    /// The account that a call of the connection names.
    pub(crate) async fn account(
        &self,
        tx: &Tx,
        connection: ConnectionId,
        key: &str,
    ) -> Result<Option<ChannelAccountId>, DeskError> {
        let asked = (connection, key.to_owned());
        if let Some(known) = self.found(|found| found.accounts.get(&asked).copied()) {
            return Ok(known);
        }
        let account = tx.account_by_key(connection, key).await?.map(|account| account.id);
        self.found(|found| found.accounts.insert(asked, account));
        Ok(account)
    }

    /// The workspace's settings.
    pub(crate) async fn settings(&self, tx: &Tx) -> Result<Arc<Settings>, DeskError> {
        if let Some(known) = self.found(|found| found.settings.clone()) {
            return Ok(known);
        }
        let settings = Arc::new(tx.settings().await?.0);
        self.found(|found| found.settings = Some(settings.clone()));
        Ok(settings)
    }

    /// The bots that serve an account.
    pub(crate) async fn bots(
        &self,
        tx: &Tx,
        account: ChannelAccountId,
    ) -> Result<Arc<Vec<(AgentId, BotCondition)>>, DeskError> {
        if let Some(known) = self.found(|found| found.bots.get(&account).cloned()) {
            return Ok(known);
        }
        let bots = Arc::new(tx.bots_on(account).await?);
        self.found(|found| found.bots.insert(account, bots.clone()));
        Ok(bots)
    }

    /// What the rule engine knows of a person.
    pub(crate) async fn situation(&self, tx: &Tx, met: &Met, wires: Wires) -> Result<Situation, DeskError> {
        let (account, _, policy) = &wires;
        if let Some(shared) = self.found(|found| found.shared.get(&account.id).cloned()) {
            return Ok(Situation::on(met, wires, shared));
        }
        let facts = tx.quota_facts(account, met.identity.id, policy, None, self.now).await?;
        if is_the_same_for_all(policy, &facts) {
            self.found(|found| found.shared.insert(account.id, facts.clone()));
        }
        Ok(Situation::on(met, wires, facts))
    }

    /// Forgets what an item other than a customer's message may have changed.
    pub(crate) fn moved(&self) {
        self.found(|found| found.shared.clear());
    }

    /// An account is another now: forgets it here, and once more when that is committed.
    pub(crate) fn account_changed(&self) {
        self.account_changed.store(true, Ordering::Relaxed);
        self.desk.channels().forget(&self.scope);
    }

    /// To be called after the commit.
    pub(crate) fn committed(&self) {
        if self.account_changed.load(Ordering::Relaxed) {
            self.desk.channels().forget(&self.scope);
        }
    }

    fn found<T>(&self, look: impl FnOnce(&mut Found) -> T) -> T {
        look(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether an account's facts, as they were loaded for one person, hold for everybody.
fn is_the_same_for_all(policy: &Policy, facts: &Account) -> bool {
    policy.quotas().iter().all(|quota| match (quota.per(), quota.scope(), quota.counts()) {
        // Counted by the engine itself, from the person's own facts.
        (Per::Opening, ..) => true,
        (_, Scope::Identity, _) => false,
        // Without a row nobody was counted yet.
        (_, _, Counts::DistinctRecipients) => !facts.quotas.contains_key(quota.name()),
        (_, Scope::Account | Scope::Group, _) => true,
    })
}
