//! Broadcasts: one text to many, each by the right that holds for them, each once (R-313, R-210, R-520, R-523).
//!
//! ```text
//!  draft ─► scheduled ─► running ◄─► paused
//!    │          │           │ │        │
//!    │          ▼           ▼ ▼        │
//!    └─────► canceled ◄───────┘  done  │
//!               ▲──────────────────────┘
//! ```
//! While it runs, its audience is written down page by page, and each recipient goes from waiting to queued in the transaction
//! that stores their message. So a crash between two of them repeats nobody and forgets nobody.

mod audience;
mod content;
mod rehearse;
mod run;

use std::sync::Arc;

use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_domain::{Actor, BroadcastId, ChannelAccountId, ContactId, DeliveryState, MessageId};
use transom_storage::{
    BroadcastPlan, BroadcastRecipient, BroadcastState, Reader, RecipientCount, StoredBroadcast, Tx, WorkspaceScope,
};

use crate::authorise::{Action, Caller, authorise};
use crate::idempotency::{Once, only_once};
use crate::queries::present_account;
use crate::send::in_time;
use crate::{Desk, DeskError, changes};

pub use audience::Audience;
pub use content::BroadcastContent;
pub use rehearse::{Example, PermitCount, RefusalCount, Rehearsal, rehearse};
pub(crate) use run::run;
pub use run::work;

/// The longest name.
const MAX_NAME: usize = 200;
/// As many a minute as an account without limits of its own may still want.
const MAX_PER_MINUTE: u32 = 100_000;
/// How many messages are withdrawn in one transaction.
const WITHDRAWN_AT_ONCE: u32 = 200;
/// Quiet hours that are longer leave no hour: the zones that are plausible for somebody share no day.
const LONGEST_NIGHT: Duration = Duration::days(2);

/// What a broadcast shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBroadcast {
    /// What agents find it by.
    pub name: String,
    /// The account it leaves by.
    pub account: ChannelAccountId,
    /// What it says.
    pub content: BroadcastContent,
    /// Whom it is for.
    pub audience: Audience,
    /// Whether it promotes something: then only rights that allow promotion are used (R-210).
    pub promotional: bool,
    /// How many messages are queued a minute at most.
    pub per_minute: u32,
    /// When it shall begin once it is started, if not at once.
    pub send_at: Option<OffsetDateTime>,
}

/// What may change about a draft; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BroadcastChange {
    /// What agents find it by.
    pub name: Option<String>,
    /// What it says.
    pub content: Option<BroadcastContent>,
    /// Whom it is for.
    pub audience: Option<Audience>,
    /// Whether it promotes something.
    pub promotional: Option<bool>,
    /// How many messages are queued a minute at most.
    pub per_minute: Option<u32>,
    /// When it shall begin once it is started.
    pub send_at: Option<OffsetDateTime>,
}

/// What a person does to a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Begins it, at its time if it has one.
    Start,
    /// Holds it up: who waits goes on waiting, what is queued leaves.
    Pause,
    /// Lets it go on.
    Resume,
    /// Ends it: who waits gets nothing, what is queued still is withdrawn.
    Cancel,
}

impl Turn {
    const ALL: [Turn; 4] = [Turn::Start, Turn::Pause, Turn::Resume, Turn::Cancel];

    /// As the API calls it, for sentences.
    const fn word(self) -> &'static str {
        match self {
            Turn::Start => "`start`",
            Turn::Pause => "`pause`",
            Turn::Resume => "`resume`",
            Turn::Cancel => "`cancel`",
        }
    }

    const fn from(self) -> &'static [BroadcastState] {
        use BroadcastState as S;
        match self {
            Turn::Start => &[S::Draft],
            Turn::Pause => &[S::Running, S::Scheduled],
            Turn::Resume => &[S::Paused],
            Turn::Cancel => &[S::Draft, S::Scheduled, S::Running, S::Paused],
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Turn::Start => "broadcast.started",
            Turn::Pause => "broadcast.paused",
            Turn::Resume => "broadcast.resumed",
            Turn::Cancel => "broadcast.canceled",
        }
    }
}

