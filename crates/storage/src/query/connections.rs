//! Connections with their sealed secrets, and the channel accounts behind them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use transom_domain::{ChannelAccount, ChannelAccountId, Connection, ConnectionId};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{from_json, millis, to_json, unreadable};
use crate::entity::{channel_accounts, connections};
use crate::instant::Millis;
use crate::{Reader, Storage, StorageError, Tx, WorkspaceScope};

/// The secrets of a connection and of its accounts, by field. Neither shown nor serialised.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, SecretString>);

impl Secrets {
    /// The secret of a field.
    pub fn get(&self, field: &str) -> Option<&SecretString> {
        self.0.get(field)
    }

    /// Sets a field.
    pub fn set(&mut self, field: impl Into<String>, secret: SecretString) {
        self.0.insert(field.into(), secret);
    }

    /// Sets a field that one account has for itself.
    pub fn set_own(&mut self, account: ChannelAccountId, field: &str, secret: SecretString) {
        self.0.insert(own_key(account, field), secret);
    }

    /// What an account works with: the connection's secrets and its own; without an account the connection's alone.
    pub fn of(&self, account: Option<ChannelAccountId>) -> impl Iterator<Item = (&str, &SecretString)> {
        self.iter().filter_map(move |(key, secret)| Some((field_of(key, account)?, secret)))
    }

    /// Fields and secrets, by field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.0.iter().map(|(field, secret)| (field.as_str(), secret))
    }

    /// The last four characters of each, for people to tell them apart; short ones show nothing.
    fn hints(&self) -> BTreeMap<String, String> {
        let hint = |secret: &SecretString| {
            let text = secret.expose_secret();
            let from = text.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
            if text.chars().count() < 12 { String::new() } else { text.get(from..).unwrap_or_default().to_owned() }
        };
        self.0.iter().map(|(field, secret)| (field.clone(), hint(secret))).collect()
    }

    fn sealed_form(&self) -> Result<SecretString, StorageError> {
        let plain: BTreeMap<&str, &str> =
            self.0.iter().map(|(field, secret)| (field.as_str(), secret.expose_secret())).collect();
        let text = serde_json::to_string(&plain).map(Zeroizing::new);
        let text = text.map_err(|_| StorageError::Database("secrets must be text".to_owned()))?;
        Ok(SecretString::from(text.as_str()))
    }
}

/// Under what key an account's own secret is kept. No field has a slash in its name.
fn own_key(account: ChannelAccountId, field: &str) -> String {
    format!("{}/{field}", account.uuid())
}

/// The field of a key, if it is the connection's or this account's own.
fn field_of(key: &str, account: Option<ChannelAccountId>) -> Option<&str> {
    match key.split_once('/') {
        None => Some(key),
        Some((owner, field)) => account.is_some_and(|account| account.uuid().to_string() == owner).then_some(field),
    }
}

impl<F: Into<String>> FromIterator<(F, SecretString)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (F, SecretString)>>(secrets: I) -> Self {
        Self(secrets.into_iter().map(|(field, secret)| (field.into(), secret)).collect())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A connection as stored, without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredConnection {
    /// The connection.
    pub connection: Connection,
    /// Its settings that are no secrets.
    pub settings: serde_json::Value,
    /// Which secrets are set, those of accounts included, with their last four characters.
    secrets_set: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
}

impl StoredConnection {
    /// Which secrets an account works with, with their last four characters; without an account the connection's alone.
    pub fn secrets_of(&self, account: Option<ChannelAccountId>) -> BTreeMap<String, String> {
        let shown = |(key, last4): (&String, &String)| Some((field_of(key, account)?.to_owned(), last4.clone()));
        self.secrets_set.iter().filter_map(shown).collect()
    }
}

impl TryFrom<connections::Model> for StoredConnection {
    type Error = StorageError;

