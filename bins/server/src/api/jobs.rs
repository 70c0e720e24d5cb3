//! Jobs: how far they are, what came of each thing, stopped and taken back.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use transom_desk::{bulk, jobs};
use uuid::Uuid;

use super::auth::Signed;
use super::cursor::Place;
use super::idempotency::{Idempotent, answered};
use super::version::Accepted;
use super::views::job::{JobItemPage, JobPage, JobView};
use super::{PAGE, Tag};
use crate::http::problem::{Listing, Making, Reading, Refused};
use crate::state::State;

pub(crate) struct JobsApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Jobs")]
impl JobsApi {
    /// List jobs
    ///
    /// The newest first; they are kept for 30 days. Their progress is told on `GET /v1/events`, too: `job.progress`, `job.finished`.
    #[oai(path = "/jobs", method = "get", operation_id = "listJobs")]
    async fn jobs(
        &self,
        signed: Signed,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<JobPage>, Refused<Listing>> {
        let list = self.0.list(signed.caller(), "jobs", limit.0);
        let place = list.after(cursor.0)?;
        let before = place.map(|place| place.id.into());
        let mut found = jobs::list(&self.0.desk, signed.caller(), before, list.rows().into()).await?;
        let next_cursor = list.cut(&mut found, |job| Place { key: 0, id: job.id.uuid() });
        Ok(Json(JobPage { items: found.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Read a job
    #[oai(path = "/jobs/:id", method = "get", operation_id = "getJob")]
    async fn job(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<JobView>, Refused<Reading>> {
        let job = jobs::job(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json((&job).into()))
    }

    /// List what came of a job
    ///
    /// Thing by thing, in the order of the job.
    #[oai(path = "/jobs/:id/results", method = "get", operation_id = "listJobResults")]
    async fn results(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<JobItemPage>, Refused<Reading>> {
        let list = self.0.list(signed.caller(), format!("job results {}", id.0), limit.0);
        let place = list.after(cursor.0)?;
        let after = place.map(|place| place.key.unsigned_abs());
        let found = jobs::results(&self.0.desk, signed.caller(), id.0.into(), after, list.rows().into());
        let mut found = found.await?;
        let next_cursor = list.cut(&mut found, |item| Place { key: item.position.cast_signed(), id: id.0 });
        Ok(Json(JobItemPage { items: found.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Stop a job
    ///
    /// What was done stays done. One that was stopped before stays as it is; one that came to its end is 409 `job_finished`.
    #[oai(path = "/jobs/:id/cancel", method = "post", operation_id = "cancelJob")]
    async fn cancel(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<JobView>, Refused<Making>> {
        let job = jobs::cancel(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json((&job).into()))
    }

    /// Take a job back
    ///
    /// For 10 minutes after its end, once: each conversation gets the status and assignee that it had, unless somebody changed it
    /// since. A second time is 409 `job_undone`, unless the first was stopped or failed.
    #[oai(
        path = "/jobs/:id/undo",
        method = "post",
        operation_id = "undoJob",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn undo(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        key: Idempotent,
    ) -> Result<Accepted<JobView>, Refused<Making>> {
        let once = key.once(signed.caller(), 202, |started| JobView::from(started));
        let started = bulk::undo(&self.0.desk, signed.caller(), id.0.into(), once).await;
        let (view, replayed) = answered(started, |started| JobView::from(started))?;
        Ok(Accepted::Accepted(view, replayed))
    }
}

fn page() -> u32 {
    PAGE
}
