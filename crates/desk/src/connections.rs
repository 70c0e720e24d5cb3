//! Connections: the app behind channels, with its secrets and its webhook address. One is made with its first channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;
use transom_channel::{SettingScope, SettingsError};
use transom_domain::ConnectionId;

use crate::authorise::{Action, Caller, authorise};
use crate::changes::tell;
use crate::channel_settings::{Given, still_works};
use crate::queries::{self, ConnectionDetail};
use crate::{Desk, DeskError, channels};

/// What may change about a connection; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct ConnectionPatch {
    /// A name for people.
    pub name: Option<String>,
    /// Settings of the connection, merged by name.
    pub settings: BTreeMap<String, SecretString>,
}

/// Changes a connection, such as a secret that was renewed; every channel on it goes by the new settings.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Invalid`] for settings with which one of its channels would no longer work.
pub async fn change(
    desk: &Desk,
    caller: &Caller,
    id: ConnectionId,
    patch: ConnectionPatch,
) -> Result<ConnectionDetail, DeskError> {
    authorise(caller, Action::ManageChannels)?;
    let reader = desk.reader(&caller.scope);
    let stored = reader.connection(id).await?.ok_or(DeskError::NotFound { what: "connection" })?;
    let platform = desk.registry().require(&stored.connection.platform)?.clone();
    let mut known = platform.settings().iter().filter(|field| field.scope == SettingScope::Connection);
    if let Some(name) = patch.settings.keys().find(|name| known.clone().all(|field| field.name != name.as_str())) {
        let known: Vec<&str> = known.by_ref().map(|field| field.name).collect();
        return Err(SettingsError::Unknown { name: name.clone(), known: known.join(", ") }.into());
    }
    for account in reader.accounts_of(id).await? {
        still_works(desk, caller, &platform, &account, &patch.settings).await?;
    }
    let given = Arc::new(Given::of(platform.settings(), patch.settings));
    let (desk_in, caller_in, now, name) = (desk.clone(), caller.clone(), desk.now(), patch.name);
    let changed = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller, given, name) = (desk_in.clone(), caller_in.clone(), given.clone(), name.clone());
            Box::pin(async move {
                given.onto_connection(tx, id, name.as_deref(), now).await?;
                tell(tx, desk.ids(), None, "connection.changed", json!({ "connection": id }), now).await?;
                queries::connection_detail(&desk, &caller, tx, id).await
            })
        })
        .await;
    desk.channels().forget(&caller.scope);
    changed
}

/// Removes a connection, and if that is said its channels with it, as [`crate::channels::remove`] does.
///
/// # Errors
/// [`DeskError::NotFound`]; [`DeskError::Conflict`] while it has channels and nothing is said of them.
pub async fn remove(desk: &Desk, caller: &Caller, id: ConnectionId, with_channels: bool) -> Result<(), DeskError> {
    authorise(caller, Action::ManageChannels)?;
    let (desk_in, now) = (desk.clone(), desk.now());
    let removed = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let desk = desk_in.clone();
            Box::pin(async move {
                tx.connection(id).await?.ok_or(DeskError::NotFound { what: "connection" })?;
                let accounts = if with_channels { tx.accounts_of(id).await? } else { Vec::new() };
                for account in &accounts {
                    channels::remove_in(&desk, tx, account.id, now).await?;
                }
                // It went with the last of them.
                if tx.connection(id).await?.is_none() {
                    return Ok(accounts);
                }
                if !tx.remove_connection(id, now).await? {
                    let detail = "channels run over this connection: remove them first, or say `with_channels=true`";
                    return Err(DeskError::conflict("connection_in_use", detail));
                }
                tell(tx, desk.ids(), None, "connection.removed", json!({ "connection": id }), now).await?;
                Ok(accounts)
            })
        })
        .await;
    desk.channels().forget(&caller.scope);
    for account in removed? {
        channels::withhold_over(desk, caller, account.id).await?;
    }
    Ok(())
}
