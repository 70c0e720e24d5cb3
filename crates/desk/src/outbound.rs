//! Reach a person in one call: found by an address or made, and written to, in one transaction.

use serde_json::json;
use time::OffsetDateTime;
use transom_channel::{AddressRule, Channel, ContactField};
use transom_domain::{Address, ChannelAccountId, ContactId, Identity, IdentityId, Profile};
use transom_storage::{PersonSeed, Tx};

use crate::contacts::{NewContact, checked, e164, email};
use crate::{Desk, DeskError, changes, custom_fields};

/// The kind of address that an id of ours is: what a site or an app calls its own customer.
const EXTERNAL_ID: &str = "external_id";
/// Longer ids are nobody's.
const MAX_ID_BYTES: usize = 512;

/// Somebody to write to who need not be a contact yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// How they are found, and where the message goes.
    pub name: PersonName,
    /// What is known of them: used if they are made, and never changes who is there.
    pub details: NewContact,
}

/// What somebody is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonName {
    /// A phone number, with + and the country code.
    Phone(String),
    /// An email address.
    Email(String),
    /// Our own id of them, where a channel knows such ids.
    ExternalId(String),
    /// The platform's id of them.
    PlatformId(String),
}

impl PersonName {
    /// It as addresses are stored.
    fn checked(self) -> Result<Self, DeskError> {
        let id = |id: String| {
            let id = id.trim().to_owned();
            if id.is_empty() || id.len() > MAX_ID_BYTES || id.contains(char::is_control) {
                let detail = format!("an id has 1 to {MAX_ID_BYTES} bytes and no control characters");
                return Err(DeskError::invalid("invalid_value", "to", detail));
            }
            Ok(id)
        };
        Ok(match self {
            PersonName::Phone(phone) => PersonName::Phone(e164(phone.trim())?),
            PersonName::Email(address) => {
                let address = address.trim();
                email(address)?;
                PersonName::Email(address.to_owned())
            }
            PersonName::ExternalId(value) => PersonName::ExternalId(id(value)?),
            PersonName::PlatformId(value) => PersonName::PlatformId(id(value)?),
        })
    }

    fn value(&self) -> &str {
        match self {
            PersonName::Phone(value)
            | PersonName::Email(value)
            | PersonName::ExternalId(value)
            | PersonName::PlatformId(value) => value,
        }
    }

    /// Whether it is an address of that kind.
    fn is_of(&self, rule: &AddressRule) -> bool {
        match self {
            PersonName::Phone(_) => rule.from == Some(ContactField::Phone),
            PersonName::Email(_) => rule.from == Some(ContactField::Email),
            PersonName::ExternalId(_) => rule.kind == EXTERNAL_ID,
            PersonName::PlatformId(_) => rule.from.is_none() && rule.kind != EXTERNAL_ID,
        }
    }

    /// The address that names the same person on other channels as well; a platform's id is its own.
    fn everywhere(&self) -> Option<Address> {
        match self {
            PersonName::Phone(phone) => Some(Address::new("phone", phone)),
            PersonName::Email(email) => Some(Address::new("email", email)),
            PersonName::ExternalId(id) => Some(Address::new(EXTERNAL_ID, id)),
            PersonName::PlatformId(_) => None,
        }
    }
}

impl Person {
    /// As it may be stored.
    ///
    /// # Errors
    /// [`DeskError::Invalid`] for what is no phone number, no email address or no id.
    pub(crate) fn checked(self) -> Result<Self, DeskError> {
        let name = self.name.checked()?;
        let NewContact { display_name, profile, fields } = self.details;
        let mut profile = checked(profile)?;
        match &name {
            PersonName::Phone(phone) if profile.phone.is_none() => profile.phone = Some(phone.clone()),
            PersonName::Email(email) if profile.email.is_none() => profile.email = Some(email.clone()),
            PersonName::ExternalId(id) if profile.external_id.is_none() => profile.external_id = Some(id.clone()),
            _ => {}
        }
        let display_name = display_name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        Ok(Self { name, details: NewContact { display_name, profile, fields } })
    }
}

/// A person on an account, locked until the end of the transaction.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) identity: Identity,
    pub(crate) contact: ContactId,
    /// Whether the contact was made.
    pub(crate) made: bool,
    /// Whether the contact is new on this account.
    pub(crate) new_here: bool,
}

