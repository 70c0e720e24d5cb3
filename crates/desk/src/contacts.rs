//! Contacts by hand: add, change, block.

use std::sync::Arc;

use serde_json::json;
use transom_domain::{Contact, ContactId, Identity, Profile};
use transom_storage::{PersonSeed, StoredContact};
use transom_windows::{Blocker, Event, What};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::tell;
use crate::custom_fields::{self, FieldPatch};
use crate::erase::{refuse_erased, refuse_shell};
use crate::idempotency::{Once, only_once};
use crate::quiet::checked_zone;
use crate::situation::{Situation, wires};
use crate::{Desk, DeskError};

/// A contact to add: an account is chosen when the first message is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewContact {
    /// The name that agents see.
    pub display_name: Option<String>,
    /// What is known.
    pub profile: Profile,
    /// What it has in the workspace's own fields.
    pub fields: Vec<FieldPatch>,
}

/// What may change; `None` leaves a field as it is, an empty text clears it.
#[derive(Debug, Clone, Default)]
pub struct ContactPatch {
    /// The name that agents see.
    pub display_name: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// The id by which the business's own systems know the person.
    pub external_id: Option<String>,
    /// Email address.
    pub email: Option<String>,
    /// Phone number.
    pub phone: Option<String>,
    /// BCP 47 language tag.
    pub language: Option<String>,
    /// The time zone in which they live, by its IANA name.
    pub time_zone: Option<String>,
    /// The workspace's own fields that change.
    pub fields: Vec<FieldPatch>,
}

impl From<ContactPatch> for NewContact {
    fn from(patch: ContactPatch) -> Self {
        let ContactPatch {
            display_name,
            first_name,
            last_name,
            external_id,
            email,
            phone,
            language,
            time_zone,
            fields,
        } = patch;
        let profile =
            Profile { first_name, last_name, external_id, email, phone, language, time_zone, ..Profile::default() };
        Self { display_name, profile, fields }
    }
}

/// Adds a contact.
///
/// # Errors
/// [`DeskError::Invalid`] for a contact without any name or address.
pub async fn add(
    desk: &Desk,
    caller: &Caller,
    new: NewContact,
    once: Option<Once<StoredContact>>,
) -> Result<StoredContact, DeskError> {
    authorise(caller, Action::WriteContacts)?;
    let profile = checked(new.profile)?;
    let contact = Contact {
        id: ContactId::new(desk.ids()),
        display_name: new.display_name.filter(|name| !name.trim().is_empty()),
        profile,
        blocked: false,
        created_at: desk.now(),
    };
    somebody(&contact)?;
    let (desk_in, now, contact, once) = (desk.clone(), desk.now(), Arc::new(contact), once.map(Arc::new));
    let (id, fields) = (contact.id, Arc::new(new.fields));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, contact, fields, once) = (desk_in.clone(), contact.clone(), fields.clone(), once.clone());
            Box::pin(async move {
                let added = async {
                    refuse_erased(tx, &contact).await?;
                    tx.insert_contact(&contact, now).await?;
                    custom_fields::fill(tx, &desk, id, &fields).await?;
                    tell(tx, desk.ids(), Some(id), "contact.created", json!({}), now).await?;
                    tx.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })
                };
                only_once(once.as_deref(), tx, now, added).await
            })
        })
        .await
}

