//! Broadcasts, and where they stand.

mod recipients;

pub(in crate::query) use recipients::STANDING;
pub use recipients::{BroadcastRecipient, RecipientCount};
use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use time::OffsetDateTime;
use transom_domain::{Actor, AgentId, BroadcastId, ChannelAccountId, ContactId};
use uuid::Uuid;

use super::people::statement::{Sql, runs};
use super::{millis, sql, to_json, unreadable};
use crate::instant::Millis;
use crate::{Reader, StorageError, Tx};

/// Where a broadcast stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BroadcastState {
    /// It may be changed, and goes to nobody.
    Draft,
    /// It begins at its time.
    Scheduled,
    /// It goes to its audience.
    Running,
    /// A person holds it up.
    Paused,
    /// Everybody of its audience was dealt with.
    Done,
    /// A person ended it.
    Canceled,
}

impl BroadcastState {
    /// Every state.
    pub const ALL: [BroadcastState; 6] = [
        BroadcastState::Draft,
        BroadcastState::Scheduled,
        BroadcastState::Running,
        BroadcastState::Paused,
        BroadcastState::Done,
        BroadcastState::Canceled,
    ];

    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            BroadcastState::Draft => "draft",
            BroadcastState::Scheduled => "scheduled",
            BroadcastState::Running => "running",
            BroadcastState::Paused => "paused",
            BroadcastState::Done => "done",
            BroadcastState::Canceled => "canceled",
        }
    }
}

/// What a broadcast is, as far as a person may change it.
#[derive(Debug, Clone, PartialEq)]
pub struct BroadcastPlan {
    /// What agents find it by.
    pub name: String,
    /// The account it leaves by.
    pub account: ChannelAccountId,
    /// What it says.
    pub content: serde_json::Value,
    /// Whom it is for.
    pub audience: serde_json::Value,
    /// Whether it promotes something.
    pub promotional: bool,
    /// How many messages are queued a minute at most.
    pub per_minute: u32,
    /// When it shall begin, if not at once.
    pub send_at: Option<OffsetDateTime>,
}

/// Why a broadcast is held up by no person's hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// In a word.
    pub because: String,
    /// Then it goes on by itself. A paused one waits for a person.
    pub until: Option<OffsetDateTime>,
}

/// A broadcast as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBroadcast {
    /// Its id.
    pub id: BroadcastId,
    /// What it is.
    pub plan: BroadcastPlan,
    /// In whose name it goes.
    pub author: AgentId,
    /// Where it stands.
    pub state: BroadcastState,
    /// Why it is held up, where no person did that.
    pub held: Option<Hold>,
    /// How far its audience was written down: the last contact's `created_at` and id.
    pub after: Option<(OffsetDateTime, ContactId)>,
    /// Whether all of its audience was written down.
    pub collected: bool,
    /// Who ended it before its end.
    pub canceled_by: Option<Actor>,
    /// For `If-Match`: changes with everything that a person changes.
    pub version: u64,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it began.
    pub started_at: Option<OffsetDateTime>,
    /// When it was done, or all that was queued of a canceled one was withdrawn.
    pub ended_at: Option<OffsetDateTime>,
}

/// There is work on it, in the words of its index.
pub(super) const AT_WORK: &str = "state IN ('scheduled', 'running', 'canceled') AND ended_at IS NULL";

const COLUMNS: &str = "id, name, account_id, agent_id, content, audience, promotional, per_minute, state, send_at, \
                       audience_after_at, audience_after_id, collected, canceled_by, version, created_at, started_at, ended_at, \
                       held_because, held_until";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    name: String,
    account_id: Uuid,
    agent_id: Uuid,
    content: serde_json::Value,
    audience: serde_json::Value,
    promotional: bool,
    per_minute: i64,
    state: String,
    send_at: Option<Millis>,
    audience_after_at: Option<Millis>,
    audience_after_id: Option<Uuid>,
    collected: bool,
    canceled_by: Option<serde_json::Value>,
    version: i64,
    created_at: Millis,
    started_at: Option<Millis>,
    ended_at: Option<Millis>,
    held_because: Option<String>,
    held_until: Option<Millis>,
}

