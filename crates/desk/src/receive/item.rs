//! One item: whom it is about, whether it is new, and what it changes.

use std::sync::Arc;

use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_channel::{Channel, Inbound, Item, Person};
use transom_domain::{ChannelAccount, ChannelAccountId, ConnectionId, ContactId, EventId, IdentityId};
use transom_storage::{EventKey, MessageChange, Met, NewEvent, PersonSeed, Tx};
use transom_windows::{Event, Policy, What};

use super::ground::Ground;
use super::{erased, late, message, notice, receipt, standing};
use crate::quarantine::reason;
use crate::situation::{Situation, Wires, wires};
use crate::{Desk, DeskError, event_kinds};

/// How far ahead of our clock an event may claim to be (reliability.md 3).
const MAX_AHEAD: Duration = Duration::minutes(5);
/// Receipts are remembered longer than any platform repeats them; messages for good.
const RECEIPTS_KEPT: Duration = Duration::days(30);

/// Why an item could not be used.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

impl Trouble {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// What became of an item that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is new.
    Taken,
    /// It was seen before.
    Repeated,
    /// It tells of somebody who was erased since it happened.
    Erased,
}

/// An item in its place: the account it happened on, and when by a clock that we believe.
pub(crate) struct Case<'c> {
    pub(crate) ground: &'c Ground,
    pub(crate) desk: &'c Desk,
    pub(crate) tx: &'c Tx,
    pub(crate) account: Arc<ChannelAccount>,
    pub(crate) channel: Arc<dyn Channel>,
    pub(crate) policy: Policy,
    pub(crate) inbound: &'c Inbound,
    pub(crate) at: OffsetDateTime,
    pub(crate) now: OffsetDateTime,
}

/// Applies an item to the account it names, or a notice to every account of the group that it names.
///
/// # Errors
/// What is wrong with the item sends it to quarantine; what is wrong with the database undoes the batch.
pub(crate) async fn apply(
    ground: &Ground,
    tx: &Tx,
    connection: ConnectionId,
    inbound: &Inbound,
) -> Result<Fate, DeskError> {
    let mut fate = Fate::Repeated;
    for case in Case::places(ground, tx, connection, inbound).await? {
        if erased::since(tx, &[&case]).await?.contains(&true) {
            return Ok(Fate::Erased);
        }
        let EventKey { account, key, kept_until } = case.key();
        if tx.first_sight(account, &key, kept_until, ground.now).await? {
            take(&case).await?;
            fate = Fate::Taken;
        } else {
            repeated();
        }
    }
    Ok(fate)
}

/// Counts an item that was seen before.
pub(crate) fn repeated() {
    metrics::counter!("transom_inbound_repeats_total").increment(1);
}

/// Applies an item that is new.
pub(crate) async fn take(case: &Case<'_>) -> Result<(), DeskError> {
    match &case.inbound.item {
        Item::Message(message) => message::received(case, message).await,
        Item::Unsupported { what, from_customer } => message::unsupported(case, what, *from_customer).await,
        Item::Echo { message, correlation } => message::echoed(case, message, correlation.as_deref()).await,
        Item::Edit { of, content } => late::changed(case, of, MessageChange::Edited(Box::new(content.clone()))).await,
        Item::Unsend { of } => late::changed(case, of, MessageChange::Unsent).await,
        Item::Reaction { to, emoji } => late::reacted(case, to, emoji.clone()).await,
        Item::Opening { what } => standing::opened(case, what).await,
        Item::Standing(standing) => standing::changed(case, standing).await,
        Item::Ended => standing::ended(case).await,
        Item::IdentityChange { new } => standing::renamed(case, new).await,
        Item::Receipt { of, state } => receipt::arrived(case, of, state).await,
        Item::AccountNotice(notice) => notice::about_account(case, notice).await,
        Item::TemplateNotice(notice) => notice::about_template(case, notice).await,
    }
}

fn kept_until(inbound: &Inbound, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let for_good =
        matches!(inbound.item, Item::Message(_) | Item::Echo { .. } | Item::Unsupported { from_customer: true, .. });
    (!for_good).then(|| now.saturating_add(RECEIPTS_KEPT))
}

