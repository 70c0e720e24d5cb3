//! A contact's history, its duplicates, and what it allows us.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use time::UtcOffset;
use transom_desk::consent::{self, NewConsent};
use transom_desk::{Action, authorise, merge, queries};
use transom_storage::StoredMerge;
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::contacts::millis;
use super::cursor::Place;
use super::idempotency::{Idempotent, answered};
use super::version::Made;
use super::views::file;
use super::views::merge::{ConsentBody, ConsentsView, MergeBody, MergeList, MergeView, SuggestionList, SuggestionView};
use super::views::message::MessagePage;
use super::{PAGE, Tag};
use crate::http::problem::{Making, Problem, Reading, Refused};
use crate::state::State;

pub(crate) struct PeopleApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Contacts")]
impl PeopleApi {
    /// Read a contact's history
    ///
    /// Over all channels and episodes, newest first: what was written either way, hidden copies included, notes, and what
    /// happened to its conversations.
    #[oai(path = "/contacts/:id/history", method = "get", operation_id = "getHistory")]
    async fn history(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<MessagePage>, Refused<Reading>> {
        let list = self.0.list(signed.caller(), format!("history {}", id.0), limit.0);
        let before = list.after_time(cursor.0)?;
        let mut rows = queries::history(&self.0.desk, signed.caller(), id.0.into(), before, list.rows()).await?;
        let next_cursor = list.cut(&mut rows, |row| Place { key: millis(row.message.at), id: row.message.id.uuid() });
        Ok(Json(MessagePage { items: file::messages(&self.0, signed.caller(), &rows).await?, next_cursor }))
    }

    /// Who may be the same person?
    ///
    /// Other contacts with the same phone number, email address or external id, on whichever channels; those with most in
    /// common first.
    #[oai(path = "/contacts/:id/merge-suggestions", method = "get", operation_id = "suggestMerges")]
    async fn suggestions(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<SuggestionList>, Refused<Reading>> {
        let found = merge::suggestions(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(SuggestionList { items: found.iter().map(SuggestionView::from).collect() }))
    }

    /// Make one of two contacts
    ///
    /// Identities, conversations and messages of both are the kept one's; each conversation goes on answering to the identity that
    /// it is of. Labels of both are kept. Where both say something in a field, the kept one's word counts, and `conflicts` keeps
    /// the other's. The id of the one that is gone finds the kept one.
    #[oai(
        path = "/contacts/:id/merge",
        method = "post",
        operation_id = "mergeContacts",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn merge(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        key: Idempotent,
        body: Body<MergeBody>,
    ) -> Result<Made<MergeView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        authorise(caller, Action::MergeContacts)?;
        let MergeBody { into, from } = body.0;
        for other in [into, from].into_iter().flatten() {
            queries::contact(desk, caller, other.into()).await?;
        }
        let (kept, gone) = match (into, from) {
            (Some(other), None) => (other, id.0),
            (None, Some(other)) => (id.0, other),
            _ => {
                let detail =
                    "give `into`, the contact that is kept, or `from`, the one that becomes a part of this one";
                return Err(Problem::with_status(422, "invalid_value", detail).at("into").into());
            }
        };
        let once = key.once(caller, 201, |merged: &StoredMerge| MergeView::from(merged));
        let merged = merge::merge(desk, caller, kept.into(), gone.into(), once).await;
        let (view, replayed) = answered(merged, |merged| MergeView::from(merged))?;
        Ok(Made::Made(view, replayed))
    }

    /// List a contact's merges
    ///
    /// The newest 100, those that were taken back among them.
    #[oai(path = "/contacts/:id/merges", method = "get", operation_id = "listMerges")]
    async fn merges(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<MergeList>, Refused<Reading>> {
        let merges = merge::of(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(MergeList { items: merges.iter().map(Into::into).collect() }))
    }

    /// Read a merge
    #[oai(path = "/merges/:id", method = "get", operation_id = "getMerge")]
    async fn merged(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<MergeView>, Refused<Reading>> {
        let merge = merge::get(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json((&merge).into()))
    }

    /// Take a merge back
    ///
    /// Both contacts are what they were. What was told of the kept one since stays with it; messages that came meanwhile go with
    /// the identity that they were for. Of several merges the last one is taken back first.
    #[oai(path = "/merges/:id/undo", method = "post", operation_id = "undoMerge")]
    async fn undo(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<MergeView>, Refused<Making>> {
        let merge = merge::undo(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json((&merge).into()))
    }

    /// What does a contact allow?
    ///
    /// How it stands to us on each channel, and what was recorded, the newest 100 first.
    #[oai(path = "/contacts/:id/consents", method = "get", operation_id = "getConsents")]
    async fn consents(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<ConsentsView>, Refused<Reading>> {
        let (standings, records) = consent::of(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(ConsentsView::new(&standings, &records)))
    }

    /// Record what a contact allows or forbids
    ///
    /// On one channel. An opt-out counts at once: what is queued and covered by it is not sent. One that the customer told over
    /// the channel itself, such as STOP, only they can take back, there.
    #[oai(path = "/contacts/:id/consents", method = "put", operation_id = "recordConsent")]
    async fn record(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<ConsentBody>,
    ) -> Result<Json<ConsentsView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let ConsentBody { channel, scope, state, source, text, at } = body.0;
        let new = NewConsent {
            account: channel.into(),
            scope: scope.into(),
            allowed: state.is_allowed(),
            source,
            detail: text,
            at: at.map(|at| at.to_offset(UtcOffset::UTC)),
        };
        consent::record(desk, caller, id.0.into(), new).await?;
        let (standings, records) = consent::of(desk, caller, id.0.into()).await?;
        Ok(Json(ConsentsView::new(&standings, &records)))
    }
}

fn page() -> u32 {
    PAGE
}
