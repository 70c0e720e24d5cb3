//! What the registry lists: a platform, the settings it needs, and how to connect an account.

use std::fmt;
use std::sync::Arc;

use crate::{Channel, Ports, SettingField, SettingValues, SettingsError};

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

    /// Whether some of its accounts keep message templates: the others are never asked for
    /// [`Channel::templates`](crate::Channel::templates).
    fn keeps_templates(&self) -> bool {
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
