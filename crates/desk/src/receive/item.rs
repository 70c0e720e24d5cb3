//! One item: whom it is about, whether it is new, and what it changes.

use std::sync::Arc;

use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_channel::{Channel, Inbound, Item, Person};
use transom_domain::{ChannelAccount, ChannelAccountId, ConnectionId, ContactId, EventId, IdentityId};
use transom_storage::{Met, NewEvent, PersonSeed, Tx, WorkspaceScope};
use transom_windows::{Event, Policy, What};

use super::{message, notice, receipt, standing};
use crate::situation::{Situation, wires};
use crate::{Desk, DeskError};

/// How far ahead of our clock an event may claim to be (reliability.md 3).
const MAX_AHEAD: Duration = Duration::minutes(5);
/// Receipts are remembered longer than any platform repeats them; messages for good.
const RECEIPTS_KEPT: Duration = Duration::days(30);

/// Why an item could not be used.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

impl Trouble {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// An item in its place: the account it happened on, and when by a clock that we believe.
pub(crate) struct Case<'c> {
    pub(crate) desk: &'c Desk,
    pub(crate) scope: &'c WorkspaceScope,
    pub(crate) tx: &'c Tx,
    pub(crate) account: Arc<ChannelAccount>,
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) policy: Policy,
    pub(crate) inbound: &'c Inbound,
    pub(crate) at: OffsetDateTime,
    pub(crate) now: OffsetDateTime,
}

/// Applies an item to the account it names, or a notice to every account of the group that it names; false if it was seen
/// before.
///
/// # Errors
/// What is wrong with the item sends it to quarantine; what is wrong with the database undoes the batch.
pub(crate) async fn apply(
    desk: &Desk,
    scope: &WorkspaceScope,
    tx: &Tx,
    connection: ConnectionId,
    inbound: &Inbound,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    if let Some(account) = tx.account_by_key(connection, &inbound.account).await? {
        return apply_to(desk, scope, tx, account.id, inbound, now).await;
    }
    let (mut known, mut new) = (false, false);
    if matches!(inbound.item, Item::AccountNotice(_) | Item::TemplateNotice(_)) {
        for account in tx.accounts_of(connection).await? {
            let channel = match desk.account(scope, account.id).await {
                Ok((_, channel)) => channel,
                Err(error @ DeskError::Storage(_)) => return Err(error),
                // Settings that can't be used keep the notice from this account only.
                Err(_) => continue,
            };
            if channel.group_key().as_ref() == Some(&inbound.account) {
                known = true;
                new |= apply_to(desk, scope, tx, account.id, inbound, now).await?;
            }
        }
    }
    if known {
        Ok(new)
    } else {
        Err(DeskError::conflict("unknown_account", "no account of this connection has that key"))
    }
}

async fn apply_to(
    desk: &Desk,
    scope: &WorkspaceScope,
    tx: &Tx,
    account: ChannelAccountId,
    inbound: &Inbound,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let (account, channel, policy) = wires(desk, scope, account).await?;
    if !tx.first_sight(account.id, &inbound.event_key, kept_until(inbound, now), now).await? {
        metrics::counter!("transom_inbound_repeats_total").increment(1);
        return Ok(false);
    }
    let at = inbound.at.min(now.saturating_add(MAX_AHEAD));
    if at < inbound.at {
        tracing::warn!(account = %account.id, "an event claims to come from the future");
    }
    let case = Case { desk, scope, tx, account, channel, policy, inbound, at, now };
    match &inbound.item {
        Item::Message(message) => message::received(&case, message).await?,
        Item::Unsupported { what, from_customer } => message::unsupported(&case, what, *from_customer).await?,
        Item::Echo { message, correlation } => message::echoed(&case, message, correlation.as_deref()).await?,
        Item::Edit { of, content } => message::edited(&case, of, content).await?,
        Item::Unsend { of } => message::unsent(&case, of).await?,
        Item::Reaction { to, emoji } => message::reacted(&case, to, emoji.as_deref()).await?,
        Item::Opening { what } => standing::opened(&case, what).await?,
        Item::Standing(standing) => standing::changed(&case, standing).await?,
        Item::IdentityChange { new } => standing::renamed(&case, new).await?,
        Item::Receipt { of, state } => receipt::arrived(&case, of, state).await?,
        Item::AccountNotice(notice) => notice::about_account(&case, notice).await?,
        Item::TemplateNotice(notice) => notice::about_template(&case, notice).await?,
    }
    Ok(true)
}

fn kept_until(inbound: &Inbound, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let for_good =
        matches!(inbound.item, Item::Message(_) | Item::Echo { .. } | Item::Unsupported { from_customer: true, .. });
    (!for_good).then(|| now.saturating_add(RECEIPTS_KEPT))
}

impl Case<'_> {
    /// The person it is about, made if they are new; their identity is locked.
    pub(crate) async fn person(&self) -> Result<Met, DeskError> {
        let Some(Person { addresses, profile }) = &self.inbound.person else {
            return Err(DeskError::conflict("no_person", "the event does not say whom it is about"));
        };
        let seed = PersonSeed {
            identity: IdentityId::new(self.desk.ids()),
            contact: ContactId::new(self.desk.ids()),
            account: self.account.id,
            addresses: addresses.clone(),
            profile: profile.clone(),
            at: self.at,
        };
        let met = self.tx.meet(&seed, self.now).await?;
        if met.new_contact {
            self.emit("contact.created", Some(met.contact), json!({ "identity": met.identity.id })).await?;
        }
        for joined in &met.joined {
            let data = json!({ "identity": met.identity.id, "joined": joined });
            self.emit("identity.joined", Some(met.contact), data).await?;
        }
        Ok(met)
    }

    /// What the rule engine knows of them.
    pub(crate) async fn situation(&self, met: &Met) -> Result<Situation, DeskError> {
        let wires = (self.account.clone(), self.channel.clone(), self.policy.clone());
        Situation::of_met(self.tx, met, wires, self.now).await
    }

    /// Takes the item's openings into the facts.
    pub(crate) fn open_windows(&self, situation: &mut Situation) {
        for opening in &self.inbound.openings {
            let what = What::Opening { kind: opening.kind.clone(), reference: opening.reference.clone() };
            situation.apply(&Event { at: self.at, what });
        }
    }

    /// An event that belongs to no conversation.
    pub(crate) async fn emit(
        &self,
        kind: &str,
        contact: Option<ContactId>,
        data: serde_json::Value,
    ) -> Result<(), DeskError> {
        let event = NewEvent {
            id: EventId::new(self.desk.ids()),
            kind: kind.to_owned(),
            conversation: None,
            contact,
            data,
            at: self.now,
        };
        Ok(self.tx.emit(&event).await?)
    }
}