impl TryFrom<Row> for StoredBroadcast {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let state = BroadcastState::ALL.into_iter().find(|state| state.as_str() == row.state);
        let unknown = || unreadable(("broadcasts", "state", row.id), format!("`{}` is no state", row.state));
        let nobody = |error: serde_json::Error| unreadable(("broadcasts", "canceled_by", row.id), error.to_string());
        Ok(Self {
            id: row.id.into(),
            state: state.ok_or_else(unknown)?,
            plan: BroadcastPlan {
                name: row.name,
                account: row.account_id.into(),
                content: row.content,
                audience: row.audience,
                promotional: row.promotional,
                per_minute: u32::try_from(row.per_minute).unwrap_or(u32::MAX),
                send_at: row.send_at.map(Millis::at),
            },
            author: row.agent_id.into(),
            held: row.held_because.map(|because| Hold { because, until: row.held_until.map(Millis::at) }),
            after: row.audience_after_at.map(Millis::at).zip(row.audience_after_id.map(Into::into)),
            collected: row.collected,
            canceled_by: row.canceled_by.map(serde_json::from_value).transpose().map_err(nobody)?,
            version: row.version.unsigned_abs(),
            created_at: row.created_at.at(),
            started_at: row.started_at.map(Millis::at),
            ended_at: row.ended_at.map(Millis::at),
        })
    }
}

impl Reader {
    /// One broadcast.
    pub async fn broadcast(&self, id: BroadcastId) -> Result<Option<StoredBroadcast>, StorageError> {
        let mut statement = self.select_broadcasts();
        statement.with(" AND id = ", id.uuid());
        Ok(self.stored_broadcasts(statement).await?.pop())
    }

    /// Broadcasts, the newest first; behind `after`, the time and id of one, if that is given.
    pub async fn broadcasts(
        &self,
        after: Option<(OffsetDateTime, BroadcastId)>,
        limit: u32,
    ) -> Result<Vec<StoredBroadcast>, StorageError> {
        let mut statement = self.select_broadcasts();
        if let Some((at, id)) = after {
            statement.with(" AND (created_at, id) < (", millis(at)).with(", ", id.uuid()).push(")");
        }
        statement.with(" ORDER BY created_at DESC, id DESC LIMIT ", i64::from(limit));
        self.stored_broadcasts(statement).await
    }

    /// Broadcasts that there is work on, the oldest first: scheduled, running, or canceled and not withdrawn to the end.
    pub async fn broadcasts_at_work(&self) -> Result<Vec<StoredBroadcast>, StorageError> {
        let mut statement = self.select_broadcasts();
        statement.push(&format!(" AND {AT_WORK} ORDER BY id"));
        self.stored_broadcasts(statement).await
    }

    fn select_broadcasts(&self) -> Sql {
        let mut statement = Sql::of(self);
        statement.push(&format!("SELECT {COLUMNS} FROM broadcasts WHERE workspace_id = $1"));
        statement
    }

    async fn stored_broadcasts(&self, statement: Sql) -> Result<Vec<StoredBroadcast>, StorageError> {
        let rows = Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Those of these contacts that there are.
    pub async fn known_contacts(&self, ids: &[ContactId]) -> Result<Vec<ContactId>, StorageError> {
        let mut known = Vec::new();
        for run in runs(ids) {
            let mut statement = Sql::of(self);
            statement
                .push("SELECT id FROM contacts WHERE workspace_id = $1 AND id IN ")
                .list(run.iter().map(|id| id.uuid()));
            for row in self.conn.query_all_raw(statement.on(&self.conn)).await? {
                known.push(row.try_get_by_index::<Uuid>(0)?.into());
            }
        }
        Ok(known)
    }
}

impl Tx {
    /// Stores a new broadcast, as a draft.
    pub async fn insert_broadcast(
        &self,
        id: BroadcastId,
        plan: &BroadcastPlan,
        author: AgentId,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new(
            "INSERT INTO broadcasts (workspace_id, id, agent_id, state, collected, version, created_at, name, account_id, \
             content, audience, promotional, per_minute, send_at) VALUES ",
        );
        let own: [Value; 7] = [
            self.ws().into(),
            id.uuid().into(),
            author.uuid().into(),
            BroadcastState::Draft.as_str().into(),
            false.into(),
            1_i64.into(),
            millis(now),
        ];
        statement.list(own.into_iter().chain(values(plan)));
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }

