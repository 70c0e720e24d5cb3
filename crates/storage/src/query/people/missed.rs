//! Windows that ended while the customer waited, and what became of them.

use sea_orm::{ConnectionTrait, QueryResult, Value};
use time::OffsetDateTime;
use transom_domain::{Actor, AgentId, Author, ChannelAccountId, ContactId, ConversationId, MessageId, TeamId};
use uuid::Uuid;

use super::messages::reached;
use super::moments::instant;
use super::statement::Sql;
use crate::instant::Millis;
use crate::query::{millis, to_json, unreadable};
use crate::{Reader, StorageError, Tx};

/// What reopening a missed window took, or why it was not reopened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MissedOutcome {
    /// Something may be sent, and nothing was yet.
    NotReopened,
    /// Nothing may be sent until the customer writes.
    NothingPossible,
    /// The customer wrote by themselves.
    CustomerWrote,
    /// A template was sent.
    TemplateSent,
    /// Something was sent by another right: under a tag, or as a message that the business begins.
    OtherSent,
}

impl MissedOutcome {
    /// Every outcome.
    pub const ALL: [MissedOutcome; 5] = [
        MissedOutcome::NotReopened,
        MissedOutcome::NothingPossible,
        MissedOutcome::CustomerWrote,
        MissedOutcome::TemplateSent,
        MissedOutcome::OtherSent,
    ];

    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            MissedOutcome::NotReopened => "not_reopened",
            MissedOutcome::NothingPossible => "nothing_possible",
            MissedOutcome::CustomerWrote => "customer_wrote",
            MissedOutcome::TemplateSent => "template_sent",
            MissedOutcome::OtherSent => "other_sent",
        }
    }

    /// What it is called when a message leaves by a right of this basis.
    pub fn of_basis(basis: &str) -> Self {
        if basis == "template" { MissedOutcome::TemplateSent } else { MissedOutcome::OtherSent }
    }
}

/// A window that ended while the customer waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedWindow {
    /// The message that was left without an answer.
    pub message: MessageId,
    /// Where it stands.
    pub conversation: ConversationId,
    /// The account.
    pub account: ChannelAccountId,
    /// The team that had the conversation when the window ended.
    pub team: Option<TeamId>,
    /// The agent who had it.
    pub agent: Option<AgentId>,
    /// Its status: `open`, `snoozed` or `closed`.
    pub status: String,
    /// When the customer wrote.
    pub wrote_at: OffsetDateTime,
    /// When the window ended.
    pub ended_at: OffsetDateTime,
    /// What reopening it took.
    pub outcome: MissedOutcome,
    /// What was sent first after that, and when.
    pub act: Option<(Option<MessageId>, OffsetDateTime)>,
    /// When the customer wrote again.
    pub reopened_at: Option<OffsetDateTime>,
}

/// A missed window as reports show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMissed {
    /// The window.
    pub missed: MissedWindow,
    /// Whose it was.
    pub contact: ContactId,
}

/// How many windows were missed by a team over an account, with one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedCount {
    /// The team; `None` where no team had it.
    pub team: Option<TeamId>,
    /// The account.
    pub account: ChannelAccountId,
    /// What reopening took.
    pub outcome: MissedOutcome,
    /// How many.
    pub count: u64,
}

/// What a person, a bot, or somebody in the platform's own app wrote to the customer.
const ANSWER: &str = "m.direction = 'outbound' AND (m.author ->> 'kind') IN ('agent', 'echo')";

impl Reader {
    /// The customer's last message before an instant, if nobody answered it by then. Automations, machines of the customer's and
    /// answers to surveys don't count.
    pub async fn unanswered_before(
        &self,
        conversation: ConversationId,
        before: OffsetDateTime,
    ) -> Result<Option<(MessageId, OffsetDateTime)>, StorageError> {
        let statement = self.select_unanswered(conversation, before)?;
        let Some(row) = self.conn.query_one_raw(statement.on(&self.conn)).await? else { return Ok(None) };
        let (id, at, direction): (Uuid, Millis, String) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        Ok((direction == "inbound").then(|| (id.into(), at.at())))
    }

