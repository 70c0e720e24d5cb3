//! Jobs: what is to be done with many things, how far it is, and what came of each.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Value,
};
use serde_json::Value as Json;
use time::OffsetDateTime;
use transom_domain::{AgentId, JobId};
use uuid::Uuid;

use super::people::statement::{Sql, columns, on_postgres, runs};
use super::{millis, sql, unreadable};
use crate::entity::{job_items, jobs};
use crate::instant::Millis;
use crate::{Reader, Storage, StorageError, Tx, WorkspaceScope};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$of])* $word,)* }

        impl $name {
            /// The word in the API and the database.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$word => $text,)* }
            }

            /// The one of that word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($text => Some($name::$word),)* _ => None }
            }
        }
    };
}

words! {
    /// What a job does.
    JobKind {
        /// Changes many conversations.
        Bulk = "bulk",
        /// Takes back what another job did.
        Undo = "undo",
        /// Adds and changes contacts from a file.
        Import = "import",
        /// Erases a contact.
        Erase = "erase",
    }
}

words! {
    /// Where a job stands.
    JobState {
        /// Nobody has begun it.
        Queued = "queued",
        /// It is being done.
        Running = "running",
        /// All of it was done.
        Done = "done",
        /// It can't be done; what was done stays done.
        Failed = "failed",
        /// Somebody stopped it; what was done stays done.
        Canceled = "canceled",
    }
}

words! {
    /// What came of one thing.
    ItemState {
        /// Its turn has not come.
        Pending = "pending",
        /// It was made.
        Created = "created",
        /// It was changed.
        Changed = "changed",
        /// It was so already.
        Unchanged = "unchanged",
        /// It could not be done.
        Failed = "failed",
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// Where it stands.
    pub state: JobState,
    /// Who asked for it.
    pub actor: AgentId,
    /// What is to be done, as its kind writes it.
    pub request: Json,
    /// How far it is, as its kind writes it.
    pub cursor: Json,
    /// How many things there are; `None` until all are found.
    pub total: Option<u64>,
    /// How many had their turn.
    pub done: u64,
    /// How many of those were made or changed.
    pub changed: u64,
    /// How many of those could not be done.
    pub failed: u64,
    /// Whether somebody wants no more of it.
    pub stop: bool,
    /// Why it failed, in a stable word.
    pub reason: Option<String>,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// When it last moved.
    pub updated_at: OffsetDateTime,
    /// When it ended, whichever way.
    pub finished_at: Option<OffsetDateTime>,
}

impl Job {
    /// One that waits for its turn.
    pub fn queued(id: JobId, kind: JobKind, actor: AgentId, request: Json, now: OffsetDateTime) -> Self {
        Self {
            id,
            kind,
            state: JobState::Queued,
            actor,
            request,
            cursor: Json::Object(serde_json::Map::new()),
            total: None,
            done: 0,
            changed: 0,
            failed: 0,
            stop: false,
            reason: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
        }
    }

    /// Counts one thing that had its turn.
    pub fn count(&mut self, state: ItemState) {
        self.done += 1;
        match state {
            ItemState::Created | ItemState::Changed => self.changed += 1,
            ItemState::Failed => self.failed += 1,
            ItemState::Pending | ItemState::Unchanged => {}
        }
    }

    /// Ends it.
    pub fn finish(&mut self, state: JobState, now: OffsetDateTime) {
        (self.state, self.finished_at) = (state, Some(now));
    }
}

/// One thing of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobItem {
    /// Its place in the job.
    pub position: u64,
    /// What it is about, once a job.
    pub item: Option<Uuid>,
    /// What came of it.
    pub state: ItemState,
    /// Why, in a stable word.
    pub code: Option<String>,
    /// What is to be done with it; gone once it is done.
    pub input: Option<Json>,
    /// What was done, and how it was before; of what failed, what is wrong with it.
    pub outcome: Option<Json>,
}

impl JobItem {
    /// The same, which could not be done.
    #[must_use]
    pub fn failed(self, code: &str) -> Self {
        Self { state: ItemState::Failed, code: Some(code.to_owned()), input: None, outcome: None, ..self }
    }

    /// One whose turn has not come.
    pub fn pending(position: u64, item: Option<Uuid>, input: Option<Json>) -> Self {
        Self { position, item, state: ItemState::Pending, code: None, input, outcome: None }
    }
}

const fn number(count: u64) -> i64 {
    count.cast_signed()
}

impl TryFrom<jobs::Model> for Job {
    type Error = StorageError;

