//! Scheduled sends: kept for their time, then decided anew and sent as if their author pressed the button.
//!
//! A message that is kept holds no quota and stands in nobody's way; quota, place in the conversation, opening and assignee
//! come when it leaves. What became illegal by then is not sent, and says why. Every replica looks; the row of the schedule,
//! taken away under its version in the transaction that queues the message, makes it leave once.

use std::sync::Arc;
use std::time::Duration as Pause;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use transom_channel::Patience;
use transom_domain::{Actor, Agent, Author, DeliveryState, MessageId};
use transom_storage::{Reader, StorageError, StoredMessage, StoredSchedule, WorkspaceScope};

use crate::authorise::{Action, Caller, authorise};
use crate::of_parts::of_parts;
use crate::send::{Draft, Hand, Job, Step, Target, Waiting, in_time, overtaken, worth_sending_for};
use crate::{Desk, DeskError, background, changes};

/// How often it is looked what is due.
const LOOK_EVERY: Pause = Pause::from_secs(1);
const BATCH: u32 = 100;
/// What could not be looked at (no database, a channel that can't be connected) is looked at again after this long.
const AFTER_A_FAULT: Duration = Duration::seconds(5);

/// Another time, or other words, for a scheduled message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleChange {
    /// When it shall leave.
    pub send_at: Option<OffsetDateTime>,
    /// What it says.
    pub text: Option<String>,
}

/// The workspace's scheduled messages, the next first; behind `after`, a time and a message, if that is given.
///
/// # Errors
/// When the database fails.
pub async fn scheduled(
    desk: &Desk,
    caller: &Caller,
    after: Option<(OffsetDateTime, MessageId)>,
    limit: u32,
) -> Result<Vec<(OffsetDateTime, StoredMessage)>, DeskError> {
    authorise(caller, Action::ReadConversations)?;
    let reader = desk.reader(&caller.scope);
    let schedules = reader.schedules(after, limit).await?;
    let ids: Vec<MessageId> = schedules.iter().map(|schedule| schedule.message).collect();
    let mut messages = reader.messages_of_ids(&ids).await?;
    let with_message = |schedule: StoredSchedule| {
        let at = messages.iter().position(|stored| stored.message.id == schedule.message)?;
        Some((schedule.send_at, of_parts(messages.swap_remove(at))))
    };
    Ok(schedules.into_iter().filter_map(with_message).collect())
}

/// Changes when a scheduled message leaves, or what it says. It is decided for its time as when it was scheduled. It leaves under
/// its author's name: other agents may change its time, and not its words.
///
/// # Errors
/// As [`send`](crate::send()); [`DeskError::Forbidden`]; [`DeskError::Conflict`] `not_scheduled` for a message that waits for no time.
pub async fn change(
    desk: &Desk,
    caller: &Caller,
    message: MessageId,
    change: ScheduleChange,
) -> Result<StoredMessage, DeskError> {
    authorise(caller, Action::SettleMessages)?;
    let due = Due::find(desk, &caller.scope, message).await?;
    if change.text.is_some() && due.author.as_ref().is_none_or(|author| author.id != caller.agent.id) {
        authorise(caller, Action::ChangeOthersWords)?;
    }
    let send_at = in_time(change.send_at.unwrap_or(due.waiting.send_at), desk.now())?;
    let mut draft = due.draft.clone();
    draft.text = change.text.or(draft.text);
    let step = Step::Change(Waiting { send_at, ..due.waiting });
    due.take(desk, &caller.scope, draft, step).await?;
    due.read(desk, &caller.scope).await
}

/// Sends a scheduled message now, in its author's name.
///
/// # Errors
/// As [`change`]; what may not be sent now stays scheduled.
pub async fn send_now(desk: &Desk, caller: &Caller, message: MessageId) -> Result<StoredMessage, DeskError> {
    authorise(caller, Action::SettleMessages)?;
    let due = Due::find(desk, &caller.scope, message).await?;
    due.take(desk, &caller.scope, due.draft.clone(), Step::Leave(due.waiting)).await?;
    desk.work().outbound.notify_one();
    due.read(desk, &caller.scope).await
}

/// Sends what is due until told to stop.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    let look = || async {
        let looked = leave_due(&desk).await;
        looked.inspect_err(|error| tracing::warn!(%error, "scheduled messages could not be looked for; trying again"))
    };
    background::look(&stop, LOOK_EVERY, BATCH as usize, look).await;
}

/// Looks at every scheduled message whose time has come; how many.
///
/// # Errors
/// When the database fails.
pub async fn leave_due(desk: &Desk) -> Result<usize, DeskError> {
    let mut count = 0;
    for scope in desk.storage().all_scopes().await? {
        for schedule in desk.reader(&scope).schedules_due(desk.now(), BATCH).await? {
            count += 1;
            let (message, key) = (schedule.message, (schedule.message, schedule.version));
            if let Err(error) = leave(desk, &scope, message).await {
                tracing::warn!(%message, %error, "a scheduled message could not be looked at; trying again");
                let again = desk.now().saturating_add(AFTER_A_FAULT);
                desk.storage()
                    .transact(&scope, move |tx| {
                        Box::pin(async move { Ok::<_, DeskError>(tx.defer_schedule(key, again).await?) })
                    })
                    .await?;
            }
        }
    }
    if count > 0 {
        desk.work().outbound.notify_one();
    }
    Ok(count)
}

