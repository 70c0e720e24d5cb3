//! Messages that name the earlier one they answer: where they belong, and whether the customer wrote them.
//!
//! The first earlier message that we know decides the conversation, whatever thread the message says it is of. Of somebody
//! whom that conversation does not answer to, such as a reader in copy, it becomes a third party's: it makes no contact and
//! moves no facts.

use transom_channel::{Answered, InboundMessage};
use transom_domain::Author;
use transom_storage::{Earlier, KnownEarlier, Met, StoredConversation};

use super::item::Case;
use super::{late, message};
use crate::DeskError;

/// More than this many names of earlier messages are not looked at; the surest stand first.
const MOST: usize = 64;

/// The earlier message that it answers, if we know one.
pub(super) async fn earlier(case: &Case<'_>, message: &InboundMessage) -> Result<Option<KnownEarlier>, DeskError> {
    let named: Vec<Earlier<'_>> = message.answers.iter().take(MOST).filter_map(named).collect();
    Ok(case.tx.first_known(case.account.id, &named).await?)
}

fn named(answered: &Answered) -> Option<Earlier<'_>> {
    match answered {
        Answered::Part(correlation) => correlation.parse().ok().map(Earlier::Part),
        Answered::Message(provider_id) => Some(Earlier::Message(provider_id)),
    }
}

/// Whether its writer is somebody else than the person whom the earlier message's conversation answers to.
pub(super) async fn is_by_another(case: &Case<'_>, earlier: KnownEarlier) -> Result<bool, DeskError> {
    let Some(person) = &case.inbound.person else { return Ok(false) };
    let Some(stored) = case.tx.conversation(earlier.conversation).await? else { return Ok(false) };
    let Some(identity) = case.tx.identity(stored.conversation.identity).await? else { return Ok(false) };
    Ok(!person.addresses.iter().any(|address| identity.addresses.contains(address)))
}

/// The conversation of a person that a message belongs in: that of the earlier one, else that of its thread; locked.
pub(super) async fn conversation(
    case: &Case<'_>,
    met: &Met,
    message: &InboundMessage,
    earlier: Option<KnownEarlier>,
) -> Result<StoredConversation, DeskError> {
    if let Some(earlier) = earlier
        && let Some(stored) = case.tx.lock_conversation(earlier.conversation).await?
        && stored.conversation.identity == met.identity.id
    {
        return Ok(stored);
    }
    message::thread(case, met, &message.thread).await
}

/// Somebody else wrote into a customer's conversation.
pub(super) async fn by_another(
    case: &Case<'_>,
    message: &InboundMessage,
    earlier: KnownEarlier,
) -> Result<(), DeskError> {
    let gone = || DeskError::NotFound { what: "conversation" };
    let known = case.tx.conversation(earlier.conversation).await?.ok_or_else(gone)?;
    case.tx.lock_identity(known.conversation.identity).await?.ok_or_else(gone)?;
    let stored = case.tx.lock_conversation(earlier.conversation).await?.ok_or_else(gone)?;
    let addresses = case.inbound.person.as_ref().map(|person| person.addresses.as_slice()).unwrap_or_default();
    let address = addresses.first().map(|address| address.value.clone()).unwrap_or_default();
    let author = Author::ThirdParty { address };
    let new = message::filed(case, &stored, message, message::Writer::of(author, Some(earlier.message))).await?;
    case.tx.file_message(&new, &message::touch(case, message), case.now).await?;
    if !message.automatic {
        message::wake_for_another(case, &stored, new.message.id).await?;
    }
    case.tx.emit(&message::told(case, &stored, &new, &[])).await?;
    late::join(case, &message.provider_id).await
}