/// A broadcast with how its recipients stand.
#[derive(Debug, Clone, PartialEq)]
pub struct BroadcastDetail {
    /// The broadcast.
    pub stored: StoredBroadcast,
    /// How many recipients stand where, and why.
    pub counts: Vec<RecipientCount>,
    /// How many of them answered in time.
    pub answered: u64,
}

/// Makes a draft.
///
/// # Errors
/// [`DeskError::Invalid`] for what makes no broadcast; [`DeskError::NotFound`] for a channel or contact that is not of this
/// workspace.
pub async fn create(
    desk: &Desk,
    caller: &Caller,
    new: NewBroadcast,
    once: Option<Once<StoredBroadcast>>,
) -> Result<StoredBroadcast, DeskError> {
    authorise(caller, Action::WriteBroadcasts)?;
    let plan = Arc::new(plan_of(desk, caller, &new).await?);
    let (desk_in, author, now) = (desk.clone(), caller.agent.id, desk.now());
    let by = Actor::from(&caller.agent);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, plan, once, by) = (desk_in.clone(), plan.clone(), once.clone(), by.clone());
            Box::pin(async move {
                let made = async {
                    let id = BroadcastId::new(desk.ids());
                    tx.insert_broadcast(id, &plan, author, now).await?;
                    tell(tx, &desk, id, "broadcast.created", Some(&by), now).await?;
                    tx.broadcast(id).await?.ok_or(DeskError::NotFound { what: "broadcast" })
                };
                only_once(once.as_ref(), tx, now, made).await
            })
        })
        .await
}

/// Changes a draft.
///
/// # Errors
/// As [`create`]; [`DeskError::Conflict`] once it was started, [`DeskError::VersionMismatch`] when `expected` is not the present
/// version.
pub async fn change(
    desk: &Desk,
    caller: &Caller,
    id: BroadcastId,
    change: BroadcastChange,
    expected: Option<u64>,
) -> Result<StoredBroadcast, DeskError> {
    authorise(caller, Action::WriteBroadcasts)?;
    let stored = found(&desk.reader(&caller.scope), id).await?;
    let before = stored.plan;
    let new = NewBroadcast {
        name: change.name.unwrap_or(before.name),
        account: before.account,
        content: change.content.map_or_else(|| BroadcastContent::read(id, &before.content), Ok)?,
        audience: change.audience.map_or_else(|| Audience::read(id, &before.audience), Ok)?,
        promotional: change.promotional.unwrap_or(before.promotional),
        per_minute: change.per_minute.unwrap_or(before.per_minute),
        send_at: change.send_at.or(before.send_at),
    };
    let plan = Arc::new(plan_of(desk, caller, &new).await?);
    let (desk_in, by, now) = (desk.clone(), Actor::from(&caller.agent), desk.now());
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, plan, by) = (desk_in.clone(), plan.clone(), by.clone());
            Box::pin(async move {
                if tx.change_broadcast(id, &plan, expected).await? {
                    tell(tx, &desk, id, "broadcast.changed", Some(&by), now).await?;
                    return found(tx, id).await;
                }
                match found(tx, id).await?.state {
                    BroadcastState::Draft => Err(DeskError::VersionMismatch),
                    state => Err(stands_elsewhere(state)),
                }
            })
        })
        .await
}

/// Broadcasts, the newest first; behind `after`, the time and id of one, if that is given.
///
/// # Errors
/// When the database fails.
pub async fn list(
    desk: &Desk,
    caller: &Caller,
    after: Option<(OffsetDateTime, BroadcastId)>,
    limit: u32,
) -> Result<Vec<StoredBroadcast>, DeskError> {
    authorise(caller, Action::ReadBroadcasts)?;
    Ok(desk.reader(&caller.scope).broadcasts(after, limit).await?)
}

