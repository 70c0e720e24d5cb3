//! Mailboxes: events numbered without gaps under the lock of their mailbox's row, and the keys that open them.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, QueryResult};
use time::OffsetDateTime;
use transom_domain::ConnectionId;
use uuid::Uuid;

use super::people::statement::{Sql, on_postgres};
use super::{millis, sql};
use crate::instant::Millis;
use crate::{Reader, StorageError, Tx};

/// How far a mailbox may lead: from a stranger's to that of the person they turned out to be.
const LONGEST_LEAD: usize = 3;

/// An event to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMail {
    /// Unique in the mailbox: an event that is there already keeps its number.
    pub key: String,
    /// What it says.
    pub data: serde_json::Value,
}

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMail {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// Its key.
    pub key: String,
    /// What it says.
    pub data: serde_json::Value,
    /// When it was appended.
    pub at: OffsetDateTime,
}

/// How a mailbox stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// The number of the newest event, 0 for none.
    pub last_seq: u64,
    /// Up to which number events may be gone.
    pub purged_to: u64,
    /// Up to which number the other side has them.
    pub acked_seq: u64,
    /// The mailbox that gets what is appended here.
    pub leads_to: Option<String>,
    /// When the other side was last there.
    pub seen_at: Option<OffsetDateTime>,
}

impl Reader {
    /// How a mailbox stands; an empty one where there is none.
    pub async fn mailbox(&self, connection: ConnectionId, name: &str) -> Result<Mailbox, StorageError> {
        const STANDS: &str = "SELECT last_seq, purged_to, acked_seq, leads_to, seen_at FROM mailboxes \
                              WHERE workspace_id = $1 AND connection_id = $2 AND name = $3";
        let values = [self.ws().into(), connection.uuid().into(), name.into()];
        let row = self.conn.query_one_raw(sql(&self.conn, STANDS, values)).await?;
        row.as_ref().map_or_else(|| Ok(Mailbox::default()), mailbox)
    }

    /// The numbers of the newest events of several mailboxes; those that are not there are left out.
    pub async fn mailbox_heads(
        &self,
        connection: ConnectionId,
        names: impl IntoIterator<Item = &str>,
    ) -> Result<Vec<(String, u64)>, StorageError> {
        let mut statement = Sql::new("SELECT name, last_seq, leads_to FROM mailboxes WHERE ");
        statement
            .with("workspace_id = ", self.ws())
            .with(" AND connection_id = ", connection.uuid())
            .push(" AND name IN ")
            .list(names);
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        let head = |row: &QueryResult| {
            let (seq, leads_to): (i64, Option<String>) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            // Being led elsewhere is news, too.
            Ok((row.try_get_by_index(0)?, u64::try_from(seq).unwrap_or_default() + u64::from(leads_to.is_some())))
        };
        rows.iter().map(head).collect()
    }

