//! One person on one account as the rule engine sees them, loaded in one go.

use std::sync::Arc;

use time::OffsetDateTime;
use transom_channel::{Channel, subject_of};
use transom_domain::{ChannelAccount, Identity, PartId};
use transom_storage::{Met, Reader, Tx, WindowColumns};
use transom_windows::{Ask, Blocker, Dropped, Event, Facts, Policy, Sender, Snapshot, What};

use crate::{Desk, DeskError, country};

/// An account with what speaks for it: its channel and its policy.
pub(crate) type Wires = (Arc<ChannelAccount>, Arc<dyn Channel>, Policy);

/// A person on an account: facts, policy and channel.
#[derive(Debug, Clone)]
pub(crate) struct Situation {
    pub(crate) identity: Identity,
    pub(crate) account: Arc<ChannelAccount>,
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) policy: Policy,
    pub(crate) facts: Facts,
}

impl Situation {
    /// What is known of a person, with the quotas of their account as they stand.
    pub(crate) async fn load(
        reader: &Reader,
        identity: Identity,
        (account, channel, policy): Wires,
        now: OffsetDateTime,
    ) -> Result<Self, DeskError> {
        Self::load_without(reader, identity, (account, channel, policy), None, now).await
    }

    /// The same, leaving out what one part itself holds of the quotas: its own share must not stand against it.
    pub(crate) async fn load_without(
        reader: &Reader,
        identity: Identity,
        (account, channel, policy): Wires,
        part: Option<PartId>,
        now: OffsetDateTime,
    ) -> Result<Self, DeskError> {
        let person = reader.person_facts(identity.id).await?;
        let in_account = reader.quota_facts(&account, identity.id, &policy, part, now).await?;
        Ok(Self::restore(identity, (account, channel, policy), &Snapshot { person, account: in_account }))
    }

    /// What is known of a person whose facts were just read with them, on an account whose facts are known too.
    pub(crate) fn on(met: &Met, wires: Wires, in_account: transom_windows::Account) -> Self {
        Self::restore(met.identity.clone(), wires, &Snapshot { person: met.facts.clone(), account: in_account })
    }

    /// What is known of a person, from what was read of them.
    pub(crate) fn restore(identity: Identity, (account, channel, policy): Wires, snapshot: &Snapshot) -> Self {
        let (facts, dropped) = facts_of(&identity, &policy, snapshot);
        for dropped in dropped {
            let (identity, policy) = (identity.id, policy.name());
            tracing::warn!(%identity, policy, %dropped, "a stored fact has no place in the policy");
        }
        Self { identity, account, channel, policy, facts }
    }

    /// The same person as they stand now, inside a transaction that locked them.
    pub(crate) async fn again(&self, tx: &Tx, identity: Identity, now: OffsetDateTime) -> Result<Self, DeskError> {
        Self::load(tx, identity, (self.account.clone(), self.channel.clone(), self.policy.clone()), now).await
    }

    /// Takes an event into the facts; what the policy has no name for changes nothing.
    pub(crate) fn apply(&mut self, event: &Event) {
        if let Err(unknown) = self.facts.apply(&self.policy, event) {
            tracing::debug!(policy = self.policy.name(), %unknown, "an event without meaning for the policy");
        }
    }

    /// Takes into the facts what it opens to write first to somebody by their address; whether that is anything.
    pub(crate) fn begin(&mut self, now: OffsetDateTime) -> bool {
        let address = self.identity.addresses.first();
        let kinds = address.map_or(&[][..], |address| self.channel.opens_by_starting(&address.kind));
        for kind in kinds {
            let what = What::Opening { kind: (*kind).to_owned(), reference: None };
            self.apply(&Event { at: now, what });
        }
        !kinds.is_empty()
    }

    /// Takes into the facts that we blocked the contact before they were known here.
    pub(crate) fn keep_blocked(&mut self, now: OffsetDateTime) {
        self.apply(&Event { at: now, what: What::Blocked { by: Blocker::Us } });
    }

    /// Stores the facts and what lists need of them.
    pub(crate) async fn save(&self, tx: &Tx, now: OffsetDateTime) -> Result<(), DeskError> {
        let person = self.facts.snapshot().person;
        Ok(tx.save_person(self.identity.id, &person, &self.columns(now), now).await?)
    }

    /// The derived columns that lists sort and filter by, for a person's messages.
    pub(crate) fn columns(&self, now: OffsetDateTime) -> WindowColumns {
        let decision = self.policy.decide(&self.facts, Ask::by(Sender::Human), now);
        let free_form_until = decision
            .permits()
            .iter()
            .filter(|permit| matches!(permit.basis(), transom_windows::Basis::FreeForm))
            .map(|permit| permit.lapses_at().unwrap_or(FAR_FUTURE))
            .max();
        let ends = [free_form_until, decision.window().closes_at].into_iter().flatten();
        WindowColumns {
            ends_at: ends.filter(|end| now < *end && *end < FAR_FUTURE).min(),
            closes_at: decision.window().closes_at,
            free_form_until,
            policy_version: format!("{}@{}", self.policy.name(), self.policy.version()),
            recompute_at: decision.next_change(),
        }
    }
}

/// The facts of a person: what was stored of them, and what their addresses tell; besides, what of it the policy has no place for.
pub(crate) fn facts_of(identity: &Identity, policy: &Policy, snapshot: &Snapshot) -> (Facts, Vec<Dropped>) {
    let (mut facts, dropped) = Facts::restore(subject_of(identity), policy, snapshot);
    if let Some(event) = policy.asks_for_country().then(|| country::event(identity)).flatten() {
        // A country means something to every policy.
        let _ = facts.apply(policy, &event);
    }
    (facts, dropped)
}

/// Stands for "no end" in columns that are sorted.
pub(crate) const FAR_FUTURE: OffsetDateTime = WindowColumns::NEVER;

/// The account, channel and policy of an identity, ready for [`Situation::load`].
pub(crate) async fn wires(
    desk: &Desk,
    scope: &transom_storage::WorkspaceScope,
    account: transom_domain::ChannelAccountId,
) -> Result<Wires, DeskError> {
    let (account, channel) = desk.account(scope, account).await?;
    let policy = desk.policy_of(&account)?.clone();
    Ok((account, channel, policy))
}
