//! Contacts.

use std::collections::BTreeMap;

use poem_openapi::Object;
use time::OffsetDateTime;
use transom_desk::contacts::ContactPatch;
use transom_domain::{Address, Identity, Profile};
use transom_storage::{Source, StoredContact};
use uuid::Uuid;

use super::custom_field::{ContactFieldBody, ContactFieldView};

/// A customer, on however many channels.
#[derive(Debug, Object)]
#[oai(rename = "Contact", skip_serializing_if_is_none)]
pub(crate) struct ContactView {
    /// Its id.
    id: Uuid,
    /// The name to show: the agent's choice, else the platform's, else `@username`.
    name: Option<String>,
    /// The name that an agent chose.
    display_name: Option<String>,
    /// What platforms or agents told.
    profile: ProfileView,
    /// Whether nobody may write to them.
    blocked: bool,
    /// Labels.
    labels: Vec<String>,
    /// What it has in the workspace's own fields, by their names.
    fields: Vec<ContactFieldView>,
    /// Who they are on each channel.
    identities: Vec<IdentityView>,
    /// For `If-Match`: the same as in the `ETag`.
    version: u64,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it last changed.
    updated_at: OffsetDateTime,
}

/// What platforms or agents told about a person.
#[derive(Debug, Object)]
#[oai(rename = "Profile", skip_serializing_if_is_none)]
struct ProfileView {
    /// The full name as the platform shows it.
    name: Option<String>,
    /// Given name.
    first_name: Option<String>,
    /// Family name.
    last_name: Option<String>,
    /// User name without the `@`.
    username: Option<String>,
    /// The id by which the business's own systems know the person.
    external_id: Option<String>,
    /// Email address.
    email: Option<String>,
    /// Phone number.
    phone: Option<String>,
    /// BCP 47 language tag.
    language: Option<String>,
    /// The time zone in which they live, by its IANA name.
    time_zone: Option<String>,
    /// Where a picture can be fetched.
    picture_url: Option<String>,
    /// By field, who wrote it: `platform` or `manual`.
    sources: BTreeMap<String, String>,
}

/// A customer on one channel.
#[derive(Debug, Object)]
#[oai(rename = "Identity")]
struct IdentityView {
    /// Its id.
    id: Uuid,
    /// The channel.
    channel: Uuid,
    /// How the platform names it.
    addresses: Vec<AddressView>,
}

/// One name under which a platform knows a person.
#[derive(Debug, Object)]
#[oai(rename = "Address")]
pub(super) struct AddressView {
    /// What sort of name, such as `phone` or `user_id`.
    kind: String,
    /// The name itself.
    value: String,
}

impl From<&StoredContact> for ContactView {
    fn from(stored: &StoredContact) -> Self {
        let contact = &stored.contact;
        Self {
            id: contact.id.uuid(),
            name: contact.shown_name(),
            display_name: contact.display_name.clone(),
            profile: ProfileView::of(&contact.profile, &stored.sources),
            blocked: contact.blocked,
            labels: stored.labels.clone(),
            fields: stored.fields.iter().map(Into::into).collect(),
            identities: stored.identities.iter().map(Into::into).collect(),
            version: stored.version,
            created_at: contact.created_at,
            updated_at: stored.updated_at,
        }
    }
}

impl ProfileView {
    fn of(profile: &Profile, sources: &BTreeMap<String, Source>) -> Self {
        let Profile {
            name,
            first_name,
            last_name,
            username,
            external_id,
            time_zone,
            email,
            phone,
            language,
            picture_url,
        } = profile.clone();
        let sources = sources.iter().map(|(field, source)| (field.clone(), source.as_str().to_owned())).collect();
        Self {
            name,
            first_name,
            last_name,
            username,
            external_id,
            email,
            phone,
            language,
            time_zone,
            picture_url,
            sources,
        }
    }
}

impl From<&Identity> for IdentityView {
    fn from(identity: &Identity) -> Self {
        Self {
            id: identity.id.uuid(),
            channel: identity.account.uuid(),
            addresses: identity.addresses.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Address> for AddressView {
    fn from(address: &Address) -> Self {
        Self { kind: address.kind.clone(), value: address.value.clone() }
    }
}

/// A page of contacts.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct ContactPage {
    /// The contacts, newest first.
    pub(crate) items: Vec<ContactView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// What is said of a contact: all of one to add, or what changes of one that is there.
#[derive(Debug, Object)]
#[oai(rename = "ContactFields", deny_unknown_fields)]
pub(crate) struct ContactFields {
    /// The name that agents see.
    #[oai(validator(max_length = 200))]
    display_name: Option<String>,
    /// Given name.
    #[oai(validator(max_length = 200))]
    first_name: Option<String>,
    /// Family name.
    #[oai(validator(max_length = 200))]
    last_name: Option<String>,
    /// The id by which the business's own systems know the person: they can be written to by it where a channel knows such ids.
    #[oai(validator(max_length = 200))]
    external_id: Option<String>,
    /// Email address.
    #[oai(validator(max_length = 254))]
    email: Option<String>,
    /// Phone number with + and the country code.
    #[oai(validator(max_length = 40))]
    phone: Option<String>,
    /// BCP 47 language tag.
    #[oai(validator(max_length = 35))]
    language: Option<String>,
    /// The time zone in which they live, by its IANA name, such as `Europe/Berlin`: quiet hours go by it.
    #[oai(validator(max_length = 64))]
    time_zone: Option<String>,
    /// The workspace's own fields that are set or emptied; those that are left out stay. A new field is made.
    #[oai(default, validator(max_items = 200))]
    fields: Vec<ContactFieldBody>,
}

impl From<ContactFields> for ContactPatch {
    fn from(fields: ContactFields) -> Self {
        let ContactFields {
            display_name,
            first_name,
            last_name,
            external_id,
            email,
            phone,
            language,
            time_zone,
            fields,
        } = fields;
        let fields = fields.into_iter().map(Into::into).collect();
        Self { display_name, first_name, last_name, external_id, email, phone, language, time_zone, fields }
    }
}
