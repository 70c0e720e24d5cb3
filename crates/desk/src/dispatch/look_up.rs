//! Outcomes that nobody knows, where the platform can be asked what it took (reliability.md 5).
//!
//! ```text
//!  unknown ─ 60 s ─► asked ─┬─ it has the message ───────────────────► sent, with the platform's id
//!              ▲            ├─ it has nothing, and had nothing before ─► queued, decided anew
//!              └─ 4 min ────┴─ nothing yet, or something else
//! ```
//! It is asked three times; then people decide, as they may at any time before.

use std::panic::AssertUnwindSafe;
use std::time::Duration as Pause;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use transom_channel::{Lost, Taken};
use transom_domain::DeliveryState;
use transom_storage::{Attempt, LookUpDue, PartEvidence, Settled, Tx, WorkspaceScope};

use crate::background::look;
use crate::{Desk, DeskError, changes};

const EVERY: Pause = Pause::from_secs(5);
const BATCH: u32 = 20;
/// So often it is asked about one attempt.
const LOOKS: usize = 3;
/// From one look to the next: a platform's list may lag behind.
const BETWEEN: Duration = Duration::minutes(4);
/// After a look that failed, and how long it is tried.
const AFTER_A_FAULT: Duration = Duration::MINUTE;
const GIVEN_UP_AFTER: Duration = Duration::DAY;
/// So far the platform's clock may be from ours; its times are whole seconds.
const SKEW: Duration = Duration::seconds(2);
/// What came into being after an attempt was over may be of another that is under way: it has its own name by then.
const UNDER_WAY: Duration = Duration::minutes(2);

/// What a look-up found.
enum Found {
    Sent(String),
    /// Nothing that could be it.
    Nothing,
    /// Something that nobody here sent, or that may be of another attempt.
    Unclear,
}

/// Asks until told to stop.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = look(&stop, EVERY, BATCH as usize, || look_up(&desk)) => {}
    }
}

/// Asks about what is due, in every workspace.
async fn look_up(desk: &Desk) -> Result<usize, DeskError> {
    let mut asked = 0;
    for scope in desk.storage().all_scopes().await? {
        let now = desk.now();
        let again_at = now.saturating_add(AFTER_A_FAULT);
        for due in desk.storage().take_look_ups(&scope, now, again_at, BATCH).await? {
            asked += 1;
            match AssertUnwindSafe(ask(desk, &scope, due)).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(part = %due.part, %error, "a lost answer could not be looked up; trying again");
                }
                Err(_) => {
                    metrics::counter!("transom_panics_total", "job" => "look_up").increment(1);
                    tracing::error!(part = %due.part, "looking up a lost answer panicked; trying again");
                }
            }
        }
    }
    Ok(asked)
}

async fn ask(desk: &Desk, scope: &WorkspaceScope, due: LookUpDue) -> Result<(), DeskError> {
    let reader = desk.reader(scope);
    let attempts = reader.attempts(due.part).await?;
    let over = over(&attempts, due.attempt).filter(|over| desk.now() < over.saturating_add(GIVEN_UP_AFTER));
    let (Some(over), Some(first)) = (over, attempts.first()) else { return stop(desk, scope, due).await };
    let (_, channel) = desk.account(scope, due.account).await?;
    let Some(look_up) = channel.look_up() else { return stop(desk, scope, due).await };
    let Some(message) = reader.message(due.message).await? else { return Ok(()) };
    let Some(part) = message.parts.iter().find(|part| part.part.id == due.part) else { return Ok(()) };
    let Some(to) = reader.identity(message.identity).await? else { return Ok(()) };

    // From the first attempt on: what of an earlier one arrived late is the message as well.
    let lost = Lost { to: &to, content: &part.part.content, since: first.started_at.saturating_sub(SKEW) };
    let taken = look_up.taken(&lost).await?;
    let ids: Vec<String> = taken.iter().map(|taken| taken.provider_id.clone()).collect();
    let known = reader.known_provider_ids(due.account, &ids).await?;
    let nobodys = taken.into_iter().filter(|taken| !known.contains(&taken.provider_id)).collect();
    let found = found(nobodys, over, desk.now());
    let looks: Vec<PartEvidence> = reader
        .part_evidence(due.part)
        .await?
        .into_iter()
        .filter(|known| known.is_look_up() && known.attempt == Some(due.attempt))
        .collect();
    settle(desk, scope, due, found, &looks).await
}

/// When an attempt was over: its answer was lost by then, or its lease.
fn over(attempts: &[Attempt], number: u32) -> Option<OffsetDateTime> {
    let attempt = attempts.iter().find(|attempt| attempt.number == number)?;
    Some(attempt.ended_at.unwrap_or(attempt.started_at))
}