/// Finds or makes the person on the account.
///
/// # Errors
/// `cannot_start` where the account knows nobody of that name and only the customer can begin.
pub(crate) async fn reach(
    tx: &Tx,
    desk: &Desk,
    (account, channel): (ChannelAccountId, &dyn Channel),
    person: &Person,
    now: OffsetDateTime,
) -> Result<Reached, DeskError> {
    let (name, value) = (&person.name, person.name.value());
    let everywhere = name.everywhere();
    if let Some(address) = &everywhere {
        // The unique address makes one person on an account; over several accounts at once the turn makes one contact.
        tx.take_turn(&format!("reach {} {}", address.kind, address.value)).await?;
    }
    let rules = || channel.capabilities().addresses.iter().filter(|rule| name.is_of(rule));
    for rule in rules() {
        if let Some(known) = tx.identity_by_address(account, rule.kind, value).await? {
            return locked(tx, known.id).await;
        }
    }
    let known = match &everywhere {
        Some(address) => tx.contact_named(address).await?,
        None => None,
    };
    let known = match known {
        // It may become a part of another contact meanwhile.
        Some(contact) => tx.hold_contact(contact).await?,
        None => None,
    };
    if let Some(rule) = rules().find(|rule| rule.can_start) {
        return made(tx, desk, (account, Address::new(rule.kind, value)), (person, known), now).await;
    }
    // A channel that knows no numbers may know the person whose number it is.
    let here = match known {
        Some(contact) => tx.identities_of(contact).await?.into_iter().find(|identity| identity.account == account),
        None => None,
    };
    match here {
        Some(identity) => locked(tx, identity.id).await,
        None => Err(cannot_start()),
    }
}

/// A person that the account knows.
async fn locked(tx: &Tx, identity: IdentityId) -> Result<Reached, DeskError> {
    let identity = tx.lock_identity(identity).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    Ok(Reached { contact: identity.contact, identity, made: false, new_here: false })
}

/// A person whom the account does not know yet: the contact that is known elsewhere, or a new one.
async fn made(
    tx: &Tx,
    desk: &Desk,
    (account, address): (ChannelAccountId, Address),
    (person, known): (&Person, Option<ContactId>),
    now: OffsetDateTime,
) -> Result<Reached, DeskError> {
    let named = crate::erase::named_in(&person.details.profile);
    if known.is_none() && tx.any_erased(&[named, vec![address.clone()]].concat()).await? {
        return Err(crate::erase::erased());
    }
    let seed = PersonSeed {
        identity: IdentityId::new(desk.ids()),
        contact: known.unwrap_or_else(|| ContactId::new(desk.ids())),
        account,
        addresses: vec![address],
        profile: if known.is_some() { Profile::default() } else { person.details.profile.clone() },
        at: now,
    };
    let met = tx.meet(&seed, now).await?;
    if met.new_contact {
        tx.note_written_by_hand(met.contact).await?;
        custom_fields::fill(tx, desk, met.contact, &person.details.fields).await?;
        if let (Some(name), Some(stored)) = (&person.details.display_name, tx.contact(met.contact).await?) {
            let mut contact = stored.contact;
            contact.display_name = Some(name.clone());
            tx.update_contact(&contact, None, now).await?;
        }
        let data = json!({ "identity": met.identity.id });
        changes::tell(tx, desk.ids(), Some(met.contact), "contact.created", data, now).await?;
    }
    Ok(Reached { identity: met.identity, contact: met.contact, made: met.new_contact, new_here: met.new_identity })
}

/// Where the platform lets only the customer begin.
pub(crate) fn cannot_start() -> DeskError {
    DeskError::conflict("cannot_start", "on this channel only the customer can start a conversation")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_is_found_by_is_stored_in_one_form() {
        let person = |name| Person { name, details: NewContact::default() };
        let phone = person(PersonName::Phone(" +49 (1555) 010-0001 ".into())).checked().unwrap();
        assert_eq!(phone.name, PersonName::Phone("+4915550100001".into()));
        assert_eq!(phone.details.profile.phone.as_deref(), Some("+4915550100001"));
        for (wrong, code) in [
            (PersonName::Phone("015550100001".into()), "phone_invalid"),
            (PersonName::Email("nobody".into()), "email_invalid"),
            (PersonName::ExternalId(" ".into()), "invalid_value"),
            (PersonName::PlatformId("a\nb".into()), "invalid_value"),
        ] {
            assert_eq!(person(wrong).checked().unwrap_err().code(), code);
        }
    }

    #[test]
    fn a_number_of_their_own_stays() {
        let profile = Profile { phone: Some("+4915550100002".into()), ..Profile::default() };
        let details = NewContact { display_name: Some(" ".into()), profile, ..NewContact::default() };
        let person = Person { name: PersonName::Phone("+4915550100001".into()), details }.checked().unwrap();
        assert_eq!(person.details.profile.phone.as_deref(), Some("+4915550100002"));
        assert_eq!(person.details.display_name, None);
    }
}
