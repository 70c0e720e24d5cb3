//! Broadcasts: one text to many.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use transom_desk::broadcast::{self, Turn};
use transom_desk::{Action, authorise};
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::contacts::millis;
use super::cursor::Place;
use super::idempotency::{Idempotent, answered};
use super::version::{Accepted, IfMatch, Made, Versioned};
use super::views::broadcast::{
    BroadcastDetailView, BroadcastPage, BroadcastPatch, BroadcastView, NewBroadcastBody, RecipientPage,
    RecipientStateWord, RehearsalView,
};
use super::{PAGE, Tag};
use crate::http::problem::{Changing, Listing, Making, Reading, Refused};
use crate::state::State;

pub(crate) struct BroadcastsApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Broadcasts")]
impl BroadcastsApi {
    /// List broadcasts
    ///
    /// Newest first.
    #[oai(path = "/broadcasts", method = "get", operation_id = "listBroadcasts")]
    async fn list(
        &self,
        signed: Signed,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<BroadcastPage>, Refused<Listing>> {
        let list = self.0.list(signed.caller(), "broadcasts", limit.0);
        let after = list.after_time(cursor.0)?;
        let mut rows = broadcast::list(&self.0.desk, signed.caller(), after, list.rows()).await?;
        let next_cursor = list.cut(&mut rows, |row| Place { key: millis(row.created_at), id: row.id.uuid() });
        Ok(Json(BroadcastPage { items: rows.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Make a broadcast
    ///
    /// A draft: it goes to nobody before it is started.
    #[oai(
        path = "/broadcasts",
        method = "post",
        operation_id = "createBroadcast",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn create(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewBroadcastBody>,
    ) -> Result<Made<BroadcastView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        authorise(caller, Action::WriteBroadcasts)?;
        let once = key.once(caller, 201, |made| BroadcastView::from(made));
        let made = broadcast::create(desk, caller, body.0.into_new()?, once).await;
        let (view, replayed) = answered(made, |made| BroadcastView::from(made))?;
        Ok(Made::Made(view, replayed))
    }

    /// Read a broadcast
    ///
    /// With how its recipients stand: how many were sent, delivered, read, left out and why, and how many answered.
    #[oai(path = "/broadcasts/:id", method = "get", operation_id = "getBroadcast")]
    async fn get(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<BroadcastDetailView>, Refused<Reading>> {
        let detail = broadcast::detail(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Versioned::new((&detail).into(), detail.stored.version))
    }

    /// Change a broadcast
    ///
    /// As long as it is a draft; what is left out stays. With `If-Match`, only if nobody changed it meanwhile.
    #[oai(
        path = "/broadcasts/:id",
        method = "patch",
        operation_id = "changeBroadcast",
        request_header(name = "If-Match", ty = "Option<String>", description = "The `ETag` of the last answer.")
    )]
    async fn change(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        seen: IfMatch,
        body: Body<BroadcastPatch>,
    ) -> Result<Versioned<BroadcastView>, Refused<Changing>> {
        authorise(signed.caller(), Action::WriteBroadcasts)?;
        let change = body.0.into_change()?;
        let stored = broadcast::change(&self.0.desk, signed.caller(), id.0.into(), change, seen.0).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }

    /// Rehearse a broadcast
    ///
    /// Who would get it now, by which right, who would not and why; of up to 2,000 contacts, each for itself. Nothing is stored
    /// and nothing leaves.
    #[oai(path = "/broadcasts/:id/preview", method = "post", operation_id = "previewBroadcast")]
    async fn preview(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<RehearsalView>, Refused<Making>> {
        let rehearsal = broadcast::rehearse(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(rehearsal.into()))
    }

    /// Start a broadcast
    ///
    /// At once, or at its `send_at`. Each contact of its audience gets it once, or is left out with the reason.
    #[oai(
        path = "/broadcasts/:id/start",
        method = "post",
        operation_id = "startBroadcast",
        request_header(
            name = "Idempotency-Key",
            ty = "String",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn start(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        key: Idempotent,
    ) -> Result<Accepted<BroadcastView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let once = key.required()?.once(caller, 202, |stored| BroadcastView::from(stored));
        let started = broadcast::turn(desk, caller, id.0.into(), Turn::Start, once).await;
        let (view, replayed) = answered(started, |stored| BroadcastView::from(stored))?;
        Ok(Accepted::Accepted(view, replayed))
    }

    /// Hold a broadcast up
    ///
    /// What is queued already leaves; everybody else waits.
    #[oai(path = "/broadcasts/:id/pause", method = "post", operation_id = "pauseBroadcast")]
    async fn pause(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<BroadcastView>, Refused<Making>> {
        self.turn(&signed, id.0, Turn::Pause).await
    }

    /// Let a broadcast go on
    #[oai(path = "/broadcasts/:id/resume", method = "post", operation_id = "resumeBroadcast")]
    async fn resume(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<BroadcastView>, Refused<Making>> {
        self.turn(&signed, id.0, Turn::Resume).await
    }

    /// End a broadcast
    ///
    /// Who waits gets nothing, and what is queued is withdrawn; what has begun to be sent can't be called back.
    #[oai(path = "/broadcasts/:id/cancel", method = "post", operation_id = "cancelBroadcast")]
    async fn cancel(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<BroadcastView>, Refused<Making>> {
        self.turn(&signed, id.0, Turn::Cancel).await
    }

    /// List a broadcast's recipients
    ///
    /// Each with how their message fares, or why they got none.
    #[oai(path = "/broadcasts/:id/recipients", method = "get", operation_id = "listRecipients")]
    async fn recipients(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        /// Only those who stand so.
        state: Query<Option<RecipientStateWord>>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<RecipientPage>, Refused<Reading>> {
        let state = state.0.map(RecipientStateWord::as_str);
        let list = self.0.list(signed.caller(), format!("recipients {} {state:?}", id.0), limit.0);
        let place = list.after(cursor.0)?;
        let after = place.map(|place| place.id.into());
        let (desk, caller) = (&self.0.desk, signed.caller());
        let mut rows = broadcast::recipients(desk, caller, id.0.into(), state, after, list.rows()).await?;
        let next_cursor = list.cut(&mut rows, |row| Place { key: 0, id: row.contact.uuid() });
        Ok(Json(RecipientPage { items: rows.iter().map(Into::into).collect(), next_cursor }))
    }
}

impl BroadcastsApi {
    async fn turn(&self, signed: &Signed, id: Uuid, turn: Turn) -> Result<Versioned<BroadcastView>, Refused<Making>> {
        let stored = broadcast::turn(&self.0.desk, signed.caller(), id.into(), turn, None).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }
}

fn page() -> u32 {
    PAGE
}
