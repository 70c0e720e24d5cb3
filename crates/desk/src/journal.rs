//! The journal, looked through: "did this message ever reach us?"

use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, JournalId};
use transom_storage::{CallPage, CallPlace, CallQuery, CallState, StoredCall, StoredQuarantine};

use crate::authorise::{Action, Caller, authorise};
use crate::{Desk, DeskError};

/// The shortest text that is searched for, in characters: an id of a platform is longer.
const SHORTEST: usize = 4;
/// The longest.
const LONGEST: usize = 200;

/// Which calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalQuery {
    /// Of the connection of this account.
    pub channel: Option<ChannelAccountId>,
    /// In this state.
    pub state: Option<CallState>,
    /// Received at this instant or later.
    pub since: Option<OffsetDateTime>,
    /// Received before this instant.
    pub until: Option<OffsetDateTime>,
    /// With this text somewhere in the body, such as a platform's id of a message or a person.
    pub text: Option<String>,
}

/// Calls received before `before`, newest first. A page of a search may be short, or empty, and older ones follow.
///
/// # Errors
/// [`DeskError::NotFound`] for a channel that is not of this workspace; [`DeskError::Invalid`] for a text of another length.
pub async fn list(
    desk: &Desk,
    caller: &Caller,
    query: JournalQuery,
    before: Option<CallPlace>,
    limit: u64,
) -> Result<CallPage, DeskError> {
    authorise(caller, Action::ManageQuarantine)?;
    let reader = desk.reader(&caller.scope);
    let JournalQuery { channel, state, since, until, text } = query;
    if let Some(text) = &text
        && !(SHORTEST..=LONGEST).contains(&text.chars().count())
    {
        let detail = format!("{SHORTEST} to {LONGEST} characters are searched for");
        return Err(DeskError::invalid("parameter_invalid", "text", detail));
    }
    let channel = match channel {
        None => None,
        Some(id) => {
            let account = reader.account(id).await?.ok_or(DeskError::NotFound { what: "channel" })?;
            Some((account.connection, account.id))
        }
    };
    Ok(reader.calls(&CallQuery { channel, state, since, until, text }, before, limit).await?)
}

/// One call as it came, with what of it could not be used.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn call(
    desk: &Desk,
    caller: &Caller,
    id: JournalId,
) -> Result<(StoredCall, Vec<StoredQuarantine>), DeskError> {
    authorise(caller, Action::ManageQuarantine)?;
    let reader = desk.reader(&caller.scope);
    let call = reader.call(id).await?.ok_or(DeskError::NotFound { what: "call" })?;
    Ok((call, reader.quarantined_of(id).await?))
}
