//! Duplicate contacts: suggested, made one, made two again.

use std::sync::Arc;

use serde_json::json;
use transom_domain::{Actor, Address, ContactId, LabelId, MergeId};
use transom_storage::{Reader, StorageError, StoredContact, StoredMerge, Tx};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::tell;
use crate::erase::refuse_shell;
use crate::idempotency::{Once, only_once};
use crate::{Desk, DeskError};

/// Names of a contact that are looked for elsewhere: nobody has more that are of use.
const MAX_NAMES: usize = 20;
/// Contacts of one name that are suggested: a number that more have is a switchboard's.
const MAX_OF_NAME: u32 = 20;
/// Merges of one contact that are listed.
const MAX_MERGES: u32 = 100;

/// A contact that may be the same person.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// The other contact.
    pub contact: StoredContact,
    /// What both are known by.
    pub because: Vec<Address>,
}

const NO_CONTACT: DeskError = DeskError::NotFound { what: "contact" };
const NO_MERGE: DeskError = DeskError::NotFound { what: "merge" };

/// Other contacts with the same phone number, email address or id of ours, on whichever channels; those with most in common
/// first.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn suggestions(desk: &Desk, caller: &Caller, id: ContactId) -> Result<Vec<Suggestion>, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    let reader = desk.reader(&caller.scope);
    let contact = reader.contact(id).await?.ok_or(NO_CONTACT)?;
    let mut found: Vec<Suggestion> = Vec::new();
    for name in names(&contact) {
        for other in reader.contacts_named(&name, MAX_OF_NAME).await? {
            let other_id = other.contact.id;
            match found.iter_mut().find(|known| known.contact.contact.id == other_id) {
                _ if other_id == contact.contact.id => {}
                Some(known) => known.because.push(name.clone()),
                None => found.push(Suggestion { contact: other, because: vec![name.clone()] }),
            }
        }
    }
    found.sort_by_key(|suggestion| (std::cmp::Reverse(suggestion.because.len()), suggestion.contact.contact.id));
    Ok(found)
}

/// What a contact is known by on every channel alike.
fn names(stored: &StoredContact) -> Vec<Address> {
    let profile = &stored.contact.profile;
    let told = [("phone", &profile.phone), ("email", &profile.email), ("external_id", &profile.external_id)];
    let told = told.into_iter().filter_map(|(kind, value)| Some(Address::new(kind, value.as_deref()?)));
    let addresses = stored.identities.iter().flat_map(|identity| identity.addresses.iter().cloned());
    let addresses = addresses.filter(|address| matches!(address.kind.as_str(), "phone" | "email" | "external_id"));
    let mut names: Vec<Address> = told.chain(addresses).collect();
    names.sort();
    names.dedup();
    names.truncate(MAX_NAMES);
    names
}

/// Makes `gone` a part of `kept`: its identities, conversations and messages become the kept one's, whose own word counts where
/// both say something. Its id finds the kept one from now on.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] for a contact and itself, or where only one of the two is blocked.
pub async fn merge(
    desk: &Desk,
    caller: &Caller,
    kept: ContactId,
    gone: ContactId,
    once: Option<Once<StoredMerge>>,
) -> Result<StoredMerge, DeskError> {
    authorise(caller, Action::MergeContacts)?;
    let (desk_in, by, once) = (desk.clone(), Actor::from(&caller.agent), once.map(Arc::new));
    let merged = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, by, once) = (desk_in.clone(), by.clone(), once.clone());
            Box::pin(async move {
                let now = desk.now();
                Box::pin(only_once(once.as_deref(), tx, now, merge_in(tx, &desk, (kept, gone), &by))).await
            })
        })
        .await?;
    follow(desk, caller, &merged).await?;
    Ok(merged)
}

