//! Attempts, and what was learnt about a part besides them: both only grow.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Value};
use time::OffsetDateTime;
use transom_domain::{Actor, MessageId, PartId};
use uuid::Uuid;

use super::batch::{Batch, locking};
use super::outbox::Settlement;
use crate::entity::{attempt_evidence, attempts};
use crate::query::people::statement::{columns, is_one_of};
use crate::query::{from_json, millis, sql};
use crate::{Reader, StorageError, Tx};

/// One try to hand a part to the platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// The process that made it.
    pub owner: Uuid,
    /// Who asked for it, where a person did.
    pub asked_by: Option<Actor>,
    /// When it began: written before the first byte could leave.
    pub started_at: OffsetDateTime,
    /// When its outcome was stored; `None` while it lasts, or if nobody came back from it.
    pub ended_at: Option<OffsetDateTime>,
    /// How long the platform took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// How far it came.
    pub phase: Option<String>,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// `sent`, `retry`, `failed`, `not_sent` or `unknown`.
    pub verdict: Option<String>,
    /// What the platform said.
    pub detail: Option<serde_json::Value>,
    /// The platform's own word on how it counted the message.
    pub billing: Option<String>,
}

/// What a look-up is kept as.
pub(super) const LOOKED_UP: &str = "looked_up";
/// See [`Tx::note_unrepeatable`].
const UNREPEATABLE: &str = "unrepeatable";

/// What was learnt or decided about a part besides its attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct PartEvidence {
    /// The attempt it is about, where that is known.
    pub attempt: Option<u32>,
    /// `late_answer`, `receipt`, `recovered`, `withheld`, `confirm`, `give_up`, `send_again`, `resend`, `retry`, `cancel`,
    /// `unrepeatable` or `looked_up`.
    pub kind: String,
    /// What exactly, and by whom.
    pub data: serde_json::Value,
    /// When.
    pub at: OffsetDateTime,
}

impl PartEvidence {
    /// Whether it says that an attempt's request must not be repeated.
    pub fn forbids_repeats(&self) -> bool {
        self.kind == UNREPEATABLE
    }

    /// Whether it says what the platform had when it was asked for the part.
    pub fn is_look_up(&self) -> bool {
        self.kind == LOOKED_UP
    }

    /// Whether the platform was asked for the part and had nothing that could be it.
    pub fn found_nothing(&self) -> bool {
        self.is_look_up() && self.data.get("found").is_some_and(|found| found == "nothing")
    }
}

impl Reader {
    /// The attempts of a part, in order.
    pub async fn attempts(&self, part: PartId) -> Result<Vec<Attempt>, StorageError> {
        let rows = attempts::Entity::find()
            .filter(attempts::Column::WorkspaceId.eq(self.ws()))
            .filter(attempts::Column::PartId.eq(part.uuid()))
            .order_by_asc(attempts::Column::Number)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The attempts of each part of a message that has any, in order.
    pub async fn attempts_of(&self, message: MessageId) -> Result<BTreeMap<PartId, Vec<Attempt>>, StorageError> {
        let its_parts = "SELECT id FROM parts WHERE workspace_id = $1 AND message_id = $2";
        let text = format!(
            "SELECT {} FROM attempts a WHERE a.workspace_id = $1 AND {} ORDER BY a.number",
            columns::<attempts::Entity>("a"),
            is_one_of(self, "a.part_id", its_parts)
        );
        let statement = sql(&self.conn, &text, [self.ws().into(), message.uuid().into()]);
        let rows = attempts::Model::find_by_statement(statement).all(&self.conn).await?;
        let mut all: BTreeMap<PartId, Vec<Attempt>> = BTreeMap::new();
        for row in rows {
            all.entry(row.part_id.into()).or_default().push(row.try_into()?);
        }
        Ok(all)
    }

    /// What else is known of a part, in the order in which it was learnt.
    pub async fn part_evidence(&self, part: PartId) -> Result<Vec<PartEvidence>, StorageError> {
        let rows = attempt_evidence::Entity::find()
            .filter(attempt_evidence::Column::WorkspaceId.eq(self.ws()))
            .filter(attempt_evidence::Column::PartId.eq(part.uuid()))
            .order_by_asc(attempt_evidence::Column::Number)
            .all(&self.conn)
            .await?;
        let evidence = |row: attempt_evidence::Model| PartEvidence {
            attempt: row.attempt.map(number),
            kind: row.kind,
            data: row.data,
            at: row.at.at(),
        };
        Ok(rows.into_iter().map(evidence).collect())
    }
}

impl TryFrom<attempts::Model> for Attempt {
    type Error = StorageError;

