//! What channels get from outside, with storage behind it: each connection has ports of its own.

mod mailbox;
mod media;
mod tokens;

use std::sync::Arc;

use transom_channel::{MediaPort, Ports};
use transom_domain::ConnectionId;
use transom_storage::{Storage, WorkspaceScope};

use crate::attachments::Files;
pub(crate) use mailbox::News;
use mailbox::StoredMailboxes;
use media::StoredMedia;
pub(crate) use tokens::NewTokens;
use tokens::StoredTokens;

/// The ports of a connection: what one workspace keeps, no other can name.
pub(crate) fn of_connection(
    ports: &Ports,
    storage: &Storage,
    (files, news): (Option<&Files>, &News),
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
    let media: Arc<dyn MediaPort> = match files {
        None => Arc::clone(&ports.media),
        Some(files) => Arc::new(StoredMedia { storage: storage.clone(), scope: scope.clone(), files: files.clone() }),
    };
    let mailbox = StoredMailboxes {
        storage: storage.clone(),
        scope: scope.clone(),
        connection,
        clock: Arc::clone(&ports.clock),
        news: news.clone(),
    };
    Ports { tokens: Arc::new(tokens), mailbox: Arc::new(mailbox), media, ..ports.clone() }
}