/// One broadcast, with how its recipients stand.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn detail(desk: &Desk, caller: &Caller, id: BroadcastId) -> Result<BroadcastDetail, DeskError> {
    authorise(caller, Action::ReadBroadcasts)?;
    let reader = desk.reader(&caller.scope);
    let stored = found(&reader, id).await?;
    let counts = reader.recipient_counts(id).await?;
    let answered = reader.answered_count(id, answers_within(&reader).await?).await?;
    Ok(BroadcastDetail { stored, counts, answered })
}

/// A page of recipients, of one state if that is given.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn recipients(
    desk: &Desk,
    caller: &Caller,
    id: BroadcastId,
    state: Option<&str>,
    after: Option<ContactId>,
    limit: u32,
) -> Result<Vec<BroadcastRecipient>, DeskError> {
    authorise(caller, Action::ReadBroadcasts)?;
    let reader = desk.reader(&caller.scope);
    found(&reader, id).await?;
    let within = answers_within(&reader).await?;
    Ok(reader.recipients(id, state, after, limit, within).await?)
}

/// Starts, holds up, lets go on or ends a broadcast.
///
/// # Errors
/// [`DeskError::Conflict`] `broadcast_state` for what its state does not allow.
pub async fn turn(
    desk: &Desk,
    caller: &Caller,
    id: BroadcastId,
    turn: Turn,
    once: Option<Once<StoredBroadcast>>,
) -> Result<StoredBroadcast, DeskError> {
    authorise(caller, Action::SendBroadcasts)?;
    let stored = found(&desk.reader(&caller.scope), id).await?;
    let (desk_in, by, now) = (desk.clone(), Actor::from(&caller.agent), desk.now());
    let to = match turn {
        Turn::Start if stored.plan.send_at.is_some() => BroadcastState::Scheduled,
        // What was held up before its time goes on waiting for it.
        Turn::Resume if stored.started_at.is_none() => BroadcastState::Scheduled,
        Turn::Start | Turn::Resume => BroadcastState::Running,
        Turn::Pause => BroadcastState::Paused,
        Turn::Cancel => BroadcastState::Canceled,
    };
    let send_at = stored.plan.send_at.filter(|_| turn == Turn::Start);
    let turned = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let (desk, by, once) = (desk_in.clone(), by.clone(), once.clone());
            Box::pin(async move {
                let turned = async {
                    if !tx.turn_broadcast(id, turn.from(), to, Some(&by), now).await? {
                        return Err(stands_elsewhere(found(tx, id).await?.state));
                    }
                    send_at.map(|at| in_time(at, now)).transpose()?;
                    tell(tx, &desk, id, turn.kind(), Some(&by), now).await?;
                    found(tx, id).await
                };
                only_once(once.as_ref(), tx, now, turned).await
            })
        })
        .await?;
    if turn == Turn::Cancel {
        // What it takes beyond one batch the worker does.
        withdraw(desk, &caller.scope, &turned).await?;
        return found(&desk.reader(&caller.scope), id).await;
    }
    Ok(turned)
}

/// Withdraws a batch of what is queued of a canceled broadcast, and of who waits; how many. It has ended once none is queued or on
/// the wire, from where it may come back.
async fn withdraw(desk: &Desk, scope: &WorkspaceScope, canceled: &StoredBroadcast) -> Result<usize, DeskError> {
    let (desk_in, id, now) = (desk.clone(), canceled.id, desk.now());
    let by = canceled.canceled_by.clone().unwrap_or(Actor::Automation { name: "broadcast".to_owned() });
    let by = Arc::new(by);
    desk.storage()
        .transact(scope, move |tx| {
            let (desk, by) = (desk_in.clone(), by.clone());
            Box::pin(async move {
                let queued = tx.queued_of_broadcast(id, WITHDRAWN_AT_ONCE).await?;
                let mut withdrawn = 0;
                for message in &queued {
                    withdrawn += usize::from(withdraw_one(tx, &desk, *message, &by, now).await?);
                }
                let waiting = tx.cancel_waiting(id, WITHDRAWN_AT_ONCE).await?;
                if waiting < u64::from(WITHDRAWN_AT_ONCE) && !tx.broadcast_is_under_way(id).await? {
                    tx.end_canceled(id, now).await?;
                }
                Ok(withdrawn + usize::try_from(waiting).unwrap_or(usize::MAX))
            })
        })
        .await
}