    pub(super) fn select_unanswered(
        &self,
        conversation: ConversationId,
        before: OffsetDateTime,
    ) -> Result<Sql, StorageError> {
        let mut statement = Sql::of(self);
        let customer = statement.named(to_json(&Author::Actor(Actor::Customer))?);
        statement
            .push("SELECT m.id, m.at, m.direction FROM messages m WHERE m.workspace_id = $1 AND m.kind = 'reply'")
            .with(" AND m.conversation_id = ", conversation.uuid())
            .with(" AND m.at < ", millis(before))
            .push(&format!(" AND ((m.direction = 'inbound' AND m.author = {customer}"))
            .push(" AND (m.extra ->> 'automatic') IS NULL AND NOT EXISTS (SELECT 1 FROM survey_answers s")
            .push(" WHERE s.workspace_id = m.workspace_id AND s.message_id = m.id))")
            .push(&format!(" OR ({ANSWER} AND (m.state IS NULL OR {})))", reached("m")))
            .push(" ORDER BY m.at DESC, m.id DESC LIMIT 1");
        Ok(statement)
    }

    /// The first answer of ours since an instant: message, time, and the basis of the right it left by.
    pub async fn first_answer_since(
        &self,
        conversation: ConversationId,
        since: OffsetDateTime,
    ) -> Result<Option<(MessageId, OffsetDateTime, Option<String>)>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT m.id, m.at, m.permit ->> 'basis' FROM messages m WHERE m.workspace_id = $1 AND m.kind = 'reply'")
            .with(" AND m.conversation_id = ", conversation.uuid())
            .with(" AND m.at >= ", millis(since))
            .push(&format!(" AND {ANSWER} AND (m.state IS NULL OR {})", reached("m")))
            .push(" ORDER BY m.at, m.id LIMIT 1");
        let Some(row) = self.conn.query_one_raw(statement.on(&self.conn)).await? else { return Ok(None) };
        let (id, at): (Uuid, Millis) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok(Some((id.into(), at.at(), row.try_get_by_index(2)?)))
    }

    /// When the customer first wrote since an instant.
    pub async fn customer_wrote_since(
        &self,
        conversation: ConversationId,
        since: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT m.at FROM messages m WHERE m.workspace_id = $1 AND m.kind = 'reply' AND m.direction = 'inbound'")
            .with(" AND m.conversation_id = ", conversation.uuid())
            .with(" AND m.at >= ", millis(since))
            .with(" AND m.author = ", to_json(&Author::Actor(Actor::Customer))?)
            .push(" AND (m.extra ->> 'automatic') IS NULL ORDER BY m.at, m.id LIMIT 1");
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
        row.map(|row| Ok(row.try_get_by_index::<Millis>(0)?.at())).transpose()
    }

    /// How many windows ended unanswered from an instant on and before another, by team, account and outcome.
    pub async fn missed_counts(
        &self,
        (from, to): (OffsetDateTime, OffsetDateTime),
    ) -> Result<Vec<MissedCount>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT team_id, account_id, outcome, count(*) FROM missed_windows WHERE workspace_id = $1")
            .with(" AND ended_at >= ", millis(from))
            .with(" AND ended_at < ", millis(to))
            .push(" GROUP BY team_id, account_id, outcome");
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        let count = |row: &QueryResult| {
            let account: Uuid = row.try_get_by_index(1)?;
            Ok(MissedCount {
                team: row.try_get_by_index::<Option<Uuid>>(0)?.map(Into::into),
                account: account.into(),
                outcome: outcome(&row.try_get_by_index::<String>(2)?, account)?,
                count: row.try_get_by_index::<i64>(3)?.unsigned_abs(),
            })
        };
        rows.iter().map(count).collect()
    }

    /// Up to `limit` windows that ended unanswered in that time, the newest first; behind `after`, an end and a message.
    pub async fn missed_windows(
        &self,
        (from, to): (OffsetDateTime, OffsetDateTime),
        after: Option<(OffsetDateTime, MessageId)>,
        limit: u32,
    ) -> Result<Vec<StoredMissed>, StorageError> {
        let rows = self.conn.query_all_raw(self.select_missed((from, to), after, limit).on(&self.conn)).await?;
        rows.iter().map(stored_missed).collect()
    }

    pub(super) fn select_missed(
        &self,
        (from, to): (OffsetDateTime, OffsetDateTime),
        after: Option<(OffsetDateTime, MessageId)>,
        limit: u32,
    ) -> Sql {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT w.message_id, w.conversation_id, w.account_id, w.team_id, w.agent_id, w.status, w.wrote_at, ")
            .push("w.ended_at, w.outcome, w.acted_at, w.act_message_id, w.reopened_at, c.contact_id FROM (")
            .push("SELECT * FROM missed_windows WHERE workspace_id = $1")
            .with(" AND ended_at >= ", millis(from))
            .with(" AND ended_at < ", millis(to));
        if let Some((at, id)) = after {
            statement.with(" AND (ended_at, message_id) < (", millis(at)).with(", ", id.uuid()).push(")");
        }
        statement
            .with(" ORDER BY ended_at DESC, message_id DESC LIMIT ", i64::from(limit))
            .push(") AS w JOIN conversations c ON c.workspace_id = $1 AND c.id = w.conversation_id")
            .push(" ORDER BY w.ended_at DESC, w.message_id DESC");
        statement
    }
}

