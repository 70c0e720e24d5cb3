//! What data protection asks for: all that is known of one person, given out or erased.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use transom_desk::{erase, export};
use uuid::Uuid;

use super::Tag;
use super::auth::Signed;
use super::idempotency::{Idempotent, answered};
use super::version::Accepted;
use super::views::job::JobView;
use super::views::table::PersonBody;
use crate::http::problem::{Making, Reading, Refused};
use crate::state::State;

pub(crate) struct PrivacyApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Contacts")]
impl PrivacyApi {
    /// Export one contact
    ///
    /// Everything that is kept of one person, as one JSON document of any size: profile, channels, labels, conversations with their
    /// episodes and messages. A stored file has `content`, the path under which its bytes are read.
    #[oai(path = "/contacts/:id/export", method = "get", operation_id = "exportContact")]
    async fn export(&self, signed: Signed, id: Path<Uuid>) -> Result<PersonBody, Refused<Reading>> {
        Ok(PersonBody(export::contact(&self.0.desk, signed.caller(), id.0.into()).await?))
    }

    /// Erase a contact
    ///
    /// For good. What is queued is withheld at once, what is on the wire finishes; then words, names, numbers and files go, by a job.
    /// Counters stay, and a keyed digest of each address, so that no import and nobody by hand brings the person back.
    #[oai(
        path = "/contacts/:id/erase",
        method = "post",
        operation_id = "eraseContact",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn erase(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        key: Idempotent,
    ) -> Result<Accepted<JobView>, Refused<Making>> {
        let once = key.once(signed.caller(), 202, |started| JobView::from(started));
        let started = erase::start(&self.0.desk, signed.caller(), id.0.into(), once).await;
        let (view, replayed) = answered(started, |started| JobView::from(started))?;
        Ok(Accepted::Accepted(view, replayed))
    }
}
