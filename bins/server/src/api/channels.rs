//! Channels, the connections they share, and their templates.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use transom_desk::queries::{ChannelDetail, ConnectionDetail};
use transom_desk::{Action, authorise, channels, connections, queries};
use uuid::Uuid;

use super::Tag;
use super::auth::Signed;
use super::body::Body;
use super::idempotency::{Idempotent, answered};
use super::version::{Gone, Made};
use super::views::account::{
    ChannelPatchBody, ChannelView, ConnectionPatchBody, ConnectionView, NewChannelBody, PlatformView, SenderView,
};
use super::views::template::{SyncView, TemplateView};
use crate::http::problem::{Asking, Listing, Making, Reading, Refused};
use crate::state::State;

pub(crate) struct ChannelsApi(pub(super) Arc<State>);

/// All platforms.
#[derive(Debug, Object)]
struct PlatformList {
    /// The platforms, by name.
    items: Vec<PlatformView>,
}

/// All connections.
#[derive(Debug, Object)]
struct ConnectionList {
    /// The connections.
    items: Vec<ConnectionView>,
}

/// All channels.
#[derive(Debug, Object)]
struct ChannelList {
    /// The channels.
    items: Vec<ChannelView>,
}

/// A channel's senders.
#[derive(Debug, Object)]
struct SenderList {
    /// The senders, in the order of the channel's settings.
    items: Vec<SenderView>,
}

/// A channel's templates.
#[derive(Debug, Object)]
struct TemplateList {
    /// The templates as last synced.
    items: Vec<TemplateView>,
}

#[OpenApi(tag = "Tag::Channels")]
impl ChannelsApi {
    /// List platforms
    ///
    /// What this service speaks, and what each platform needs to connect a channel.
    #[oai(path = "/platforms", method = "get", operation_id = "listPlatforms")]
    #[expect(clippy::unused_async, reason = "operations are async")]
    async fn platforms(&self, signed: Signed) -> Result<Json<PlatformList>, Refused<Listing>> {
        let desk = &self.0.desk;
        authorise(signed.caller(), Action::ReadChannels)?;
        let view = |platform: &Arc<dyn transom_channel::Platform>| {
            let of_it = desk.policies().iter().filter(|policy| platform.follows(policy.platform()));
            PlatformView::new(platform.as_ref(), of_it.map(|policy| policy.name().to_owned()).collect())
        };
        Ok(Json(PlatformList { items: desk.registry().iter().map(view).collect() }))
    }

    /// List connections
    #[oai(path = "/connections", method = "get", operation_id = "listConnections")]
    async fn connections(&self, signed: Signed) -> Result<Json<ConnectionList>, Refused<Listing>> {
        let connections = queries::connections(&self.0.desk, signed.caller()).await?;
        Ok(Json(ConnectionList { items: connections.into_iter().map(|detail| app(&self.0, detail)).collect() }))
    }