    fn try_from(row: jobs::Model) -> Result<Self, StorageError> {
        let wrong = |column, word: &str| unreadable(("jobs", column, row.id), format!("`{word}`"));
        Ok(Self {
            id: row.id.into(),
            kind: JobKind::parse(&row.kind).ok_or_else(|| wrong("kind", &row.kind))?,
            state: JobState::parse(&row.state).ok_or_else(|| wrong("state", &row.state))?,
            actor: row.actor_id.into(),
            request: row.request,
            cursor: row.cursor,
            total: row.total.map(i64::unsigned_abs),
            done: row.done.unsigned_abs(),
            changed: row.changed.unsigned_abs(),
            failed: row.failed.unsigned_abs(),
            stop: row.stop,
            reason: row.reason,
            created_at: row.created_at.at(),
            updated_at: row.updated_at.at(),
            finished_at: row.finished_at.map(Millis::at),
        })
    }
}

impl TryFrom<job_items::Model> for JobItem {
    type Error = StorageError;

    fn try_from(row: job_items::Model) -> Result<Self, StorageError> {
        let state = ItemState::parse(&row.state);
        let wrong = || unreadable(("job_items", "state", row.job_id), format!("`{}`", row.state));
        Ok(Self {
            position: row.position.unsigned_abs(),
            item: row.item_id,
            state: state.ok_or_else(wrong)?,
            code: row.code,
            input: row.input,
            outcome: row.outcome,
        })
    }
}

impl Storage {
    /// Jobs that are not finished, of every workspace, the oldest first.
    pub async fn unfinished_jobs(&self, limit: u64) -> Result<Vec<(WorkspaceScope, JobId)>, StorageError> {
        let ids: Vec<(Uuid, Uuid)> = jobs::Entity::find()
            .select_only()
            .columns([jobs::Column::WorkspaceId, jobs::Column::Id])
            .filter(Expr::col(jobs::Column::FinishedAt).is_null())
            .order_by_asc(jobs::Column::Id)
            .limit(limit)
            .into_tuple()
            .all(self.db())
            .await?;
        Ok(ids.into_iter().map(|(workspace, id)| (WorkspaceScope::of(workspace.into()), id.into())).collect())
    }
}