/// Changes a contact.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::VersionMismatch`] when `expected` is not the present version;
/// [`DeskError::Invalid`] for a change that leaves nothing to know the contact by.
pub async fn change(
    desk: &Desk,
    caller: &Caller,
    id: ContactId,
    patch: ContactPatch,
    expected: Option<u64>,
) -> Result<StoredContact, DeskError> {
    authorise(caller, Action::WriteContacts)?;
    let (desk_in, now, patch) = (desk.clone(), desk.now(), Arc::new(patch));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, patch) = (desk_in.clone(), patch.clone());
            Box::pin(async move {
                let stored = tx.lock_contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                let mut contact = stored.contact;
                let set = |field: &mut Option<String>, new: &Option<String>| {
                    if let Some(new) = new {
                        *field = Some(new.trim().to_owned()).filter(|text| !text.is_empty());
                    }
                };
                set(&mut contact.display_name, &patch.display_name);
                set(&mut contact.profile.first_name, &patch.first_name);
                set(&mut contact.profile.last_name, &patch.last_name);
                set(&mut contact.profile.external_id, &patch.external_id);
                set(&mut contact.profile.email, &patch.email);
                set(&mut contact.profile.phone, &patch.phone);
                set(&mut contact.profile.language, &patch.language);
                set(&mut contact.profile.time_zone, &patch.time_zone);
                contact.profile = checked(contact.profile)?;
                if stored.identities.is_empty() {
                    somebody(&contact)?;
                }
                let id = contact.id;
                refuse_shell(tx, id).await?;
                refuse_erased(tx, &contact).await?;
                tx.update_contact(&contact, expected, now).await?.ok_or(DeskError::VersionMismatch)?;
                custom_fields::fill(tx, &desk, id, &patch.fields).await?;
                tell(tx, desk.ids(), Some(id), "contact.changed", json!({}), now).await?;
                tx.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })
            })
        })
        .await
}

/// Asks every platform of the contact that tells profiles on demand, and keeps what it says: the name that an agent
/// chose stays. What one platform can't tell now does not hold up what another one told.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] where no channel of the contact tells profiles; [`DeskError::Platform`] when
/// none of them told anything.
pub async fn refresh(desk: &Desk, caller: &Caller, id: ContactId) -> Result<StoredContact, DeskError> {
    authorise(caller, Action::WriteContacts)?;
    let reader = desk.reader(&caller.scope);
    let found = reader.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    refuse_shell(&reader, found.contact.id).await?;
    let mut told = Vec::new();
    let mut failed = None;
    for identity in found.identities {
        let (account, channel) = desk.account(&caller.scope, identity.account).await?;
        let Some(profiles) = channel.profiles().filter(|_| account.enabled) else { continue };
        match profiles.fetch(&identity).await {
            Ok(profile) => told.push((identity, profile)),
            Err(error) => {
                tracing::info!(identity = %identity.id, code = error.code(), "a platform told no profile");
                failed = Some(error);
            }
        }
    }
    match failed {
        Some(error) if told.is_empty() => return Err(error.into()),
        None if told.is_empty() => {
            let detail = "no channel on which this contact is known tells profiles on demand";
            return Err(DeskError::conflict("no_profiles", detail));
        }
        _ => {}
    }
    let (desk_in, now, told) = (desk.clone(), desk.now(), Arc::new(told));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, told) = (desk_in.clone(), told.clone());
            Box::pin(async move {
                let known = tx.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                refuse_shell(tx, known.contact.id).await?;
                for (identity, profile) in told.iter() {
                    let Identity { id, contact, account, addresses } = identity.clone();
                    let seed =
                        PersonSeed { identity: id, contact, account, addresses, profile: profile.clone(), at: now };
                    tx.meet(&seed, now).await?;
                }
                tell(tx, desk.ids(), Some(id), "contact.changed", json!({}), now).await?;
                tx.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })
            })
        })
        .await
}