    /// Read a connection
    #[oai(path = "/connections/:id", method = "get", operation_id = "getConnection")]
    async fn connection(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<ConnectionView>, Refused<Reading>> {
        let detail = queries::connection(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(app(&self.0, detail)))
    }

    /// Change a connection
    ///
    /// Such as a secret that was renewed: every channel on it goes by the new settings, and all of them are checked first. A
    /// connection is made with its first channel, and goes with its last.
    #[oai(path = "/connections/:id", method = "patch", operation_id = "changeConnection")]
    async fn change_connection(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<ConnectionPatchBody>,
    ) -> Result<Json<ConnectionView>, Refused<Making>> {
        let detail = connections::change(&self.0.desk, signed.caller(), id.0.into(), body.0.into()).await?;
        Ok(Json(app(&self.0, detail)))
    }

    /// Remove a connection
    ///
    /// With its channels, if `with_channels` says so: their conversations stay readable, as after `DELETE /channels/{id}`.
    #[oai(path = "/connections/:id", method = "delete", operation_id = "removeConnection")]
    async fn remove_connection(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        /// Whether its channels go with it; without them, a connection that has any stays.
        #[oai(default)]
        with_channels: Query<bool>,
    ) -> Result<Gone, Refused<Making>> {
        connections::remove(&self.0.desk, signed.caller(), id.0.into(), with_channels.0).await?;
        Ok(Gone::Gone)
    }

    /// List channels
    #[oai(path = "/channels", method = "get", operation_id = "listChannels")]
    async fn channels(&self, signed: Signed) -> Result<Json<ChannelList>, Refused<Listing>> {
        let details = queries::channels(&self.0.desk, signed.caller()).await?;
        Ok(Json(ChannelList { items: details.iter().map(|detail| shown(&self.0, detail)).collect() }))
    }

    /// Connect a channel
    ///
    /// The platform is asked whether the credentials work, unless `check` is `false`.
    #[oai(
        path = "/channels",
        method = "post",
        operation_id = "connectChannel",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn connect(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewChannelBody>,
    ) -> Result<Made<ChannelView>, Refused<Asking>> {
        let state = self.0.clone();
        let view = move |detail: &ChannelDetail| shown(&state, detail);
        let once = key.once(signed.caller(), 201, view.clone());
        let connected = channels::connect(&self.0.desk, signed.caller(), body.0.into(), once).await;
        let (view, replayed) = answered(connected, view)?;
        Ok(Made::Made(view, replayed))
    }

    /// Read a channel
    #[oai(path = "/channels/:id", method = "get", operation_id = "getChannel")]
    async fn channel(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<ChannelView>, Refused<Reading>> {
        let detail = queries::channel(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(shown(&self.0, &detail)))
    }

    /// Change a channel
    #[oai(path = "/channels/:id", method = "patch", operation_id = "changeChannel")]
    async fn change(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<ChannelPatchBody>,
    ) -> Result<Json<ChannelView>, Refused<Asking>> {
        let detail = channels::change(&self.0.desk, signed.caller(), id.0.into(), body.0.into()).await?;
        Ok(Json(shown(&self.0, &detail)))
    }

    /// Remove a channel
    ///
    /// Its conversations stay readable, and nothing goes in or out any more: what waits to be sent is shown as not sent. With
    /// the last channel of a connection go the connection's secrets and its webhook address. Nothing brings it back; to write
    /// from the same number or bot again, connect it anew.
    #[oai(path = "/channels/:id", method = "delete", operation_id = "removeChannel")]
    async fn remove(&self, signed: Signed, id: Path<Uuid>) -> Result<Gone, Refused<Making>> {
        channels::remove(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Gone::Gone)
    }

    /// List a channel's senders
    ///
    /// The addresses from which letters can be written over it; none where messages are no letters.
    #[oai(path = "/channels/:id/senders", method = "get", operation_id = "listSenders")]
    async fn senders(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<SenderList>, Refused<Reading>> {
        let senders = channels::senders(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(SenderList { items: senders.into_iter().map(Into::into).collect() }))
    }

    /// List a channel's templates
    ///
    /// As last synced, in whatever status. Transom asks the platform about once an hour.
    #[oai(path = "/channels/:id/templates", method = "get", operation_id = "listTemplates")]
    async fn templates(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<TemplateList>, Refused<Reading>> {
        let templates = channels::templates(&self.0.desk, signed.caller(), id.0.into()).await?;
        let now = self.0.desk.now();
        Ok(Json(TemplateList { items: templates.iter().map(|template| TemplateView::at(template, now)).collect() }))
    }

    /// Sync a channel's templates
    ///
    /// Asks the platform and stores what it says.
    #[oai(path = "/channels/:id/templates/sync", method = "post", operation_id = "syncTemplates")]
    async fn sync(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<SyncView>, Refused<Asking>> {
        let counts = channels::sync_templates(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(counts.into()))
    }
}

fn app(state: &State, detail: ConnectionDetail) -> ConnectionView {
    let url = state.webhook_url(&detail.public_id).to_string();
    ConnectionView::new(detail, url)
}

fn shown(state: &State, detail: &ChannelDetail) -> ChannelView {
    ChannelView::new(detail, state.webhook_url(&detail.public_id).to_string())
}
