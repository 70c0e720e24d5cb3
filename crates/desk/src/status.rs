//! Open, snooze, close; and waking what was snoozed.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use transom_domain::{
    Actor, Assignment, Conversation, ConversationId, EpisodeId, Settings, Status, StatusError, Transition,
};
use transom_storage::{Reader, StoredConversation, Tx, WorkspaceScope};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::{self, Change};
use crate::moments::survey;
use crate::{Desk, DeskError, background};

/// How often snoozed conversations are looked at.
const WAKE_EVERY: Duration = Duration::from_secs(1);
const WAKE_BATCH: u32 = 100;

/// What a conversation shall become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum NewStatus {
    /// Open.
    Open {
        /// Who has it from then on, nobody perhaps; `None` for whoever has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Assignment>,
    },
    /// Out of sight until an instant.
    Snoozed {
        /// When it wakes.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
    /// Done.
    Closed {
        /// What it was about.
        category: Option<String>,
        /// A summary.
        note: Option<String>,
    },
}

impl NewStatus {
    /// Whether the caller may give it to whom it shall have.
    ///
    /// # Errors
    /// As [`assign`].
    pub(crate) async fn check(&self, reader: &Reader, caller: &Caller) -> Result<(), DeskError> {
        let NewStatus::Open { to: Some(to) } = self else { return Ok(()) };
        authorise(caller, Action::Assign)?;
        check_assignee(reader, *to).await
    }
}

/// Changes the status of a conversation by hand, and with a tab who has it.
///
/// # Errors
/// [`DeskError::NotFound`] for an agent or team that is not of this workspace, [`DeskError::Conflict`] for a change that makes no
/// sense, [`DeskError::Invalid`] where the setting wants a category and a note, [`DeskError::VersionMismatch`] when `expected` is not the present version.
pub async fn set_status(
    desk: &Desk,
    caller: &Caller,
    conversation: ConversationId,
    status: NewStatus,
    expected: Option<u64>,
) -> Result<StoredConversation, DeskError> {
    authorise(caller, Action::ChangeStatus)?;
    status.check(&desk.reader(&caller.scope), caller).await?;
    let (desk_in, caller_in, status, now) = (desk.clone(), caller.clone(), Arc::new(status), desk.now());
    let changed = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller, status) = (desk_in.clone(), caller_in.clone(), status.clone());
            Box::pin(async move {
                let stored = locked(tx, conversation, expected).await?;
                let (settings, _) = tx.settings().await?;
                let by = Actor::from(&caller.agent);
                change(&desk, tx, &stored, &by, &status, &settings, now).await?;
                tx.conversation(conversation).await?.ok_or(DeskError::NotFound { what: "conversation" })
            })
        })
        .await?;
    desk.work().moments.notify_one();
    Ok(changed)
}

/// Gives a conversation to an agent, a team, both or nobody.
///
/// # Errors
/// [`DeskError::NotFound`] for an agent or team that is not of this workspace, [`DeskError::VersionMismatch`] as above.
pub async fn assign(
    desk: &Desk,
    caller: &Caller,
    conversation: ConversationId,
    assignment: Assignment,
    expected: Option<u64>,
) -> Result<StoredConversation, DeskError> {
    authorise(caller, Action::Assign)?;
    let (desk_in, caller_in, now) = (desk.clone(), caller.clone(), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, caller) = (desk_in.clone(), caller_in.clone());
            Box::pin(async move {
                check_assignee(tx, assignment).await?;
                let stored = locked(tx, conversation, expected).await?;
                give(&desk, tx, &stored, &Actor::from(&caller.agent), assignment, now).await?;
                tx.conversation(conversation).await?.ok_or(DeskError::NotFound { what: "conversation" })
            })
        })
        .await
}

/// Wakes what is due, in every workspace.
///
/// # Errors
/// When the database fails.
pub async fn wake_due(desk: &Desk) -> Result<u32, DeskError> {
    let mut woken = 0;
    for scope in desk.storage().all_scopes().await? {
        for conversation in desk.reader(&scope).snoozed_due(desk.now(), WAKE_BATCH.into()).await? {
            woken += u32::from(wake(desk, &scope, conversation).await?);
        }
    }
    Ok(woken)
}

