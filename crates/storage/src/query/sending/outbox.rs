//! The outbox: one row for each part on its way.
//!
//! ```text
//!              claim              begin_sending           settle
//!  enqueue ─► queued ─────────► claimed ─────────► sending ─────────► (gone: the part is settled)
//!               ▲ ▲  postpone      │                 │ │  retry
//!               │ └────────────────┤ withhold ─► gone│ └──────► queued
//!               │    lapsed lease  │                 │ unknown, lapsed lease
//!               └──────────────────┘                 └──────► unknown ─► gone, or queued (a person sends again)
//! ```
//! Every step is one conditional update under the lock of the part's message; whoever comes second finds nothing to change.

use sea_orm::{FromQueryResult, Value};
use time::{Duration, OffsetDateTime};
use transom_domain::{ChannelAccountId, ConversationId, IdentityId, MessageId, PartId};
use uuid::Uuid;

use super::attempts::number;
use super::batch::Batch;
use crate::instant::Millis;
use crate::query::{millis, sql};
use crate::{Reader, StorageError, Tx};

/// One statement stores at most this many rows.
const ROWS: usize = 200;
/// A hint that a workspace has work is renewed when it is older than this, and may go when it is older than `HINT_KEPT`: no
/// transaction lasts from before a renewal to after a removal, so that no row loses its hint.
const HINT_FRESH: Duration = Duration::seconds(10);
const HINT_KEPT: Duration = Duration::seconds(30);
/// How far the clocks of two replicas may differ before they are not ready (reliability rules, section 6).
pub(super) const CLOCK_SKEW: Duration = Duration::seconds(2);

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody waits for it.
    Reply,
    /// Made by a rule.
    Automation,
    /// One of many.
    Broadcast,
}

impl Priority {
    /// Every priority, first things first.
    pub const ALL: [Priority; 3] = [Priority::Reply, Priority::Automation, Priority::Broadcast];

    pub(super) const fn rank(self) -> i64 {
        match self {
            Priority::Reply => 0,
            Priority::Automation => 1,
            Priority::Broadcast => 2,
        }
    }

    pub(super) fn of_rank(rank: i64) -> Self {
        Self::ALL.into_iter().find(|priority| priority.rank() == rank).unwrap_or(Priority::Broadcast)
    }
}

/// A part to be put on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewOutbox {
    /// The part.
    pub part: PartId,
    /// Its message.
    pub message: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The account it leaves by.
    pub account: ChannelAccountId,
    /// To whom.
    pub identity: IdentityId,
    /// Its place in the message, from 0.
    pub index: u32,
    /// What goes first.
    pub priority: Priority,
    /// Not before.
    pub due_at: OffsetDateTime,
    /// Not after.
    pub expires_at: OffsetDateTime,
    /// Later messages of the conversation do not wait for it: the customer does not see it.
    pub aside: bool,
}

/// What becomes of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The platform accepted it.
    Sent {
        /// The platform's id of it, where it gives one.
        provider_id: Option<String>,
        /// The platform's own word on how it counted it.
        billing: Option<String>,
    },
    /// The platform provably did not accept it: once more, later.
    Retry {
        /// Not before.
        due_at: OffsetDateTime,
    },
    /// The platform refused it.
    Failed,
    /// It provably never got there, and it is not worth another try.
    NotSent,
    /// It may have been accepted.
    Unknown,
}

impl Outcome {
    pub(super) const fn verdict(&self) -> &'static str {
        match self {
            Outcome::Sent { .. } => "sent",
            Outcome::Retry { .. } => "retry",
            Outcome::Failed => "failed",
            Outcome::NotSent => "not_sent",
            Outcome::Unknown => "unknown",
        }
    }

    pub(super) fn billing(&self) -> Option<String> {
        match self {
            Outcome::Sent { billing, .. } => billing.clone(),
            _ => None,
        }
    }
}

/// The record of an attempt's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// What becomes of the part.
    pub outcome: Outcome,
    /// What went wrong, as data for people; of an accepted part, whom it does not reach beside the customer.
    pub error: Option<serde_json::Value>,
    /// How far it came.
    pub phase: String,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// How long the platform took, in milliseconds.
    pub duration_ms: u64,
}

/// A part whose outcome nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPart {
    /// The part.
    pub part: PartId,
    /// Its message.
    pub message: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The account it left by.
    pub account: ChannelAccountId,
    /// The attempt nobody came back from.
    pub attempt: u32,
    /// From when a person is asked; until then evidence may come.
    pub ask_at: OffsetDateTime,
}

