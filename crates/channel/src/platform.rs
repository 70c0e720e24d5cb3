//! What the registry lists: a platform, the settings it needs, and how to connect an account.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{Channel, Ports};

/// A messaging platform. One value, no state.
pub trait Platform: fmt::Debug + Send + Sync + 'static {
    /// The name by which configuration, policies and the API know it, such as `sms`.
    fn name(&self) -> &'static str;

    /// The name for people.
    fn label(&self) -> &'static str;

    /// Policies that this crate brings along, as (file name, TOML); the built-in ones need none.
    fn policies(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Whether its accounts may follow a policy of that platform: of their own, and of others where it only carries for them.
    fn follows(&self, platform: &str) -> bool {
        platform == self.name()
    }

    /// What must be told to connect an account.
    fn settings(&self) -> &'static [SettingField];

    /// Whether some of its accounts have events that must be fetched: the others are never asked for
    /// [`Channel::pull`](crate::Channel::pull).
    fn fetches(&self) -> bool {
        false
    }

    /// The largest webhook call that it makes, in bytes, where calls bring whole files; `None` for as much as the service takes
    /// of everybody.
    fn largest_call(&self) -> Option<u64> {
        None
    }

    /// An account of this platform, ready to use. Makes no request.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting that is missing or wrong.
    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError>;
}

/// One setting of a connection or an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SettingField {
    /// Its key.
    pub name: &'static str,
    /// What it is, for people.
    pub label: &'static str,
    /// Where to find it on the platform.
    pub help: &'static str,
    /// Whether it is kept secret: encrypted, and never shown again.
    pub secret: bool,
    /// Whether it belongs to the connection, shared by its accounts, or to one account.
    pub scope: SettingScope,
    /// Whether nothing works without it.
    pub required: bool,
    /// Whether it is how the platform names the account in its webhooks.
    pub external_key: bool,
}

/// Where a setting belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingScope {
    /// To the app, shared by its accounts.
    Connection,
    /// To one account.
    Account,
}

/// A setting that is missing, unknown or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Nothing works without it.
    #[error("setting `{0}` is missing")]
    Missing(String),
    /// This platform has no such setting.
    #[error("this platform has no setting `{name}`; it has {known}")]
    Unknown {
        /// What was given.
        name: String,
        /// What there is.
        known: String,
    },
    /// Its value can't be used.
    #[error("setting `{name}`: {reason}")]
    Wrong {
        /// Which one.
        name: String,
        /// What is wrong and what is expected; never the value of a secret.
        reason: String,
    },
}

/// The values for a platform's settings. Secrets do not show in `Debug`.
#[derive(Clone, Default)]
pub struct SettingValues {
    values: BTreeMap<String, SecretString>,
}

impl SettingValues {
    /// Checks names and required values against a platform's fields.
    ///
    /// Accounts come later: a connection alone is checked with `accounts` false.
    ///
    /// # Errors
    /// [`SettingsError`] for the first name that is unknown, or required and missing or empty.
    pub fn checked(
        fields: &[SettingField],
        values: BTreeMap<String, SecretString>,
        accounts: bool,
    ) -> Result<Self, SettingsError> {
        if let Some(name) = values.keys().find(|name| !fields.iter().any(|field| field.name == name.as_str())) {
            let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
            return Err(SettingsError::Unknown { name: name.clone(), known: known.join(", ") });
        }
        let needed = |field: &&SettingField| field.required && (accounts || field.scope == SettingScope::Connection);
        for field in fields.iter().filter(needed) {
            if values.get(field.name).is_none_or(|value| value.expose_secret().trim().is_empty()) {
                return Err(SettingsError::Missing(field.name.to_owned()));
            }
        }
        Ok(Self { values })
    }

    /// Adds or replaces a value, unchecked: for tests and defaults.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.values.insert(name.into(), SecretString::from(value.into()));
        self
    }

    /// Adds or replaces a secret, unchecked.
    #[must_use]
    pub fn with_secret(mut self, name: impl Into<String>, value: SecretString) -> Self {
        self.values.insert(name.into(), value);
        self
    }

    /// A value, if it is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(ExposeSecret::expose_secret).filter(|value| !value.trim().is_empty())
    }

    /// A value that must be there.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn require(&self, name: &str) -> Result<&str, SettingsError> {
        self.get(name).ok_or_else(|| SettingsError::Missing(name.to_owned()))
    }

    /// A secret that must be there.
    ///
    /// # Errors
    /// [`SettingsError::Missing`].
    pub fn secret(&self, name: &str) -> Result<SecretString, SettingsError> {
        self.require(name).map(|value| SecretString::from(value.to_owned()))
    }
}

impl fmt::Debug for SettingValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}