    /// Changes a draft that has this version (`None`: whatever it has); whether it was changed.
    pub async fn change_broadcast(
        &self,
        id: BroadcastId,
        plan: &BroadcastPlan,
        expected: Option<u64>,
    ) -> Result<bool, StorageError> {
        let mut statement = Sql::new(
            "UPDATE broadcasts SET version = version + 1, (name, account_id, content, audience, promotional, per_minute, \
             send_at) = ",
        );
        statement
            .list(values(plan))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", id.uuid())
            .with(" AND state = ", BroadcastState::Draft.as_str());
        if let Some(expected) = expected {
            statement.with(" AND version = ", expected.cast_signed());
        }
        Ok(self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() == 1)
    }

    /// Takes a broadcast from one of these states to another; whether it was in one of them. A canceled one has not ended
    /// before [`end_canceled`](Self::end_canceled) says so.
    pub async fn turn_broadcast(
        &self,
        id: BroadcastId,
        from: &[BroadcastState],
        to: BroadcastState,
        by: Option<&Actor>,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let mut statement =
            Sql::new("UPDATE broadcasts SET version = version + 1, held_because = NULL, held_until = NULL");
        statement.with(", state = ", to.as_str());
        match to {
            BroadcastState::Running => {
                statement.with(", started_at = coalesce(started_at, ", millis(now)).push(")");
            }
            BroadcastState::Done => {
                statement.with(", ended_at = ", millis(now));
            }
            BroadcastState::Canceled => {
                statement.with(", canceled_by = ", by.map(to_json).transpose()?);
            }
            BroadcastState::Draft | BroadcastState::Scheduled | BroadcastState::Paused => {}
        }
        statement
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", id.uuid())
            .push(" AND state IN ")
            .list(from.iter().map(|state| state.as_str()));
        Ok(self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() == 1)
    }

    /// Says why a broadcast is held up, or that it is no more.
    pub async fn hold_broadcast(&self, id: BroadcastId, hold: Option<&Hold>) -> Result<(), StorageError> {
        let mut statement = Sql::new("UPDATE broadcasts SET held_because = ");
        statement
            .bind(hold.map(|hold| hold.because.clone()))
            .with(", held_until = ", hold.and_then(|hold| hold.until).map(Millis::from))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", id.uuid())
            .push(" AND state IN ('running', 'paused')");
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }

    /// Says that nothing of a canceled broadcast is queued any more.
    pub async fn end_canceled(&self, id: BroadcastId, now: OffsetDateTime) -> Result<(), StorageError> {
        const END: &str = "UPDATE broadcasts SET ended_at = $3, version = version + 1 WHERE workspace_id = $1 AND id = $2 \
                           AND state = 'canceled' AND ended_at IS NULL";
        self.conn.execute_raw(sql(&self.conn, END, [self.ws().into(), id.uuid().into(), millis(now)])).await?;
        Ok(())
    }
}

/// The values of a plan, in the order of the statements above.
fn values(plan: &BroadcastPlan) -> [Value; 7] {
    [
        plan.name.as_str().into(),
        plan.account.uuid().into(),
        plan.content.clone().into(),
        plan.audience.clone().into(),
        plan.promotional.into(),
        i64::from(plan.per_minute).into(),
        plan.send_at.map(Millis::from).into(),
    ]
}