/// One message whose time has come: it leaves, or says why not.
async fn leave(desk: &Desk, scope: &WorkspaceScope, message: MessageId) -> Result<(), DeskError> {
    let due = match Due::find(desk, scope, message).await {
        Ok(due) => due,
        Err(DeskError::NotFound { .. } | DeskError::Conflict { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    if due.is_over(desk, scope).await? {
        return due.withhold(desk, scope, json!({ "reason": "expired" })).await;
    }
    match due.take(desk, scope, due.draft.clone(), Step::Leave(due.waiting)).await {
        Ok(()) => Ok(()),
        Err(error) if error.code() == overtaken().code() => Ok(()),
        Err(error) => match reason(&error) {
            Some(reason) => due.withhold(desk, scope, reason).await,
            None => Err(error),
        },
    }
}

/// Why a message was not sent, if that is what an error says; a fault of the surroundings is no reason.
pub(crate) fn reason(error: &DeskError) -> Option<Value> {
    match error {
        DeskError::NotPermitted(verdict) => Some(verdict.told()),
        DeskError::NotFound { .. }
        | DeskError::Forbidden { .. }
        | DeskError::Invalid { .. }
        | DeskError::Conflict { .. } => Some(json!({ "reason": error.code(), "detail": error.to_string() })),
        DeskError::VersionMismatch | DeskError::Replayed(_) | DeskError::Platform(_) | DeskError::Storage(_) => None,
    }
}

/// The word for [`reason`] by which many are counted.
pub(crate) fn word_for(error: &DeskError) -> &str {
    match error {
        DeskError::NotPermitted(verdict) => verdict.because(),
        other => other.code(),
    }
}

/// A scheduled message with what was asked for, and its author as they stand now.
struct Due {
    waiting: Waiting,
    stored: StoredMessage,
    draft: Draft,
    author: Option<Agent>,
}

impl Due {
    async fn find(desk: &Desk, scope: &WorkspaceScope, message: MessageId) -> Result<Self, DeskError> {
        let reader = desk.reader(scope);
        let stored = reader.message(message).await?.ok_or(DeskError::NotFound { what: "message" })?;
        let schedule = reader.schedule(message).await?.ok_or_else(overtaken)?;
        let draft = serde_json::from_value(schedule.draft).map_err(|error| StorageError::Unreadable {
            table: "scheduled_messages",
            column: "draft",
            row: message.uuid(),
            reason: error.to_string(),
        })?;
        let waiting = Waiting { message, version: schedule.version, send_at: schedule.send_at };
        Ok(Self { waiting, author: author(&reader, &stored).await?, stored, draft })
    }

    /// Whether it is not worth sending any more, as after a long stop of the service.
    async fn is_over(&self, desk: &Desk, scope: &WorkspaceScope) -> Result<bool, DeskError> {
        let late = desk.now() - self.waiting.send_at;
        if late < worth_sending_for(Patience::Prompt) {
            return Ok(false);
        }
        // A channel that can't be connected has its own words for its patience no more.
        let patience = desk.account(scope, self.stored.account).await.map(|(_, channel)| channel.patience());
        Ok(late >= worth_sending_for(patience.unwrap_or(Patience::Postal)))
    }

    /// Takes the next step with it.
    async fn take(&self, desk: &Desk, scope: &WorkspaceScope, draft: Draft, step: Step) -> Result<(), DeskError> {
        let Some(author) = &self.author else {
            let detail = "its author is no agent of this workspace any more: write it in your own name";
            return Err(DeskError::conflict("author_inactive", detail));
        };
        let target = Target::Conversation(self.stored.message.conversation);
        let job: Arc<Job> = Job::at_step(desk, scope, Hand::of(author), target, (draft, step), None).await?;
        desk.storage()
            .transact(scope, move |tx| {
                let job = job.clone();
                Box::pin(async move { job.run(tx).await })
            })
            .await?;
        Ok(())
    }

    /// It does not leave, and says why; a person may retry it.
    async fn withhold(&self, desk: &Desk, scope: &WorkspaceScope, reason: Value) -> Result<(), DeskError> {
        let (desk_in, now, waiting, reason) = (desk.clone(), desk.now(), self.waiting, Arc::new(reason));
        let conversation = self.stored.message.conversation;
        metrics::counter!("transom_withheld_total", "reason" => "scheduled").increment(1);
        desk.storage()
            .transact(scope, move |tx| {
                let (desk, reason) = (desk_in.clone(), reason.clone());
                Box::pin(async move {
                    if !tx.take_schedule(waiting.message, Some(waiting.version)).await? {
                        return Ok(());
                    }
                    tx.end_scheduled(waiting.message, DeliveryState::NotSent, &reason, now).await?;
                    let Some(stored) = tx.conversation(conversation).await? else { return Ok(()) };
                    let (from, to) = (DeliveryState::Scheduled, DeliveryState::NotSent);
                    let data = json!({ "message": waiting.message, "from": from, "to": to, "detail": *reason });
                    changes::emit(tx, desk.ids(), &stored, "message.state", data, now).await
                })
            })
            .await
    }

    async fn read(&self, desk: &Desk, scope: &WorkspaceScope) -> Result<StoredMessage, DeskError> {
        let message = desk.reader(scope).message(self.waiting.message).await?;
        message.map(of_parts).ok_or(DeskError::NotFound { what: "message" })
    }
}

/// Who wrote a message, if they still work here.
pub(crate) async fn author(reader: &Reader, stored: &StoredMessage) -> Result<Option<Agent>, DeskError> {
    let Author::Actor(Actor::Agent { id, .. }) = &stored.message.author else { return Ok(None) };
    Ok(reader.agent(*id).await?.filter(|found| found.active).map(|found| found.agent))
}
