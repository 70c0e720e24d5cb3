//! Fetching a mailbox: what is new since a cursor, waiting for news, and marking what is stored.

mod connection;
mod error;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;
use transom_channel::{Pull, RawInbound, SendError};
use transom_domain::Clock;

use crate::config::{Config, Imap};
use crate::error::{invalid, own};
use crate::inbound::{ARRIVED, OVERSIZED};
use crate::oauth::Access;
use connection::{Connection, Listed};

/// IDLE is said again well before the 29 minutes of RFC 2177, and before a NAT forgets the connection.
const IDLE: Duration = Duration::from_mins(12);
/// Mails and bytes that are stored together.
const BATCH: usize = 50;
const BATCH_BYTES: u64 = 32 * 1024 * 1024;
/// Mail that arrived so long before the mailbox was connected is never fetched, also when all UIDs are new: clocks differ.
const SLACK: i64 = 24 * 3_600;
/// The same at the first look, when nothing was fetched that could come twice.
const FIRST_SLACK: i64 = 60;
/// No folder has this UIDVALIDITY (RFC 9051 section 2.3.1.1): it stands for a folder that was never looked at.
const NEVER: u32 = 0;

/// How far a mailbox was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    folder: String,
    validity: u32,
    /// The last UID that was taken.
    uid: u32,
    /// The first UID of the batch that ends there: what [`Pull::done`] marks.
    from: u32,
    /// When the mailbox was connected, in seconds since 1970.
    since: i64,
}

/// A mailbox that is fetched.
pub(crate) struct Fetching {
    config: Arc<Config>,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
    /// Kept between two calls; whoever uses it takes it out, so that a call that is given up leaves no half-read answer behind.
    idle: Mutex<Option<Connection>>,
}

impl std::fmt::Debug for Fetching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fetching")
    }
}

impl Fetching {
    pub(crate) fn new(config: Arc<Config>, access: Arc<Access>, clock: Arc<dyn Clock>) -> Self {
        Self { config, access, clock, idle: Mutex::new(None) }
    }

    fn imap(&self) -> Result<&Imap, SendError> {
        self.config.imap.as_ref().ok_or_else(|| invalid("this mailbox is not fetched by IMAP"))
    }

    /// The connection of before, or a new one; and whether it is new.
    async fn connection(&self) -> Result<(Connection, bool), SendError> {
        if let Some(kept) = self.idle.lock().await.take() {
            return Ok((kept, false));
        }
        Ok((self.connected().await?, true))
    }

    async fn connected(&self) -> Result<Connection, SendError> {
        let imap = self.imap()?;
        let sign_in = self.access.sign_in(&imap.server.user, &imap.server.auth).await?;
        match Connection::open(imap, &self.config.tls, &sign_in).await {
            Ok(connection) => Ok(connection),
            Err(error) => Err(self.access.refused(&imap.server.user, &imap.server.auth, &sign_in, error).await),
        }
    }

    async fn keep(&self, connection: Connection) {
        *self.idle.lock().await = Some(connection);
    }

    /// Connects, signs in and opens the folder, and changes nothing.
    ///
    /// # Errors
    /// As for a fetch.
    pub(crate) async fn check(&self) -> Result<(), SendError> {
        let connection = self.connected().await?;
        if self.imap()?.move_to.is_some() && !connection.moves {
            connection.close().await;
            return Err(cant_move());
        }
        connection.close().await;
        Ok(())
    }

    /// Puts a copy of what was sent where the account keeps such. It was sent: what is wrong with the copy changes nothing.
    pub(crate) async fn keep_copy(&self, mail: &[u8]) {
        let Some(folder) = self.config.imap.as_ref().and_then(|imap| imap.sent.as_deref()) else { return };
        let put = async {
            let mut connection = self.connected().await?;
            let put = connection.put(folder, mail).await;
            connection.close().await;
            put
        };
        if let Err(error) = put.await {
            tracing::warn!(%error, "a copy of a mail that was sent could not be kept");
        }
    }

    /// Where to begin: what is there already stays there.
    async fn beginning(&self, connection: &mut Connection) -> Result<Cursor, SendError> {
        let uid = match connection.next_uid {
            Some(next) => next.saturating_sub(1),
            None => connection.list(0).await?.into_keys().next_back().unwrap_or(0),
        };
        Ok(Cursor {
            folder: self.imap()?.folder.clone(),
            validity: connection.validity,
            uid,
            from: uid.saturating_add(1),
            since: self.clock.now().unix_timestamp(),
        })
    }

