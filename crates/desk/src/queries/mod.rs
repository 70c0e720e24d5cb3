//! What can be looked at: lists and single things, each behind its role.

mod accounts;

use time::OffsetDateTime;
use transom_domain::{AgentId, ContactId, ConversationId, MessageId, Role, Settings, Team};
use transom_storage::{
    Attempt, ContactQuery, ConversationQuery, Episode, NumberedEvent, Reader, StoredAgent, StoredContact,
    StoredConversation, StoredMessage, StoredToken, TabCounts,
};
use transom_windows::{Decision, Policy, Question, QuestionError};

use crate::authorise::{Action, Caller, authorise};
use crate::of_parts::of_parts;
pub use crate::rows::ConversationRow;
use crate::rows::{row, rows};
use crate::{Desk, DeskError};
pub use accounts::{ChannelDetail, ConnectionDetail, SettingState, channel, channels, connection, connections};
pub(crate) use accounts::{connection_detail, detail, present_account};

/// Answers a question by the policies in force.
///
/// # Errors
/// [`DeskError::Forbidden`]; the inner error says what is wrong with the question.
pub fn evaluate(
    desk: &Desk,
    caller: &Caller,
    question: &Question,
) -> Result<Result<Decision, QuestionError>, DeskError> {
    authorise(caller, Action::ReadPolicies)?;
    Ok(transom_windows::evaluate(desk.policies(), question))
}

/// The policies in force, by name.
///
/// # Errors
/// [`DeskError::Forbidden`].
pub fn policies<'d>(desk: &'d Desk, caller: &Caller) -> Result<impl Iterator<Item = &'d Policy> + use<'d>, DeskError> {
    authorise(caller, Action::ReadPolicies)?;
    Ok(desk.policies().iter())
}

/// The policy of that name.
///
/// # Errors
/// [`DeskError::NotFound`].
pub fn policy<'d>(desk: &'d Desk, caller: &Caller, name: &str) -> Result<&'d Policy, DeskError> {
    authorise(caller, Action::ReadPolicies)?;
    desk.policies().get(name).ok_or(DeskError::NotFound { what: "policy" })
}

/// A page of contacts, newest first.
///
/// # Errors
/// When the database fails.
pub async fn contacts(desk: &Desk, caller: &Caller, query: &ContactQuery) -> Result<Vec<StoredContact>, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    Ok(desk.reader(&caller.scope).contacts(query).await?)
}

/// One contact.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn contact(desk: &Desk, caller: &Caller, id: ContactId) -> Result<StoredContact, DeskError> {
    authorise(caller, Action::ReadContacts)?;
    let reader = desk.reader(&caller.scope);
    let found = reader.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    // Who was erased is a shell for counters.
    match reader.erasure_of(found.contact.id).await? {
        Some(_) => Err(DeskError::NotFound { what: "contact" }),
        None => Ok(found),
    }
}

/// A page of conversations, each decided anew.
///
/// # Errors
/// [`DeskError::NotFound`] for an agent, team, contact or channel in the filters that is not of this workspace.
pub async fn conversations(
    desk: &Desk,
    caller: &Caller,
    query: &ConversationQuery,
) -> Result<Vec<ConversationRow>, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let reader = desk.reader(&caller.scope);
    check_filters(desk, &reader, query).await?;
    let page = reader.conversations(query).await?;
    rows(desk, &caller.scope, &reader, page).await
}

/// How many conversations each tab has by the same filters.
///
/// # Errors
/// As [`conversations`].
pub async fn tab_counts(desk: &Desk, caller: &Caller, query: &ConversationQuery) -> Result<TabCounts, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let reader = desk.reader(&caller.scope);
    check_filters(desk, &reader, query).await?;
    Ok(reader.tab_counts(query).await?)
}

/// One conversation, decided anew.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn conversation(desk: &Desk, caller: &Caller, id: ConversationId) -> Result<ConversationRow, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let reader = desk.reader(&caller.scope);
    let stored = reader.conversation(id).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
    with_survey(desk, caller, stored).await
}

async fn with_survey(desk: &Desk, caller: &Caller, stored: StoredConversation) -> Result<ConversationRow, DeskError> {
    let reader = desk.reader(&caller.scope);
    let survey = reader.last_survey(stored.conversation.id).await?;
    Ok(ConversationRow { survey, ..row(desk, &caller.scope, &reader, stored).await? })
}

