//! Changes in what a customer allows us, and in who they are.

use serde_json::json;
use transom_channel::Standing;
use transom_domain::{Actor, Address};
use transom_storage::PersonSeed;
use transom_windows::{Blocker, Event, What};

use super::item::Case;
use crate::changes::{self, Change};
use crate::{DeskError, consent};

/// The customer did something that gives rights and has no content.
pub(super) async fn opened(case: &Case<'_>, what: &str) -> Result<(), DeskError> {
    let met = case.person().await?;
    let mut situation = case.situation(&met).await?;
    case.open_windows(&mut situation);
    situation.save(case.tx, case.now).await?;
    let data = json!({ "identity": met.identity.id, "what": what });
    case.emit("contact.opening", Some(met.contact), data).await
}

/// The customer's attitude to us changed; what bars sending is checked again at dispatch.
pub(super) async fn changed(case: &Case<'_>, standing: &Standing) -> Result<(), DeskError> {
    let met = case.person().await?;
    let mut situation = case.situation(&met).await?;
    case.open_windows(&mut situation);
    let (what, word) = match standing {
        Standing::Blocked => (What::Blocked { by: Blocker::Customer }, "blocked"),
        Standing::Unblocked => (What::Unblocked { by: Blocker::Customer }, "unblocked"),
        Standing::Subscribed => (What::Subscribed, "subscribed"),
        Standing::Unsubscribed => (What::Unsubscribed, "unsubscribed"),
        Standing::OptedOut(scope) => (What::OptOut { scope: *scope }, "opted_out"),
        Standing::OptedIn(scope) => (What::OptIn { scope: *scope }, "opted_in"),
        Standing::Unreachable { reason } => (What::Unreachable { reason: reason.clone() }, "unreachable"),
    };
    let at = case.latest();
    situation.apply(&Event { at, what });
    situation.save(case.tx, case.now).await?;
    let told = match standing {
        Standing::OptedOut(scope) => Some((*scope, false)),
        Standing::OptedIn(scope) => Some((*scope, true)),
        _ => None,
    };
    if let Some(told) = told {
        let ids = case.desk.ids();
        consent::told_by_customer(case.tx, ids, &met.identity, told, (at, case.now)).await?;
    }
    let data = json!({ "identity": met.identity.id, "standing": word });
    case.emit("contact.standing", Some(met.contact), data).await
}

/// The customer ended the conversation: it is closed, unless they wrote again since. Where closing needs a category and a note
/// only somebody of the team can close it: then its history says that the customer is done.
pub(super) async fn ended(case: &Case<'_>) -> Result<(), DeskError> {
    const ENDED: &str = "conversation.ended";
    let met = case.person().await?;
    let Some(stored) = case.tx.lock_conversation_of(met.identity.id, "").await? else { return Ok(()) };
    if stored.last_inbound_at.is_some_and(|wrote| wrote > case.at) {
        return Ok(());
    }
    let (settings, change) = (case.ground.settings(case.tx).await?, Change::new(&Actor::Customer, ENDED, case.now));
    let mut after = stored.conversation.clone();
    let Ok(transition) = after.close(settings.on_close, case.now) else { return Ok(()) };
    match settings.close_note_required {
        true => changes::line(case.tx, case.desk.ids(), &stored, ENDED, json!({}), &change).await,
        false => changes::record(case.tx, case.desk.ids(), &stored, &after, &transition, &change).await,
    }
}

/// The customer has new addresses: all of them are one person.
pub(super) async fn renamed(case: &Case<'_>, new: &[Address]) -> Result<(), DeskError> {
    let met = case.person().await?;
    let seed = PersonSeed {
        identity: met.identity.id,
        contact: met.contact,
        account: case.account.id,
        addresses: new.iter().chain(&met.identity.addresses).cloned().collect(),
        profile: transom_domain::Profile::default(),
        at: case.at,
    };
    let now_known = case.tx.meet(&seed, case.now).await?;
    let data = json!({ "identity": now_known.identity.id, "joined": now_known.joined });
    case.emit("identity.changed", Some(now_known.contact), data).await
}