    fn try_from(row: attempts::Model) -> Result<Self, StorageError> {
        let asked_by = row.asked_by.map(|by| from_json(by, ("attempts", "asked_by", row.part_id))).transpose()?;
        Ok(Self {
            number: number(row.number),
            owner: row.owner,
            asked_by,
            started_at: row.started_at.at(),
            ended_at: row.ended_at.map(Into::into),
            duration_ms: row.duration_ms.map(i64::unsigned_abs),
            phase: row.phase,
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            verdict: row.verdict,
            detail: row.detail,
            billing: row.billing,
        })
    }
}

impl Tx {
    /// Appends an answer that came after the part was settled: evidence for people, no change.
    pub async fn late_answer(
        &self,
        part: PartId,
        attempt: u32,
        data: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let lock = format!(
            "SELECT m.id FROM messages AS m JOIN parts AS p ON p.workspace_id = m.workspace_id AND p.message_id = m.id \
             WHERE p.workspace_id = $1 AND p.id = $2{}",
            locking(&self.conn, "m")
        );
        let values = [self.ws().into(), part.uuid().into()];
        if self.conn.query_one_raw(sql(&self.conn, &lock, values)).await?.is_none() {
            return Ok(());
        }
        let (text, values) = self.evidence(part.uuid(), Some(attempt.into()), "late_answer", data.clone(), now);
        self.conn.execute_raw(sql(&self.conn, &text, values)).await?;
        Ok(())
    }

    /// Notes, before an attempt, that the platform would take its request a second time: a crash must not repeat it. The part is
    /// in hand, so its message is locked.
    pub async fn note_unrepeatable(&self, part: PartId, attempt: u32, now: OffsetDateTime) -> Result<(), StorageError> {
        let data = serde_json::json!({});
        let (text, values) = self.evidence(part.uuid(), Some(attempt.into()), UNREPEATABLE, data, now);
        self.conn.execute_raw(sql(&self.conn, &text, values)).await?;
        Ok(())
    }

    /// The statement that appends evidence. Of two at once the second waits for the first at the lock of their message.
    pub(super) fn evidence(
        &self,
        part: Uuid,
        attempt: Option<i64>,
        kind: &str,
        data: serde_json::Value,
        now: OffsetDateTime,
    ) -> (String, Vec<Value>) {
        const APPEND: &str = "INSERT INTO attempt_evidence (workspace_id, part_id, number, attempt, kind, data, at) SELECT \
                              $1, $2, coalesce(max(number), 0) + 1, $3, $4, $5, $6 FROM attempt_evidence \
                              WHERE workspace_id = $1 AND part_id = $2";
        let values = vec![self.ws().into(), part.into(), attempt.into(), kind.into(), data.into(), millis(now)];
        (APPEND.to_owned(), values)
    }

    /// Ends an attempt in a batch.
    pub(super) fn end_attempt(
        &self,
        batch: &mut Batch<'_>,
        part: Uuid,
        attempt: i64,
        settlement: &Settlement,
        now: OffsetDateTime,
    ) {
        const END: &str = "UPDATE attempts SET ended_at = $4, duration_ms = $5, phase = $6, status = $7, verdict = $8, \
                           detail = $9, billing = $10 WHERE workspace_id = $1 AND part_id = $2 AND number = $3";
        batch.add(
            END,
            [
                self.ws().into(),
                part.into(),
                attempt.into(),
                millis(now),
                settlement.duration_ms.cast_signed().into(),
                settlement.phase.clone().into(),
                settlement.status.map(i64::from).into(),
                settlement.outcome.verdict().into(),
                settlement.error.clone().into(),
                settlement.outcome.billing().into(),
            ],
        );
    }

    /// Ends an attempt whose answer nobody waits for any more, if it has no verdict yet.
    pub(super) fn close_attempt(
        &self,
        batch: &mut Batch<'_>,
        part: Uuid,
        attempt: i64,
        (verdict, phase): (&str, &str),
        now: OffsetDateTime,
    ) {
        const CLOSE: &str = "UPDATE attempts SET ended_at = $4, phase = coalesce(phase, $5), verdict = $6 \
                             WHERE workspace_id = $1 AND part_id = $2 AND number = $3 AND (verdict IS NULL OR verdict = \
                             'unknown')";
        batch.add(CLOSE, [self.ws().into(), part.into(), attempt.into(), millis(now), phase.into(), verdict.into()]);
    }

    /// Deletes up to `limit` attempts begun before `before`, and as much evidence of that age, of parts that are not on their
    /// way; how many.
    pub async fn purge_attempts(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const ATTEMPTS: &str = "DELETE FROM attempts WHERE workspace_id = $1 AND (part_id, number) IN (SELECT a.part_id, \
                                a.number FROM attempts AS a WHERE a.workspace_id = $1 AND a.started_at < $2 AND NOT EXISTS \
                                (SELECT 1 FROM outbox AS o WHERE o.workspace_id = $1 AND o.id = a.part_id) LIMIT $3)";
        const EVIDENCE: &str = "DELETE FROM attempt_evidence WHERE workspace_id = $1 AND (part_id, number) IN (SELECT \
                                e.part_id, e.number FROM attempt_evidence AS e WHERE e.workspace_id = $1 AND e.at < $2 AND \
                                NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.workspace_id = $1 AND o.id = e.part_id) \
                                LIMIT $3)";
        let values = [self.ws().into(), millis(before), limit.cast_signed().into()];
        self.conn.execute_raw(sql(&self.conn, EVIDENCE, values.clone())).await?;
        Ok(self.conn.execute_raw(sql(&self.conn, ATTEMPTS, values)).await?.rows_affected())
    }
}

pub(super) fn number(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