async fn merge_in(
    tx: &Tx,
    desk: &Desk,
    (kept, gone): (ContactId, ContactId),
    by: &Actor,
) -> Result<StoredMerge, DeskError> {
    let now = desk.now();
    let (one, other) = (known(tx, kept).await?, known(tx, gone).await?);
    if one.contact.id == other.contact.id {
        return Err(same());
    }
    let both = (one.contact.id, other.contact.id);
    let merged = tx.merge_contacts(MergeId::new(desk.ids()), both, by, now).await?;
    let Some(merged) = merged else {
        // Somebody else has just merged one of them: perhaps these very two.
        let (one, other) = (known(tx, kept).await?, known(tx, gone).await?);
        return Err(if one.contact.id == other.contact.id { same() } else { StorageError::Conflict.into() });
    };
    // Looked at under the locks: who was erased is nobody's part, and a block of one must not be lifted, nor put on the other,
    // without a word.
    for contact in [merged.kept, merged.gone] {
        refuse_shell(tx, contact).await?;
    }
    if !merged.blocked_alike {
        let detail = "one of the two is blocked: block or unblock first, so that both are the same";
        return Err(DeskError::conflict("merge_blocked", detail));
    }
    let data = json!({ "merge": merged.id, "kept": merged.kept, "gone": merged.gone });
    tell(tx, desk.ids(), Some(merged.kept), "contact.merged", data, now).await?;
    Ok(merged)
}

fn same() -> DeskError {
    DeskError::conflict("merge_same", "these are one contact already")
}

async fn known(reader: &Reader, id: ContactId) -> Result<StoredContact, DeskError> {
    reader.contact(id).await?.ok_or(NO_CONTACT)
}

/// A note that was written at the same moment may still name the contact that it was of.
async fn follow(desk: &Desk, caller: &Caller, merge: &StoredMerge) -> Result<(), DeskError> {
    let merge = Arc::new(merge.clone());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let merge = merge.clone();
            Box::pin(async move { Ok::<_, DeskError>(tx.follow_identities(&merge).await?) })
        })
        .await
}

/// One merge.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn get(desk: &Desk, caller: &Caller, id: MergeId) -> Result<StoredMerge, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    desk.reader(&caller.scope).merge(id).await?.ok_or(NO_MERGE)
}

/// The merges that made a contact what it is, those that were taken back among them; the newest first.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown contact.
pub async fn of(desk: &Desk, caller: &Caller, contact: ContactId) -> Result<Vec<StoredMerge>, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    let reader = desk.reader(&caller.scope);
    let contact = known(&reader, contact).await?.contact.id;
    Ok(reader.merges_into(contact, MAX_MERGES).await?)
}

/// Makes two contacts again of one. Both are what they were, but for what was told of the kept one since, and a block, which
/// both keep. Messages that came meanwhile go with the identity that they were for.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] for one that was taken back before, or that a later merge builds on.
pub async fn undo(desk: &Desk, caller: &Caller, id: MergeId) -> Result<StoredMerge, DeskError> {
    authorise(caller, Action::MergeContacts)?;
    let (desk_in, by) = (desk.clone(), Actor::from(&caller.agent));
    let undone = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, by) = (desk_in.clone(), by.clone());
            Box::pin(async move {
                let now = desk.now();
                let merge = tx.merge(id).await?.ok_or(NO_MERGE)?;
                if let Some(later) = tx.later_merge(&merge).await? {
                    let detail = format!("the merge {later} came later: take that one back first");
                    return Err(DeskError::conflict("merge_not_last", detail));
                }
                if merge.undone.is_some() || !tx.undo_merge(id, &by, now).await? {
                    return Err(DeskError::conflict("merge_undone", "this merge was taken back before"));
                }
                for contact in [merge.kept, merge.gone] {
                    // A label may have been deleted meanwhile: who had it has it again.
                    for label in known(tx, contact).await?.labels {
                        tx.ensure_label(LabelId::new(desk.ids()), &label, now).await?;
                    }
                }
                let data = json!({ "merge": merge.id, "kept": merge.kept, "gone": merge.gone });
                tell(tx, desk.ids(), Some(merge.kept), "contact.unmerged", data.clone(), now).await?;
                tell(tx, desk.ids(), Some(merge.gone), "contact.unmerged", data, now).await?;
                tx.merge(id).await?.ok_or(NO_MERGE)
            })
        })
        .await?;
    follow(desk, caller, &undone).await?;
    Ok(undone)
}
