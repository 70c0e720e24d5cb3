//! Changes of messages, which may come before the message itself: then they wait for it (P7).

use serde_json::json;
use time::OffsetDateTime;
use transom_domain::{Actor, Author, ChannelAccountId, Content};
use transom_storage::{MessageChange, ParkedChange, Tx};

use super::item::Case;
use crate::{Desk, DeskError, attachments, changes};

/// The customer put an emoji to a message; whether that opens anything, the item's openings say.
pub(super) async fn reacted(case: &Case<'_>, to: &str, emoji: Option<String>) -> Result<(), DeskError> {
    if !case.inbound.openings.is_empty() {
        let met = case.person().await?;
        let mut situation = case.situation(&met).await?;
        case.open_windows(&mut situation);
        situation.save(case.tx, case.now).await?;
    }
    changed(case, to, MessageChange::Reaction(emoji)).await
}

/// The customer changed a message, or will have changed it once it is here. It moves no window and reopens nothing.
pub(super) async fn changed(case: &Case<'_>, of: &str, change: MessageChange) -> Result<(), DeskError> {
    let change = ParkedChange {
        account: case.account.id,
        reference: of.to_owned(),
        event_key: case.inbound.event_key.clone(),
        change,
        at: case.at,
    };
    if apply(case.desk, case.tx, &change, case.now).await? {
        return Ok(());
    }
    Ok(case.tx.park_change(&change, case.now).await?)
}

/// Applies what waited for a message that has just been stored.
pub(super) async fn join(case: &Case<'_>, provider_id: &str) -> Result<(), DeskError> {
    join_all(case.desk, case.tx, &[(case.account.id, provider_id)], case.now).await
}

/// The same for many messages.
pub(super) async fn join_all(
    desk: &Desk,
    tx: &Tx,
    messages: &[(ChannelAccountId, &str)],
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    for change in tx.take_parked_changes(messages).await? {
        apply(desk, tx, &change, now).await?;
    }
    Ok(())
}

/// Applies what waits though its message is here: one that was stored by a transaction that ran at the same time, or one of
/// ours whose name on the platform was not known yet. How many.
pub(super) async fn apply_due(desk: &Desk) -> Result<u32, DeskError> {
    const BATCH: u64 = 100;
    let mut applied = 0;
    for scope in desk.storage().scopes_with_parked_changes().await? {
        let (desk_in, now) = (desk.clone(), desk.now());
        applied += desk
            .storage()
            .transact(&scope, move |tx| {
                let desk = desk_in.clone();
                Box::pin(async move {
                    let mut applied = 0;
                    for change in tx.take_parked_changes_due(BATCH).await? {
                        applied += u32::from(apply(&desk, tx, &change, now).await?);
                    }
                    Ok::<_, DeskError>(applied)
                })
            })
            .await?;
    }
    Ok(applied)
}

/// Applies a change; false if its message is not here.
async fn apply(desk: &Desk, tx: &Tx, change: &ParkedChange, now: OffsetDateTime) -> Result<bool, DeskError> {
    let Some((id, _)) = tx.message_by_provider_id(change.account, &change.reference).await? else { return Ok(false) };
    let (kind, data) = match &change.change {
        MessageChange::Edited(content) => {
            let content = match desk.files() {
                // What the platform keeps of its files is fetched later.
                Some(_) => attachments::adopt(tx, desk.ids(), (id, change.account), content, now).await?,
                None => Content::clone(content),
            };
            tx.edit_message(id, &content, change.at).await?;
            ("message.edited", json!({ "message": id }))
        }
        MessageChange::Unsent => {
            tx.unsend_message(id, change.at).await?;
            tx.forget_attachments(id).await?;
            ("message.unsent", json!({ "message": id }))
        }
        MessageChange::Reaction(emoji) => {
            tx.set_reaction(id, &Author::Actor(Actor::Customer), emoji.as_deref(), change.at).await?;
            ("message.reaction", json!({ "message": id, "emoji": emoji }))
        }
    };
    let Some(found) = tx.message(id).await? else { return Ok(true) };
    if let Some(stored) = tx.conversation(found.message.conversation).await? {
        changes::emit(tx, desk.ids(), &stored, kind, data, now).await?;
    }
    Ok(true)
}
