//! Surveys: asked when a person closed a conversation, answered by a number.

use sea_orm::{ConnectionTrait, QueryResult, Value};
use time::OffsetDateTime;
use transom_domain::{AgentId, ConversationId, EpisodeId, MessageId};
use uuid::Uuid;

use super::messages::reached;
use super::moments::instant;
use super::statement::Sql;
use crate::query::{millis, unreadable};
use crate::{Reader, StorageError, Tx};

/// How far a survey has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SurveyState {
    /// It is to be asked.
    Waiting,
    /// It was asked.
    Asked,
    /// It was asked, and the question did not get to the customer.
    NotSent,
    /// It was not asked.
    Skipped,
    /// It was answered.
    Answered,
}

impl SurveyState {
    /// The name used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            SurveyState::Waiting => "waiting",
            SurveyState::Asked => "asked",
            SurveyState::NotSent => "not_sent",
            SurveyState::Skipped => "skipped",
            SurveyState::Answered => "answered",
        }
    }
}

/// A survey that is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingSurvey {
    /// The episode that was closed.
    pub episode: EpisodeId,
    /// The conversation.
    pub conversation: ConversationId,
    /// When it was closed.
    pub created_at: OffsetDateTime,
}

/// What is asked, and until when an answer counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyQuestion {
    /// The words.
    pub question: String,
    /// The highest score; the lowest is 1.
    pub scale: u8,
    /// The message that asks it.
    pub message: MessageId,
    /// When it was asked.
    pub asked_at: OffsetDateTime,
    /// From then on no answer counts.
    pub until: OffsetDateTime,
}

/// A survey as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSurvey {
    /// The episode that was closed.
    pub episode: EpisodeId,
    /// How far it has come.
    pub state: SurveyState,
    /// Why it was not asked, or did not get to the customer.
    pub reason: Option<serde_json::Value>,
    /// What was asked, once it was.
    pub question: Option<SurveyQuestion>,
    /// The newest answer, and when it was given.
    pub answer: Option<(u8, OffsetDateTime)>,
    /// When the conversation was closed.
    pub created_at: OffsetDateTime,
}

/// An answer to a survey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurveyAnswer {
    /// The survey.
    pub episode: EpisodeId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The customer's message.
    pub message: MessageId,
    /// The score.
    pub score: u8,
    /// When it was written, by the platform's clock.
    pub at: OffsetDateTime,
}

impl Reader {
    /// Up to `limit` surveys that are to be asked, those that wait longest first.
    pub async fn surveys_waiting(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<WaitingSurvey>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT episode_id, conversation_id, created_at FROM surveys WHERE workspace_id = $1 AND state = 'waiting'")
            .with(" AND due_at <= ", millis(now))
            .with(" ORDER BY due_at LIMIT ", i64::from(limit));
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        let waiting = |row: &QueryResult| {
            let episode: Uuid = row.try_get("", "episode_id")?;
            Ok(WaitingSurvey {
                episode: episode.into(),
                conversation: row.try_get::<Uuid>("", "conversation_id")?.into(),
                created_at: instant(row, "created_at")?.ok_or_else(|| no_time("created_at", episode))?,
            })
        };
        rows.iter().map(waiting).collect()
    }

    /// The last survey of a conversation.
    pub async fn last_survey(&self, conversation: ConversationId) -> Result<Option<StoredSurvey>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push(
                "SELECT s.episode_id, s.state, s.reason, s.created_at, s.question, s.scale, s.message_id, s.asked_at, ",
            )
            .push("s.answers_until, s.score, s.answered_at, m.state AS sent, m.reason AS failure ")
            .push("FROM surveys s LEFT JOIN messages m ")
            .push("ON m.workspace_id = s.workspace_id AND m.id = s.message_id WHERE s.workspace_id = $1")
            .with(" AND s.conversation_id = ", conversation.uuid())
            .push(" ORDER BY s.created_at DESC, s.episode_id DESC LIMIT 1");
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
        row.as_ref().map(stored_survey).transpose()
    }

    /// Whether a person, a bot, or somebody in the platform's own app wrote to the customer between two instants.
    pub async fn answered_between(
        &self,
        conversation: ConversationId,
        (after, until): (OffsetDateTime, OffsetDateTime),
    ) -> Result<bool, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push(
                "SELECT 1 FROM messages m WHERE m.workspace_id = $1 AND m.kind = 'reply' AND m.direction = 'outbound'",
            )
            .with(" AND m.conversation_id = ", conversation.uuid())
            .with(" AND m.at > ", millis(after))
            .with(" AND m.at <= ", millis(until))
            .push(" AND (m.author ->> 'kind') IN ('agent', 'echo')")
            .push(&format!(" AND (m.state IS NULL OR {}) LIMIT 1", reached("m")));
        Ok(self.conn.query_one_raw(statement.on(&self.conn)).await?.is_some())
    }
}

fn no_time(column: &'static str, row: Uuid) -> StorageError {
    unreadable(("surveys", column, row), "there is none")
}

