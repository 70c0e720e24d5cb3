//! Settings of a connection and its accounts: what there is to fill in, and how it is read, with one wording for what is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

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

impl SettingField {
    /// A setting of the connection without which nothing works.
    pub const fn required(name: &'static str, label: &'static str, help: &'static str) -> Self {
        Self { required: true, ..Self::optional(name, label, help) }
    }

    /// A setting of the connection that may be left out.
    pub const fn optional(name: &'static str, label: &'static str, help: &'static str) -> Self {
        let (scope, required) = (SettingScope::Connection, false);
        Self { name, label, help, secret: false, scope, required, external_key: false }
    }

    /// It is kept secret.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// It belongs to one account.
    #[must_use]
    pub const fn of_account(self) -> Self {
        Self { scope: SettingScope::Account, ..self }
    }

    /// It belongs to one account, and is how webhooks name that.
    #[must_use]
    pub const fn external_key(self) -> Self {
        Self { external_key: true, ..self.of_account() }
    }
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

impl SettingsError {
    /// A value that can't be used; `reason` says what is expected.
    pub fn wrong(name: &str, reason: impl fmt::Display) -> Self {
        SettingsError::Wrong { name: name.to_owned(), reason: reason.to_string() }
    }
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

    /// A value without the blanks around it, if it is there and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim)
    }

    /// A value that must be there and is of some form, without the blanks around it.
    ///
    /// # Errors
    /// [`SettingsError::Missing`], or [`SettingsError::Wrong`] with what is `expected` where it is not of that form.
    pub fn required(
        &self,
        name: &str,
        expected: &str,
        is_right: impl Fn(&str) -> bool,
    ) -> Result<String, SettingsError> {
        self.require(name)?;
        self.optional(name, expected, is_right)?.ok_or_else(|| SettingsError::Missing(name.to_owned()))
    }

    /// A value of some form, without the blanks around it, where there is one.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`] with what is `expected` where it is not of that form.
    pub fn optional(
        &self,
        name: &str,
        expected: &str,
        is_right: impl Fn(&str) -> bool,
    ) -> Result<Option<String>, SettingsError> {
        match self.text(name) {
            Some(text) if !is_right(text) => Err(SettingsError::wrong(name, expected)),
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// The secrets of a list, at least one: while a secret is changed, the old and the new one stand in it, with a comma, a
    /// semicolon or white space between them.
    ///
    /// # Errors
    /// [`SettingsError::Missing`], or [`SettingsError::Wrong`] where there is nothing in it but what separates.
    pub fn secrets(&self, name: &str) -> Result<Vec<SecretString>, SettingsError> {
        let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
        let secrets = self.require(name)?.split(separates).filter(|secret| !secret.is_empty());
        let secrets: Vec<SecretString> = secrets.map(SecretString::from).collect();
        if secrets.is_empty() { Err(SettingsError::wrong(name, "there is no secret in it")) } else { Ok(secrets) }
    }

    /// What one of a few words stands for; `None` where nothing is chosen.
    ///
    /// ```
    /// use transom_channel::SettingValues;
    /// let settings = SettingValues::default().with("mode", "echo");
    /// assert_eq!(settings.choice("mode", &[("refuse", false), ("echo", true)])?, Some(true));
    /// let error = settings.choice("mode", &[("on", true), ("off", false)]).unwrap_err();
    /// assert_eq!(error.to_string(), "setting `mode`: `on` or `off` is expected");
    /// # Ok::<_, transom_channel::SettingsError>(())
    /// ```
    ///
    /// # Errors
    /// [`SettingsError::Wrong`] with the words.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, SettingsError> {
        let Some(chosen) = self.text(name) else { return Ok(None) };
        let known = words.iter().find(|(word, _)| *word == chosen).map(|(_, meaning)| *meaning);
        known.map(Some).ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            SettingsError::wrong(name, format_args!("{} is expected", words.join(" or ")))
        })
    }

    /// Whether a switch is `on` or `off`; `None` where it is not set.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`].
    pub fn switch(&self, name: &str) -> Result<Option<bool>, SettingsError> {
        self.choice(name, &[("on", true), ("off", false)])
    }

    /// A whole number within bounds, both of them allowed.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`] with the bounds.
    pub fn number<N>(&self, name: &str, within: RangeInclusive<N>) -> Result<Option<N>, SettingsError>
    where
        N: FromStr + PartialOrd + fmt::Display,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| within.contains(number));
        number.map(Some).ok_or_else(|| {
            let (first, last) = within.into_inner();
            SettingsError::wrong(name, format_args!("a number from {first} to {last} is expected"))
        })
    }

    /// A name with its secret: both, or neither.
    ///
    /// # Errors
    /// [`SettingsError::Missing`] names the one that is missing.
    pub fn pair(&self, name: &str, secret: &str) -> Result<Option<(String, SecretString)>, SettingsError> {
        match (self.get(name), self.get(secret)) {
            (None, None) => Ok(None),
            _ => Ok(Some((self.require(name)?.trim().to_owned(), self.secret(secret)?))),
        }
    }
}

impl fmt::Debug for SettingValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn settings(value: &str) -> SettingValues {
        SettingValues::default().with("s", value)
    }

    #[rstest]
    #[case("one", &["one"])]
    #[case(" old, new ;\n last,", &["old", "new", "last"])]
    fn secrets_are_told_apart(#[case] typed: &str, #[case] expected: &[&str]) {
        let secrets = settings(typed).secrets("s").unwrap();
        assert_eq!(secrets.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_expected() {
        let said = |error: SettingsError| error.to_string();
        assert_eq!(said(settings(" ").secrets("s").unwrap_err()), "setting `s` is missing");
        assert_eq!(said(settings(" , ").secrets("s").unwrap_err()), "setting `s`: there is no secret in it");
        assert_eq!(said(settings("maybe").switch("s").unwrap_err()), "setting `s`: `on` or `off` is expected");
        for number in ["0", "11", "-1", "1.5", "many"] {
            let error = settings(number).number("s", 1..=10_u8).unwrap_err();
            assert_eq!(said(error), "setting `s`: a number from 1 to 10 is expected");
        }
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        assert_eq!(said(settings("x").required("s", "digits", digits).unwrap_err()), "setting `s`: digits");
        assert_eq!(said(settings("").required("s", "digits", digits).unwrap_err()), "setting `s` is missing");
        assert_eq!(said(settings("key").pair("s", "t").unwrap_err()), "setting `t` is missing");
    }

    #[test]
    fn blanks_around_a_value_are_nobodys() {
        assert_eq!(settings(" 7 ").number("s", 1..=10).unwrap(), Some(7));
        assert_eq!(settings(" on ").switch("s").unwrap(), Some(true));
        assert_eq!(settings(" ab ").optional("s", "", |text| text.len() == 2).unwrap().as_deref(), Some("ab"));
        assert_eq!(settings("  ").switch("s").unwrap(), None);
    }

    #[test]
    fn fields_say_where_they_belong() {
        let key = SettingField::required("id", "Id", "").external_key();
        assert_eq!((key.scope, key.required, key.secret, key.external_key), (SettingScope::Account, true, false, true));
        let secret = SettingField::optional("key", "Key", "").secret();
        assert_eq!((secret.scope, secret.required, secret.secret), (SettingScope::Connection, false, true));
    }
}