/// How much is on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxStats {
    /// Parts that may be claimed, counted up to 10,000.
    pub due: u64,
    /// Since when the oldest of them is due.
    pub oldest_due_at: Option<OffsetDateTime>,
    /// Parts that a dispatcher has taken and has not settled.
    pub in_hand: u64,
    /// Parts whose outcome nobody knows.
    pub unknown: u64,
    /// Receipts that came for ids nobody knows.
    pub parked_receipts: u64,
}

impl Reader {
    /// Up to `limit` parts whose outcome nobody knows, those that wait longest first.
    pub async fn unknown_parts(&self, limit: u32) -> Result<Vec<UnknownPart>, StorageError> {
        #[derive(FromQueryResult)]
        struct Row {
            id: Uuid,
            message_id: Uuid,
            conversation_id: Uuid,
            account_id: Uuid,
            attempt: i64,
            ask_at: Millis,
        }
        const FIND: &str = "SELECT id, message_id, conversation_id, account_id, attempt, ask_at FROM outbox \
                            WHERE workspace_id = $1 AND state = 'unknown' ORDER BY ask_at LIMIT $2";
        let rows = Row::find_by_statement(sql(&self.conn, FIND, [self.ws().into(), i64::from(limit).into()]));
        let part = |row: Row| UnknownPart {
            part: row.id.into(),
            message: row.message_id.into(),
            conversation: row.conversation_id.into(),
            account: row.account_id.into(),
            attempt: number(row.attempt),
            ask_at: row.ask_at.at(),
        };
        Ok(rows.all(&self.conn).await?.into_iter().map(part).collect())
    }

    /// How much is on its way, for metrics.
    pub async fn outbox_stats(&self, now: OffsetDateTime) -> Result<OutboxStats, StorageError> {
        #[derive(FromQueryResult)]
        struct Row {
            due: i64,
            oldest: Option<Millis>,
            in_hand: i64,
            unknown: i64,
            parked: i64,
        }
        const COUNT: &str = "SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox WHERE workspace_id = $1 AND state = 'queued' \
                             AND ready_at <= $2 LIMIT 10000) AS d) AS due, (SELECT min(ready_at) FROM outbox \
                             WHERE workspace_id = $1 AND state = 'queued' AND ready_at <= $2) AS oldest, (SELECT count(*) \
                             FROM outbox WHERE workspace_id = $1 AND state IN ('claimed', 'sending')) AS in_hand, (SELECT count(*) \
                             FROM outbox WHERE workspace_id = $1 AND state = 'unknown') AS unknown, (SELECT count(*) FROM receipts_parked \
                             WHERE workspace_id = $1) AS parked";
        let row =
            Row::find_by_statement(sql(&self.conn, COUNT, [self.ws().into(), millis(now)])).one(&self.conn).await?;
        Ok(row.map_or_else(OutboxStats::default, |row| OutboxStats {
            due: row.due.unsigned_abs(),
            oldest_due_at: row.oldest.map(Into::into),
            in_hand: row.in_hand.unsigned_abs(),
            unknown: row.unknown.unsigned_abs(),
            parked_receipts: row.parked.unsigned_abs(),
        }))
    }
}

