//! The audit log.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use time::OffsetDateTime;
use transom_desk::audit;
use transom_storage::{AuditQuery, JobKind};
use uuid::Uuid;

use super::auth::Signed;
use super::cursor::Place;
use super::views::audit::{AuditHeadView, AuditPage};
use super::{PAGE, Tag};
use crate::http::problem::{Listing, Problem, Reading, Refused};
use crate::http::schema::Document;
use crate::state::State;

pub(crate) struct AuditApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Audit")]
impl AuditApi {
    /// Read the audit log
    ///
    /// Who changed what, and who was refused, newest first.
    #[oai(path = "/audit", method = "get", operation_id = "listAudit")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the query")]
    async fn list(
        &self,
        signed: Signed,
        /// Only what this agent did.
        actor: Query<Option<Uuid>>,
        /// Only this: an `operationId` of this document, such as `changeAgent`, one of `job.bulk`, `job.undo`, `job.import` and
        /// `job.erase`, or a command, such as `token create`.
        action: Query<Option<String>>,
        /// Only what was done to the object of this id.
        object: Query<Option<String>>,
        /// Only at this instant or later.
        since: Query<Option<OffsetDateTime>>,
        /// Only before this instant.
        until: Query<Option<OffsetDateTime>>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<AuditPage>, Refused<Reading>> {
        if let Some(wrong) = action.0.as_deref().filter(|action| !is_action(action)) {
            let wrong: String = wrong.chars().take(64).collect();
            let detail = format!(
                "`action`: nothing is called `{wrong}`: an `operationId` of /openapi.json, such as `changeAgent`, one of `job.bulk`, \
                 `job.undo`, `job.import`, `job.erase`, or a command, such as `token create`, is expected"
            );
            return Err(Problem::new("parameter_invalid", detail).at("action").into());
        }
        let query = AuditQuery {
            actor: actor.0.map(Into::into),
            action: action.0,
            object: object.0,
            since: since.0,
            until: until.0,
        };
        let list = self.0.list(signed.caller(), format!("audit {query:?}"), limit.0);
        let before = list.after(cursor.0)?;
        let before = before.map(|place| place.key.unsigned_abs());
        let mut rows = audit::list(&self.0.desk, signed.caller(), &query, before, list.rows().into()).await?;
        let next_cursor = list.cut(&mut rows, |row| Place { key: row.seq.cast_signed(), id: row.id.uuid() });
        Ok(Json(AuditPage { items: rows.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Read the head of the audit log's chain
    ///
    /// Keep it somewhere else: `transom audit verify --head` says later whether all that came before is still as it was.
    #[oai(path = "/audit/head", method = "get", operation_id = "getAuditHead")]
    async fn head(&self, signed: Signed) -> Result<Json<AuditHeadView>, Refused<Listing>> {
        Ok(Json(audit::head(&self.0.desk, signed.caller()).await?.into()))
    }
}

/// Whether a row can have this action. Commands have two words, and which there are depends on the version that ran them.
fn is_action(word: &str) -> bool {
    let is_job = word.strip_prefix("job.").is_some_and(|kind| JobKind::parse(kind).is_some());
    is_job || word.contains(' ') || Document::new(super::document()).operation(word).is_some()
}

fn page() -> u32 {
    PAGE
}