async fn withdraw_one(
    tx: &Tx,
    desk: &Desk,
    message: MessageId,
    by: &Actor,
    now: OffsetDateTime,
) -> Result<bool, DeskError> {
    if !tx.cancel_message(message, by, now).await? {
        return Ok(false);
    }
    let Some(stored) = tx.message(message).await? else { return Ok(false) };
    let Some(conversation) = tx.conversation(stored.message.conversation).await? else { return Ok(false) };
    let (from, to) = (DeliveryState::Queued, stored.message.state);
    let data = json!({ "message": message, "from": from, "to": to, "detail": { "reason": "canceled", "by": by } });
    changes::emit(tx, desk.ids(), &conversation, "message.state", data, now).await?;
    Ok(true)
}

/// Until when a recipient is let sleep, if that is all that stands against their message and the night has an end.
fn sleeps_until(error: &DeskError, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let DeskError::NotPermitted(verdict) = error else { return None };
    verdict.waits_until().filter(|until| *until - now <= LONGEST_NIGHT)
}

async fn plan_of(desk: &Desk, caller: &Caller, new: &NewBroadcast) -> Result<BroadcastPlan, DeskError> {
    let reader = desk.reader(&caller.scope);
    let account = present_account(&reader, new.account).await?;
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        let detail = format!("a broadcast has a name of 1 to {MAX_NAME} characters");
        return Err(DeskError::invalid("invalid_value", "name", detail));
    }
    if new.per_minute == 0 || new.per_minute > MAX_PER_MINUTE {
        let detail = format!("between 1 and {MAX_PER_MINUTE} messages a minute");
        return Err(DeskError::invalid("invalid_value", "per_minute", detail));
    }
    let send_at = new.send_at.map(|at| in_time(at, desk.now())).transpose()?;
    new.audience.check(desk, caller).await?;
    new.content.check(&reader, &account, new.promotional).await?;
    Ok(BroadcastPlan {
        name: name.to_owned(),
        account: account.id,
        content: new.content.stored()?,
        audience: new.audience.stored()?,
        promotional: new.promotional,
        per_minute: new.per_minute,
        send_at,
    })
}

async fn found(reader: &Reader, id: BroadcastId) -> Result<StoredBroadcast, DeskError> {
    reader.broadcast(id).await?.ok_or(DeskError::NotFound { what: "broadcast" })
}

/// How long a customer's message counts as an answer (R-117, R-523).
async fn answers_within(reader: &Reader) -> Result<Duration, DeskError> {
    let (settings, _) = reader.settings().await?;
    Ok(Duration::days(i64::from(settings.answer_opens_days)))
}

fn stands_elsewhere(state: BroadcastState) -> DeskError {
    let change = (state == BroadcastState::Draft).then_some("`change`");
    let turns = Turn::ALL.iter().filter(|turn| turn.from().contains(&state)).map(|turn| turn.word());
    let allowed: Vec<&str> = change.into_iter().chain(turns).collect();
    let next = match allowed.as_slice() {
        [] => "it has ended: make another one".to_owned(),
        some => format!("it allows {}", some.join(", ")),
    };
    DeskError::conflict(
        "broadcast_state",
        format!("the broadcast is `{}`, which does not allow this; {next}", state.as_str()),
    )
}

async fn tell(
    tx: &Tx,
    desk: &Desk,
    id: BroadcastId,
    kind: &str,
    by: Option<&Actor>,
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    changes::tell(tx, desk.ids(), None, kind, json!({ "broadcast": id, "by": by }), now).await
}
