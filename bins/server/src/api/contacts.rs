//! Contacts: found, added, changed, blocked, reached.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use time::OffsetDateTime;
use transom_desk::contacts::{self, ContactPatch, NewContact};
use transom_desk::erase;
use transom_desk::{Target, preview, queries, reach, search, send};
use transom_storage::ContactQuery;
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::contract::As;
use super::cursor::Place;
use super::idempotency::{Idempotent, answered};
use super::messages::reply_only;
use super::version::{Accepted, IfMatch, Made, Versioned};
use super::views::contact::{ContactFields, ContactPage, ContactView};
use super::views::job::JobView;
use super::views::message::{NewContactMessageBody, SentView};
use super::views::preview::PreviewView;
use super::views::window::ReachabilityView;
use super::{PAGE, Tag, in_q};
use crate::http::problem::{Asking, Changing, Listing, Making, Problem, Reading, Refused};
use crate::state::State;

pub(crate) struct ContactsApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Contacts")]
impl ContactsApi {
    /// List and search contacts
    ///
    /// Newest first. `q` is a search. Its words find words of a name by their beginning, without regard to case and accents (in
    /// scripts without spaces each character begins a word); email addresses and user names (with or without `@`) by their
    /// beginning; phone numbers, as they are written at home or abroad, by 4 or more of their last digits; platform ids as a whole.
    /// Its fields, as in `label:vip -platform:telegram email:jane@`, narrow the list: docs/searching.md has every one of them.
    #[oai(path = "/contacts", method = "get", operation_id = "listContacts")]
    async fn contacts(
        &self,
        signed: Signed,
        /// What to look for, and where.
        #[oai(validator(max_length = 200))]
        q: Query<Option<String>>,
        /// Only those with this label.
        #[oai(validator(max_length = 200))]
        label: Query<Option<String>>,
        /// Only those that are, or are not, blocked.
        blocked: Query<Option<bool>>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<ContactPage>, Refused<Listing>> {
        let list = self.0.list(signed.caller(), format!("contacts {:?}", (&q.0, &label.0, &blocked.0)), limit.0);
        let text = q.0.as_deref().unwrap_or_default();
        let query = ContactQuery {
            label: label.0,
            blocked: blocked.0,
            after: list.after_time(cursor.0)?,
            limit: list.rows(),
            ..search::contact_query(&self.0.desk, signed.caller(), text).await.map_err(in_q)?
        };
        let mut rows = queries::contacts(&self.0.desk, signed.caller(), &query).await?;
        let next_cursor =
            list.cut(&mut rows, |row| Place { key: millis(row.contact.created_at), id: row.contact.id.uuid() });
        Ok(Json(ContactPage { items: rows.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Add a contact
    ///
    /// The channel is chosen when the first message is written.
    #[oai(
        path = "/contacts",
        method = "post",
        operation_id = "addContact",
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
        body: Body<ContactFields>,
    ) -> Result<Made<ContactView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let once = key.once(caller, 201, |added| ContactView::from(added));
        let added = contacts::add(desk, caller, NewContact::from(ContactPatch::from(body.0)), once).await;
        let (view, replayed) = answered(added, |added| ContactView::from(added))?;
        Ok(Made::Made(view, replayed))
    }

    /// Read a contact
    #[oai(path = "/contacts/:id", method = "get", operation_id = "getContact")]
    async fn contact(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<ContactView>, Refused<Reading>> {
        let stored = queries::contact(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }

    /// Change a contact
    ///
    /// What is left out stays, an empty text clears. With `If-Match`, only if nobody changed it meanwhile.
    #[oai(
        path = "/contacts/:id",
        method = "patch",
        operation_id = "changeContact",
        request_header(name = "If-Match", ty = "Option<String>", description = "The `ETag` of the last answer.")
    )]
    async fn change(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        seen: IfMatch,
        body: Body<ContactFields>,
    ) -> Result<Versioned<ContactView>, Refused<Changing>> {
        let stored = contacts::change(&self.0.desk, signed.caller(), id.0.into(), body.0.into(), seen.0).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }

    /// Delete a contact
    ///
    /// The same as erasing it.
    #[oai(path = "/contacts/:id", method = "delete", operation_id = "deleteContact")]
    async fn delete(&self, signed: Signed, id: Path<Uuid>) -> Result<Accepted<JobView>, Refused<Making>> {
        let started = erase::start(&self.0.desk, signed.caller(), id.0.into(), None).await;
        let (view, replayed) = answered(started, |started| JobView::from(started))?;
        Ok(Accepted::Accepted(view, replayed))
    }

    /// Block a contact
    ///
    /// On every channel; what is queued for them is withheld.
    #[oai(path = "/contacts/:id/block", method = "post", operation_id = "blockContact")]
    async fn block(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<ContactView>, Refused<Making>> {
        self.set_blocked(&signed, id.0, true).await
    }

    /// Unblock a contact
    #[oai(path = "/contacts/:id/unblock", method = "post", operation_id = "unblockContact")]
    async fn unblock(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<ContactView>, Refused<Making>> {
        self.set_blocked(&signed, id.0, false).await
    }

    /// Refresh a contact's profile
    ///
    /// Asks every platform that tells profiles on demand, and keeps what it says. The name that an agent chose stays.
    #[oai(path = "/contacts/:id/refresh", method = "post", operation_id = "refreshContact")]
    async fn refresh(&self, signed: Signed, id: Path<Uuid>) -> Result<Versioned<ContactView>, Refused<Asking>> {
        let stored = contacts::refresh(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }

    /// Where can this contact be reached now?
    ///
    /// Every channel on which the contact is known, and every enabled one on which a first message might begin, those with the
    /// most freedom first. Where none can begin, `obstacle` says why.
    #[oai(path = "/contacts/:id/reachability", method = "get", operation_id = "getReachability")]
    async fn reachability(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<ReachabilityView>, Refused<Reading>> {
        let reach = reach::reachability(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(ReachabilityView { channels: reach.iter().map(As::of).collect() }))
    }

    /// Write to a contact
    ///
    /// Over a channel of your choice. Opens the conversation there, or begins one where the platform allows it.
    #[oai(
        path = "/contacts/:id/messages",
        method = "post",
        operation_id = "sendToContact",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn send(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        key: Idempotent,
        body: Body<NewContactMessageBody>,
    ) -> Result<Accepted<SentView>, Refused<Changing>> {
        let NewContactMessageBody { channel, message } = body.0;
        let target = Target::Contact { contact: id.0.into(), account: channel.into() };
        let draft = reply_only(message)?.into_draft()?;
        let once = key.once(signed.caller(), 202, |sent| SentView::from(sent));
        let sent = send(&self.0.desk, signed.caller(), target, draft, once).await;
        let (view, replayed) = answered(sent, |sent| SentView::from(sent))?;
        Ok(Accepted::Accepted(view, replayed))
    }

    /// See what a message to a contact would become
    ///
    /// As for a conversation, over a channel of your choice.
    #[oai(path = "/contacts/:id/messages/preview", method = "post", operation_id = "previewToContact")]
    async fn preview(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<NewContactMessageBody>,
    ) -> Result<Json<PreviewView>, Refused<Making>> {
        let NewContactMessageBody { channel, message } = body.0;
        let target = Target::Contact { contact: id.0.into(), account: channel.into() };
        let draft = reply_only(message)?.into_draft()?;
        let preview = preview(&self.0.desk, signed.caller(), target, draft).await?;
        Ok(Json((&preview).into()))
    }
}

impl ContactsApi {
    async fn set_blocked(
        &self,
        signed: &Signed,
        id: Uuid,
        blocked: bool,
    ) -> Result<Versioned<ContactView>, Refused<Making>> {
        let stored = contacts::set_blocked(&self.0.desk, signed.caller(), id.into(), blocked).await?;
        Ok(Versioned::new((&stored).into(), stored.version))
    }
}

fn page() -> u32 {
    PAGE
}

/// Milliseconds since 1970, as cursors carry them.
pub(super) fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The instant of a cursor that we signed.
pub(super) fn instant(millis: i64) -> Result<OffsetDateTime, Problem> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    at.map_err(|error| Problem::internal(&error))
}