impl Tx {
    /// Puts parts on their way, queued.
    ///
    /// The order of acceptance within a conversation is the order in which they will leave (P9), so the conversation must be
    /// locked. The parts must be stored.
    pub async fn enqueue(&self, rows: &[NewOutbox], now: OffsetDateTime) -> Result<(), StorageError> {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| (row.message, row.index));
        let Some(due_at) = rows.iter().map(|row| row.due_at).min() else { return Ok(()) };
        let chunks: Vec<&[NewOutbox]> = rows.chunks(ROWS).collect();
        for (place, chunk) in chunks.iter().enumerate() {
            let (text, values) = self.insertion(chunk, now);
            let mut batch = Batch::on(&self.conn);
            if place + 1 == chunks.len() {
                batch.add(text, values);
                let (hint, values) = self.due_hint(due_at, now);
                batch.and(hint, values).await?;
            } else {
                batch.and(text, values).await?;
            }
        }
        Ok(())
    }

    fn insertion(&self, rows: &[NewOutbox], now: OffsetDateTime) -> (String, Vec<Value>) {
        let mut values: Vec<Value> = vec![self.ws().into(), millis(now)];
        let mut tuples = Vec::with_capacity(rows.len());
        for (place, row) in (1_i64..).zip(rows) {
            let at = values.len();
            let [id, message, conversation, identity, account, priority, due, ready, expires, seq, aside] =
                [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map(|n| format!("${}", at + n));
            tuples.push(format!(
                "($1, {id}, {message}, {conversation}, {identity}, {account}, {seq} + (SELECT coalesce(max(o.seq), 0) FROM \
                 outbox AS o WHERE o.workspace_id = $1 AND o.conversation_id = {conversation}), 'queued', {priority}, \
                 {due}, {ready}, {expires}, 0, 0, false, {aside}, $2)"
            ));
            values.extend([
                row.part.uuid().into(),
                row.message.uuid().into(),
                row.conversation.uuid().into(),
                row.identity.uuid().into(),
                row.account.uuid().into(),
                row.priority.rank().into(),
                millis(row.due_at),
                millis(row.due_at.max(now)),
                millis(row.expires_at),
                place.into(),
                row.aside.into(),
            ]);
        }
        let text = format!(
            "INSERT INTO outbox (workspace_id, id, message_id, conversation_id, identity_id, account_id, seq, state, \
             priority, due_at, ready_at, expires_at, attempt, crashes, receipts, aside, created_at) VALUES {}",
            tuples.join(", ")
        );
        (text, values)
    }

    /// The statement that marks the workspace as having work from `at` on.
    ///
    /// In a busy workspace it changes nothing and locks nothing: all its senders would queue up for this one row.
    pub(super) fn due_hint(&self, at: OffsetDateTime, now: OffsetDateTime) -> (String, Vec<Value>) {
        const MARK: &str = "INSERT INTO workspaces_due (workspace_id, due_at) SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM \
                            workspaces_due WHERE workspace_id = $1 AND due_at <= $2 AND due_at > $3) ON CONFLICT \
                            (workspace_id) DO UPDATE SET due_at = CASE WHEN excluded.due_at < $4 THEN excluded.due_at \
                            ELSE $4 END";
        let values = vec![self.ws().into(), millis(at), millis(now - HINT_FRESH), millis(now - CLOCK_SKEW)];
        (MARK.to_owned(), values)
    }

    /// Takes back or defers the hint of a workspace where nothing is due.
    pub(super) async fn tidy_hint(&self, now: OffsetDateTime) -> Result<(), StorageError> {
        const NEXT: &str = "(SELECT min(ready_at) FROM outbox WHERE workspace_id = $1 AND state = 'queued')";
        let old = || millis(now - HINT_KEPT);
        let mut batch = Batch::on(&self.conn);
        batch.add(
            format!(
                "UPDATE workspaces_due SET due_at = {NEXT} WHERE workspace_id = $1 AND due_at <= $2 AND {NEXT} > $3"
            ),
            [self.ws().into(), old(), millis(now)],
        );
        let gone = format!("DELETE FROM workspaces_due WHERE workspace_id = $1 AND due_at <= $2 AND {NEXT} IS NULL");
        batch.and(gone, [self.ws().into(), old()]).await?;
        Ok(())
    }

    /// The statement that lets the next part of a conversation go, not before `at`, when `part` is no longer in its way.
    ///
    /// Claims look only at what became ready since they last looked, so it becomes ready anew, and with it what goes aside: that
    /// waits for what was accepted before it, and nothing waits for that.
    pub(super) fn release_next(&self, conversation: Uuid, part: Uuid, at: OffsetDateTime) -> (String, Vec<Value>) {
        const RELEASE: &str = "UPDATE outbox SET ready_at = CASE WHEN due_at > $4 THEN due_at ELSE $4 END \
                               WHERE workspace_id = $1 AND conversation_id = $2 AND state = 'queued' AND id <> $3 \
                               AND (aside OR id = (SELECT o.id FROM outbox AS o WHERE o.workspace_id = $1 \
                               AND o.conversation_id = $2 AND o.id <> $3 AND o.state <> 'unknown' AND NOT o.aside \
                               ORDER BY o.seq, o.id LIMIT 1))";
        (RELEASE.to_owned(), vec![self.ws().into(), conversation.into(), part.into(), millis(at)])
    }

    /// Adds to a batch that a part leaves the outbox, and that the next one may go.
    pub(super) fn leave(&self, batch: &mut Batch<'_>, part: Uuid, conversation: Uuid, now: OffsetDateTime) {
        const LEAVE: &str = "DELETE FROM outbox WHERE workspace_id = $1 AND id = $2";
        batch.add(LEAVE, [self.ws().into(), part.into()]);
        let (text, values) = self.release_next(conversation, part, now);
        batch.add(text, values);
    }
}
