//! Calls of platforms as they came, and what of them could not be used.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem_openapi::{Enum, Object};
use time::OffsetDateTime;
use transom_desk::quarantine::Found;
use transom_storage::{CallLine, CallOutcome, CallState, QuarantineState, StoredCall, StoredQuarantine};
use uuid::Uuid;

/// Of a longer body only the beginning is shown, in bytes.
const SHOWN: usize = 1024 * 1024;

/// What became of something in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "QuarantineState", rename_all = "snake_case")]
pub(crate) enum StateName {
    /// Somebody has to look at it.
    Open,
    /// It was applied after all.
    Replayed,
    /// Somebody decided that it is not needed.
    Dropped,
}

impl From<StateName> for QuarantineState {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Open => QuarantineState::Open,
            StateName::Replayed => QuarantineState::Replayed,
            StateName::Dropped => QuarantineState::Dropped,
        }
    }
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "CallOutcome", rename_all = "snake_case")]
pub(crate) enum OutcomeName {
    /// It waits to be applied.
    Waiting,
    /// It was applied, all of it.
    Applied,
    /// It, or part of it, could not be used.
    Quarantined,
}

impl From<OutcomeName> for CallState {
    fn from(name: OutcomeName) -> Self {
        match name {
            OutcomeName::Waiting => CallState::Waiting,
            OutcomeName::Applied => CallState::Applied,
            OutcomeName::Quarantined => CallState::Quarantined,
        }
    }
}

/// Something that came in with a valid signature and could not be used.
#[derive(Debug, Object)]
#[oai(rename = "QuarantineEntry", skip_serializing_if_is_none)]
pub(crate) struct QuarantineView {
    /// Its id.
    id: Uuid,
    /// The journalled call it came with.
    call: Uuid,
    /// The connection it came over.
    connection: Option<Uuid>,
    /// The channel, if one is known.
    channel: Option<Uuid>,
    /// `fault`, `poison`, `unknown_account`, `unknown_connection`, `unreadable`, `unusable_connection`, or a code of docs/errors.md.
    reason: String,
    /// What exactly is wrong.
    detail: String,
    /// The item; left out for the whole call.
    item: Option<serde_json::Value>,
    /// `open`, `replayed` or `dropped`.
    state: String,
    /// When it was found.
    at: OffsetDateTime,
    /// When it was replayed in vain last.
    tried_at: Option<OffsetDateTime>,
    /// When its state was decided.
    settled_at: Option<OffsetDateTime>,
    /// Who discarded it.
    discarded_by: Option<Uuid>,
    /// Why they did.
    discarded_because: Option<String>,
}

impl From<&StoredQuarantine> for QuarantineView {
    fn from(stored: &StoredQuarantine) -> Self {
        let entry = &stored.entry;
        Self {
            id: entry.id.uuid(),
            call: entry.journal.uuid(),
            connection: entry.connection.map(Into::into),
            channel: entry.account.map(Into::into),
            reason: entry.reason.clone(),
            detail: entry.detail.clone(),
            item: entry.item.clone(),
            state: stored.state.as_str().to_owned(),
            at: entry.at,
            tried_at: stored.tried_at,
            settled_at: stored.settled_at,
            discarded_by: stored.settled_by.map(Into::into),
            discarded_because: stored.settled_why.clone(),
        }
    }
}

/// A page of the quarantine.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct QuarantinePage {
    /// The entries, oldest first.
    pub(crate) items: Vec<QuarantineView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// Something in quarantine with the call it came with.
#[derive(Debug, Object)]
#[oai(rename = "QuarantineDetail", skip_serializing_if_is_none)]
pub(crate) struct QuarantineDetail {
    /// The entry.
    entry: QuarantineView,
    /// The call and what became of it; left out once it is no longer kept.
    call: Option<CallView>,
    /// What the call said.
    raw: Option<RawView>,
}

impl QuarantineDetail {
    /// With what the call said.
    pub(crate) fn raw(found: &Found) -> Self {
        Self { raw: found.call.as_ref().map(Into::into), ..Self::of(found) }
    }

    /// Without.
    pub(crate) fn of(found: &Found) -> Self {
        Self { entry: (&found.stored).into(), call: found.call.as_ref().map(Into::into), raw: None }
    }
}

/// Why something is put aside.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct DiscardBody {
    /// Why it is not needed, for those who look later.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub(crate) reason: String,
}

/// Which open entries to replay.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct ReplayBody {
    /// Only those with this reason, as in the list.
    pub(crate) reason: Option<String>,
    /// Only those that came over this connection.
    pub(crate) connection: Option<Uuid>,
    /// Only those found at this instant or later.
    pub(crate) since: Option<OffsetDateTime>,
    /// Only those found before this instant.
    pub(crate) until: Option<OffsetDateTime>,
    /// Where the last request ended, with the same filters.
    pub(crate) cursor: Option<String>,
}

