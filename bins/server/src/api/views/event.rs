//! Events, and what is in quarantine.

use poem_openapi::Object;
use time::OffsetDateTime;
use transom_storage::{NumberedEvent, StoredQuarantine};
use uuid::Uuid;

/// A change in the workspace.
#[derive(Debug, Object)]
#[oai(rename = "Event", skip_serializing_if_is_none)]
pub(crate) struct EventView {
    /// Its number in the workspace, from 1, without gaps: what a stream goes on after.
    pub(crate) seq: u64,
    /// Its id; left out for `reset`.
    pub(crate) id: Option<Uuid>,
    /// What happened, such as `message.delivered`; `reset` says that the events before `seq` are no longer kept: read afresh
    /// what you show, then go on.
    #[oai(rename = "type")]
    pub(crate) kind: String,
    /// The conversation it is about.
    pub(crate) conversation: Option<Uuid>,
    /// The contact it is about.
    pub(crate) contact: Option<Uuid>,
    /// What exactly.
    pub(crate) data: serde_json::Value,
    /// When.
    pub(crate) at: OffsetDateTime,
}

impl From<&NumberedEvent> for EventView {
    fn from(NumberedEvent { seq, event }: &NumberedEvent) -> Self {
        Self {
            seq: *seq,
            id: Some(event.id.uuid()),
            kind: event.kind.clone(),
            conversation: event.conversation.map(Into::into),
            contact: event.contact.map(Into::into),
            data: event.data.clone(),
            at: event.at,
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
    /// The channel, if one is known.
    channel: Option<Uuid>,
    /// A stable word: `unknown_account`, `unknown_shape`, `fault`, `poison`, …
    reason: String,
    /// What exactly is wrong.
    detail: String,
    /// The item; left out for the whole call.
    item: Option<serde_json::Value>,
    /// `open`, `replayed` or `dropped`.
    state: String,
    /// When it was found.
    at: OffsetDateTime,
    /// When its state was decided.
    settled_at: Option<OffsetDateTime>,
}

impl From<&StoredQuarantine> for QuarantineView {
    fn from(stored: &StoredQuarantine) -> Self {
        let entry = &stored.entry;
        Self {
            id: entry.id.uuid(),
            call: entry.journal.uuid(),
            channel: entry.account.map(Into::into),
            reason: entry.reason.clone(),
            detail: entry.detail.clone(),
            item: entry.item.clone(),
            state: stored.state.as_str().to_owned(),
            at: entry.at,
            settled_at: stored.settled_at,
        }
    }
}

/// A page of the quarantine.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct QuarantinePage {
    /// The open entries, oldest first.
    pub(crate) items: Vec<QuarantineView>,
    /// Where the next page begins; left out on the last one.
    pub(crate) next_cursor: Option<String>,
}
