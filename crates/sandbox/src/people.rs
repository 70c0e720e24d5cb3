//! The customers: people with addresses on several platforms.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A person who can write to the accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Customer {
    /// The sandbox's own id.
    pub id: String,
    /// The name the platforms show.
    pub name: String,
    /// E.164 with its plus, where the person has a phone.
    pub phone: Option<String>,
    /// The user name, without an at sign.
    pub username: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// The person's id on each platform, by the platform's name.
    pub addresses: BTreeMap<String, String>,
    /// Uses a user name in place of the phone number (WhatsApp, 2026): the number is left out of webhooks.
    pub hides_phone: bool,
    /// Platforms on which the person cannot be reached at all: not on WhatsApp, Telegram account deleted.
    pub unreachable_on: BTreeSet<String>,
    /// Has had as much marketing as the platform thinks good (WhatsApp 131049).
    pub marketing_capped: bool,
    /// Counts number changes: a new number gets a new business-scoped id.
    pub generation: u32,
}

/// A customer to be made. Everything may be left out; what a platform needs is made up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewCustomer {
    /// The sandbox's own id.
    pub id: Option<String>,
    /// The name the platforms show.
    pub name: Option<String>,
    /// E.164 with its plus.
    pub phone: Option<String>,
    /// The user name, without an at sign.
    pub username: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// The person's id on a platform, by the platform's name.
    pub addresses: BTreeMap<String, String>,
    /// See [`Customer::hides_phone`].
    pub hides_phone: bool,
    /// See [`Customer::unreachable_on`].
    pub unreachable_on: BTreeSet<String>,
}

impl NewCustomer {
    /// A customer with an id, a name and a phone number.
    pub fn named(id: &str, name: &str, phone: &str) -> Self {
        Self { id: Some(id.into()), name: Some(name.into()), phone: Some(phone.into()), ..Self::default() }
    }
}

/// What may change about a customer. What is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustomerPatch {
    /// The name the platforms show.
    pub name: Option<String>,
    /// The user name, without an at sign.
    pub username: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// See [`Customer::hides_phone`].
    pub hides_phone: Option<bool>,
    /// See [`Customer::unreachable_on`].
    pub unreachable_on: Option<BTreeSet<String>>,
    /// See [`Customer::marketing_capped`].
    pub marketing_capped: Option<bool>,
}

impl Customer {
    pub(crate) fn patch(&mut self, patch: CustomerPatch) {
        self.name = patch.name.unwrap_or_else(|| std::mem::take(&mut self.name));
        self.username = patch.username.or(self.username.take());
        self.language = patch.language.or(self.language.take());
        self.hides_phone = patch.hides_phone.unwrap_or(self.hides_phone);
        self.unreachable_on = patch.unreachable_on.unwrap_or_else(|| std::mem::take(&mut self.unreachable_on));
        self.marketing_capped = patch.marketing_capped.unwrap_or(self.marketing_capped);
    }

    /// The phone number's digits.
    pub(crate) fn phone_digits(&self) -> Option<String> {
        self.phone.as_deref().map(digits)
    }

    /// The person's id on `platform`.
    pub(crate) fn address(&self, platform: &str) -> &str {
        self.addresses.get(platform).map(String::as_str).unwrap_or_default()
    }
}

/// What is left of a phone number without its dress.
pub(crate) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}