fn stored_survey(row: &QueryResult) -> Result<StoredSurvey, StorageError> {
    let id: Uuid = row.try_get("", "episode_id")?;
    let small = |column: &'static str| -> Result<Option<u8>, StorageError> {
        let value: Option<i64> = row.try_get("", column)?;
        value
            .map(|value| value.try_into().map_err(|_| unreadable(("surveys", column, id), value.to_string())))
            .transpose()
    };
    let text = |column: &str| row.try_get::<Option<String>>("", column);
    let question = match (row.try_get::<Option<Uuid>>("", "message_id")?, small("scale")?) {
        (Some(message), Some(scale)) => Some(SurveyQuestion {
            question: text("question")?.unwrap_or_default(),
            scale,
            message: message.into(),
            asked_at: instant(row, "asked_at")?.ok_or_else(|| no_time("asked_at", id))?,
            until: instant(row, "answers_until")?.ok_or_else(|| no_time("answers_until", id))?,
        }),
        _ => None,
    };
    let answer = small("score")?.zip(instant(row, "answered_at")?);
    let was_withheld = matches!(text("sent")?.as_deref(), Some("failed" | "not_sent" | "canceled"));
    let state = match (text("state")?.as_deref(), answer.is_some()) {
        (_, true) => SurveyState::Answered,
        (Some("asked"), _) if was_withheld => SurveyState::NotSent,
        (Some("asked"), _) => SurveyState::Asked,
        (Some("skipped"), _) => SurveyState::Skipped,
        _ => SurveyState::Waiting,
    };
    let reason = row.try_get("", if state == SurveyState::NotSent { "failure" } else { "reason" })?;
    let created_at = instant(row, "created_at")?.ok_or_else(|| no_time("created_at", id))?;
    Ok(StoredSurvey { episode: id.into(), state, reason, question, answer, created_at })
}

impl Tx {
    /// Notes that a survey is to be asked about an episode; once is enough.
    pub async fn insert_survey(
        &self,
        (episode, conversation): (EpisodeId, ConversationId),
        closed_by: Option<AgentId>,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new(
            "INSERT INTO surveys (workspace_id, episode_id, conversation_id, agent_id, state, due_at, created_at) VALUES ",
        );
        statement
            .list::<Value>([
                self.ws().into(),
                episode.uuid().into(),
                conversation.uuid().into(),
                closed_by.map(Uuid::from).into(),
                "waiting".into(),
                millis(now),
                millis(now),
            ])
            .push(" ON CONFLICT (workspace_id, episode_id) DO NOTHING");
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }

    /// Notes that a survey was asked; `false` if it does not wait any more.
    pub async fn ask_survey(&self, episode: EpisodeId, asked: &SurveyQuestion) -> Result<bool, StorageError> {
        let mut statement = Sql::new("UPDATE surveys SET state = 'asked', question = ");
        statement
            .bind(asked.question.as_str())
            .with(", scale = ", i64::from(asked.scale))
            .with(", message_id = ", asked.message.uuid())
            .with(", asked_at = ", millis(asked.asked_at))
            .with(", answers_until = ", millis(asked.until));
        self.if_waiting(statement, episode).await
    }

    /// Notes why a survey is not asked; `false` if it does not wait any more.
    pub async fn skip_survey(&self, episode: EpisodeId, reason: &serde_json::Value) -> Result<bool, StorageError> {
        let mut statement = Sql::new("UPDATE surveys SET state = 'skipped', reason = ");
        statement.bind(reason.clone());
        self.if_waiting(statement, episode).await
    }

    /// Looks at a survey again later, as after a fault.
    pub async fn defer_survey(&self, episode: EpisodeId, due_at: OffsetDateTime) -> Result<bool, StorageError> {
        let mut statement = Sql::new("UPDATE surveys SET due_at = ");
        statement.bind(millis(due_at));
        self.if_waiting(statement, episode).await
    }

    async fn if_waiting(&self, mut statement: Sql, episode: EpisodeId) -> Result<bool, StorageError> {
        statement
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND episode_id = ", episode.uuid())
            .push(" AND state = 'waiting'");
        Ok(self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() == 1)
    }

    /// Stores an answer. Of several the newest counts, whatever order they come in; the score that counts now.
    pub async fn answer_survey(&self, answer: &SurveyAnswer, now: OffsetDateTime) -> Result<u8, StorageError> {
        let mut statement =
            Sql::new("INSERT INTO survey_answers (workspace_id, message_id, episode_id, score, at) VALUES ");
        statement
            .list::<Value>([
                self.ws().into(),
                answer.message.uuid().into(),
                answer.episode.uuid().into(),
                i64::from(answer.score).into(),
                millis(answer.at),
            ])
            .push(" ON CONFLICT (workspace_id, message_id) DO NOTHING");
        self.conn.execute_raw(statement.on(&self.conn)).await?;

        let mut statement = Sql::of(self);
        let episode = statement.named(answer.episode.uuid());
        let newest = |column: &str| {
            format!(
                "(SELECT a.{column} FROM survey_answers a WHERE a.workspace_id = $1 AND a.episode_id = {episode} \
                 ORDER BY a.at DESC, a.message_id DESC LIMIT 1)"
            )
        };
        statement
            .push(&format!("UPDATE surveys SET score = {}, answered_at = {}", newest("score"), newest("at")))
            .push(&format!(" WHERE workspace_id = $1 AND episode_id = {episode} RETURNING score"));
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
        let score = row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?.unwrap_or_else(|| answer.score.into());

        let mut statement = Sql::new("UPDATE conversations SET survey_score = ");
        statement
            .bind(score)
            .with(", updated_at = ", millis(now))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", answer.conversation.uuid());
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(u8::try_from(score).unwrap_or(answer.score))
    }

    /// Nobody waits for an answer in a conversation: what the customer wrote last asks for none.
    pub async fn nobody_waits(&self, conversation: ConversationId) -> Result<(), StorageError> {
        let mut statement = Sql::new("UPDATE conversations SET waiting_since = NULL WHERE workspace_id = ");
        statement.bind(self.ws()).with(" AND id = ", conversation.uuid());
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }
}