/// Blocks or unblocks a contact on every channel; what is queued for them is withheld (R-401, P6).
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown contact.
pub async fn set_blocked(
    desk: &Desk,
    caller: &Caller,
    id: ContactId,
    blocked: bool,
) -> Result<StoredContact, DeskError> {
    authorise(caller, Action::BlockContacts)?;
    let reader = desk.reader(&caller.scope);
    let found = reader.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    refuse_shell(&reader, found.contact.id).await?;
    let mut faces = Vec::new();
    for identity in found.identities {
        let wires = wires(desk, &caller.scope, identity.account).await?;
        faces.push((identity.id, wires));
    }
    faces.sort_by_key(|(identity, _)| *identity);
    let (desk_in, now, faces) = (desk.clone(), desk.now(), Arc::new(faces));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, faces) = (desk_in.clone(), faces.clone());
            Box::pin(async move {
                for (identity, wires) in faces.iter() {
                    let Some(identity) = tx.lock_identity(*identity).await? else { continue };
                    let id = identity.id;
                    let mut situation = Situation::load(tx, identity, wires.clone(), now).await?;
                    let what =
                        if blocked { What::Blocked { by: Blocker::Us } } else { What::Unblocked { by: Blocker::Us } };
                    situation.apply(&Event { at: now, what });
                    situation.save(tx, now).await?;
                    if blocked {
                        tx.cancel_queued_for(id, &json!({ "reason": "blocked" }), now).await?;
                    }
                }
                let found = tx.lock_contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                let mut contact = found.contact;
                contact.blocked = blocked;
                tx.update_contact(&contact, None, now).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                let kind = if blocked { "contact.blocked" } else { "contact.unblocked" };
                tell(tx, desk.ids(), Some(id), kind, json!({}), now).await?;
                tx.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })
            })
        })
        .await
}

/// A contact that no channel knows must be known by something: otherwise nobody would ever find it again.
pub(crate) fn somebody(contact: &Contact) -> Result<(), DeskError> {
    // A language is nobody's name.
    let known = Profile { language: None, picture_url: None, time_zone: None, ..contact.profile.clone() };
    if contact.display_name.is_none() && known.is_empty() {
        let detail = "give a name, a phone number or an email address: nothing else would be known of this contact";
        return Err(DeskError::invalid("contact_empty", "display_name", detail));
    }
    Ok(())
}

/// A profile as it may be stored: without blanks, the number in E.164.
pub(crate) fn checked(profile: Profile) -> Result<Profile, DeskError> {
    let said = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let mut profile = Profile {
        name: said(profile.name),
        first_name: said(profile.first_name),
        last_name: said(profile.last_name),
        username: said(profile.username),
        external_id: said(profile.external_id),
        email: said(profile.email),
        phone: said(profile.phone),
        language: said(profile.language),
        picture_url: said(profile.picture_url),
        time_zone: said(profile.time_zone),
    };
    if let Some(phone) = &profile.phone {
        profile.phone = Some(e164(phone)?);
    }
    profile.email.as_deref().map(email).transpose()?;
    profile.time_zone.as_deref().map(|zone| checked_zone(zone, "time_zone")).transpose()?;
    Ok(profile)
}

/// Somebody at some domain.
pub(crate) fn email(address: &str) -> Result<(), DeskError> {
    let (local, domain) = address.rsplit_once('@').unwrap_or_default();
    let plain = !address.contains(|c: char| c.is_whitespace() || c.is_control());
    if local.is_empty() || !domain.contains('.') || !plain {
        let detail = format!("`{address}` is no email address: write it as name@domain");
        return Err(DeskError::invalid("email_invalid", "email", detail));
    }
    Ok(())
}

/// How every phone number is understood.
pub(crate) const WRITTEN: &str = "write it with + and the country code, such as +4915550100001";

/// `+` and 7 to 15 digits, after the usual separators are taken away (ITU-T E.164).
pub(crate) fn e164(phone: &str) -> Result<String, DeskError> {
    let bare: String = phone.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.' | '/')).collect();
    let digits = bare.strip_prefix('+').unwrap_or_default();
    let valid =
        (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if valid {
        Ok(bare)
    } else {
        Err(DeskError::invalid(
            "phone_invalid",
            "phone",
            format!("`{phone}` is no international phone number: {WRITTEN}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_international_or_refused() {
        assert_eq!(e164("+49 (1555) 010-0001").unwrap(), "+4915550100001");
        for wrong in ["015550100001", "+0155501000", "+12ab", "+1234567890123456", ""] {
            assert_eq!(e164(wrong).unwrap_err().code(), "phone_invalid", "{wrong}");
        }
    }
}
