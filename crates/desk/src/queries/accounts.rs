//! Channels and connections, with what may be shown of their settings.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use transom_channel::SettingField;
use transom_domain::{ChannelAccount, ChannelAccountId, ConnectionId};
use transom_storage::{LimitEvidence, Reader, StoredConnection};

use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError};

/// An account with everything that may be shown of it.
#[derive(Debug, Clone)]
pub struct ChannelDetail {
    /// The account.
    pub account: ChannelAccount,
    /// The public part of its webhook address.
    pub public_id: String,
    /// Its settings and its connection's, without secrets.
    pub settings: BTreeMap<String, SettingState>,
    /// When its templates were last synced.
    pub templates_synced_at: Option<OffsetDateTime>,
    /// The refusals from which its limits are learnt.
    pub limit_evidence: Vec<LimitEvidence>,
}

/// A setting as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingState {
    /// No secret.
    Plain(String),
    /// A secret: it is there, and it ends like this.
    Secret {
        /// Its last characters.
        last4: String,
    },
}

/// Every account.
///
/// # Errors
/// When the database fails.
pub async fn channels(desk: &Desk, caller: &Caller) -> Result<Vec<ChannelDetail>, DeskError> {
    authorise(caller, Action::ReadChannels)?;
    let reader = desk.reader(&caller.scope);
    let mut details = Vec::new();
    for account in reader.accounts().await? {
        details.push(detail(desk, caller, &reader, account).await?);
    }
    Ok(details)
}

/// One account.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn channel(desk: &Desk, caller: &Caller, id: ChannelAccountId) -> Result<ChannelDetail, DeskError> {
    authorise(caller, Action::ReadChannels)?;
    let reader = desk.reader(&caller.scope);
    let account = present_account(&reader, id).await?;
    detail(desk, caller, &reader, account).await
}

/// An account that was not removed.
pub(crate) async fn present_account(reader: &Reader, id: ChannelAccountId) -> Result<ChannelAccount, DeskError> {
    let account = reader.account(id).await?.filter(|account| account.removed_at.is_none());
    account.ok_or(DeskError::NotFound { what: "channel" })
}

pub(crate) async fn detail(
    desk: &Desk,
    caller: &Caller,
    reader: &Reader,
    account: ChannelAccount,
) -> Result<ChannelDetail, DeskError> {
    let fields = desk.registry().get(&account.platform).map_or(&[][..], |platform| platform.settings());
    let is_secret = |name: &str| fields.iter().any(|field: &SettingField| field.name == name && field.secret);
    let mut settings = BTreeMap::new();
    let stored = reader.connection(account.connection).await?;
    let own = reader.account_settings(account.id).await?;
    let shared = stored.as_ref().map(|stored| stored.settings.clone()).unwrap_or_default();
    for (name, value) in [shared, own].iter().filter_map(serde_json::Value::as_object).flatten() {
        // A platform may have come to call a setting secret after it was stored.
        if !is_secret(name) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            settings.insert(name.clone(), SettingState::Plain(text));
        }
    }
    for (name, last4) in stored.into_iter().flat_map(|stored| stored.secrets_of(Some(account.id))) {
        settings.insert(name, SettingState::Secret { last4 });
    }
    let public_id = desk.storage().public_id(&caller.scope, account.connection);
    let templates_synced_at = reader.templates_synced_at(account.id).await?;
    let limit_evidence = reader.limit_evidence(account.id).await?;
    Ok(ChannelDetail { account, public_id, settings, templates_synced_at, limit_evidence })
}

/// A connection with everything that may be shown of it.
#[derive(Debug, Clone)]
pub struct ConnectionDetail {
    /// The connection.
    pub stored: StoredConnection,
    /// The public part of its webhook address.
    pub public_id: String,
    /// Its accounts.
    pub accounts: Vec<ChannelAccountId>,
}

/// Every connection.
///
/// # Errors
/// When the database fails.
pub async fn connections(desk: &Desk, caller: &Caller) -> Result<Vec<ConnectionDetail>, DeskError> {
    authorise(caller, Action::ReadChannels)?;
    let reader = desk.reader(&caller.scope);
    let accounts = reader.accounts().await?;
    let with_accounts = |stored: StoredConnection| {
        let id = stored.connection.id;
        let of_it = accounts.iter().filter(|account| account.connection == id).map(|account| account.id).collect();
        ConnectionDetail { stored, public_id: desk.storage().public_id(&caller.scope, id), accounts: of_it }
    };
    Ok(reader.connections().await?.into_iter().map(with_accounts).collect())
}

/// One connection.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn connection(desk: &Desk, caller: &Caller, id: ConnectionId) -> Result<ConnectionDetail, DeskError> {
    authorise(caller, Action::ReadChannels)?;
    connection_detail(desk, caller, &desk.reader(&caller.scope), id).await
}

pub(crate) async fn connection_detail(
    desk: &Desk,
    caller: &Caller,
    reader: &Reader,
    id: ConnectionId,
) -> Result<ConnectionDetail, DeskError> {
    let stored = reader.connection(id).await?.ok_or(DeskError::NotFound { what: "connection" })?;
    let accounts = reader.accounts_of(id).await?.into_iter().map(|account| account.id).collect();
    Ok(ConnectionDetail { stored, public_id: desk.storage().public_id(&caller.scope, id), accounts })
}
