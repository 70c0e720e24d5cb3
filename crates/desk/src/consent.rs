//! What customers allow and forbid us, by channel: shown, and recorded by hand.

use std::sync::Arc;

use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_domain::{
    Actor, Address, ChannelAccountId, ConsentId, ContactId, Identity, IdentityId, Ids, Profile, truncate_to_millis,
};
use transom_storage::{Consent, PersonSeed, Reader, Tx};
use transom_windows::{Blocker, Event, OptOutScope, What};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::tell;
use crate::erase::refuse_shell;
use crate::send::first_address;
use crate::situation::{Situation, Wires, wires};
use crate::{Desk, DeskError};

/// What a record says of its source where the customer told it over the channel. Nobody else may say so.
pub(crate) const PLATFORM: &str = "platform";
/// Records that are shown.
const SHOWN: u32 = 100;
const MAX_SOURCE: usize = 200;
const MAX_DETAIL: usize = 2_000;

/// What a customer told somebody of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConsent {
    /// On which channel.
    pub account: ChannelAccountId,
    /// What it covers.
    pub scope: OptOutScope,
    /// Whether they allow it.
    pub allowed: bool,
    /// How we know: a call, a form, a letter.
    pub source: String,
    /// What was said or shown.
    pub detail: Option<String>,
    /// When they said so; now unless said.
    pub at: Option<OffsetDateTime>,
}

/// How a contact stands to us on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The channel.
    pub account: ChannelAccountId,
    /// Who they are there.
    pub identity: IdentityId,
    /// What they want no more of; `None` for nothing.
    pub opted_out: Option<OptOutScope>,
    /// Since when.
    pub since: Option<OffsetDateTime>,
    /// Whether somebody of ours recorded that and may take it back: what a customer told over the channel they take back there.
    pub by_hand: bool,
    /// Whether the customer blocks us on the platform.
    pub blocked_by_customer: bool,
}

/// How a contact stands to us everywhere, and what was recorded, the newest 100 first.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn of(desk: &Desk, caller: &Caller, contact: ContactId) -> Result<(Vec<Standing>, Vec<Consent>), DeskError> {
    authorise(caller, Action::ReadContacts)?;
    let reader = desk.reader(&caller.scope);
    let stored = reader.contact(contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    known(&reader, &stored.identities, SHOWN).await
}

/// How these people stand to us, and what was recorded, the newest `limit` first.
pub(crate) async fn known(
    reader: &Reader,
    identities: &[Identity],
    limit: u32,
) -> Result<(Vec<Standing>, Vec<Consent>), DeskError> {
    let ids: Vec<IdentityId> = identities.iter().map(|identity| identity.id).collect();
    let records = reader.consents(&ids, limit).await?;
    let mut standings = Vec::with_capacity(ids.len());
    for identity in identities {
        let person = reader.person_facts(identity.id).await?;
        standings.push(standing(identity, &person, &records));
    }
    Ok((standings, records))
}

fn standing(identity: &Identity, person: &transom_windows::Person, records: &[Consent]) -> Standing {
    let out = |scope| {
        let told = match scope {
            OptOutScope::All => person.opted_out_of_all,
            OptOutScope::Marketing => person.opted_out_of_marketing,
        };
        told.filter(|told| told.value).map(|told| (scope, told.at))
    };
    let stands = out(OptOutScope::All).or_else(|| out(OptOutScope::Marketing));
    Standing {
        account: identity.account,
        identity: identity.id,
        opted_out: stands.map(|(scope, _)| scope),
        since: stands.map(|(_, at)| at),
        by_hand: stands.is_some_and(|(scope, at)| is_by_hand(identity.id, scope, at, records)),
        blocked_by_customer: person.blocked_by_customer.is_some_and(|told| told.value),
    }
}

/// Whether the opt-out that counts is one that somebody of ours recorded.
fn is_by_hand(identity: IdentityId, scope: OptOutScope, at: OffsetDateTime, records: &[Consent]) -> bool {
    let at = truncate_to_millis(at);
    let counts = |record: &&Consent| record.identity == identity && record.scope == scope && record.at == at;
    let mut counting = records.iter().filter(counts).filter(|record| !record.allowed).peekable();
    counting.peek().is_some() && counting.all(|record| record.source != PLATFORM)
}

/// Records what a customer allows or forbids on a channel. An opt-out counts at once: what is queued is decided anew before it
/// leaves, and not sent.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] for an opt-out that only the customer can take back; [`DeskError::Invalid`] for
/// a time to come.
pub async fn record(desk: &Desk, caller: &Caller, contact: ContactId, new: NewConsent) -> Result<(), DeskError> {
    authorise(caller, Action::RecordConsent)?;
    let now = truncate_to_millis(desk.now());
    let new = checked(new, now)?;
    let wires = wires(desk, &caller.scope, new.account).await?;
    let desk_in = desk.clone();
    let (by, new) = (Actor::from(&caller.agent), Arc::new(new));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, by, new, wires) = (desk_in.clone(), by.clone(), new.clone(), wires.clone());
            Box::pin(async move {
                refuse_shell(tx, contact).await?;
                let identity = identity_on(tx, &desk, contact, &wires, now).await?;
                let contact = identity.contact;
                let mut situation = Situation::load(tx, identity, wires, now).await?;
                let at = new.at.unwrap_or(now);
                if new.allowed {
                    free_to_allow(tx, &situation, new.scope).await?;
                    let given = What::Consent { given: true };
                    situation.apply(&Event { at, what: What::OptIn { scope: new.scope } });
                    situation.apply(&Event { at, what: given });
                } else if !is_out(&situation, new.scope) {
                    // One that stands keeps its origin: said again by hand, STOP would be ours to take back.
                    situation.apply(&Event { at, what: What::OptOut { scope: new.scope } });
                }
                situation.save(tx, now).await?;
                let record = Consent {
                    id: ConsentId::new(desk.ids()),
                    identity: situation.identity.id,
                    account: new.account,
                    scope: new.scope,
                    allowed: new.allowed,
                    source: new.source.clone(),
                    detail: new.detail.clone(),
                    by,
                    at,
                    recorded_at: now,
                };
                tx.record_consent(&record).await?;
                let data = json!({
                    "identity": record.identity,
                    "channel": record.account,
                    "scope": record.scope.as_str(),
                    "allowed": record.allowed,
                    "consent": record.id,
                });
                tell(tx, desk.ids(), Some(contact), "contact.consent", data, now).await
            })
        })
        .await
}