impl<'c> Case<'c> {
    /// Finds the account that an item happened on; a notice about a group of accounts happened on each of them.
    ///
    /// # Errors
    /// `unknown_account`, or one whose policy or platform this service does not have.
    pub(crate) async fn places(
        ground: &'c Ground,
        tx: &'c Tx,
        connection: ConnectionId,
        inbound: &'c Inbound,
    ) -> Result<Vec<Self>, DeskError> {
        if let Some(account) = ground.account(tx, connection, &inbound.account).await? {
            return Ok(vec![Self::on(ground, tx, account, inbound).await?]);
        }
        let mut places = Vec::new();
        if matches!(inbound.item, Item::AccountNotice(_) | Item::TemplateNotice(_)) {
            for account in tx.accounts_of(connection).await? {
                let channel = match ground.desk.account(&ground.scope, account.id).await {
                    Ok((_, channel)) => channel,
                    Err(error @ DeskError::Storage(_)) => return Err(error),
                    // Settings that can't be used keep the notice from this account only.
                    Err(_) => continue,
                };
                if channel.group_key().as_ref() == Some(&inbound.account) {
                    places.push(Self::on(ground, tx, account.id, inbound).await?);
                }
            }
        }
        match places.is_empty() {
            true => Err(DeskError::conflict(reason::UNKNOWN_ACCOUNT, "no account of this connection has that key")),
            false => Ok(places),
        }
    }

    async fn on(
        ground: &'c Ground,
        tx: &'c Tx,
        account: ChannelAccountId,
        inbound: &'c Inbound,
    ) -> Result<Self, DeskError> {
        let (desk, now) = (&ground.desk, ground.now);
        let (account, channel, policy) = wires(desk, &ground.scope, account).await?;
        let at = inbound.at.min(now.saturating_add(MAX_AHEAD));
        if at < inbound.at {
            tracing::warn!(account = %account.id, "an event claims to come from the future");
        }
        Ok(Case { ground, desk, tx, account, channel, policy, inbound, at, now })
    }

    /// The last instant that its time can mean: many platforms tell the second alone. An opt-out or a template's end would else be
    /// older than what was recorded here earlier in the same second, and count for nothing.
    pub(crate) fn latest(&self) -> OffsetDateTime {
        match self.at.nanosecond() {
            0 => self.at.saturating_add(Duration::milliseconds(999)).min(self.now).max(self.at),
            _ => self.at,
        }
    }

    /// What the platform calls the item.
    pub(crate) fn key(&self) -> EventKey {
        EventKey {
            account: self.account.id,
            key: self.inbound.event_key.clone(),
            kept_until: kept_until(self.inbound, self.now),
        }
    }

    /// What the item tells of the person it is about.
    pub(crate) fn seed(&self) -> Result<PersonSeed, DeskError> {
        let Some(Person { addresses, profile }) = &self.inbound.person else {
            return Err(DeskError::conflict("no_person", "the event does not say whom it is about"));
        };
        Ok(PersonSeed {
            identity: IdentityId::new(self.desk.ids()),
            contact: ContactId::new(self.desk.ids()),
            account: self.account.id,
            addresses: addresses.clone(),
            profile: profile.clone(),
            at: self.at,
        })
    }

    /// The person it is about, made if they are new; their identity is locked.
    pub(crate) async fn person(&self) -> Result<Met, DeskError> {
        let met = self.tx.meet(&self.seed()?, self.now).await?;
        if met.new_contact {
            self.tx.emit(&self.created(&met)).await?;
        }
        for joined in &met.joined {
            let data = json!({ "identity": met.identity.id, "joined": joined });
            self.emit("identity.joined", Some(met.contact), data).await?;
        }
        Ok(met)
    }

    /// Tells of a new contact.
    pub(crate) fn created(&self, met: &Met) -> NewEvent {
        self.event("contact.created", Some(met.contact), json!({ "identity": met.identity.id }))
    }

    /// The account with what speaks for it.
    pub(crate) fn wires(&self) -> Wires {
        (self.account.clone(), self.channel.clone(), self.policy.clone())
    }

    /// What the rule engine knows of them.
    pub(crate) async fn situation(&self, met: &Met) -> Result<Situation, DeskError> {
        self.ground.situation(self.tx, met, self.wires()).await
    }

    /// Takes the item's openings into the facts.
    pub(crate) fn open_windows(&self, situation: &mut Situation) {
        for opening in &self.inbound.openings {
            let what = What::Opening { kind: opening.kind.clone(), reference: opening.reference.clone() };
            situation.apply(&Event { at: self.at, what });
        }
    }

    fn event(&self, kind: &str, contact: Option<ContactId>, data: serde_json::Value) -> NewEvent {
        let (id, kind) = (EventId::new(self.desk.ids()), event_kinds::told(kind));
        NewEvent { id, kind, conversation: None, contact, data, at: self.now }
    }

    /// Tells an event that belongs to no conversation.
    pub(crate) async fn emit(
        &self,
        kind: &str,
        contact: Option<ContactId>,
        data: serde_json::Value,
    ) -> Result<(), DeskError> {
        Ok(self.tx.emit(&self.event(kind, contact, data)).await?)
    }
}