/// The same for a conversation that was just changed.
///
/// # Errors
/// When the database fails.
pub async fn shown(desk: &Desk, caller: &Caller, stored: StoredConversation) -> Result<ConversationRow, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    with_survey(desk, caller, stored).await
}

/// The stretches of a conversation, oldest first.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn episodes(desk: &Desk, caller: &Caller, id: ConversationId) -> Result<Vec<Episode>, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let reader = desk.reader(&caller.scope);
    reader.conversation(id).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
    Ok(reader.episodes(id).await?)
}

/// A foreign id in a filter is one that is not there (reliability.md 12); a platform that is not there would find nothing.
async fn check_filters(desk: &Desk, reader: &Reader, query: &ConversationQuery) -> Result<(), DeskError> {
    if let Some(unknown) = query.platforms.iter().find(|name| desk.registry().get(name).is_none()) {
        let unknown: String = unknown.chars().take(40).collect();
        let known: Vec<&str> = desk.registry().iter().map(|platform| platform.name()).collect();
        let detail = format!("one of `{}` is expected, and it is `{unknown}`", known.join("`, `"));
        return Err(DeskError::invalid("parameter_invalid", "platform", detail));
    }
    for id in &query.accounts {
        reader.account(*id).await?.ok_or(DeskError::NotFound { what: "channel" })?;
    }
    for id in &query.assignees {
        reader.agent(*id).await?.ok_or(DeskError::NotFound { what: "agent" })?;
    }
    for id in &query.teams {
        reader.team(*id).await?.ok_or(DeskError::NotFound { what: "team" })?;
    }
    if let Some(id) = query.contact {
        reader.contact(id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    }
    Ok(())
}

/// A conversation's messages, newest first; before `before`, its time and id, if that is given.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown conversation.
pub async fn messages(
    desk: &Desk,
    caller: &Caller,
    conversation: ConversationId,
    before: Option<(OffsetDateTime, MessageId)>,
    limit: u32,
) -> Result<Vec<StoredMessage>, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let reader = desk.reader(&caller.scope);
    reader.conversation(conversation).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
    let page = reader.messages(conversation, before, limit).await?;
    Ok(page.into_iter().map(of_parts).collect())
}

/// A contact's history over all channels and episodes, newest first; before `before`, its time and id, if that is given.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown contact.
pub async fn history(
    desk: &Desk,
    caller: &Caller,
    contact: ContactId,
    before: Option<(OffsetDateTime, MessageId)>,
    limit: u32,
) -> Result<Vec<StoredMessage>, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let reader = desk.reader(&caller.scope);
    let contact = reader.contact(contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
    let page = reader.history(contact.contact.id, before, limit).await?;
    Ok(page.into_iter().map(of_parts).collect())
}

/// One message, with the attempts of each part.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn message(
    desk: &Desk,
    caller: &Caller,
    id: MessageId,
) -> Result<(StoredMessage, Vec<Vec<Attempt>>), DeskError> {
    authorise(caller, Action::ReadConversations)?;
    // What an attempt came to and what the message is for it go together.
    let reader = desk.storage().reader_of_a_moment(&caller.scope).await?;
    let mut attempts = reader.attempts_of(id).await?;
    let stored = of_parts(reader.message(id).await?.ok_or(DeskError::NotFound { what: "message" })?);
    let of_each = stored.parts.iter().map(|part| attempts.remove(&part.part.id).unwrap_or_default()).collect();
    Ok((stored, of_each))
}

/// The tags of the workspace.
///
/// # Errors
/// When the database fails.
pub async fn tags(desk: &Desk, caller: &Caller) -> Result<Vec<String>, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    Ok(desk.reader(&caller.scope).known_tags().await?)
}

/// Every agent.
///
/// # Errors
/// When the database fails.
pub async fn agents(desk: &Desk, caller: &Caller) -> Result<Vec<StoredAgent>, DeskError> {
    authorise(caller, Action::ReadAgents)?;
    Ok(desk.reader(&caller.scope).agents().await?)
}

/// Every team with its members.
///
/// # Errors
/// When the database fails.
pub async fn teams(desk: &Desk, caller: &Caller) -> Result<Vec<(Team, Vec<AgentId>)>, DeskError> {
    authorise(caller, Action::ReadAgents)?;
    let reader = desk.reader(&caller.scope);
    let mut teams = Vec::new();
    for team in reader.teams().await? {
        let members = reader.members_of(team.id).await?;
        teams.push((team, members));
    }
    Ok(teams)
}

