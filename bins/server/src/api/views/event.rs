//! Events.

use poem_openapi::Object;
use time::OffsetDateTime;
use transom_storage::NumberedEvent;
use uuid::Uuid;

/// A change in the workspace.
#[derive(Debug, Object)]
#[oai(rename = "Event", skip_serializing_if_is_none)]
pub(crate) struct EventView {
    /// Its number in the workspace, from 1, without gaps: what a stream goes on after.
    pub(crate) seq: u64,
    /// Its id; left out for `reset` and `conversation.typing`.
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