/// Keeps what a customer told over the channel, or by a link in a letter, beside the facts that follow from it.
pub(crate) async fn told_by_customer(
    tx: &Tx,
    ids: &dyn Ids,
    identity: &Identity,
    (scope, allowed): (OptOutScope, bool),
    (at, now): (OffsetDateTime, OffsetDateTime),
) -> Result<(), DeskError> {
    let record = Consent {
        id: ConsentId::new(ids),
        identity: identity.id,
        account: identity.account,
        scope,
        allowed,
        source: PLATFORM.to_owned(),
        detail: None,
        by: Actor::Customer,
        at: truncate_to_millis(at),
        recorded_at: now,
    };
    Ok(tx.record_consent(&record).await?)
}

pub(crate) fn is_out(situation: &Situation, scope: OptOutScope) -> bool {
    let person = situation.facts.snapshot().person;
    let told = match scope {
        OptOutScope::All => person.opted_out_of_all,
        OptOutScope::Marketing => person.opted_out_of_marketing,
    };
    told.is_some_and(|told| told.value)
}

/// What a customer told over the channel they take back there: STOP by START, a block by unblocking.
async fn free_to_allow(tx: &Tx, situation: &Situation, scope: OptOutScope) -> Result<(), DeskError> {
    let person = tx.person_facts(situation.identity.id).await?;
    let records = tx.consents(&[situation.identity.id], SHOWN).await?;
    let mut outs = vec![(OptOutScope::Marketing, person.opted_out_of_marketing)];
    if scope == OptOutScope::All {
        outs.push((OptOutScope::All, person.opted_out_of_all));
    }
    for (scope, told) in outs {
        let Some(told) = told.filter(|told| told.value) else { continue };
        if !is_by_hand(situation.identity.id, scope, told.at, &records) {
            let detail = "the customer opted out over the channel itself: only they can take that back, there";
            return Err(DeskError::conflict("opted_out_by_customer", detail));
        }
    }
    Ok(())
}

/// Who the contact is on the channel, locked; by the address in its profile, where nobody has written yet.
async fn identity_on(
    tx: &Tx,
    desk: &Desk,
    contact: ContactId,
    (account, channel, policy): &Wires,
    now: OffsetDateTime,
) -> Result<Identity, DeskError> {
    let missing = || DeskError::NotFound { what: "contact" };
    let contact = tx.contact(contact).await?.ok_or_else(missing)?;
    if let Some(known) = contact.identities.iter().find(|identity| identity.account == account.id) {
        return tx.lock_identity(known.id).await?.ok_or_else(missing);
    }
    let address: Address = first_address(channel.as_ref(), &contact.contact.profile)?;
    let id = tx.hold_contact(contact.contact.id).await?.ok_or_else(missing)?;
    refuse_shell(tx, id).await?;
    let seed = PersonSeed {
        identity: IdentityId::new(desk.ids()),
        contact: id,
        account: account.id,
        addresses: vec![address],
        profile: Profile::default(),
        at: now,
    };
    let met = tx.meet(&seed, now).await?;
    if met.contact != id {
        let detail = "another contact has this address on the channel: merge the two first";
        return Err(DeskError::conflict("address_taken", detail));
    }
    if met.new_identity && contact.contact.blocked {
        let wires = (account.clone(), channel.clone(), policy.clone());
        let mut situation = Situation::load(tx, met.identity.clone(), wires, now).await?;
        situation.apply(&Event { at: now, what: What::Blocked { by: Blocker::Us } });
        situation.save(tx, now).await?;
    }
    Ok(met.identity)
}

fn checked(new: NewConsent, now: OffsetDateTime) -> Result<NewConsent, DeskError> {
    let source = new.source.trim().to_owned();
    if source.is_empty() || source.chars().count() > MAX_SOURCE || source.eq_ignore_ascii_case(PLATFORM) {
        let detail = format!("say how you know, such as `phone call`, in 1 to {MAX_SOURCE} characters");
        return Err(DeskError::invalid("consent_source", "source", detail));
    }
    let detail = new.detail.map(|detail| detail.trim().to_owned()).filter(|detail| !detail.is_empty());
    if detail.as_ref().is_some_and(|detail| detail.chars().count() > MAX_DETAIL) {
        let detail = format!("at most {MAX_DETAIL} characters are kept of what was said");
        return Err(DeskError::invalid("text_too_long", "text", detail));
    }
    let at = new.at.map(truncate_to_millis);
    if at.is_some_and(|at| at > now.saturating_add(Duration::MINUTE)) {
        return Err(DeskError::invalid("invalid_value", "at", "nobody has said anything in the future"));
    }
    Ok(NewConsent { source, detail, at: at.map(|at| at.min(now)), ..new })
}