    fn try_from(row: connections::Model) -> Result<Self, StorageError> {
        Ok(Self {
            connection: Connection { id: row.id.into(), platform: row.platform, name: row.name },
            settings: row.settings,
            secrets_set: from_json(row.secret_hints, ("connections", "secret_hints", row.id))?,
            created_at: row.created_at.at(),
            updated_at: row.updated_at.at(),
        })
    }
}

impl Storage {
    /// The public id of a connection, for its webhook address: it carries the workspace, so that a call finds both at once.
    pub fn public_id(&self, scope: &WorkspaceScope, connection: ConnectionId) -> String {
        write_public_id(scope.workspace().uuid(), connection.uuid())
    }

    /// The workspace and connection of a [public id](Self::public_id); `None` if there is no such connection.
    pub async fn scope_of_public_id(
        &self,
        public_id: &str,
    ) -> Result<Option<(WorkspaceScope, ConnectionId)>, StorageError> {
        let Some((workspace, connection)) = read_public_id(public_id) else { return Ok(None) };
        let known = connections::Entity::find_by_id((workspace, connection))
            .filter(connections::Column::RemovedAt.is_null())
            .select_only()
            .column(connections::Column::Id)
            .into_tuple::<Uuid>()
            .one(self.db())
            .await?;
        Ok(known.map(|id| (WorkspaceScope::of(workspace.into()), id.into())))
    }
}

pub(crate) fn write_public_id(workspace: Uuid, id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode([workspace.into_bytes(), id.into_bytes()].concat())
}

pub(crate) fn read_public_id(text: &str) -> Option<(Uuid, Uuid)> {
    if text.len() != 43 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (workspace, connection) = bytes.split_at_checked(16)?;
    Some((Uuid::from_slice(workspace).ok()?, Uuid::from_slice(connection).ok()?))
}

impl Reader {
    /// One connection; none that was removed.
    pub async fn connection(&self, id: ConnectionId) -> Result<Option<StoredConnection>, StorageError> {
        let row = connections::Entity::find_by_id((self.ws(), id.uuid()))
            .filter(connections::Column::RemovedAt.is_null())
            .one(&self.conn)
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Every connection, oldest first.
    pub async fn connections(&self) -> Result<Vec<StoredConnection>, StorageError> {
        let rows = connections::Entity::find()
            .filter(connections::Column::WorkspaceId.eq(self.ws()))
            .filter(connections::Column::RemovedAt.is_null())
            .order_by_asc(connections::Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The secrets of a connection, opened; `None` if there is no such connection.
    pub async fn secrets(&self, id: ConnectionId) -> Result<Option<Secrets>, StorageError> {
        let Some(row) = connections::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await? else {
            return Ok(None);
        };
        let Some(sealed) = row.secrets else { return Ok(Some(Secrets::default())) };
        let text = self.unseal("connections", "secrets", row.id, &sealed).await?;
        let plain: BTreeMap<String, String> = serde_json::from_str(text.expose_secret())
            .map_err(|_| unreadable(("connections", "secrets", row.id), "no object of texts"))?;
        Ok(Some(plain.into_iter().map(|(field, secret)| (field, SecretString::from(secret))).collect()))
    }

    /// One channel account, also one that was removed: its conversations are still there.
    pub async fn account(&self, id: ChannelAccountId) -> Result<Option<ChannelAccount>, StorageError> {
        let row = channel_accounts::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(account).transpose()
    }

    /// Every channel account that was not removed, oldest first.
    pub async fn accounts(&self) -> Result<Vec<ChannelAccount>, StorageError> {
        let rows = channel_accounts::Entity::find()
            .filter(channel_accounts::Column::WorkspaceId.eq(self.ws()))
            .filter(channel_accounts::Column::RemovedAt.is_null())
            .order_by_asc(channel_accounts::Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(account).collect()
    }

    /// The accounts of a connection that were not removed.
    pub async fn accounts_of(&self, connection: ConnectionId) -> Result<Vec<ChannelAccount>, StorageError> {
        let rows = channel_accounts::Entity::find()
            .filter(channel_accounts::Column::WorkspaceId.eq(self.ws()))
            .filter(channel_accounts::Column::ConnectionId.eq(connection.uuid()))
            .filter(channel_accounts::Column::RemovedAt.is_null())
            .order_by_asc(channel_accounts::Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(account).collect()
    }

    /// The account that a webhook of the connection names.
    pub async fn account_by_key(
        &self,
        connection: ConnectionId,
        external_key: &str,
    ) -> Result<Option<ChannelAccount>, StorageError> {
        let row = channel_accounts::Entity::find()
            .filter(channel_accounts::Column::WorkspaceId.eq(self.ws()))
            .filter(channel_accounts::Column::ConnectionId.eq(connection.uuid()))
            .filter(channel_accounts::Column::ExternalKey.eq(external_key))
            .filter(channel_accounts::Column::RemovedAt.is_null())
            .one(&self.conn)
            .await?;
        row.map(account).transpose()
    }
}

fn account(row: channel_accounts::Model) -> Result<ChannelAccount, StorageError> {
    Ok(ChannelAccount {
        id: row.id.into(),
        connection: row.connection_id.into(),
        platform: row.platform,
        policy: row.policy,
        name: row.name,
        external_key: row.external_key,
        features: from_json(row.features, ("channel_accounts", "features", row.id))?,
        limits: from_json(row.limits, ("channel_accounts", "limits", row.id))?,
        quota_group: row.quota_group,
        country: row.country,
        enabled: row.enabled,
        suspended: row.suspended,
        removed_at: row.removed_at.map(Millis::at),
    })
}

impl Tx {
    /// Stores a connection, new or changed; its secrets stay as they are.
    pub async fn put_connection(
        &self,
        connection: &Connection,
        settings: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let row = connections::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(connection.id.uuid()),
            platform: Set(connection.platform.clone()),
            name: Set(connection.name.clone()),
            settings: Set(settings.clone()),
            secrets: Set(None),
            secret_hints: Set(serde_json::json!({})),
            removed_at: Set(None),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
        };
        let changed = OnConflict::columns([connections::Column::WorkspaceId, connections::Column::Id])
            .update_columns([
                connections::Column::Platform,
                connections::Column::Name,
                connections::Column::Settings,
                connections::Column::UpdatedAt,
            ])
            .to_owned();
        connections::Entity::insert(row).on_conflict(changed).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Seals secrets into a connection; fields that are not given stay. Whether there is such a connection.
    pub async fn put_secrets(
        &self,
        id: ConnectionId,
        secrets: &Secrets,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        // Locked, so that two changes of different fields both stay.
        let row = connections::Entity::find_by_id((self.ws(), id.uuid())).lock_exclusive().one(&self.conn).await?;
        if row.is_none() {
            return Ok(false);
        }
        let mut merged = self.secrets(id).await?.unwrap_or_default();
        merged.0.extend(secrets.0.clone());
        self.seal_all(id, &merged, now).await?;
        Ok(true)
    }

    /// Forgets the secrets that an account had for itself.
    pub(crate) async fn drop_secrets_of(
        &self,
        id: ConnectionId,
        account: ChannelAccountId,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        connections::Entity::find_by_id((self.ws(), id.uuid())).lock_exclusive().one(&self.conn).await?;
        let Some(mut secrets) = self.secrets(id).await? else { return Ok(()) };
        let before = secrets.0.len();
        secrets.0.retain(|key, _| !key.contains('/') || field_of(key, Some(account)).is_none());
        if secrets.0.len() == before { Ok(()) } else { self.seal_all(id, &secrets, now).await }
    }

    async fn seal_all(&self, id: ConnectionId, merged: &Secrets, now: OffsetDateTime) -> Result<(), StorageError> {
        let sealed = self.seal("connections", "secrets", id.uuid(), &merged.sealed_form()?).await?;
        connections::Entity::update_many()
            .col_expr(connections::Column::Secrets, Expr::value(sealed))
            .col_expr(connections::Column::SecretHints, Expr::value(to_json(&merged.hints())?))
            .col_expr(connections::Column::UpdatedAt, Expr::value(millis(now)))
            .filter(connections::Column::WorkspaceId.eq(self.ws()))
            .filter(connections::Column::Id.eq(id.uuid()))
            .exec(&self.conn)
            .await?;
        Ok(())
    }

    /// Locks a connection until the end of the transaction, so that it neither goes nor gets accounts meanwhile; whether it is
    /// there.
    pub async fn lock_connection(&self, id: ConnectionId) -> Result<bool, StorageError> {
        let row = connections::Entity::find_by_id((self.ws(), id.uuid()))
            .filter(connections::Column::RemovedAt.is_null())
            .lock_exclusive()
            .one(&self.conn)
            .await?;
        Ok(row.is_some())
    }

    /// A channel account as it stands, locked until the transaction ends: for changes that build on it.
    pub async fn lock_account(&self, id: ChannelAccountId) -> Result<Option<ChannelAccount>, StorageError> {
        // SQLite has one writer: inside a transaction nobody else changes anything.
        let row = channel_accounts::Entity::find_by_id((self.ws(), id.uuid())).lock_exclusive().one(&self.conn).await?;
        row.map(account).transpose()
    }

    /// Stores a channel account, new or changed. The account's connection never changes. Where what decides about windows
    /// changes, they are [stale](Tx::windows_are_stale).
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if another account of the connection has the external key,
    /// [`StorageError::MissingReference`] if the connection is not of this workspace.
    pub async fn put_account(&self, account: &ChannelAccount, now: OffsetDateTime) -> Result<(), StorageError> {
        use channel_accounts::Column as C;
        let row = channel_accounts::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(account.id.uuid()),
            connection_id: Set(account.connection.uuid()),
            platform: Set(account.platform.clone()),
            policy: Set(account.policy.clone()),
            name: Set(account.name.clone()),
            external_key: Set(account.external_key.clone()),
            features: Set(to_json(&account.features)?),
            limits: Set(to_json(&account.limits)?),
            quota_group: Set(account.quota_group.clone()),
            country: Set(account.country.clone()),
            enabled: Set(account.enabled),
            suspended: Set(account.suspended.clone()),
            // Only [`Tx::remove_account`] removes, and nothing brings back.
            removed_at: Set(None),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
        };
        let changed = OnConflict::columns([C::WorkspaceId, C::Id])
            .update_columns([
                C::Policy,
                C::Name,
                C::ExternalKey,
                C::Features,
                C::Limits,
                C::QuotaGroup,
                C::Country,
                C::Enabled,
                C::Suspended,
                C::UpdatedAt,
            ])
            .to_owned();
        let known = self.account(account.id).await?;
        channel_accounts::Entity::insert(row).on_conflict(changed).exec_without_returning(&self.conn).await?;
        let decides = |account: &ChannelAccount| {
            let ChannelAccount { policy, features, limits, quota_group, country, suspended, .. } = account.clone();
            (policy, features, limits, quota_group, country, suspended)
        };
        if known.is_some_and(|known| decides(&known) != decides(account)) {
            self.windows_are_stale(account.id, now).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_show_their_fields_only() {
        let secrets: Secrets = [("token", SecretString::from("s3cr3t-value-1234"))].into_iter().collect();
        assert_eq!(format!("{secrets:?}"), r#"{"token"}"#);
        assert_eq!(secrets.hints()["token"], "1234");
        let short: Secrets = [("pin", SecretString::from("4711"))].into_iter().collect();
        assert_eq!(short.hints()["pin"], "");
    }

    #[test]
    fn only_a_whole_public_id_is_read() {
        for wrong in ["", "x", &"!".repeat(43), &"A".repeat(42), &"A".repeat(44)] {
            assert_eq!(read_public_id(wrong), None, "{wrong}");
        }
        assert_eq!(read_public_id(&"A".repeat(43)), Some((Uuid::nil(), Uuid::nil())));
    }
}
