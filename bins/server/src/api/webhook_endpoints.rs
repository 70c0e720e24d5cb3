//! Webhook endpoints: who is told what happens.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use transom_desk::DeskError;
use transom_desk::webhooks_out::{self, MadeEndpoint, Replay};
use transom_domain::EndpointId;
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::cursor::Place;
use super::idempotency::Idempotent;
use super::version::{Gone, Made};
use super::views::webhook::{
    DeliveryPage, DeliveryStateWord, EndpointList, EndpointOnce, EndpointPatch, EndpointView, NewEndpoint, ReplayBody,
    ReplayedView, WebhookAttemptView,
};
use super::{PAGE, Tag};
use crate::http::problem::{Listing, Making, Problem, Reading, Refused};
use crate::state::State;

pub(crate) struct WebhookEndpointsApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Webhooks")]
impl WebhookEndpointsApi {
    /// List webhook endpoints
    #[oai(path = "/webhook-endpoints", method = "get", operation_id = "listWebhookEndpoints")]
    async fn list(&self, signed: Signed) -> Result<Json<EndpointList>, Refused<Listing>> {
        let endpoints = webhooks_out::list(&self.0.desk, signed.caller()).await?;
        Ok(Json(EndpointList { items: endpoints.iter().map(Into::into).collect() }))
    }

    /// Add a webhook endpoint
    ///
    /// It is told what happens from now on, signed with the secret that is shown this once.
    #[oai(
        path = "/webhook-endpoints",
        method = "post",
        operation_id = "addWebhookEndpoint",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn add(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewEndpoint>,
    ) -> Result<Made<EndpointOnce>, Refused<Making>> {
        let once = key.once(signed.caller(), 201, |made: &MadeEndpoint| made.endpoint.id.uuid());
        let made = webhooks_out::add(&self.0.desk, signed.caller(), body.0.into(), once).await;
        Ok(Made::Made(Json((&secret_once(made)?).into()), None))
    }

    /// Read a webhook endpoint
    #[oai(path = "/webhook-endpoints/:id", method = "get", operation_id = "getWebhookEndpoint")]
    async fn get(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<EndpointView>, Refused<Reading>> {
        Ok(Json((&webhooks_out::get(&self.0.desk, signed.caller(), id.0.into()).await?).into()))
    }

    /// Change a webhook endpoint
    #[oai(path = "/webhook-endpoints/:id", method = "patch", operation_id = "changeWebhookEndpoint")]
    async fn change(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<EndpointPatch>,
    ) -> Result<Json<EndpointView>, Refused<Making>> {
        let changed = webhooks_out::change(&self.0.desk, signed.caller(), id.0.into(), body.0.into()).await?;
        Ok(Json((&changed).into()))
    }

    /// Remove a webhook endpoint
    ///
    /// With its queue and what is known of its deliveries.
    #[oai(path = "/webhook-endpoints/:id", method = "delete", operation_id = "removeWebhookEndpoint")]
    async fn remove(&self, signed: Signed, id: Path<Uuid>) -> Result<Gone, Refused<Reading>> {
        webhooks_out::remove(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Gone::Gone)
    }

    /// Rotate the secret of a webhook endpoint
    ///
    /// The new one is shown this once. The one before signs beside it for a day: take both until then.
    #[oai(
        path = "/webhook-endpoints/:id/rotate",
        method = "post",
        operation_id = "rotateWebhookSecret",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn rotate(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        key: Idempotent,
    ) -> Result<Made<EndpointOnce>, Refused<Making>> {
        let once = key.once(signed.caller(), 201, |made: &MadeEndpoint| made.endpoint.id.uuid());
        let made = webhooks_out::rotate(&self.0.desk, signed.caller(), id.0.into(), once).await;
        Ok(Made::Made(Json((&secret_once(made)?).into()), None))
    }

    /// Test a webhook endpoint
    ///
    /// Sends an event of type `webhook_endpoint.test` now, and says how that went. The queue is not touched.
    #[oai(path = "/webhook-endpoints/:id/test", method = "post", operation_id = "testWebhookEndpoint")]
    async fn test(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<WebhookAttemptView>, Refused<Making>> {
        let attempt = webhooks_out::test(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json((&attempt).into()))
    }

    /// List the deliveries of a webhook endpoint
    ///
    /// Newest event first, each with every attempt.
    #[oai(path = "/webhook-endpoints/:id/deliveries", method = "get", operation_id = "listWebhookDeliveries")]
    async fn deliveries(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        /// Only these.
        state: Query<Option<DeliveryStateWord>>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<DeliveryPage>, Refused<Reading>> {
        let list = self.0.list(signed.caller(), format!("deliveries {} {:?}", id.0, state.0), limit.0);
        let before = list.after(cursor.0)?;
        let before = before.map(|place| place.key.unsigned_abs());
        let (endpoint, state) = (EndpointId::from(id.0), state.0.map(Into::into));
        let mut rows =
            webhooks_out::deliveries(&self.0.desk, signed.caller(), endpoint, state, before, list.rows().into())
                .await?;
        let next_cursor = list.cut(&mut rows, |row| Place { key: row.delivery.seq.cast_signed(), id: Uuid::nil() });
        Ok(Json(DeliveryPage { items: rows.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Tell events again
    ///
    /// One, or all since one, in their order and under their ids: a receiver that keeps ids tells repeats by them.
    #[oai(path = "/webhook-endpoints/:id/replay", method = "post", operation_id = "replayWebhookDeliveries")]
    async fn replay(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<ReplayBody>,
    ) -> Result<Json<ReplayedView>, Refused<Making>> {
        webhooks_out::get(&self.0.desk, signed.caller(), id.0.into()).await?;
        let what = match (body.0.event, body.0.since) {
            (Some(event), None) => Replay::Event(event.into()),
            (None, Some(since)) => Replay::Since(since.into()),
            _ => {
                let detail = "give one of `event` and `since`: the id of an event";
                return Err(Problem::with_status(422, "invalid_value", detail).at("event").into());
            }
        };
        let queued = webhooks_out::replay(&self.0.desk, signed.caller(), id.0.into(), what).await?;
        Ok(Json(ReplayedView { queued }))
    }
}

/// A repeat can't show the secret again: it is sealed.
fn secret_once(made: Result<MadeEndpoint, DeskError>) -> Result<MadeEndpoint, Problem> {
    match made {
        Err(DeskError::Replayed(_)) => {
            let detail = "this request was done before, and its secret was shown then: rotate it to get another one";
            Err(Problem::new("secret_shown_once", detail))
        }
        other => Ok(other?),
    }
}

fn page() -> u32 {
    PAGE
}
