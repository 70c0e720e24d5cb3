//! One call reaches a person.

use poem_openapi::Object;
use transom_desk::Sent;
use transom_desk::contacts::{ContactPatch, NewContact};
use transom_desk::outbound::{Person, PersonName};
use uuid::Uuid;

use super::contact::ContactFields;
use super::message::{NewMessageBody, SentView};
use crate::http::problem::Problem;

/// A message to somebody who need not be a contact yet.
#[derive(Debug, Object)]
#[oai(rename = "NewOutbound", deny_unknown_fields)]
pub(crate) struct NewOutboundBody {
    /// The channel.
    pub(crate) channel: Uuid,
    /// To whom: exactly one of the fields.
    pub(crate) to: RecipientBody,
    /// What is known of the person: used when the contact is made, and changes nothing of one that is there.
    pub(crate) contact: Option<ContactFields>,
    /// The message.
    pub(crate) message: NewMessageBody,
}

/// What somebody is found by: exactly one of these.
#[derive(Debug, Object)]
#[oai(rename = "Recipient", deny_unknown_fields)]
pub(crate) struct RecipientBody {
    /// A contact.
    contact: Option<Uuid>,
    /// A phone number with + and the country code.
    #[oai(validator(max_length = 40))]
    phone: Option<String>,
    /// An email address.
    #[oai(validator(max_length = 254))]
    email: Option<String>,
    /// Your own id of the person, on channels that know such ids: a website or app.
    #[oai(validator(max_length = 512))]
    external_id: Option<String>,
    /// The platform's id of the person on this channel.
    #[oai(validator(max_length = 512))]
    platform_id: Option<String>,
}

/// Whom a message is for.
#[derive(Debug)]
pub(crate) enum Recipient {
    Contact(Uuid),
    Person(Box<Person>),
}

impl Recipient {
    /// The one that a body names.
    ///
    /// # Errors
    /// `recipient_ambiguous` when it names none or several.
    pub(crate) fn of(to: RecipientBody, contact: Option<ContactFields>) -> Result<Self, Problem> {
        let RecipientBody { contact: id, phone, email, external_id, platform_id } = to;
        let names = [
            phone.map(PersonName::Phone),
            email.map(PersonName::Email),
            external_id.map(PersonName::ExternalId),
            platform_id.map(PersonName::PlatformId),
        ];
        let mut names = names.into_iter().flatten();
        match (id, names.next(), names.next()) {
            (Some(id), None, None) => Ok(Recipient::Contact(id)),
            (None, Some(name), None) => {
                let details = contact.map(ContactPatch::from).map(NewContact::from).unwrap_or_default();
                Ok(Recipient::Person(Box::new(Person { name, details })))
            }
            _ => {
                let detail =
                    "name the person by exactly one of `contact`, `phone`, `email`, `external_id`, `platform_id`";
                Err(Problem::new("recipient_ambiguous", detail).at("to"))
            }
        }
    }
}

/// A message that is on its way to a person.
#[derive(Debug, Object)]
#[oai(rename = "Outbound")]
pub(crate) struct OutboundView {
    /// To whom.
    contact: Uuid,
    /// Whether the contact was made for it.
    contact_made: bool,
    /// The message.
    message: SentView,
}

impl From<&Sent> for OutboundView {
    fn from(sent: &Sent) -> Self {
        Self { contact: sent.contact.uuid(), contact_made: sent.contact_made, message: sent.into() }
    }
}
