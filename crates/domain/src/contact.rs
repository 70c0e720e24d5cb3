//! Customers, and who they are on each channel account.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{ChannelAccountId, ContactId, IdentityId};

/// A customer, on however many channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// The name set by an agent; a refresh from a platform never changes it.
    pub display_name: Option<String>,
    /// What platforms or agents told us.
    pub profile: Profile,
    /// Never written to while true.
    pub blocked: bool,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

impl Contact {
    /// The name to show: the agent's choice, else the platform's name, else `@username`.
    pub fn shown_name(&self) -> Option<String> {
        Self::name_of(self.display_name.clone(), &self.profile)
    }

    /// The same from its parts, where nothing else of a contact was read.
    pub fn name_of(display_name: Option<String>, profile: &Profile) -> Option<String> {
        display_name
            .or_else(|| profile.name.clone())
            .or_else(|| profile.username.as_ref().map(|name| format!("@{name}")))
    }
}

/// What a platform, or an agent by hand, tells about a person. Every field may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The full name as the platform shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// User name without the `@`; changeable on every platform, so never a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The id by which the business's own systems know the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The time zone in which they live, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Phone number, E.164 where it is known to be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// BCP 47 language tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where a picture can be fetched; often for a short time only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture_url: Option<String>,
}

impl Profile {
    /// Takes every field that `newer` knows, keeps the others.
    #[must_use]
    pub fn updated_by(self, newer: Profile) -> Profile {
        Profile {
            name: newer.name.or(self.name),
            first_name: newer.first_name.or(self.first_name),
            last_name: newer.last_name.or(self.last_name),
            username: newer.username.or(self.username),
            external_id: newer.external_id.or(self.external_id),
            email: newer.email.or(self.email),
            phone: newer.phone.or(self.phone),
            language: newer.language.or(self.language),
            time_zone: newer.time_zone.or(self.time_zone),
            picture_url: newer.picture_url.or(self.picture_url),
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self == &Profile::default()
    }
}

/// One name under which a platform knows a person: a phone number, a user id, an email address.
///
/// An identity may have several; each is unique on its channel account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    /// What sort of name it is, such as `phone`, `user_id` or `email`; the channel crate says which kinds it knows.
    pub kind: String,
    /// The name itself, as the platform writes it.
    pub value: String,
}

impl Address {
    /// An address of a kind.
    pub fn new(kind: impl Into<String>, value: impl Into<String>) -> Self {
        Self { kind: kind.into(), value: value.into() }
    }
}

/// A customer on one channel account: what windows, quotas and consent belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// The customer it is one face of.
    pub contact: ContactId,
    /// The account it is known on.
    pub account: ChannelAccountId,
    /// How the platform names it; never empty. The first is the preferred one to write to.
    pub addresses: Vec<Address>,
}

impl Identity {
    /// The value of the first address of a kind.
    pub fn address(&self, kind: &str) -> Option<&str> {
        self.addresses.iter().find(|address| address.kind == kind).map(|address| address.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_keeps_what_it_does_not_know() {
        let known =
            Profile { name: Some("Mara K.".into()), phone: Some("+4915550100001".into()), ..Profile::default() };
        let newer = Profile { name: Some("Mara Klein".into()), ..Profile::default() };
        let merged = known.updated_by(newer);
        assert_eq!(merged.name.as_deref(), Some("Mara Klein"));
        assert_eq!(merged.phone.as_deref(), Some("+4915550100001"));
    }
}
