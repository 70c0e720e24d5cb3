//! The journal looked through: "did this message ever reach us?"

use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, ConnectionId, JournalId};
use uuid::Uuid;

use super::people::statement::{Sql, on_postgres};
use super::{CallSource, millis, unreadable};
use crate::instant::Millis;
use crate::{Reader, StorageError};

/// How many calls a page looks through where nothing but looking finds them.
const WINDOW: u64 = 10_000;

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallState {
    /// It waits to be applied.
    Waiting,
    /// It was applied, all of it.
    Applied,
    /// It, or part of it, could not be used.
    Quarantined,
}

impl CallState {
    /// All of them.
    pub const ALL: [CallState; 3] = [CallState::Waiting, CallState::Applied, CallState::Quarantined];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallState::Waiting => "waiting",
            CallState::Applied => "applied",
            CallState::Quarantined => "quarantined",
        }
    }

    /// The name in the database.
    const fn column(self) -> &'static str {
        match self {
            CallState::Waiting => "new",
            other => other.as_str(),
        }
    }
}

/// Which calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallQuery {
    /// Over this connection; and of those that were fetched, only what this account fetched.
    pub channel: Option<(ConnectionId, ChannelAccountId)>,
    /// In this state.
    pub state: Option<CallState>,
    /// Received at this instant or later.
    pub since: Option<OffsetDateTime>,
    /// Received before this instant.
    pub until: Option<OffsetDateTime>,
    /// With these bytes in its body.
    pub text: Option<String>,
}

/// Where a page ends: the instant and id of its last call.
pub type CallPlace = (OffsetDateTime, JournalId);

/// A call without what it said.
#[derive(Debug, Clone, PartialEq)]
pub struct CallLine {
    /// Its id.
    pub id: JournalId,
    /// The connection it came for.
    pub connection: ConnectionId,
    /// The account, if it was fetched.
    pub account: Option<ChannelAccountId>,
    /// How it reached us.
    pub source: CallSource,
    /// When it came.
    pub received_at: OffsetDateTime,
    /// How long its body is, in bytes; 0 once it is erased.
    pub bytes: u64,
    /// Where it stands.
    pub state: CallState,
    /// When it was dealt with last.
    pub applied_at: Option<OffsetDateTime>,
    /// What was made of it.
    pub summary: Option<serde_json::Value>,
    /// How often somebody asked to have it applied again.
    pub replays: u32,
}

/// Some calls, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallPage {
    /// They.
    pub calls: Vec<CallLine>,
    /// Where to go on; a page may have few calls, or none, and older ones follow.
    pub next: Option<CallPlace>,
}

impl Reader {
    /// Up to `limit` calls received before `before`, newest first. A search looks through some thousand calls a page.
    pub async fn calls(
        &self,
        query: &CallQuery,
        before: Option<CallPlace>,
        limit: u64,
    ) -> Result<CallPage, StorageError> {
        let looks = query.channel.is_some() || query.text.is_some();
        let end = if looks { self.end_of_look(query, before).await? } else { None };
        let mut find = Sql::of(self);
        find.push(
            "SELECT id, connection_id, account_id, source, received_at, length(body), state, applied_at, summary, replays \
             FROM journal WHERE ",
        );
        in_time(&mut find, query, before);
        if let Some((at, id)) = end {
            find.with(" AND (received_at, id) >= (", millis(at)).with(", ", id.uuid()).push(")");
        }
        if let Some((connection, account)) = query.channel {
            find.with(" AND connection_id = ", connection.uuid())
                .with(" AND (account_id IS NULL OR account_id = ", account.uuid())
                .push(")");
        }
        if let Some(text) = &query.text {
            let text = text.as_bytes().to_vec();
            match on_postgres(self) {
                true => find.with(" AND position(", text).push(" IN body) > 0"),
                false => find.with(" AND instr(body, ", text).push(") > 0"),
            };
        }
        find.with(" ORDER BY received_at DESC, id DESC LIMIT ", limit.saturating_add(1).cast_signed());
        let mut calls = Vec::new();
        for row in self.conn.query_all_raw(find.on(&self.conn)).await? {
            calls.push(line(&row)?);
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = calls.len() > limit;
        calls.truncate(limit);
        let last = calls.last().map(|call: &CallLine| (call.received_at, call.id));
        Ok(CallPage { next: if has_more { last } else { end }, calls })
    }

    /// The last call that one page looks at; `None` if it looks at all that are left.
    async fn end_of_look(
        &self,
        query: &CallQuery,
        before: Option<CallPlace>,
    ) -> Result<Option<CallPlace>, StorageError> {
        let mut find = Sql::of(self);
        find.push("SELECT received_at, id FROM journal WHERE ");
        in_time(&mut find, query, before);
        find.push(&format!(" ORDER BY received_at DESC, id DESC LIMIT {WINDOW}"));
        let rows = self.conn.query_all_raw(find.on(&self.conn)).await?;
        let Some(last) = rows.last().filter(|_| rows.len() as u64 == WINDOW) else { return Ok(None) };
        Ok(Some((last.try_get_by_index::<Millis>(0)?.at(), last.try_get_by_index::<Uuid>(1)?.into())))
    }
}

/// What an index finds.
fn in_time(find: &mut Sql, query: &CallQuery, before: Option<CallPlace>) {
    find.push("workspace_id = $1");
    if let Some(state) = query.state {
        // A word of ours, said literally so that the indices of few calls are used.
        find.push(&format!(" AND state = '{}'", state.column()));
    }
    if let Some(since) = query.since {
        find.with(" AND received_at >= ", millis(since));
    }
    if let Some(until) = query.until {
        find.with(" AND received_at < ", millis(until));
    }
    if let Some((at, id)) = before {
        find.with(" AND (received_at, id) < (", millis(at)).with(", ", id.uuid()).push(")");
    }
}

fn line(row: &sea_orm::QueryResult) -> Result<CallLine, StorageError> {
    let id: Uuid = row.try_get_by_index(0)?;
    let source: String = row.try_get_by_index(3)?;
    let source = match source.as_str() {
        "webhook" => CallSource::Webhook,
        "pull" => CallSource::Pull,
        other => return Err(unreadable(("journal", "source", id), format!("`{other}` is unknown"))),
    };
    let word: String = row.try_get_by_index(6)?;
    let state = CallState::ALL.into_iter().find(|state| state.column() == word);
    // PostgreSQL counts the bytes in 32 bits, SQLite in 64.
    let bytes = row.try_get_by_index::<i64>(5).or_else(|_| row.try_get_by_index::<i32>(5).map(i64::from))?;
    Ok(CallLine {
        id: id.into(),
        connection: row.try_get_by_index::<Uuid>(1)?.into(),
        account: row.try_get_by_index::<Option<Uuid>>(2)?.map(Into::into),
        source,
        received_at: row.try_get_by_index::<Millis>(4)?.at(),
        bytes: bytes.unsigned_abs(),
        state: state.ok_or_else(|| unreadable(("journal", "state", id), format!("`{word}` is unknown")))?,
        applied_at: row.try_get_by_index::<Option<Millis>>(7)?.map(Millis::at),
        summary: row.try_get_by_index(8)?,
        replays: u32::try_from(row.try_get_by_index::<i64>(9)?).unwrap_or(u32::MAX),
    })
}
