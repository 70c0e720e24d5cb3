//! What every change of a conversation leaves behind: the row, its episode, a line in the history, events.

use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{
    Actor, Author, ContactId, Content, Conversation, Direction, EventId, Ids, Message, MessageId, MessageKind, Status,
    Transition,
};
use transom_storage::{EpisodeEnd, EpisodeStart, NewEvent, NewMessage, StoredConversation, Tx};

use crate::DeskError;

/// Why a conversation changed.
#[derive(Debug, Clone)]
pub(crate) struct Change<'c> {
    pub(crate) by: &'c Actor,
    /// `inbound`, `outbound`, `answer`, `agent`, `wake`.
    pub(crate) cause: &'static str,
    /// The message that caused it, if one did.
    pub(crate) message: Option<MessageId>,
    pub(crate) category: Option<&'c str>,
    pub(crate) note: Option<&'c str>,
    pub(crate) now: OffsetDateTime,
}

impl<'c> Change<'c> {
    pub(crate) fn new(by: &'c Actor, cause: &'static str, now: OffsetDateTime) -> Self {
        Self { by, cause, message: None, category: None, note: None, now }
    }

    pub(crate) fn by_message(self, message: MessageId) -> Self {
        Self { message: Some(message), ..self }
    }
}

/// Stores a transition that `after` has just made from `before`.
pub(crate) async fn record(
    tx: &Tx,
    ids: &dyn Ids,
    stored: &StoredConversation,
    after: &Conversation,
    transition: &Transition,
    change: &Change<'_>,
) -> Result<(), DeskError> {
    let before = &stored.conversation;
    if transition.new_episode {
        let start = EpisodeStart { cause: change.cause.to_owned(), message: change.message, by: change.by.clone() };
        tx.begin_episode(after, &start, change.now).await?;
    }
    if transition.to == Status::Closed && transition.from != Status::Closed {
        let end = EpisodeEnd {
            by: change.by.clone(),
            category: change.category.map(str::to_owned),
            note: change.note.map(str::to_owned),
        };
        tx.end_episode(before, &end, change.now).await?;
    }
    tx.save_conversation(after, change.now).await?;
    let data = json!({
        "from": transition.from,
        "to": transition.to,
        "assigned_from": transition.assigned_from,
        "assigned_to": transition.assigned_to,
        "by": change.by,
        "cause": change.cause,
        "message": change.message,
        "category": change.category,
    });
    let mut events = Vec::new();
    if transition.from != transition.to {
        events.push(match transition.to {
            Status::Open => "conversation.opened",
            Status::Snoozed { .. } => "conversation.snoozed",
            Status::Closed => "conversation.closed",
        });
    }
    if transition.assigned_from != transition.assigned_to {
        events.push("conversation.assigned");
    }
    for kind in events {
        emit(tx, ids, stored, kind, data.clone(), change.now).await?;
        activity(tx, ids, stored, kind, &data, change).await?;
    }
    Ok(())
}

/// An event about a conversation.
pub(crate) async fn emit(
    tx: &Tx,
    ids: &dyn Ids,
    stored: &StoredConversation,
    kind: &str,
    data: serde_json::Value,
    at: OffsetDateTime,
) -> Result<(), DeskError> {
    let event = NewEvent {
        id: EventId::new(ids),
        kind: kind.to_owned(),
        conversation: Some(stored.conversation.id),
        contact: Some(stored.contact),
        data,
        at,
    };
    Ok(tx.emit(&event).await?)
}

/// Tells what happened in the workspace, outside of any conversation.
pub(crate) async fn tell(
    tx: &Tx,
    ids: &dyn Ids,
    contact: Option<ContactId>,
    kind: &str,
    data: serde_json::Value,
    at: OffsetDateTime,
) -> Result<(), DeskError> {
    let event = NewEvent { id: EventId::new(ids), kind: kind.to_owned(), conversation: None, contact, data, at };
    Ok(tx.emit(&event).await?)
}

/// A line in the conversation's history.
async fn activity(
    tx: &Tx,
    ids: &dyn Ids,
    stored: &StoredConversation,
    kind: &str,
    data: &serde_json::Value,
    change: &Change<'_>,
) -> Result<(), DeskError> {
    let line = NewMessage {
        message: Message {
            id: MessageId::new(ids),
            conversation: stored.conversation.id,
            kind: MessageKind::Activity,
            direction: Direction::Internal,
            author: Author::Actor(change.by.clone()),
            content: Content::text(kind),
            state: None,
            at: change.now,
        },
        account: stored.account,
        identity: stored.conversation.identity,
        provider_id: None,
        reply_to: change.message,
        payload: None,
        permit: None,
        extra: json!({ "activity": kind, "data": data }),
    };
    Ok(tx.insert_message(&line, change.now).await?)
}