/// Of what has no other name here.
fn found(nobodys: Vec<Taken>, over: OffsetDateTime, now: OffsetDateTime) -> Found {
    if nobodys.is_empty() {
        return Found::Nothing;
    }
    let is_it = |taken: &Taken| {
        let in_time = taken.at <= over.saturating_add(SKEW) || taken.at.saturating_add(UNDER_WAY) <= now;
        taken.is_same && in_time
    };
    nobodys.into_iter().find(is_it).map_or(Found::Unclear, |taken| Found::Sent(taken.provider_id))
}

async fn settle(
    desk: &Desk,
    scope: &WorkspaceScope,
    due: LookUpDue,
    found: Found,
    looks: &[PartEvidence],
) -> Result<(), DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    let LookUpDue { part, attempt, .. } = due;
    let nothing_before = looks.last().is_some_and(PartEvidence::found_nothing);
    let again_at = (looks.len() + 1 < LOOKS).then(|| now.saturating_add(BETWEEN));
    let word = match found {
        Found::Sent(id) => return sent(desk, scope, due, id).await,
        Found::Nothing if nothing_before => None,
        Found::Nothing => Some("nothing"),
        Found::Unclear => Some("unclear"),
    };
    desk.storage()
        .transact(scope, move |tx| {
            let desk = desk_in.clone();
            Box::pin(async move {
                match word {
                    Some(word) => {
                        if tx.note_look_up(part, attempt, json!({ "found": word }), now).await? {
                            tx.look_again_at(part, again_at).await?;
                        }
                        Ok(())
                    }
                    None => match tx.found_nowhere(part, attempt, now).await? {
                        Some(state) => tell(tx, &desk, due, (DeliveryState::Queued, state), now).await,
                        None => Ok(()),
                    },
                }
            })
        })
        .await?;
    desk.work().outbound.notify_one();
    Ok(())
}

async fn sent(desk: &Desk, scope: &WorkspaceScope, due: LookUpDue, id: String) -> Result<(), DeskError> {
    let (desk_in, now) = (desk.clone(), desk.now());
    desk.storage()
        .transact(scope, move |tx| {
            let (desk, id) = (desk_in.clone(), id.clone());
            Box::pin(async move {
                let settled = tx.found_sent(due.part, due.attempt, &id, now).await?;
                let Some(Settled::Done { message_state, joined, echo }) = settled else { return Ok(()) };
                if let Some(echo) = echo {
                    changes::joined(tx, desk.ids(), due.message, echo, now).await?;
                }
                let to = joined.last().map_or(DeliveryState::Sent, |receipt| receipt.to);
                tell(tx, &desk, due, (to, message_state), now).await
            })
        })
        .await
}

async fn stop(desk: &Desk, scope: &WorkspaceScope, due: LookUpDue) -> Result<(), DeskError> {
    let stopped =
        desk.storage().transact(scope, move |tx| Box::pin(async move { tx.look_again_at(due.part, None).await }));
    Ok(stopped.await?)
}

async fn tell(
    tx: &Tx,
    desk: &Desk,
    due: LookUpDue,
    (to, message_state): (DeliveryState, DeliveryState),
    now: OffsetDateTime,
) -> Result<(), DeskError> {
    let Some(message) = tx.message(due.message).await? else { return Ok(()) };
    let Some(stored) = tx.conversation(message.message.conversation).await? else { return Ok(()) };
    let data: Value = json!({ "message": due.message, "part": due.part, "from": DeliveryState::Unknown, "to": to,
        "cause": "look_up", "message_state": message_state });
    changes::emit(tx, desk.ids(), &stored, "message.state", data, now).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// What says the same is the lost one, unless it may be of an attempt that is under way; what says something else is looked
    /// at by people.
    #[test]
    fn what_was_taken_is_told_from_what_may_be_anothers() {
        let over = datetime!(2026-11-20 10:00:00 UTC);
        let taken = |after: i64, is_same| Taken {
            provider_id: format!("{after}"),
            at: over.saturating_add(Duration::seconds(after)),
            is_same,
        };
        let word = |of: Vec<Taken>, later: i64| match found(of, over, over.saturating_add(Duration::seconds(later))) {
            Found::Sent(id) => id,
            Found::Nothing => "nothing".to_owned(),
            Found::Unclear => "unclear".to_owned(),
        };
        assert_eq!(word(vec![], 60), "nothing");
        assert_eq!(word(vec![taken(-3, true)], 60), "-3");
        assert_eq!(word(vec![taken(-3, false)], 600), "unclear");
        assert_eq!(word(vec![taken(50, true)], 60), "unclear");
        assert_eq!(word(vec![taken(50, true)], 170), "50");
        assert_eq!(word(vec![taken(-1, false), taken(1, true)], 60), "1");
    }
}
