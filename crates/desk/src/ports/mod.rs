//! What channels get from outside, with storage behind it: each connection has ports of its own.

mod tokens;

use std::sync::Arc;

use transom_channel::Ports;
use transom_domain::ConnectionId;
use transom_storage::{Storage, WorkspaceScope};

pub(crate) use tokens::NewTokens;
use tokens::StoredTokens;

/// The ports of a connection: what one workspace keeps, no other can name.
pub(crate) fn of_connection(
    ports: &Ports,
    storage: &Storage,
    scope: &WorkspaceScope,
    connection: ConnectionId,
) -> Ports {
    let tokens = StoredTokens {
        storage: storage.clone(),
        scope: scope.clone(),
        connection,
        clock: Arc::clone(&ports.clock),
        ids: Arc::clone(&ports.ids),
    };
    Ports { tokens: Arc::new(tokens), ..ports.clone() }
}