    /// Up to `limit` events with a number above `seq`, in order.
    pub async fn mail_after(
        &self,
        connection: ConnectionId,
        name: &str,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<StoredMail>, StorageError> {
        const AFTER: &str = "SELECT seq, event_key, data, at FROM mailbox_events \
                             WHERE workspace_id = $1 AND connection_id = $2 AND name = $3 AND seq > $4 ORDER BY seq LIMIT $5";
        let after = i64::try_from(seq).unwrap_or(i64::MAX);
        let values = [self.ws().into(), connection.uuid().into(), name.into(), after.into(), i64::from(limit).into()];
        self.conn.query_all_raw(sql(&self.conn, AFTER, values)).await?.iter().map(mail).collect()
    }

    /// The events of these keys.
    pub async fn mail_of(
        &self,
        connection: ConnectionId,
        name: &str,
        keys: impl IntoIterator<Item = &str>,
    ) -> Result<Vec<StoredMail>, StorageError> {
        let mut statement = Sql::new("SELECT seq, event_key, data, at FROM mailbox_events WHERE ");
        statement
            .with("workspace_id = ", self.ws())
            .with(" AND connection_id = ", connection.uuid())
            .with(" AND name = ", name)
            .push(" AND event_key IN ")
            .list(keys);
        self.conn.query_all_raw(statement.on(&self.conn)).await?.iter().map(mail).collect()
    }

    /// Whether a key opens a mailbox at `now`.
    pub async fn mailbox_opens(
        &self,
        connection: ConnectionId,
        name: &str,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const OPENS: &str = "SELECT 1 FROM mailbox_keys WHERE workspace_id = $1 AND connection_id = $2 AND name = $3 \
                             AND until > $4 LIMIT 1";
        let values = [self.ws().into(), connection.uuid().into(), name.into(), millis(now)];
        Ok(self.conn.query_one_raw(sql(&self.conn, OPENS, values)).await?.is_some())
    }

    /// The mailbox that a key opens, and until when; `None` for a key that is unknown or over at `now`.
    pub async fn mailbox_key(
        &self,
        connection: ConnectionId,
        hash: [u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<(String, OffsetDateTime)>, StorageError> {
        const FIND: &str = "SELECT name, until FROM mailbox_keys \
                            WHERE workspace_id = $1 AND connection_id = $2 AND hash = $3 AND until > $4";
        let values = [self.ws().into(), connection.uuid().into(), hash.to_vec().into(), millis(now)];
        let row = self.conn.query_one_raw(sql(&self.conn, FIND, values)).await?;
        row.as_ref().map(key).transpose()
    }
}

impl Tx {
    /// Appends events in their order, to the mailbox that `name` leads to; it is made if it is not there. Each as it is stored
    /// now: one whose key was there keeps what it said and its number.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if the connection is not of this workspace.
    pub async fn append_mail(
        &self,
        connection: ConnectionId,
        name: &str,
        events: &[NewMail],
        now: OffsetDateTime,
    ) -> Result<Vec<StoredMail>, StorageError> {
        let (name, mut mailbox) = self.lock_mailbox(connection, name, now).await?;
        let before = self.mail_of(connection, &name, events.iter().map(|event| event.key.as_str())).await?;
        let mut known: BTreeMap<String, StoredMail> =
            before.into_iter().map(|event| (event.key.clone(), event)).collect();
        let (first, mut stored) = (mailbox.last_seq, Vec::with_capacity(events.len()));
        let mut new = Vec::new();
        for event in events {
            if let Some(there) = known.get(&event.key) {
                stored.push(there.clone());
                continue;
            }
            mailbox.last_seq += 1;
            let (key, data) = (event.key.clone(), event.data.clone());
            // As a reader will see it.
            let appended = StoredMail { seq: mailbox.last_seq, key, data, at: Millis::from(now).at() };
            known.insert(event.key.clone(), appended.clone());
            new.push(appended.clone());
            stored.push(appended);
        }
        if mailbox.last_seq > first {
            self.insert_mail(connection, &name, &new).await?;
            const COUNT: &str =
                "UPDATE mailboxes SET last_seq = $4 WHERE workspace_id = $1 AND connection_id = $2 AND name = $3";
            let values = [self.ws().into(), connection.uuid().into(), name.into(), column_of(mailbox.last_seq).into()];
            self.conn.execute_raw(sql(&self.conn, COUNT, values)).await?;
        }
        Ok(stored)
    }

    async fn insert_mail(
        &self,
        connection: ConnectionId,
        name: &str,
        events: &[StoredMail],
    ) -> Result<(), StorageError> {
        for events in events.chunks(64) {
            let mut statement = Sql::new(
                "INSERT INTO mailbox_events (workspace_id, connection_id, name, seq, event_key, data, at) VALUES ",
            );
            statement.rows(events.iter().map(|event| -> [sea_orm::Value; 7] {
                [
                    self.ws().into(),
                    connection.uuid().into(),
                    name.into(),
                    column_of(event.seq).into(),
                    event.key.as_str().into(),
                    event.data.clone().into(),
                    millis(event.at),
                ]
            }));
            self.conn.execute_raw(statement.on(&self.conn)).await?;
        }
        Ok(())
    }

    /// Stores that the other side has every event up to a number; what it was told before is not taken back.
    pub async fn ack_mail(&self, connection: ConnectionId, name: &str, seq: u64) -> Result<(), StorageError> {
        const ACK: &str = "UPDATE mailboxes SET acked_seq = $4 WHERE workspace_id = $1 AND connection_id = $2 AND name = $3 \
                           AND acked_seq < $4 AND last_seq >= $4";
        let values = [self.ws().into(), connection.uuid().into(), name.into(), column_of(seq).into()];
        self.conn.execute_raw(sql(&self.conn, ACK, values)).await?;
        Ok(())
    }

    /// Stores that the other side was there; an earlier time is not stored over a later one.
    ///
    /// A mailbox that is not there holds nothing that could be read: it is not made for this.
    pub async fn see_mailbox(
        &self,
        connection: ConnectionId,
        name: &str,
        at: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const SEE: &str = "UPDATE mailboxes SET seen_at = $4 WHERE workspace_id = $1 AND connection_id = $2 AND name = $3 \
                           AND (seen_at IS NULL OR seen_at < $4)";
        let values = [self.ws().into(), connection.uuid().into(), name.into(), millis(at)];
        self.conn.execute_raw(sql(&self.conn, SEE, values)).await?;
        Ok(())
    }

    /// Leads a mailbox into another, unless it leads somewhere already; where it leads now.
    pub async fn lead_mailbox(
        &self,
        connection: ConnectionId,
        name: &str,
        to: &str,
        now: OffsetDateTime,
    ) -> Result<String, StorageError> {
        const LEAD: &str = "UPDATE mailboxes SET leads_to = $4 WHERE workspace_id = $1 AND connection_id = $2 AND name = $3 \
                            AND leads_to IS NULL";
        self.make_mailbox(connection, name, now).await?;
        let values = [self.ws().into(), connection.uuid().into(), name.into(), to.into()];
        self.conn.execute_raw(sql(&self.conn, LEAD, values)).await?;
        let leads_to = self.mailbox(connection, name).await?.leads_to;
        leads_to.ok_or_else(|| StorageError::Database("a mailbox leads nowhere though it was led".to_owned()))
    }

    /// Makes a key, or changes what it opens and until when.
    pub async fn put_mailbox_key(
        &self,
        connection: ConnectionId,
        hash: [u8; 32],
        name: &str,
        until: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const PUT: &str = "INSERT INTO mailbox_keys (workspace_id, connection_id, hash, name, until) VALUES ($1, $2, $3, $4, $5) \
                           ON CONFLICT (workspace_id, connection_id, hash) DO UPDATE SET name = excluded.name, until = \
                           excluded.until";
        let values = [self.ws().into(), connection.uuid().into(), hash.to_vec().into(), name.into(), millis(until)];
        self.conn.execute_raw(sql(&self.conn, PUT, values)).await?;
        Ok(())
    }

    /// Takes a key away: what it opened, unless it is unknown or was over at `now`. Of several who ask one gets it.
    pub async fn take_mailbox_key(
        &self,
        connection: ConnectionId,
        hash: [u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<(String, OffsetDateTime)>, StorageError> {
        const TAKE: &str = "DELETE FROM mailbox_keys WHERE workspace_id = $1 AND connection_id = $2 AND hash = $3 \
                            RETURNING name, until";
        let values = [self.ws().into(), connection.uuid().into(), hash.to_vec().into()];
        let row = self.conn.query_one_raw(sql(&self.conn, TAKE, values)).await?;
        Ok(row.as_ref().map(key).transpose()?.filter(|(_, until)| now < *until))
    }

    /// Deletes up to `limit` events that were appended before `before`; how many. Their mailboxes remember it.
    pub async fn purge_mail(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM mailbox_events WHERE workspace_id = $1 AND (connection_id, name, seq) IN (SELECT \
                              connection_id, name, seq FROM mailbox_events WHERE workspace_id = $1 AND at < $2 ORDER BY at LIMIT \
                              $3) RETURNING connection_id, name, seq";
        const REMEMBER: &str = "UPDATE mailboxes SET purged_to = $4 WHERE workspace_id = $1 AND connection_id = $2 AND name = $3 \
                                AND purged_to < $4";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        let gone = self.conn.query_all_raw(sql(&self.conn, DELETE, values)).await?;
        let mut newest: BTreeMap<(Uuid, String), i64> = BTreeMap::new();
        for row in &gone {
            let place = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let seq: i64 = row.try_get_by_index(2)?;
            newest.entry(place).and_modify(|known| *known = seq.max(*known)).or_insert(seq);
        }
        for ((connection, name), seq) in newest {
            let values = [self.ws().into(), connection.into(), name.into(), seq.into()];
            self.conn.execute_raw(sql(&self.conn, REMEMBER, values)).await?;
        }
        Ok(gone.len() as u64)
    }

    /// Deletes up to `limit` keys whose time was over before `before`; how many.
    pub async fn purge_mailbox_keys(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM mailbox_keys WHERE workspace_id = $1 AND (connection_id, hash) IN (SELECT connection_id, \
                              hash FROM mailbox_keys WHERE workspace_id = $1 AND until < $2 LIMIT $3)";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        Ok(self.conn.execute_raw(sql(&self.conn, DELETE, values)).await?.rows_affected())
    }

    async fn make_mailbox(
        &self,
        connection: ConnectionId,
        name: &str,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const MAKE: &str = "INSERT INTO mailboxes (workspace_id, connection_id, name, last_seq, purged_to, acked_seq, created_at) \
                            VALUES ($1, $2, $3, 0, 0, 0, $4) ON CONFLICT (workspace_id, connection_id, name) DO NOTHING";
        let values = [self.ws().into(), connection.uuid().into(), name.into(), millis(now)];
        self.conn.execute_raw(sql(&self.conn, MAKE, values)).await?;
        Ok(())
    }

    /// The mailbox that a name leads to, made if it is not there, locked until the end of the transaction.
    async fn lock_mailbox(
        &self,
        connection: ConnectionId,
        name: &str,
        now: OffsetDateTime,
    ) -> Result<(String, Mailbox), StorageError> {
        const LOCK: &str = "SELECT last_seq, purged_to, acked_seq, leads_to, seen_at FROM mailboxes \
                            WHERE workspace_id = $1 AND connection_id = $2 AND name = $3";
        // SQLite has one writer: nobody else is in a transaction that writes.
        let lock = if on_postgres(self) { format!("{LOCK} FOR UPDATE") } else { LOCK.to_owned() };
        let mut name = name.to_owned();
        for _ in 0..LONGEST_LEAD {
            self.make_mailbox(connection, &name, now).await?;
            let values = [self.ws().into(), connection.uuid().into(), name.as_str().into()];
            let row = self.conn.query_one_raw(sql(&self.conn, &lock, values)).await?;
            let found = row.as_ref().map(mailbox).transpose()?.unwrap_or_default();
            match found.leads_to {
                Some(next) => name = next,
                None => return Ok((name, found)),
            }
        }
        Err(StorageError::Database("a mailbox leads too far".to_owned()))
    }
}

fn mailbox(row: &QueryResult) -> Result<Mailbox, StorageError> {
    let number = |place| row.try_get_by_index::<i64>(place).map(|number| u64::try_from(number).unwrap_or_default());
    let (leads_to, seen_at) = (row.try_get_by_index(3)?, row.try_get_by_index::<Option<i64>>(4)?);
    let seen_at = seen_at.map(|at| Millis(at).at());
    Ok(Mailbox { last_seq: number(0)?, purged_to: number(1)?, acked_seq: number(2)?, leads_to, seen_at })
}

fn mail(row: &QueryResult) -> Result<StoredMail, StorageError> {
    let seq: i64 = row.try_get_by_index(0)?;
    let (key, data, at) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?, row.try_get_by_index(3)?);
    Ok(StoredMail { seq: u64::try_from(seq).unwrap_or_default(), key, data, at: Millis(at).at() })
}

fn key(row: &QueryResult) -> Result<(String, OffsetDateTime), StorageError> {
    Ok((row.try_get_by_index(0)?, Millis(row.try_get_by_index(1)?).at()))
}

fn column_of(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
