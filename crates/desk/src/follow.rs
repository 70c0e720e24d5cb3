//! What follows the events by itself: each event is acted on once, in the order of the workspace, over crashes and replicas.
//!
//! The act and the step forward are one transaction, so whoever comes second finds the place moved and does nothing.

use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use transom_domain::Assignment;
use transom_storage::{NumberedEvent, StorageError, Tx, WorkspaceScope};

use crate::{Desk, DeskError, routing};

/// How often new events are looked for.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
const BATCH: u64 = 200;
const NAME: &str = "automation";

/// Follows the events of every workspace until told to stop.
pub(crate) async fn run(desk: Desk, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = follow_all(&desk).await {
            tracing::warn!(%error, "events could not be followed; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
        }
    }
}

/// Acts on what has happened so far; on how many events.
///
/// # Errors
/// When the database fails.
pub async fn follow_all(desk: &Desk) -> Result<u32, DeskError> {
    let mut acted = 0;
    for scope in desk.storage().workspaces_to_follow(NAME).await? {
        acted += follow(desk, &scope).await?;
    }
    Ok(acted)
}

async fn follow(desk: &Desk, scope: &WorkspaceScope) -> Result<u32, DeskError> {
    let (reader, mut acted) = (desk.reader(scope), 0);
    loop {
        let mut seq = reader.followed_to(NAME).await?;
        // Asked before the events are: where none are kept up to it, they are passed over.
        let numbered = reader.last_event_seq().await?;
        let events = reader.events_after(seq, BATCH).await?;
        let last = events.last().map_or(numbered, |event| event.seq);
        if last <= seq {
            return Ok(acted);
        }
        let relieves = reader.settings().await?.0.reassign_when_away;
        for event in events.into_iter().filter(|event| concerns(&event.event.kind, relieves)) {
            let next = event.seq;
            if !step(desk, scope, seq, event).await? {
                return Ok(acted);
            }
            (seq, acted) = (next, acted + 1);
        }
        if seq < last && !skip(desk, scope, seq, last).await? {
            return Ok(acted);
        }
    }
}

/// Whether an event asks for something; what a customer writes does only where agents who are away are relieved.
fn concerns(kind: &str, relieves: bool) -> bool {
    match kind {
        "conversation.opened" | "conversation.handed_over" => true,
        "message.received" => relieves,
        _ => false,
    }
}

/// Acts on one event; `false` if somebody else did. An act that can't be done is skipped: nothing may hold up the others.
async fn step(desk: &Desk, scope: &WorkspaceScope, from: u64, event: NumberedEvent) -> Result<bool, DeskError> {
    let (to, kind, desk_in) = (event.seq, event.event.kind.clone(), desk.clone());
    let done = desk
        .storage()
        .transact(scope, move |tx| {
            let (desk, event) = (desk_in.clone(), event.clone());
            Box::pin(async move {
                // Nobody but followers locks this row, so that it may be the first.
                if !tx.follow(NAME, from, event.seq).await? {
                    return Ok(false);
                }
                act(&desk, tx, &event).await?;
                Ok(true)
            })
        })
        .await;
    match done {
        Err(error) if is_final(&error) => {
            metrics::counter!("transom_automation_failed_total").increment(1);
            tracing::error!(%error, seq = to, kind, "an event could not be acted on; it is passed over");
            skip(desk, scope, from, to).await
        }
        done => done,
    }
}

async fn act(desk: &Desk, tx: &Tx, event: &NumberedEvent) -> Result<(), DeskError> {
    let Some(conversation) = event.event.conversation else { return Ok(()) };
    match event.event.kind.as_str() {
        "conversation.opened" | "conversation.handed_over" => {
            let given = event.event.data.get("assigned_to").and_then(|given| Assignment::deserialize(given).ok());
            routing::opened(desk, tx, conversation, given.unwrap_or(Assignment::NONE)).await
        }
        "message.received" => routing::received(desk, tx, conversation).await,
        _ => Ok(()),
    }
}

/// Whether it would fail again; a database that is away is waited for.
fn is_final(error: &DeskError) -> bool {
    !matches!(error, DeskError::Storage(error) if !matches!(error, StorageError::Unreadable { .. }))
}

async fn skip(desk: &Desk, scope: &WorkspaceScope, from: u64, to: u64) -> Result<bool, DeskError> {
    desk.storage()
        .transact(scope, move |tx| Box::pin(async move { Ok::<_, DeskError>(tx.follow(NAME, from, to).await?) }))
        .await
}
