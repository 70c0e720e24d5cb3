//! What every request can reach.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use transom_channel::Host;
use transom_desk::{Desk, Hosting};
use transom_domain::{AttachmentId, Ids, UuidV7};
use transom_storage::WorkspaceScope;
use url::Url;
use uuid::Uuid;

use crate::api::cursor::Cursors;
use crate::api::events::Streams;
use crate::config::{Config, CursorSecret};
use crate::http::Rates;

/// What every request can reach.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) desk: Desk,
    pub(crate) config: Config,
    pub(crate) cursors: Cursors,
    pub(crate) rates: Rates,
    pub(crate) streams: Arc<Streams>,
    /// Cancelled once the service is asked to stop.
    pub(crate) stopping: CancellationToken,
    public_url: Url,
}

impl State {
    pub(crate) fn new(
        desk: Desk,
        config: Config,
        secret: CursorSecret,
        public_url: Url,
        stopping: CancellationToken,
    ) -> Self {
        let rates = Rates::new(config.limits.requests_per_second);
        let streams = Arc::new(Streams::new(config.limits.streams_per_agent));
        Self { desk, config, cursors: Cursors::new(secret), rates, streams, stopping, public_url }
    }

    /// The address that a platform calls, as the outside sees it.
    pub(crate) fn webhook_url(&self, public_id: &str) -> Url {
        let mut url = self.public_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("webhooks").push(public_id);
        }
        url
    }

    /// Where a file can be read without a token, for a while; `None` where no files are kept.
    pub(crate) fn file_url(&self, scope: &WorkspaceScope, id: AttachmentId) -> Option<Url> {
        let public_id = self.desk.storage().public_file_id(scope, id);
        Some(self.desk.files()?.links.url(&self.public_url, &public_id, self.desk.now()))
    }

    /// What platforms that this service hosts itself may ask of it.
    pub(crate) fn hosting(&self) -> Arc<dyn Host> {
        Arc::new(Hosting::new(self.desk.clone(), self.public_url.clone(), self.stopping.clone()))
    }

    /// An id for a request.
    pub(crate) fn request_id() -> Uuid {
        UuidV7.next()
    }
}