    /// The next mails after a cursor, at most a batch of them.
    async fn batch(
        &self,
        connection: &mut Connection,
        cursor: &Cursor,
    ) -> Result<(Vec<RawInbound>, Cursor), SendError> {
        let same = cursor.validity == connection.validity && cursor.folder == self.imap()?.folder;
        // Other UIDs: all of them are looked at again, and what is known is recognised by its Message-ID.
        let after = if same { cursor.uid } else { 0 };
        let slack = if cursor.validity == NEVER { FIRST_SLACK } else { SLACK };
        let listed = connection.list(after).await?;
        let mut first = None;
        let (mut whole, mut large, mut bytes, mut last) = (Vec::new(), Vec::new(), 0, after);
        for (uid, mail) in &listed {
            let is_old = !same && mail.arrived.is_some_and(|at| at < cursor.since - slack);
            if !is_old {
                first.get_or_insert(*uid);
            }
            if !is_old && mail.size > self.config.max_inbound {
                large.push(*uid);
            } else if !is_old {
                if !whole.is_empty() && bytes + mail.size > BATCH_BYTES {
                    break;
                }
                bytes += mail.size;
                whole.push(*uid);
            }
            last = *uid;
            if whole.len() + large.len() >= BATCH {
                break;
            }
        }
        let mut bodies = connection.bodies(&whole, false).await?;
        let headers = connection.bodies(&large, true).await?;
        bodies.extend(headers);
        let raw = bodies.into_iter().map(|(uid, body)| self.raw(body, listed.get(&uid).copied(), large.contains(&uid)));
        let next = Cursor {
            folder: self.imap()?.folder.clone(),
            validity: connection.validity,
            uid: last,
            // What was there before is nobody's to mark.
            from: first.unwrap_or(last.saturating_add(1)),
            since: cursor.since,
        };
        // Nothing new is nothing to mark either.
        let next = if same && last == cursor.uid { cursor.clone() } else { next };
        Ok((raw.collect(), next))
    }

    fn raw(&self, body: Vec<u8>, listed: Option<Listed>, oversized: bool) -> RawInbound {
        let mut headers = vec![("content-type".to_owned(), "message/rfc822".to_owned())];
        let arrived = listed.and_then(|mail| OffsetDateTime::from_unix_timestamp(mail.arrived?).ok());
        if let Some(at) = arrived.and_then(|at| at.format(&Rfc3339).ok()) {
            headers.push((ARRIVED.to_owned(), at));
        }
        if let Some(mail) = listed.filter(|_| oversized) {
            headers.push((OVERSIZED.to_owned(), mail.size.to_string()));
        }
        RawInbound { headers, ..RawInbound::new(body, self.clock.now()) }
    }

    /// Waits for news as long as the server allows.
    async fn wait(&self, mut connection: Connection) -> Result<Connection, SendError> {
        if connection.idles {
            return connection.idle(IDLE).await;
        }
        tokio::time::sleep(self.imap()?.poll).await;
        connection.noop().await?;
        Ok(connection)
    }
}

#[async_trait]
impl Pull for Fetching {
    fn beginning(&self, connected_at: OffsetDateTime) -> Option<String> {
        let folder = self.imap().ok()?.folder.clone();
        let since = connected_at.unix_timestamp();
        Some(written(&Cursor { folder, validity: NEVER, uid: 0, from: 1, since }))
    }

    async fn next(&self, cursor: Option<&str>) -> Result<(Vec<RawInbound>, String), SendError> {
        let (mut connection, is_new) = self.connection().await?;
        let Some(cursor) = cursor.and_then(|cursor| serde_json::from_str::<Cursor>(cursor).ok()) else {
            if !is_new {
                // What it said about the folder is old.
                connection = self.connected().await?;
            }
            let cursor = self.beginning(&mut connection).await?;
            self.keep(connection).await;
            return Ok((Vec::new(), written(&cursor)));
        };
        let mut waited = false;
        loop {
            // What came before the list is in the list.
            connection.heard_of_mail();
            let (raw, next) = match self.batch(&mut connection, &cursor).await {
                // A connection that was kept may have ended meanwhile: that is no trouble.
                Err(SendError::NotConnected { .. }) if !is_new && !waited => {
                    connection = self.connected().await?;
                    self.batch(&mut connection, &cursor).await?
                }
                batch => batch?,
            };
            if !raw.is_empty() || next != cursor || waited {
                self.keep(connection).await;
                return Ok((raw, written(&next)));
            }
            if connection.heard_of_mail() {
                continue;
            }
            connection = self.wait(connection).await?;
            waited = true;
        }
    }

    async fn done(&self, cursor: &str) -> Result<(), SendError> {
        let Ok(cursor) = serde_json::from_str::<Cursor>(cursor) else { return Ok(()) };
        let imap = self.imap()?;
        if cursor.from > cursor.uid || cursor.folder != imap.folder {
            return Ok(());
        }
        let (mut connection, is_new) = self.connection().await?;
        let mut marked = self.mark(&mut connection, imap, &cursor).await;
        if !is_new && matches!(marked, Err(SendError::NotConnected { .. })) {
            connection = self.connected().await?;
            marked = self.mark(&mut connection, imap, &cursor).await;
        }
        if marked.is_ok() {
            self.keep(connection).await;
        }
        marked
    }
}

impl Fetching {
    async fn mark(&self, connection: &mut Connection, imap: &Imap, cursor: &Cursor) -> Result<(), SendError> {
        // Other UIDs by now: there is nothing that could be marked by the old ones.
        if connection.validity != cursor.validity {
            return Ok(());
        }
        match &imap.move_to {
            None => connection.mark(cursor.from, cursor.uid).await,
            Some(_) if !connection.moves => Err(cant_move()),
            Some(folder) => connection.move_to(cursor.from, cursor.uid, folder).await,
        }
    }
}

fn cant_move() -> SendError {
    SendError::AccountStopped { report: own("the IMAP server can't move mail: leave `imap_move_to` out") }
}

fn written(cursor: &Cursor) -> String {
    serde_json::to_string(cursor).unwrap_or_default()
}