fn outcome(word: &str, row: Uuid) -> Result<MissedOutcome, StorageError> {
    let known = MissedOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word);
    known.ok_or_else(|| unreadable(("missed_windows", "outcome", row), format!("`{word}` is no outcome")))
}

fn stored_missed(row: &QueryResult) -> Result<StoredMissed, StorageError> {
    let id = |column: &str| row.try_get::<Uuid>("", column);
    let maybe = |column: &str| row.try_get::<Option<Uuid>>("", column);
    let at = |column: &str| row.try_get::<Millis>("", column).map(Millis::at);
    let message = id("message_id")?;
    let act = instant(row, "acted_at")?;
    let act_message = maybe("act_message_id")?.map(Into::into);
    Ok(StoredMissed {
        missed: MissedWindow {
            message: message.into(),
            conversation: id("conversation_id")?.into(),
            account: id("account_id")?.into(),
            team: maybe("team_id")?.map(Into::into),
            agent: maybe("agent_id")?.map(Into::into),
            status: row.try_get("", "status")?,
            wrote_at: at("wrote_at")?,
            ended_at: at("ended_at")?,
            outcome: outcome(&row.try_get::<String>("", "outcome")?, message)?,
            act: act.map(|at| (act_message, at)),
            reopened_at: instant(row, "reopened_at")?,
        },
        contact: id("contact_id")?.into(),
    })
}

impl Tx {
    /// Stores a missed window, and with its conversation, which is locked, that it is to be reopened; `false` if this message of
    /// the customer's was left without an answer before.
    pub async fn insert_missed(&self, missed: &MissedWindow) -> Result<bool, StorageError> {
        let mut statement = Sql::new(
            "INSERT INTO missed_windows (workspace_id, message_id, conversation_id, account_id, team_id, agent_id, status, \
             wrote_at, ended_at, outcome, acted_at, act_message_id, reopened_at) VALUES ",
        );
        statement
            .list::<Value>([
                self.ws().into(),
                missed.message.uuid().into(),
                missed.conversation.uuid().into(),
                missed.account.uuid().into(),
                missed.team.map(Uuid::from).into(),
                missed.agent.map(Uuid::from).into(),
                missed.status.as_str().into(),
                millis(missed.wrote_at),
                millis(missed.ended_at),
                missed.outcome.as_str().into(),
                missed.act.map(|(_, at)| Millis::from(at)).into(),
                missed.act.and_then(|(message, _)| message).map(Uuid::from).into(),
                missed.reopened_at.map(Millis::from).into(),
            ])
            .push(" ON CONFLICT (workspace_id, message_id) DO NOTHING");
        let is_new = self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() == 1;
        if is_new && missed.reopened_at.is_none() {
            let mut statement = Sql::new("UPDATE conversations SET missed_at = ");
            statement
                .bind(millis(missed.ended_at))
                .with(" WHERE workspace_id = ", self.ws())
                .with(" AND id = ", missed.conversation.uuid());
            self.conn.execute_raw(statement.on(&self.conn)).await?;
        }
        Ok(is_new)
    }

    /// Notes the first thing that was sent after a missed window.
    pub async fn missed_acted(
        &self,
        (conversation, ended_at): (ConversationId, OffsetDateTime),
        outcome: MissedOutcome,
        message: MessageId,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new("UPDATE missed_windows SET outcome = ");
        statement
            .bind(outcome.as_str())
            .with(", acted_at = ", millis(now))
            .with(", act_message_id = ", message.uuid())
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND conversation_id = ", conversation.uuid())
            .with(" AND ended_at = ", millis(ended_at))
            .push(" AND acted_at IS NULL AND reopened_at IS NULL");
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }

    /// Notes that the customer wrote again.
    pub async fn missed_reopened(
        &self,
        (conversation, ended_at): (ConversationId, OffsetDateTime),
        wrote_at: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new("UPDATE missed_windows SET outcome = CASE WHEN acted_at IS NULL THEN ");
        statement
            .bind(MissedOutcome::CustomerWrote.as_str())
            .with(" ELSE outcome END, reopened_at = ", millis(wrote_at))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND conversation_id = ", conversation.uuid())
            .with(" AND ended_at <= ", millis(ended_at))
            .push(" AND reopened_at IS NULL");
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        let mut statement = Sql::new("UPDATE conversations SET missed_at = NULL WHERE workspace_id = ");
        statement.bind(self.ws()).with(" AND id = ", conversation.uuid());
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }
}