impl Reader {
    /// One job.
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, StorageError> {
        let row = jobs::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Jobs, the newest first, older than `before`.
    pub async fn jobs(&self, before: Option<JobId>, limit: u64) -> Result<Vec<Job>, StorageError> {
        let mut find = jobs::Entity::find().filter(jobs::Column::WorkspaceId.eq(self.ws()));
        if let Some(before) = before {
            find = find.filter(Expr::col(jobs::Column::Id).lt(before.uuid()));
        }
        let rows = find.order_by_desc(jobs::Column::Id).limit(limit).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Jobs of a kind that were asked for by exactly this request, and have not ended, or since then.
    pub async fn jobs_that(
        &self,
        kind: JobKind,
        request: &Json,
        since: OffsetDateTime,
    ) -> Result<Vec<Job>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push(&format!("SELECT {} FROM jobs j WHERE j.workspace_id = $1", columns::<jobs::Entity>("j")))
            .with(" AND (j.finished_at IS NULL OR j.finished_at >= ", millis(since))
            .with(") AND j.kind = ", kind.as_str())
            .with(" AND j.request = ", request.clone());
        let rows = jobs::Model::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// A job's things behind a position, in order; only those of a state, if one is given.
    pub async fn job_items(
        &self,
        job: JobId,
        state: Option<ItemState>,
        after: Option<u64>,
        limit: u64,
    ) -> Result<Vec<JobItem>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push(&format!("SELECT {} FROM job_items i WHERE i.workspace_id = $1", columns::<job_items::Entity>("i")))
            .with(" AND i.job_id = ", job.uuid());
        match state {
            // By its word: only then does the index of what waits serve.
            Some(ItemState::Pending) => statement.push(" AND i.state = 'pending'"),
            Some(state) => statement.with(" AND i.state = ", state.as_str()),
            None => &mut statement,
        };
        if let Some(after) = after {
            statement.with(" AND i.position > ", number(after));
        }
        statement.with(" ORDER BY i.position LIMIT ", number(limit));
        let rows = job_items::Model::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The position of a job's last thing.
    pub async fn last_job_item(&self, job: JobId) -> Result<Option<u64>, StorageError> {
        const LAST: &str = "SELECT max(position) FROM job_items WHERE workspace_id = $1 AND job_id = $2";
        let row = self.conn.query_one_raw(sql(&self.conn, LAST, [self.ws().into(), job.uuid().into()])).await?;
        let last: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        Ok(last.map(i64::unsigned_abs))
    }
}

impl Tx {
    /// Stores a new job.
    pub async fn insert_job(&self, job: &Job) -> Result<(), StorageError> {
        let row = jobs::Model {
            workspace_id: self.ws(),
            id: job.id.uuid(),
            kind: job.kind.as_str().to_owned(),
            state: job.state.as_str().to_owned(),
            actor_id: job.actor.uuid(),
            request: job.request.clone(),
            cursor: job.cursor.clone(),
            total: job.total.map(number),
            done: number(job.done),
            changed: number(job.changed),
            failed: number(job.failed),
            stop: job.stop,
            reason: job.reason.clone(),
            created_at: job.created_at.into(),
            updated_at: job.updated_at.into(),
            finished_at: job.finished_at.map(Into::into),
        };
        jobs::Entity::insert(row.into_active_model().reset_all()).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// A job, locked until the end of the transaction.
    pub async fn lock_job(&self, id: JobId) -> Result<Option<Job>, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push(&format!("SELECT {} FROM jobs j WHERE j.workspace_id = $1", columns::<jobs::Entity>("j")))
            .with(" AND j.id = ", id.uuid())
            .push(if on_postgres(self) { " FOR NO KEY UPDATE" } else { "" });
        let row = jobs::Model::find_by_statement(statement.on(&self.conn)).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Stores how far a job is.
    pub async fn save_job(&self, job: &Job, now: OffsetDateTime) -> Result<(), StorageError> {
        let mut statement = Sql::new("UPDATE jobs SET state = ");
        statement
            .bind(job.state.as_str())
            .with(", request = ", job.request.clone())
            .with(", cursor = ", job.cursor.clone())
            .with(", total = ", job.total.map(number))
            .with(", done = ", number(job.done))
            .with(", changed = ", number(job.changed))
            .with(", failed = ", number(job.failed))
            .with(", stop = ", job.stop)
            .with(", reason = ", job.reason.clone())
            .with(", updated_at = ", millis(now))
            .with(", finished_at = ", job.finished_at.map(Millis::from))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", job.id.uuid());
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }

    /// Stores things of a job; what it has already stays as it is. How many are new.
    pub async fn insert_job_items(&self, job: JobId, items: &[JobItem]) -> Result<u64, StorageError> {
        self.put_job_items(job, items, " ON CONFLICT DO NOTHING").await
    }

    /// Stores what came of things.
    pub async fn settle_job_items(&self, job: JobId, items: &[JobItem]) -> Result<(), StorageError> {
        const SETTLE: &str = " ON CONFLICT (workspace_id, job_id, position) DO UPDATE SET state = excluded.state, code = \
                              excluded.code, input = excluded.input, outcome = excluded.outcome";
        self.put_job_items(job, items, SETTLE).await?;
        Ok(())
    }

    async fn put_job_items(&self, job: JobId, items: &[JobItem], on_conflict: &str) -> Result<u64, StorageError> {
        let mut stored = 0;
        for items in runs(items) {
            let rows = items.iter().map(|item| -> [Value; 8] {
                [
                    self.ws().into(),
                    job.uuid().into(),
                    number(item.position).into(),
                    item.item.into(),
                    item.state.as_str().into(),
                    item.code.clone().into(),
                    item.input.clone().into(),
                    item.outcome.clone().into(),
                ]
            });
            let mut statement = Sql::new(
                "INSERT INTO job_items (workspace_id, job_id, position, item_id, state, code, input, outcome) VALUES ",
            );
            statement.rows(rows).push(on_conflict);
            stored += self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected();
        }
        Ok(stored)
    }

    /// Deletes up to `limit` things of jobs that ended before `before`, and the jobs that have none left; how many rows.
    pub async fn purge_jobs(&self, before: OffsetDateTime, limit: u64) -> Result<u64, StorageError> {
        const ITEMS: &str = "DELETE FROM job_items WHERE workspace_id = $1 AND (job_id, position) IN (SELECT i.job_id, i.position \
                             FROM job_items i JOIN jobs j ON j.workspace_id = i.workspace_id AND j.id = i.job_id WHERE \
                             i.workspace_id = $1 AND j.workspace_id = $1 AND j.finished_at < $2 LIMIT $3)";
        const JOBS: &str = "DELETE FROM jobs WHERE workspace_id = $1 AND finished_at < $2 AND NOT EXISTS (SELECT 1 FROM \
                            job_items i WHERE i.workspace_id = $1 AND i.job_id = jobs.id)";
        let items = [self.ws().into(), millis(before), number(limit).into()];
        let items = self.conn.execute_raw(sql(&self.conn, ITEMS, items)).await?.rows_affected();
        let jobs = [self.ws().into(), millis(before)];
        Ok(items + self.conn.execute_raw(sql(&self.conn, JOBS, jobs)).await?.rows_affected())
    }
}