/// What is replayed.
#[derive(Debug, Object)]
#[oai(rename = "ReplayedCalls", skip_serializing_if_is_none)]
pub(crate) struct ReplayedView {
    /// So many calls wait to be applied again.
    pub(crate) calls: u64,
    /// Where the next request goes on; left out if there are no more.
    pub(crate) next_cursor: Option<String>,
}

/// A call of a platform, or what was fetched from one.
#[derive(Debug, Object)]
#[oai(rename = "JournalCall", skip_serializing_if_is_none)]
pub(crate) struct CallView {
    /// Its id.
    id: Uuid,
    /// The connection it came for.
    connection: Uuid,
    /// The channel, if it was fetched for one; otherwise each of its items names its own.
    channel: Option<Uuid>,
    /// `webhook`, or `pull` for what was fetched.
    source: String,
    /// When it came.
    received_at: OffsetDateTime,
    /// How long it is, in bytes; 0 once it is erased.
    bytes: u64,
    /// `waiting`, `applied`, or `quarantined` if it, or part of it, could not be used.
    outcome: String,
    /// When it was applied last.
    applied_at: Option<OffsetDateTime>,
    /// What was made of it: how many `items` changed something, how many were `quarantined`, and how many were ignored since they are
    /// of somebody who was `erased` since; or the `reason` why it could not be read.
    summary: Option<serde_json::Value>,
    /// How often somebody replayed it.
    replays: u32,
}

impl From<&CallLine> for CallView {
    fn from(line: &CallLine) -> Self {
        Self {
            id: line.id.uuid(),
            connection: line.connection.uuid(),
            channel: line.account.map(Into::into),
            source: line.source.as_str().to_owned(),
            received_at: line.received_at,
            bytes: line.bytes,
            outcome: line.state.as_str().to_owned(),
            applied_at: line.applied_at,
            summary: line.summary.clone(),
            replays: line.replays,
        }
    }
}

impl From<&StoredCall> for CallView {
    fn from(stored: &StoredCall) -> Self {
        let call = &stored.call;
        Self {
            id: call.id.uuid(),
            connection: call.connection.uuid(),
            channel: call.account.map(Into::into),
            source: call.source.as_str().to_owned(),
            received_at: call.received_at,
            bytes: call.body.len() as u64,
            outcome: stored.outcome.map_or("waiting", CallOutcome::as_str).to_owned(),
            applied_at: stored.applied_at,
            summary: stored.summary.clone(),
            replays: stored.replays,
        }
    }
}

/// A page of the journal.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct JournalPage {
    /// The calls, newest first. With `channel` or `text` a page may be short, or empty, and older calls follow.
    pub(crate) items: Vec<CallView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// A header that was kept.
#[derive(Debug, Object)]
#[oai(rename = "JournalHeader")]
struct HeaderView {
    /// Its name; `:query` stands for the query of the address.
    name: String,
    /// Its value.
    value: String,
}

/// What a call said.
#[derive(Debug, Object)]
#[oai(rename = "RawCall", skip_serializing_if_is_none)]
pub(crate) struct RawView {
    /// The headers that were kept.
    headers: Vec<HeaderView>,
    /// The body, where it is text.
    body: Option<String>,
    /// The body in Base64, where it is not.
    body_base64: Option<String>,
    /// Only the first mebibyte of the body is shown.
    cut: bool,
    /// What it said was wiped: it told of somebody who was erased.
    erased: bool,
}

impl From<&StoredCall> for RawView {
    fn from(stored: &StoredCall) -> Self {
        let body = &stored.call.body;
        let header = |(name, value): &(String, String)| HeaderView { name: name.clone(), value: value.clone() };
        let shown = body.get(..SHOWN.min(body.len())).unwrap_or_default();
        let text = match std::str::from_utf8(shown) {
            Ok(text) => Some(text),
            // Cut amid a character.
            Err(error) if error.error_len().is_none() && shown.len() < body.len() => {
                shown.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok())
            }
            Err(_) => None,
        };
        Self {
            headers: stored.call.headers.iter().map(header).collect(),
            body: text.map(str::to_owned),
            body_base64: text.is_none().then(|| STANDARD.encode(shown)),
            cut: shown.len() < body.len(),
            erased: stored.erased,
        }
    }
}

/// A call as it came, with what of it could not be used.
#[derive(Debug, Object)]
#[oai(rename = "JournalCallDetail")]
pub(crate) struct CallDetail {
    /// The call and what became of it.
    call: CallView,
    /// What it said.
    raw: RawView,
    /// What of it could not be used.
    quarantined: Vec<QuarantineView>,
}

impl CallDetail {
    pub(crate) fn of(call: &StoredCall, entries: &[StoredQuarantine]) -> Self {
        Self { call: call.into(), raw: call.into(), quarantined: entries.iter().map(Into::into).collect() }
    }
}
