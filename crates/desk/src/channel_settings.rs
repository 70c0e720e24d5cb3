//! What a platform wants to know of a connection and of its accounts: sorted, checked, stored over what is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use transom_channel::{Channel, Platform, SettingField, SettingScope, SettingValues};
use transom_domain::{ChannelAccount, ChannelAccountId, Connection, ConnectionId};
use transom_storage::{Secrets, Tx};

use crate::authorise::Caller;
use crate::{Desk, DeskError, fallback};

/// Settings that were given, by where they are kept. What is not given stays as it is, an empty text takes it away.
#[derive(Debug, Default)]
pub(crate) struct Given {
    secrets: BTreeMap<String, SecretString>,
    own_secrets: BTreeMap<String, SecretString>,
    connection: Map<String, Value>,
    account: Map<String, Value>,
}

impl Given {
    pub(crate) fn of(fields: &[SettingField], settings: BTreeMap<String, SecretString>) -> Self {
        let mut given = Self::default();
        for (name, value) in settings {
            let field = fields.iter().find(|field| field.name == name.as_str());
            let plain = Value::String(value.expose_secret().to_owned());
            match field {
                Some(field) if field.secret && field.scope == SettingScope::Account => {
                    given.own_secrets.insert(name, value);
                }
                Some(field) if field.secret => {
                    given.secrets.insert(name, value);
                }
                Some(field) if field.scope == SettingScope::Account => {
                    given.account.insert(name, plain);
                }
                Some(_) => {
                    given.connection.insert(name, plain);
                }
                None => {}
            }
        }
        given
    }

    /// Stores a new connection.
    pub(crate) async fn with_new_connection(
        &self,
        tx: &Tx,
        connection: &Connection,
        now: OffsetDateTime,
    ) -> Result<(), DeskError> {
        tx.put_connection(connection, &over(Value::Null, &self.connection), now).await?;
        self.seal(tx, connection.id, now).await
    }

    /// Stores what belongs to a connection that is there, and its name if that changes.
    ///
    /// # Errors
    /// [`DeskError::NotFound`].
    pub(crate) async fn onto_connection(
        &self,
        tx: &Tx,
        id: ConnectionId,
        name: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), DeskError> {
        let missing = || DeskError::NotFound { what: "connection" };
        if !tx.lock_connection(id).await? {
            return Err(missing());
        }
        if name.is_some() || !self.connection.is_empty() {
            let stored = tx.connection(id).await?.ok_or_else(missing)?;
            let mut connection = stored.connection;
            connection.name = name.map_or(connection.name, str::to_owned);
            tx.put_connection(&connection, &over(stored.settings, &self.connection), now).await?;
        }
        self.seal(tx, id, now).await
    }

    /// Stores what belongs to an account.
    pub(crate) async fn onto_account(
        &self,
        tx: &Tx,
        (id, connection): (ChannelAccountId, ConnectionId),
        now: OffsetDateTime,
    ) -> Result<(), DeskError> {
        if !self.own_secrets.is_empty() {
            let mut secrets = Secrets::default();
            self.own_secrets.iter().for_each(|(name, secret)| secrets.set_own(id, name, secret.clone()));
            tx.put_secrets(connection, &secrets, now).await?;
        }
        if self.account.is_empty() {
            return Ok(());
        }
        let stored = tx.account_settings(id).await?;
        Ok(tx.put_account_settings(id, &over(stored, &self.account)).await?)
    }

    async fn seal(&self, tx: &Tx, id: ConnectionId, now: OffsetDateTime) -> Result<(), DeskError> {
        if !self.secrets.is_empty() {
            let secrets: Secrets = self.secrets.clone().into_iter().collect();
            tx.put_secrets(id, &secrets, now).await?;
        }
        Ok(())
    }
}

/// Settings over others.
fn over(stored: Value, given: &Map<String, Value>) -> Value {
    let mut all = match stored {
        Value::Object(stored) => stored,
        _ => Map::new(),
    };
    all.extend(given.clone());
    all.retain(|_, value| value != "");
    Value::Object(all)
}

/// Whether an account still works with new settings, and is still the same one: windows, quotas and conversations are those of
/// one account.
///
/// # Errors
/// [`DeskError::Invalid`] names the setting that is wrong, or says that the settings are another account's.
pub(crate) async fn still_works(
    desk: &Desk,
    caller: &Caller,
    platform: &Arc<dyn Platform>,
    account: &ChannelAccount,
    given: &BTreeMap<String, SecretString>,
) -> Result<(), DeskError> {
    let own = own_settings(&desk.reader(&caller.scope).account_settings(account.id).await?);
    let mut all = with_shared(desk, caller, Some(account.connection), Some(account.id), own).await?;
    all.extend(given.clone());
    let values = SettingValues::checked(platform.settings(), all, true)?;
    let channel = platform.connect(&values, &desk.channels().ports_of(&caller.scope, account.connection))?;
    fallback::check(desk, &caller.scope, channel.fallback()).await?;
    match external_key(platform, &values, channel.as_ref()) {
        Some(key) if key != account.external_key => {
            let known = &account.external_key;
            let detail = format!(
                "these settings are those of `{key}`, and this channel is `{known}`: connect the other one as a channel of its own"
            );
            Err(DeskError::invalid("other_account", "settings", detail))
        }
        _ => Ok(()),
    }
}

/// The settings given, over those that the connection has, and the account's own secrets if it is there already.
pub(crate) async fn with_shared(
    desk: &Desk,
    caller: &Caller,
    connection: Option<ConnectionId>,
    account: Option<ChannelAccountId>,
    given: BTreeMap<String, SecretString>,
) -> Result<BTreeMap<String, SecretString>, DeskError> {
    let Some(id) = connection else { return Ok(given) };
    let reader = desk.reader(&caller.scope);
    let mut all = match reader.connection(id).await? {
        Some(stored) => own_settings(&stored.settings),
        None => BTreeMap::new(),
    };
    if let Some(secrets) = reader.secrets(id).await? {
        all.extend(secrets.of(account).map(|(name, secret)| (name.to_owned(), secret.clone())));
    }
    all.extend(given);
    Ok(all)
}

fn own_settings(stored: &Value) -> BTreeMap<String, SecretString> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pair = |(name, value): (&String, &Value)| (name.clone(), SecretString::from(text(value)));
    stored.as_object().into_iter().flatten().map(pair).collect()
}

/// How the platform names the account in its webhooks: a setting says it, or the channel reads it out of others.
pub(crate) fn external_key(
    platform: &Arc<dyn Platform>,
    values: &SettingValues,
    channel: &dyn Channel,
) -> Option<String> {
    let field = platform.settings().iter().find(|field| field.external_key);
    let said = field.and_then(|field| values.get(field.name)).map(str::to_owned);
    said.or_else(|| channel.external_key())
}
