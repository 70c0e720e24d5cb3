//! A note for the team: never leaves, moves no window, reopens nothing.

use std::sync::Arc;

use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{Actor, Author, Content, ConversationId, Direction, Message, MessageId, MessageKind};
use transom_storage::{NewMessage, StoredConversation, Tx};

use crate::authorise::{Action, Caller, authorise};
use crate::changes;
use crate::idempotency::Once;
use crate::{Desk, DeskError};

/// The longest note, in characters.
const MAX_NOTE: usize = 20_000;

/// Writes a note.
///
/// # Errors
/// [`DeskError::Invalid`] for an empty or over-long text, [`DeskError::NotFound`] for an unknown conversation.
pub async fn note(
    desk: &Desk,
    caller: &Caller,
    conversation: ConversationId,
    text: String,
    once: Option<Once<MessageId>>,
) -> Result<MessageId, DeskError> {
    authorise(caller, Action::WriteNotes)?;
    check(&text, "text")?;
    let (desk_in, caller_in, text, once, now) =
        (desk.clone(), caller.clone(), Arc::new(text), once.map(Arc::new), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller, text, once) = (desk_in.clone(), caller_in.clone(), text.clone(), once.clone());
            Box::pin(async move {
                if let Some(once) = &once {
                    once.begin(tx, now).await?;
                }
                let stored =
                    tx.conversation(conversation).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
                let id = write(&desk, tx, &stored, &Actor::from(&caller.agent), &text, now).await?;
                if let Some(once) = &once {
                    once.finish(tx, &id).await?;
                }
                Ok(id)
            })
        })
        .await
}

/// Whether a text can be a note.
///
/// # Errors
/// [`DeskError::Invalid`] for an empty or over-long one.
pub(crate) fn check(text: &str, field: &'static str) -> Result<(), DeskError> {
    if text.trim().is_empty() {
        return Err(DeskError::invalid("message_empty", field, "a note needs a text"));
    }
    let length = text.chars().count();
    if length > MAX_NOTE {
        let detail = format!("the note is too long: {length} characters, and at most {MAX_NOTE} are taken");
        return Err(DeskError::invalid("text_too_long", field, detail));
    }
    Ok(())
}

/// Writes a note that was checked into a conversation.
pub(crate) async fn write(
    desk: &Desk,
    tx: &Tx,
    stored: &StoredConversation,
    by: &Actor,
    text: &str,
    now: OffsetDateTime,
) -> Result<MessageId, DeskError> {
    let id = MessageId::new(desk.ids());
    let note = NewMessage {
        message: Message {
            id,
            conversation: stored.conversation.id,
            kind: MessageKind::Note,
            direction: Direction::Internal,
            author: Author::Actor(by.clone()),
            content: Content::text(text),
            state: None,
            at: now,
        },
        account: stored.account,
        identity: stored.conversation.identity,
        provider_id: None,
        reply_to: None,
        payload: None,
        permit: None,
        extra: json!({}),
    };
    tx.insert_message(&note, now).await?;
    changes::emit(tx, desk.ids(), stored, "note.added", json!({ "message": id }), now).await?;
    Ok(id)
}
