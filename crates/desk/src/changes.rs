//! What every change of a conversation leaves behind: the row, its episode, a line in the history, events.

use serde_json::{Value, json};
use time::OffsetDateTime;
use transom_domain::{
    Actor, Agent, AgentId, Author, ContactId, Content, Conversation, Direction, EpisodeId, EventId, Ids, Message,
    MessageId, MessageKind, PartId, Status, Transition,
};
use transom_storage::{EpisodeEnd, EpisodeStart, JoinedEcho, NewEvent, NewMessage, StoredConversation, Tx};

use crate::{Desk, DeskError, event_kinds};

/// Why a conversation changed.
#[derive(Debug, Clone)]
pub(crate) struct Change<'c> {
    pub(crate) by: &'c Actor,
    /// `inbound`, `outbound`, `answer`, `agent`, `wake`, `conversation.ended`.
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
    let Traces { begins, ends, events, lines } = traces(ids, stored, transition, change);
    if let Some(start) = begins {
        tx.begin_episode(after, &start, change.now).await?;
    }
    if let Some(end) = ends {
        tx.end_episode(&stored.conversation, &end, change.now).await?;
    }
    tx.save_conversation(after, change.now).await?;
    tx.emit_all(&events).await?;
    Ok(tx.insert_messages(&lines, change.now).await?)
}

/// A person's message goes out: what is not open opens for its sender, who takes what nobody has. Whether it
/// opened.
pub(crate) async fn opened_by(
    tx: &Tx,
    ids: &dyn Ids,
    stored: &StoredConversation,
    (agent, by): (AgentId, &Actor),
    message: MessageId,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let mut after = stored.conversation.clone();
    let Some(transition) = after.opened_by_sender(agent, EpisodeId::new(ids), now) else { return Ok(false) };
    let change = Change::new(by, "outbound", now).by_message(message);
    record(tx, ids, stored, &after, &transition, &change).await?;
    Ok(transition.from != Status::Open)
}

/// What a transition leaves behind beside the conversation itself.
#[derive(Debug)]
pub(crate) struct Traces {
    pub(crate) begins: Option<EpisodeStart>,
    pub(crate) ends: Option<EpisodeEnd>,
    pub(crate) events: Vec<NewEvent>,
    /// Lines in the conversation's history.
    pub(crate) lines: Vec<(NewMessage, ContactId)>,
}

/// What a transition from the stored state leaves behind.
pub(crate) fn traces(
    ids: &dyn Ids,
    stored: &StoredConversation,
    transition: &Transition,
    change: &Change<'_>,
) -> Traces {
    let begins = transition.new_episode.then(|| EpisodeStart {
        cause: change.cause.to_owned(),
        message: change.message,
        by: change.by.clone(),
    });
    let closes = transition.to == Status::Closed && transition.from != Status::Closed;
    let ends = closes.then(|| EpisodeEnd {
        by: change.by.clone(),
        category: change.category.map(str::to_owned),
        note: change.note.map(str::to_owned),
    });
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
    let mut kinds = Vec::new();
    if transition.from != transition.to {
        kinds.push(match transition.to {
            Status::Open => "conversation.opened",
            Status::Snoozed { .. } => "conversation.snoozed",
            Status::Closed => "conversation.closed",
        });
    }
    if transition.assigned_from != transition.assigned_to {
        kinds.push("conversation.assigned");
    }
    let events = kinds.iter().map(|kind| event(ids, stored, kind, data.clone(), change.now)).collect();
    let lines = kinds.iter().map(|kind| (activity(ids, stored, kind, &data, change), stored.contact)).collect();
    Traces { begins, ends, events, lines }
}

/// An event about a conversation.
pub(crate) fn event(
    ids: &dyn Ids,
    stored: &StoredConversation,
    kind: &str,
    data: serde_json::Value,
    at: OffsetDateTime,
) -> NewEvent {
    NewEvent {
        id: EventId::new(ids),
        kind: event_kinds::told(kind),
        conversation: Some(stored.conversation.id),
        contact: Some(stored.contact),
        data,
        at,
    }
}

/// Tells an event about a conversation.
pub(crate) async fn emit(
    tx: &Tx,
    ids: &dyn Ids,
    stored: &StoredConversation,
    kind: &str,
    data: serde_json::Value,
    at: OffsetDateTime,
) -> Result<(), DeskError> {
    Ok(tx.emit(&event(ids, stored, kind, data, at)).await?)
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
    let event =
        NewEvent { id: EventId::new(ids), kind: event_kinds::told(kind), conversation: None, contact, data, at };
    Ok(tx.emit(&event).await?)
}

/// Tells what somebody made, changed or took away of the workspace itself, and who it was: never a secret, never its content.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    desk: Desk,
    by: Actor,
}

impl Notice {
    /// Of what this caller does.
    pub(crate) fn by(desk: &Desk, agent: &Agent) -> Self {
        Self { desk: desk.clone(), by: Actor::from(agent) }
    }

    /// `agent.created` with `{"agent": id}`, and so on (docs/events.md).
    pub(crate) async fn tell(&self, tx: &Tx, kind: &str, mut data: Value) -> Result<(), DeskError> {
        if let Some(data) = data.as_object_mut() {
            data.insert("by".to_owned(), json!(self.by));
        }
        tell(tx, self.desk.ids(), None, kind, data, self.desk.now()).await
    }
}

/// Tells that a message which stood there as written elsewhere is one of ours.
pub(crate) async fn joined(
    tx: &Tx,
    ids: &dyn Ids,
    message: MessageId,
    echo: JoinedEcho,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let Some(stored) = tx.conversation(echo.conversation).await? else { return Ok(()) };
    emit(tx, ids, &stored, "message.joined", json!({ "message": message, "joined": echo.message }), now).await
}

/// Tells that further readers don't get a message, though the customer may: an event, and a line in the history.
pub(crate) async fn reader_refused(
    tx: &Tx,
    ids: &dyn Ids,
    stored: &StoredConversation,
    (message, part): (MessageId, PartId),
    readers: &serde_json::Value,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    const KIND: &str = "message.reader_refused";
    let data = json!({ "message": message, "part": part, "readers": readers });
    line(tx, ids, stored, KIND, data, &Change::new(&Actor::Platform, KIND, now).by_message(message)).await
}

/// Writes a line into the history of a conversation, and tells of it.
pub(crate) async fn line(
    tx: &Tx,
    ids: &dyn Ids,
    stored: &StoredConversation,
    kind: &str,
    data: serde_json::Value,
    change: &Change<'_>,
) -> Result<(), DeskError> {
    tx.insert_message(&activity(ids, stored, kind, &data, change), change.now).await?;
    emit(tx, ids, stored, kind, data, change.now).await
}

/// A line in the conversation's history.
fn activity(
    ids: &dyn Ids,
    stored: &StoredConversation,
    kind: &str,
    data: &serde_json::Value,
    change: &Change<'_>,
) -> NewMessage {
    NewMessage {
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
    }
}
