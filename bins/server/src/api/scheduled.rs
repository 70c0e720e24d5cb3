//! Messages that are kept for their time.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use transom_desk::messages::{self, Settle};
use transom_desk::schedule::{self, ScheduleChange};
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::contacts::millis;
use super::cursor::Place;
use super::views::file;
use super::views::message::{MessagePage, MessageView, ScheduleChangeBody};
use super::{PAGE, Tag};
use crate::http::problem::{Changing, Listing, Making, Refused};
use crate::state::State;

pub(crate) struct ScheduledApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Messages")]
impl ScheduledApi {
    /// List scheduled messages
    ///
    /// Of every conversation, the next to leave first.
    #[oai(path = "/scheduled", method = "get", operation_id = "listScheduled")]
    async fn scheduled(
        &self,
        signed: Signed,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<MessagePage>, Refused<Listing>> {
        let list = self.0.list(signed.caller(), "scheduled", limit.0);
        let after = list.after_time(cursor.0)?;
        let mut rows = schedule::scheduled(&self.0.desk, signed.caller(), after, list.rows()).await?;
        let next_cursor = list.cut(&mut rows, |(at, row)| Place { key: millis(*at), id: row.message.id.uuid() });
        let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        Ok(Json(MessagePage { items: file::messages(&self.0, signed.caller(), &rows).await?, next_cursor }))
    }

    /// Change a scheduled message
    ///
    /// Its time, its words, or both. It is refused if nothing will permit it then.
    #[oai(path = "/messages/:id/schedule", method = "patch", operation_id = "changeScheduled")]
    async fn change(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<ScheduleChangeBody>,
    ) -> Result<Json<MessageView>, Refused<Changing>> {
        let ScheduleChangeBody { send_at, text } = body.0;
        let change = ScheduleChange { send_at, text };
        let stored = schedule::change(&self.0.desk, signed.caller(), id.0.into(), change).await?;
        Ok(Json(file::message(&self.0, signed.caller(), &stored).await?))
    }

    /// Send a scheduled message now
    ///
    /// In its author's name. If nothing permits it now, it stays scheduled.
    #[oai(path = "/messages/:id/send", method = "post", operation_id = "sendScheduled")]
    async fn send(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<MessageView>, Refused<Making>> {
        let stored = schedule::send_now(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(file::message(&self.0, signed.caller(), &stored).await?))
    }

    /// Withdraw a message
    ///
    /// One that is scheduled or queued; what has begun to be sent can't be called back.
    #[oai(path = "/messages/:id/cancel", method = "post", operation_id = "cancelMessage")]
    async fn cancel(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<MessageView>, Refused<Making>> {
        let stored = messages::settle(&self.0.desk, signed.caller(), id.0.into(), Settle::Cancel).await?;
        Ok(Json(file::message(&self.0, signed.caller(), &stored).await?))
    }
}

fn page() -> u32 {
    PAGE
}
