//! What came in: the journal, and what of it could not be used.

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use time::OffsetDateTime;
use transom_desk::journal::{self, JournalQuery};
use transom_desk::quarantine::{self, MOST_CALLS, reason};
use transom_storage::QuarantineQuery;
use uuid::Uuid;

use super::auth::Signed;
use super::body::Body;
use super::contacts::millis;
use super::cursor::Place;
use super::views::quarantine::{
    CallDetail, DiscardBody, JournalPage, OutcomeName, QuarantineDetail, QuarantinePage, ReplayBody, ReplayedView,
    StateName,
};
use super::{MAX_PAGE, PAGE, Tag};
use crate::http::codes;
use crate::http::problem::{Making, Problem, Reading, Refused};
use crate::state::State;

pub(crate) struct QuarantineApi(pub(super) Arc<State>);

#[OpenApi(tag = "Tag::Inbound")]
impl QuarantineApi {
    /// List the quarantine
    ///
    /// What came with a valid signature and could not be used, oldest first.
    #[oai(path = "/quarantine", method = "get", operation_id = "listQuarantine")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the query")]
    async fn list(
        &self,
        signed: Signed,
        /// Only those in this state; those that are `open` if it is left out.
        state: Query<Option<StateName>>,
        /// Only those with this reason: `fault`, `poison`, `unknown_account`, `unknown_connection`, `unreadable`, `unusable_connection`,
        /// or a code of docs/errors.md.
        reason: Query<Option<String>>,
        /// Only those that came over this connection.
        connection: Query<Option<Uuid>>,
        /// Only those found at this instant or later.
        since: Query<Option<OffsetDateTime>>,
        /// Only those found before this instant.
        until: Query<Option<OffsetDateTime>>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<QuarantinePage>, Refused<Reading>> {
        if let Some(detail) = reason.0.as_deref().and_then(no_reason) {
            return Err(Problem::new("parameter_invalid", format!("`reason`: {detail}")).at("reason").into());
        }
        let query = QuarantineQuery {
            state: state.0.map(Into::into).unwrap_or_default(),
            reason: reason.0,
            connection: connection.0.map(Into::into),
            since: since.0,
            until: until.0,
        };
        let list = self.0.list(signed.caller(), format!("quarantine {query:?}"), limit.0);
        let after = list.after(cursor.0)?;
        let after = after.map(|place| place.id.into());
        let found = quarantine::list(&self.0.desk, signed.caller(), &query, after, list.rows().into());
        let mut rows = found.await?;
        let next_cursor = list.cut(&mut rows, |row| Place { key: 0, id: row.entry.id.uuid() });
        Ok(Json(QuarantinePage { items: rows.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Replay what is in quarantine
    ///
    /// The calls of up to 1,000 open entries are applied again, as live ones are; what came of each, its entry shows soon after.
    /// Nothing happens twice, however often it is replayed.
    #[oai(path = "/quarantine/replay", method = "post", operation_id = "replayQuarantine")]
    async fn replay_many(&self, signed: Signed, body: Body<ReplayBody>) -> Result<Json<ReplayedView>, Refused<Making>> {
        let ReplayBody { reason, connection, since, until, cursor } = body.0;
        if let Some(detail) = reason.as_deref().and_then(no_reason) {
            return Err(Problem::new("invalid_value", format!("`reason`: {detail}")).at("reason").into());
        }
        let connection = connection.map(Into::into);
        let query = QuarantineQuery { reason, connection, since, until, ..QuarantineQuery::default() };
        let list = self.0.list(signed.caller(), format!("quarantine replay {query:?}"), MAX_PAGE);
        let after = list.after(cursor)?;
        let after = after.map(|place| place.id.into());
        let replayed = quarantine::replay_many(&self.0.desk, signed.caller(), query, after, MOST_CALLS).await?;
        let next = replayed.next.map(|call| Place { key: 0, id: call.uuid() });
        let next_cursor = next.map(|place| list.cursor(place));
        Ok(Json(ReplayedView { calls: replayed.calls, next_cursor }))
    }

    /// Read something in quarantine
    ///
    /// With the call it came with, byte for byte.
    #[oai(path = "/quarantine/:id", method = "get", operation_id = "getQuarantineEntry")]
    async fn entry(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<QuarantineDetail>, Refused<Reading>> {
        let found = quarantine::entry(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(QuarantineDetail::raw(&found)))
    }

    /// Replay something in quarantine
    ///
    /// Its call is applied again, as a live one is, and the answer shows what came of it. Nothing happens twice, however often it is
    /// replayed.
    #[oai(path = "/quarantine/:id/replay", method = "post", operation_id = "replayQuarantineEntry")]
    async fn replay(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<QuarantineDetail>, Refused<Making>> {
        let found = quarantine::replay(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(QuarantineDetail::of(&found)))
    }

    /// Discard something in quarantine
    ///
    /// It is not needed. Until its call is no longer kept, it can still be replayed.
    #[oai(path = "/quarantine/:id/discard", method = "post", operation_id = "discardQuarantineEntry")]
    async fn discard(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<DiscardBody>,
    ) -> Result<Json<QuarantineDetail>, Refused<Making>> {
        let found = quarantine::discard(&self.0.desk, signed.caller(), id.0.into(), &body.0.reason).await?;
        Ok(Json(QuarantineDetail::of(&found)))
    }

    /// List the journal
    ///
    /// Every call with a valid signature and what was fetched, newest first, with what became of it: did this message ever reach us?
    #[oai(path = "/journal", method = "get", operation_id = "listJournal")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the query")]
    async fn journal(
        &self,
        signed: Signed,
        /// Only calls over the connection of this channel.
        channel: Query<Option<Uuid>>,
        /// Only those that stand so.
        outcome: Query<Option<OutcomeName>>,
        /// Only those that came at this instant or later.
        since: Query<Option<OffsetDateTime>>,
        /// Only those that came before this instant.
        until: Query<Option<OffsetDateTime>>,
        /// Only those with this text in their body, such as the platform's id of a message or of a person. Bodies that the platform
        /// encrypts are not found.
        text: Query<Option<String>>,
        /// Where the last page ended.
        cursor: Query<Option<String>>,
        /// How many at most.
        #[oai(default = "page", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
    ) -> Result<Json<JournalPage>, Refused<Reading>> {
        let query = JournalQuery {
            channel: channel.0.map(Into::into),
            state: outcome.0.map(Into::into),
            since: since.0,
            until: until.0,
            text: text.0,
        };
        let list = self.0.list(signed.caller(), format!("journal {query:?}"), limit.0);
        let before = list.after_time(cursor.0)?;
        let page = journal::list(&self.0.desk, signed.caller(), query, before, list.shown().into()).await?;
        let next = page.next.map(|(at, id)| Place { key: millis(at), id: id.uuid() });
        let next_cursor = next.map(|place| list.cursor(place));
        Ok(Json(JournalPage { items: page.calls.iter().map(Into::into).collect(), next_cursor }))
    }

    /// Read a call of the journal
    ///
    /// As it came, with what of it could not be used.
    #[oai(path = "/journal/:id", method = "get", operation_id = "getJournalCall")]
    async fn call(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<CallDetail>, Refused<Reading>> {
        let (call, entries) = journal::call(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(CallDetail::of(&call, &entries)))
    }
}

/// What is wrong with a word that no entry can have as its reason: a list of nothing would say that all is well.
fn no_reason(word: &str) -> Option<String> {
    if reason::ALL.contains(&word) || codes::find(word).is_some() {
        return None;
    }
    let words = reason::ALL.map(|word| format!("`{word}`")).join(", ");
    let word: String = word.chars().take(40).collect();
    Some(format!("one of {words}, or a code of docs/errors.md, is expected, and it is `{word}`"))
}

fn page() -> u32 {
    PAGE
}