/// Wakes snoozed conversations until told to stop.
pub async fn run_waking(desk: Desk, stop: CancellationToken) {
    let look = || async {
        let woken = wake_due(&desk).await.map(|woken| woken as usize);
        woken.inspect_err(|error| tracing::warn!(%error, "snoozed conversations could not be woken; trying again"))
    };
    background::look(&stop, WAKE_EVERY, WAKE_BATCH as usize, look).await;
}

async fn wake(desk: &Desk, scope: &WorkspaceScope, conversation: ConversationId) -> Result<bool, DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let desk = desk_in.clone();
            Box::pin(async move {
                let Some(stored) = tx.lock_conversation(conversation).await? else { return Ok(false) };
                let mut after = stored.conversation.clone();
                let Some(transition) = after.wake(now) else { return Ok(false) };
                let by = Actor::Automation { name: "snooze".to_owned() };
                let change = Change::new(&by, "wake", now);
                changes::record(tx, desk.ids(), &stored, &after, &transition, &change).await?;
                Ok(true)
            })
        })
        .await
}

async fn locked(tx: &Tx, id: ConversationId, expected: Option<u64>) -> Result<StoredConversation, DeskError> {
    let stored = tx.lock_conversation(id).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
    match expected {
        Some(version) if version != stored.version => Err(DeskError::VersionMismatch),
        _ => Ok(stored),
    }
}

/// What a status makes of a conversation; nothing is stored.
///
/// # Errors
/// As [`set_status`], but for the version.
pub(crate) fn planned(
    stored: &StoredConversation,
    status: &NewStatus,
    settings: &Settings,
    episode: EpisodeId,
    now: OffsetDateTime,
) -> Result<(Conversation, Transition), DeskError> {
    let mut after = stored.conversation.clone();
    let transition = match status {
        NewStatus::Open { to } => {
            let to = to.unwrap_or(stored.conversation.assignment);
            let opened = after.restore(Status::Open, to, episode, now);
            opened.ok_or(StatusError::Unchanged(Status::Open.as_str()))?
        }
        NewStatus::Snoozed { until } => after.snooze(*until, now)?,
        NewStatus::Closed { category, note } => {
            let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
            if settings.close_note_required && !(given(category) && given(note)) {
                return Err(DeskError::invalid(
                    "close_note_required",
                    "note",
                    "closing needs a category and a note in this workspace",
                ));
            }
            after.close(settings.on_close, now)?
        }
    };
    Ok((after, transition))
}

/// Changes the status of a locked conversation.
pub(crate) async fn change(
    desk: &Desk,
    tx: &Tx,
    stored: &StoredConversation,
    by: &Actor,
    status: &NewStatus,
    settings: &Settings,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let (after, transition) = planned(stored, status, settings, EpisodeId::new(desk.ids()), now)?;
    let mut change = Change::new(by, "agent", now);
    if let NewStatus::Closed { category, note } = status {
        (change.category, change.note) = (category.as_deref(), note.as_deref());
        survey::begin(tx, stored, by, settings, now).await?;
    }
    changes::record(tx, desk.ids(), stored, &after, &transition, &change).await
}

/// Gives a locked conversation to somebody; `false` if they have it.
pub(crate) async fn give(
    desk: &Desk,
    tx: &Tx,
    stored: &StoredConversation,
    by: &Actor,
    assignment: Assignment,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    let mut after = stored.conversation.clone();
    let Some(transition) = after.assign(assignment, now) else { return Ok(false) };
    let change = Change::new(by, "agent", now);
    changes::record(tx, desk.ids(), stored, &after, &transition, &change).await?;
    Ok(true)
}

/// Whether agent and team are of this workspace, and the agent still works there.
pub(crate) async fn check_assignee(reader: &Reader, to: Assignment) -> Result<(), DeskError> {
    if let Some(agent) = to.agent {
        let known = reader.agent(agent).await?.filter(|known| known.active);
        known.ok_or(DeskError::NotFound { what: "agent" })?;
    }
    if let Some(team) = to.team {
        reader.team(team).await?.ok_or(DeskError::NotFound { what: "team" })?;
    }
    Ok(())
}
