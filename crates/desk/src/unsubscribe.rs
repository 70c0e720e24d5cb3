//! One click, and somebody gets no more mail that they did not ask for (RFC 8058, R-512).

use serde_json::json;
use transom_domain::{IdentityId, truncate_to_millis};
use transom_storage::WorkspaceScope;
use transom_windows::{Event, OptOutScope, What};
use url::Url;

use crate::situation::{Situation, wires};
use crate::{Desk, DeskError, changes, consent};

/// The address at which a person says so: signed, without an end, and good for nothing else. `None` where the service has no
/// public address.
pub fn link(desk: &Desk, scope: &WorkspaceScope, person: IdentityId) -> Option<String> {
    link_under(desk, desk.files()?.links.public()?, scope, person).map(String::from)
}

/// The same under a base, for whoever reaches the service by another address.
pub fn link_under(desk: &Desk, base: &Url, scope: &WorkspaceScope, person: IdentityId) -> Option<Url> {
    let public_id = desk.storage().public_identity_id(scope, person);
    Some(desk.files()?.links.unsubscribe_url(base, &public_id))
}

/// Whose address it is.
///
/// # Errors
/// [`DeskError::NotFound`] for one that was not made here.
pub fn opened(desk: &Desk, public_id: &str, signature: &str) -> Result<(WorkspaceScope, IdentityId), DeskError> {
    let is_ours = desk.require_files()?.links.is_signed_to_unsubscribe(public_id, signature);
    let named = desk.storage().identity_of_public_id(public_id).filter(|_| is_ours);
    named.ok_or(DeskError::NotFound { what: "address" })
}

/// The person wants no more marketing and no unsolicited mail; answers to what they write stay. Said twice it is the same.
///
/// # Errors
/// [`DeskError::NotFound`] for an address that was not made here, and for somebody who is not known any more.
pub async fn by_link(desk: &Desk, public_id: &str, signature: &str) -> Result<(), DeskError> {
    let (scope, person) = opened(desk, public_id, signature)?;
    let missing = || DeskError::NotFound { what: "address" };
    let identity = desk.reader(&scope).identity(person).await?.ok_or_else(missing)?;
    let wires = wires(desk, &scope, identity.account).await?;
    let (desk_in, now) = (desk.clone(), truncate_to_millis(desk.now()));
    desk.storage()
        .transact(&scope, move |tx| {
            let (desk, wires) = (desk_in.clone(), wires.clone());
            Box::pin(async move {
                let identity = tx.lock_identity(person).await?.ok_or(DeskError::NotFound { what: "address" })?;
                let mut situation = Situation::load(tx, identity, wires, now).await?;
                if !consent::is_out(&situation, OptOutScope::Marketing) {
                    let told = (OptOutScope::Marketing, false);
                    consent::told_by_customer(tx, desk.ids(), &situation.identity, told, (now, now)).await?;
                }
                situation.apply(&Event { at: now, what: What::OptOut { scope: OptOutScope::Marketing } });
                situation.save(tx, now).await?;
                let data = json!({ "identity": person, "standing": "opted_out" });
                changes::tell(tx, desk.ids(), Some(situation.identity.contact), "contact.standing", data, now).await
            })
        })
        .await
}
