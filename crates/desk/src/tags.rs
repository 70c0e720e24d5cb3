//! Tags of conversations: put on, taken off, deleted. Making one is in [`administration`](crate::administration).

use std::sync::Arc;

use serde_json::json;
use transom_domain::ConversationId;
use transom_storage::StoredConversation;

use crate::authorise::{Action, Caller, authorise};
use crate::changes;
use crate::{Desk, DeskError};

/// How many conversations one transaction changes: others wait for it on SQLite.
const BATCH: u32 = 1_000;

/// Puts a tag of the workspace on a conversation. Twice is once.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown conversation; [`DeskError::Invalid`] for a tag that the workspace does not have.
pub async fn put(
    desk: &Desk,
    caller: &Caller,
    conversation: ConversationId,
    tag: &str,
) -> Result<StoredConversation, DeskError> {
    set(desk, caller, conversation, tag, true).await
}

/// Takes a tag off a conversation. One that it does not have is no error.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown conversation.
pub async fn remove(
    desk: &Desk,
    caller: &Caller,
    conversation: ConversationId,
    tag: &str,
) -> Result<StoredConversation, DeskError> {
    set(desk, caller, conversation, tag, false).await
}

async fn set(
    desk: &Desk,
    caller: &Caller,
    id: ConversationId,
    tag: &str,
    on: bool,
) -> Result<StoredConversation, DeskError> {
    authorise(caller, Action::TagConversations)?;
    let (desk_in, now, tag) = (desk.clone(), desk.now(), Arc::new(tag.trim().to_owned()));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, tag) = (desk_in.clone(), tag.clone());
            Box::pin(async move {
                let missing = DeskError::NotFound { what: "conversation" };
                let stored = tx.lock_conversation(id).await?.ok_or(missing)?;
                let has = stored.tags.contains(&tag);
                if on && !has {
                    let known = tx.known_tags().await?;
                    if !known.contains(&tag) {
                        return Err(unknown(&tag, &known, "tag"));
                    }
                }
                let id = stored.conversation.id;
                let kind = match (on, has) {
                    (true, false) => {
                        tx.add_tags(id, std::slice::from_ref(&tag), now).await?;
                        "conversation.tagged"
                    }
                    (false, true) => {
                        tx.remove_tag(id, &tag, now).await?;
                        "conversation.untagged"
                    }
                    (true, true) | (false, false) => return Ok(stored),
                };
                changes::emit(tx, desk.ids(), &stored, kind, json!({ "tag": *tag }), now).await?;
                tx.conversation(id).await?.ok_or(DeskError::NotFound { what: "conversation" })
            })
        })
        .await
}

/// Deletes a tag, and takes it off every conversation, batch by batch.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn delete(desk: &Desk, caller: &Caller, tag: &str) -> Result<(), DeskError> {
    authorise(caller, Action::ManageSettings)?;
    let name = tag.to_owned();
    if !desk.reader(&caller.scope).known_tags().await?.contains(&name) {
        return Err(DeskError::NotFound { what: "tag" });
    }
    loop {
        let (desk_in, now, name) = (desk.clone(), desk.now(), name.clone());
        let left: bool = desk
            .storage()
            .transact(&caller.scope, move |tx| {
                let (desk, name) = (desk_in.clone(), name.clone());
                Box::pin(async move {
                    if tx.take_tag_away(&name, BATCH, now).await? {
                        return Ok(true);
                    }
                    changes::tell(tx, desk.ids(), None, "tag.deleted", json!({ "tag": name }), now).await?;
                    Ok::<_, DeskError>(false)
                })
            })
            .await?;
        if !left {
            return Ok(());
        }
    }
}

/// That the workspace lacks a tag, with those that it has.
pub(crate) fn unknown(tag: &str, known: &[String], field: &'static str) -> DeskError {
    let there_is = if known.is_empty() { "none, and an administrator adds them".to_owned() } else { known.join(", ") };
    DeskError::invalid("tag_unknown", field, format!("the workspace has no tag `{tag}`; there is {there_is}"))
}