/// The teams that the caller is in.
///
/// # Errors
/// When the database fails.
pub async fn own_teams(desk: &Desk, caller: &Caller) -> Result<Vec<transom_domain::TeamId>, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    Ok(desk.reader(&caller.scope).teams_of(caller.agent.id).await?)
}

/// Every token, without the tokens.
///
/// # Errors
/// When the database fails.
pub async fn tokens(desk: &Desk, caller: &Caller) -> Result<Vec<StoredToken>, DeskError> {
    authorise(caller, Action::ManageAgents)?;
    Ok(desk.reader(&caller.scope).tokens().await?)
}

/// The settings with their version.
///
/// # Errors
/// When the database fails.
pub async fn settings(desk: &Desk, caller: &Caller) -> Result<(Settings, u64), DeskError> {
    authorise(caller, Action::ReadSettings)?;
    Ok(desk.reader(&caller.scope).settings().await?)
}

/// The workspace's name.
///
/// # Errors
/// When the database fails.
pub async fn workspace_name(desk: &Desk, caller: &Caller) -> Result<String, DeskError> {
    Ok(desk.reader(&caller.scope).workspace().await?.name)
}

/// Where a stream of events stands: the last number that was given, and the oldest that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventBounds {
    /// The last number that was given; 0 before the first.
    pub last: u64,
    /// The oldest number that is kept.
    pub oldest: Option<u64>,
}

/// Where the workspace's events stand.
///
/// # Errors
/// When the database fails.
pub async fn event_bounds(desk: &Desk, caller: &Caller) -> Result<EventBounds, DeskError> {
    authorise(caller, Action::ReadEvents)?;
    let reader = desk.reader(&caller.scope);
    Ok(EventBounds { last: reader.last_event_seq().await?, oldest: reader.oldest_event_seq().await? })
}

/// Up to `limit` events after number `seq`, in order, and the number up to which they were looked at. A bot hears of those
/// that are for it.
///
/// # Errors
/// When the database fails.
pub async fn events(
    desk: &Desk,
    caller: &Caller,
    seq: u64,
    limit: u64,
) -> Result<(Vec<NumberedEvent>, u64), DeskError> {
    authorise(caller, Action::ReadEvents)?;
    let mut events = desk.reader(&caller.scope).events_after(seq, limit).await?;
    let last = events.last().map_or(seq, |event| event.seq);
    if caller.agent.role == Role::Bot {
        events.retain(|event| event.event.is_for(caller.agent.id));
    }
    Ok((events, last))
}

/// How much waits in all workspaces together, for operators: numbers only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Since when the oldest webhook call waits to be applied.
    pub oldest_unapplied_at: Option<OffsetDateTime>,
    /// What could not be used and nobody has settled.
    pub quarantined: u64,
    /// Parts that may be sent now.
    pub due: u64,
    /// Since when the oldest of them is due.
    pub oldest_due_at: Option<OffsetDateTime>,
    /// Parts that a dispatcher has taken and has not settled.
    pub in_hand: u64,
    /// Parts whose outcome nobody knows.
    pub unknown: u64,
    /// Receipts that wait for the answer to their send.
    pub parked_receipts: u64,
}

/// How much waits in all workspaces together. Asks for no role: it tells nothing of anybody.
///
/// # Errors
/// When the database fails.
pub async fn load(desk: &Desk) -> Result<Load, DeskError> {
    let earliest = |a: Option<OffsetDateTime>, b: Option<OffsetDateTime>| [a, b].into_iter().flatten().min();
    let (mut load, now) = (Load::default(), desk.now());
    for scope in desk.storage().all_scopes().await? {
        let reader = desk.reader(&scope);
        let outbox = reader.outbox_stats(now).await?;
        load.oldest_unapplied_at = earliest(load.oldest_unapplied_at, reader.oldest_unapplied().await?);
        load.quarantined += reader.quarantine_count().await?;
        load.due += outbox.due;
        load.oldest_due_at = earliest(load.oldest_due_at, outbox.oldest_due_at);
        load.in_hand += outbox.in_hand;
        load.unknown += outbox.unknown;
        load.parked_receipts += outbox.parked_receipts;
    }
    Ok(load)
}
